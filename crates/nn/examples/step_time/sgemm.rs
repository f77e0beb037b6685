//! The machine's rate of f32 matrix products: what a step's products could reach at best.

use std::time::{Duration, Instant};

use gemm::{Parallelism, gemm};
use supermoe_nn::threads::OnThreads;

/// The product of the configuration `wide`: [4096, 128] x [128, 512].
const ROWS: usize = 4096;
const DEPTH: usize = 128;
const COLUMNS: usize = 512;
const REPETITIONS: usize = 200;

/// In 10^9 operations a second, the median of many; a block of rows for each thread.
pub fn rate(threads: usize) -> f64 {
    let a = vec![0.5f32; ROWS * DEPTH];
    let b = vec![0.25f32; DEPTH * COLUMNS];
    let mut c = vec![0f32; ROWS * COLUMNS];
    let block = ROWS.div_ceil(threads);
    let mut times: Vec<Duration> = (0..REPETITIONS)
        .map(|_| {
            let started = Instant::now();
            c.chunks_mut(block * COLUMNS)
                .zip(a.chunks(block * DEPTH))
                .for_each_on_threads(|(c, a)| multiply(c, a, &b));
            started.elapsed()
        })
        .collect();
    times.sort();
    assert_eq!(c[c.len() - 1], 0.125 * DEPTH as f32);
    let operations = 2.0 * (ROWS * DEPTH * COLUMNS) as f64;
    operations / times[REPETITIONS / 2].as_secs_f64() * 1e-9
}

/// c = a b, row-major, on this thread.
fn multiply(c: &mut [f32], a: &[f32], b: &[f32]) {
    let rows = a.len() / DEPTH;
    assert_eq!(c.len(), rows * COLUMNS);
    // SAFETY: the strides are those of row-major matrices [rows, DEPTH], [DEPTH, COLUMNS] and
    // [rows, COLUMNS], which `a`, `b` and `c` hold; `c` is borrowed alone.
    unsafe {
        gemm(
            rows,
            COLUMNS,
            DEPTH,
            c.as_mut_ptr(),
            1,
            COLUMNS as isize,
            false,
            a.as_ptr(),
            1,
            DEPTH as isize,
            b.as_ptr(),
            1,
            COLUMNS as isize,
            0.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}
