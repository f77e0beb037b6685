//! Where the time of a training step goes, by operation. Off by default, and then it costs one load of
//! an atomic for each operation.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use dfdx::tensor::Tape;

use crate::Device;
use crate::ops::products;

static ENABLED: AtomicBool = AtomicBool::new(false);
static MULTIPLIED: AtomicU64 = AtomicU64::new(0);
static SPENT: Mutex<BTreeMap<&'static str, Spent>> = Mutex::new(BTreeMap::new());
static BATCHES: Mutex<Batches> = Mutex::new(Batches {
    made: Duration::ZERO,
    waited: Duration::ZERO,
});

/// What one kind of operation has cost so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spent {
    /// Calls of the forward pass.
    pub calls: u64,
    /// Time of the forward passes.
    pub forward: Duration,
    /// Time of the backward passes.
    pub backward: Duration,
    /// Multiplications and additions of matrix products, both passes; 0 where the operation has none.
    pub operations: u64,
}

impl Spent {
    /// Both passes.
    pub fn total(&self) -> Duration {
        self.forward + self.backward
    }
}

/// What the batches of a training have cost so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Batches {
    /// Time that another thread took to make them, beside the steps.
    pub made: Duration,
    /// Time that steps waited for them.
    pub waited: Duration,
}

/// What was measured, as a table.
#[derive(Clone, Debug)]
pub struct Profile {
    /// By operation.
    pub spent: BTreeMap<&'static str, Spent>,
    /// Batches.
    pub batches: Batches,
    /// Time from the beginning to the end.
    pub wall: Duration,
    /// See [`sgemm_rate`].
    pub sgemm_rate: f64,
}

/// Measures until [`Measuring::finish`].
pub struct Measuring(Instant);

/// Begins to measure, from nothing.
pub fn enable() -> Measuring {
    spent().clear();
    *batches() = Batches::default();
    ENABLED.store(true, Ordering::Relaxed);
    Measuring(Instant::now())
}

impl Measuring {
    /// Stops measuring.
    pub fn finish(self) -> Profile {
        ENABLED.store(false, Ordering::Relaxed);
        Profile {
            wall: self.0.elapsed(),
            spent: std::mem::take(&mut *spent()),
            batches: std::mem::take(&mut *batches()),
            sgemm_rate: sgemm_rate(),
        }
    }
}

impl std::fmt::Display for Profile {
    /// The costliest operation first; `everything else` is what no operation has: waiting for batches, the
    /// optimizer, copies, the loop itself.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let wall = self.wall.as_secs_f64();
        let rate = |spent: &Spent| spent.operations as f64 / spent.total().as_secs_f64();
        writeln!(
            f,
            "{:<18} {:>8} {:>11} {:>12} {:>6} {:>9} {:>9}",
            "operation", "calls", "forward s", "backward s", "share", "GFLOP/s", "of sgemm"
        )?;
        let mut rows: Vec<_> = self.spent.iter().collect();
        rows.sort_by_key(|(_, spent)| std::cmp::Reverse(spent.total()));
        let mut booked = 0.0;
        for (name, spent) in rows {
            booked += spent.total().as_secs_f64();
            let (gflops, share) = match spent.operations {
                0 => (String::new(), String::new()),
                _ => (
                    format!("{:.1}", rate(spent) / 1e9),
                    format!("{:.0} %", 100.0 * rate(spent) / self.sgemm_rate),
                ),
            };
            writeln!(
                f,
                "{name:<18} {:>8} {:>11.3} {:>12.3} {:>4.1} % {gflops:>9} {share:>9}",
                spent.calls,
                spent.forward.as_secs_f64(),
                spent.backward.as_secs_f64(),
                100.0 * spent.total().as_secs_f64() / wall,
            )?;
        }
        let rest = (wall - booked).max(0.0);
        writeln!(
            f,
            "{:<18} {:>8} {rest:>11.3} {:>12} {:>4.1} %",
            "everything else",
            "",
            "",
            100.0 * rest / wall
        )?;
        let (made, waited) = (
            self.batches.made.as_secs_f64(),
            self.batches.waited.as_secs_f64(),
        );
        writeln!(
            f,
            "batches: {made:.3} s on another thread ({:.1} %), {waited:.3} s waited for ({:.1} %)",
            100.0 * made / wall,
            100.0 * waited / wall
        )?;
        write!(
            f,
            "{wall:.3} s in all; sgemm reaches {:.1} GFLOP/s here",
            self.sgemm_rate / 1e9
        )
    }
}

/// Whether it measures.
pub fn is_enabled() -> bool {
    ENABLED.load(Ordering::Relaxed)
}

fn spent() -> std::sync::MutexGuard<'static, BTreeMap<&'static str, Spent>> {
    SPENT.lock().unwrap_or_else(PoisonError::into_inner)
}

fn batches() -> std::sync::MutexGuard<'static, Batches> {
    BATCHES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `make`, which makes a batch beside the steps.
pub fn making_a_batch<T>(make: impl FnOnce() -> T) -> T {
    booked(make, |batches, duration| batches.made += duration)
}

