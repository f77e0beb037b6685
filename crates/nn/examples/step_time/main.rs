//! Times training steps, or inference, on random batches, and prints one line of JSON.
//!
//!     cargo run --release -p supermoe-nn --example step_time -- wide --steps 20
//!
//! The first argument may name a configuration of `xtask/peers/train/configurations.json`; flags after
//! it change single sizes. `cargo xtask bench train` runs it beside a peer that takes the same arguments.

mod allocations;
mod batch;
mod lengths;
mod network;
mod options;
mod sgemm;
mod work;

use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use serde_json::json;
use supermoe_nn::Error;
use supermoe_nn::precision::{Precision, set_precision};
use supermoe_nn::threads;

use crate::batch::Batches;
use crate::network::Network;
use crate::options::Options;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = Options::from_command_line()?;
    if options.bf16 {
        set_precision(Precision::Bf16)?;
    }
    let line = threads::run(options.threads, || {
        if options.sgemm {
            Ok(json!({ "gflops": sgemm::rate(options.threads) }))
        } else {
            measure(&options)
        }
    })??;
    println!("{line}");
    Ok(())
}

fn measure(options: &Options) -> Result<serde_json::Value, Error> {
    let mut network = Network::new(options)?;
    let mut batches = Batches::new(options);
    let mut parts: [Vec<Duration>; 3] = Default::default(); // forward, backward, update
    let timed = options.steps.next_multiple_of(batches.pool());
    let mut steps = Vec::with_capacity(timed);
    let (mut large, mut gflop, mut loss) = (0, 0.0, None);
    for step in 0..options.warmup + timed {
        let batch = batches.next(&network)?;
        allocations::start();
        let started = Instant::now();
        let cost = if options.inference {
            network.represent(&batch)?
        } else {
            network.train(&batch, step as u64)?
        };
        let elapsed = started.elapsed();
        large = allocations::large();
        loss = cost.loss;
        if step >= options.warmup {
            steps.push(elapsed);
            for (times, time) in parts.iter_mut().zip(cost.times) {
                times.push(time);
            }
            gflop += work::gflop(options, &batch) / timed as f64;
        }
    }
    let step_ms = if options.ragged {
        mean(&steps)
    } else {
        median(&mut steps)
    };
    let [mut forward, mut backward, mut update] = parts;
    Ok(json!({
        "program": concat!("supermoe ", env!("CARGO_PKG_VERSION")),
        "step_ms": rounded(step_ms),
        "seq_per_s": rounded(options.batch as f64 / step_ms * 1e3),
        "peak_mb": peak_mebibytes(),
        "params": network.values(),
        "loss": loss,
        "gflop": rounded(gflop),
        "forward_ms": rounded(median(&mut forward)),
        "backward_ms": rounded(median(&mut backward)),
        "update_ms": rounded(median(&mut update)),
        "allocations_over_64_kib": large,
    }))
}

/// In milliseconds; of an even number, the upper middle.
fn median(times: &mut [Duration]) -> f64 {
    times.sort();
    times
        .get(times.len() / 2)
        .map_or(0.0, |time| time.as_secs_f64() * 1e3)
}

/// In milliseconds. Where batches differ in size, their middle says less than their sum.
fn mean(times: &[Duration]) -> f64 {
    times.iter().sum::<Duration>().as_secs_f64() * 1e3 / times.len().max(1) as f64
}

fn rounded(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

/// The most memory that was resident so far, where the system tells.
fn peak_mebibytes() -> Option<i64> {
    let unit = if cfg!(target_os = "macos") {
        1 << 20
    } else {
        1 << 10
    };
    getrusage(UsageWho::RUSAGE_SELF)
        .ok()
        .map(|usage| usage.max_rss() / unit)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    /// Buffers are used again: after a few steps none asks the allocator for more than 64 KiB.
    #[test]
    fn a_steady_step_makes_no_large_allocation() {
        let options = Options::parse_from(["step_time"]); // the configuration `small`
        let counts = threads::run(2, || {
            let mut network = Network::new(&options).unwrap();
            let mut batches = Batches::new(&options);
            let steps = (0..12).map(|step| {
                let batch = batches.next(&network).unwrap();
                allocations::start();
                network.train(&batch, step).unwrap();
                allocations::large()
            });
            steps.collect::<Vec<_>>()
        });
        let counts = counts.unwrap();
        assert!(counts[0] > 0, "the first step makes buffers: {counts:?}");
        assert_eq!(counts[8..], [0; 4], "{counts:?}");
    }
}
