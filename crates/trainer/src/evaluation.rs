//! Passes over samples without learning: in batches of like lengths, the same for any machine.

use supermoe_channels::{Dataset, SampleId};

use crate::batch_order::evaluation_order;
use crate::error::TrainError;
use crate::monitor::Monitor;

/// Sequences of a batch.
const BATCH: usize = 128;

/// A part of the samples that are gone over.
pub struct EvaluationBatch<'a> {
    /// Counted from 0.
    pub number: u64,
    /// Places in the list of samples.
    pub rows: &'a [usize],
    /// The samples there.
    pub samples: Vec<SampleId>,
}

/// Hands all samples to `visit`, the shortest first.
///
/// # Errors
/// What `visit` says; a stop that was asked for.
pub fn in_batches(
    dataset: &Dataset,
    samples: &[SampleId],
    monitor: &mut dyn Monitor,
    visit: impl FnMut(EvaluationBatch<'_>) -> Result<(), TrainError>,
) -> Result<(), TrainError> {
    in_batches_of(BATCH, dataset, samples, monitor, visit)
}

/// As [`in_batches`], with so many sequences in a batch.
pub fn in_batches_of(
    size: usize,
    dataset: &Dataset,
    samples: &[SampleId],
    monitor: &mut dyn Monitor,
    mut visit: impl FnMut(EvaluationBatch<'_>) -> Result<(), TrainError>,
) -> Result<(), TrainError> {
    let lengths: Vec<u32> = samples
        .iter()
        .map(|&sample| dataset.tokens(sample) as u32)
        .collect();
    for (number, rows) in (0..).zip(evaluation_order(&lengths, size)) {
        if monitor.stop_requested() {
            return Err(TrainError::Stopped { step: 0 });
        }
        visit(EvaluationBatch {
            number,
            rows: &rows,
            samples: rows.iter().map(|&row| samples[row]).collect(),
        })?;
    }
    Ok(())
}