/// Runs `wait`, in which a step waits for its batch.
pub fn waiting_for_a_batch<T>(wait: impl FnOnce() -> T) -> T {
    booked(wait, |batches, duration| batches.waited += duration)
}

fn booked<T>(work: impl FnOnce() -> T, book: impl FnOnce(&mut Batches, Duration)) -> T {
    let began = is_enabled().then(Instant::now);
    let result = work();
    if let Some(began) = began {
        book(&mut batches(), began.elapsed());
    }
    result
}

/// A product of these sizes was computed.
#[inline(always)]
pub(crate) fn multiplied(rows: usize, columns: usize, inner: usize) {
    if is_enabled() {
        MULTIPLIED.fetch_add(2 * (rows * columns * inner) as u64, Ordering::Relaxed);
    }
}

/// A measured stretch of work: operations run one after the other.
#[derive(Clone, Copy)]
struct Stretch {
    began: Instant,
    multiplied: u64,
}

impl Stretch {
    fn begin() -> Self {
        Self {
            began: Instant::now(),
            multiplied: MULTIPLIED.load(Ordering::Relaxed),
        }
    }

    fn end(self, name: &'static str, add: impl FnOnce(&mut Spent, Duration)) {
        let duration = self.began.elapsed();
        let mut spent = spent();
        let of_name = spent.entry(name).or_default();
        of_name.operations += MULTIPLIED.load(Ordering::Relaxed) - self.multiplied;
        add(of_name, duration);
    }
}

/// Runs an operation and, where it is measured, books its time, that of its backward pass included.
#[inline(always)]
pub(crate) fn measured<D: Device, T: Tape<f32, D>, R>(
    name: &'static str,
    tape: &mut T,
    run: impl FnOnce(&mut T) -> R,
) -> R {
    if !is_enabled() {
        return run(tape);
    }
    // The tape runs backwards: what is added first ends the stretch.
    let began = std::sync::Arc::new(Mutex::new(None::<Stretch>));
    let of_end = began.clone();
    tape.add_backward_op(move |_| {
        let stretch = of_end.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(stretch) = stretch {
            stretch.end(name, |spent, duration| spent.backward += duration);
        }
        Ok(())
    });
    let stretch = Stretch::begin();
    let result = run(tape);
    stretch.end(name, |spent, duration| {
        spent.calls += 1;
        spent.forward += duration;
    });
    tape.add_backward_op(move |_| {
        *began.lock().unwrap_or_else(PoisonError::into_inner) = Some(Stretch::begin());
        Ok(())
    });
    result
}

/// The machine's rate of matrix products in operations a second, f32: [4096, 128] times [128, 512] in
/// blocks of rows on the threads of the pool, the fastest of several.
pub fn sgemm_rate() -> f64 {
    const SIZES: (usize, usize, usize) = (4096, 128, 512);
    let (rows, inner, columns) = SIZES;
    let (a, b) = (vec![0.5; rows * inner], vec![0.25; inner * columns]);
    let mut out = vec![0.0; rows * columns];
    let fastest = (0..20)
        .map(|_| {
            let began = Instant::now();
            products::multiply_rows(
                &mut out,
                products::Strided::new(&a, rows, inner),
                products::Strided::new(&b, inner, columns),
                products::Start::Zero,
            );
            began.elapsed()
        })
        .min()
        .unwrap_or(Duration::MAX);
    2.0 * (rows * inner * columns) as f64 / fastest.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Cpu, OwnedTape, matrix, ops};

    #[test]
    fn time_and_work_are_booked_by_operation() {
        let measuring = enable();
        let device = Cpu::default();
        let x = matrix(&device, vec![1.0; 60], 20, 3).unwrap();
        let w = matrix(&device, vec![1.0; 12], 3, 4).unwrap();
        let mut tape = OwnedTape::default();
        let y = ops::linear(&x, &w, None, &mut tape).unwrap();
        let loss = ops::cross_entropy(&y, &[1; 20], &mut tape).unwrap();
        ops::backward(loss, tape).unwrap();
        let made = making_a_batch(|| std::hint::black_box(vec![1.0; 10_000]));
        assert_eq!(waiting_for_a_batch(|| made.len()), 10_000);
        let profile = measuring.finish();
        let spent = &profile.spent;
        // Other tests of this process may run meanwhile, and are booked too.
        let linear = spent["linear"];
        assert!(linear.calls >= 1 && linear.operations >= 3 * 2 * 20 * 3 * 4);
        assert!(linear.forward > Duration::ZERO && linear.backward > Duration::ZERO);
        assert!(spent["cross_entropy"].backward > Duration::ZERO);
        assert!(profile.sgemm_rate > 1e6);
        assert!(profile.batches.made > Duration::ZERO && profile.batches.waited > Duration::ZERO);
        let table = profile.to_string();
        let first = |line: &str| line.split_whitespace().next().map(str::to_owned);
        assert_eq!(first(&table).as_deref(), Some("operation"));
        assert!(
            table
                .lines()
                .any(|line| first(line).as_deref() == Some("cross_entropy"))
        );
    }
}
