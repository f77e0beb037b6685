//! The channels that are masked and predicted, and what there is to tell of them in a batch.

use supermoe_channels::{DenseSource, FIRST_CODE, PackedBatch, Schema};

use crate::error::TrainError;

/// A channel that is masked and predicted.
#[derive(Debug, Clone, PartialEq)]
pub struct PredictedChannel {
    pub name: String,
    pub place: Place,
    /// Columns of the dense input that betray this channel: totals with it as their source.
    pub totals: Vec<usize>,
    /// Number of classes of its head: codes of the vocabulary, or buckets.
    pub classes: usize,
}

/// Where a channel stands in a packed batch.
#[derive(Debug, Clone, PartialEq)]
pub enum Place {
    /// Index in [`PackedBatch::codes`]; the class is the code.
    Codes { index: usize },
    /// Column of [`PackedBatch::dense`]; the class is the bucket between these ascending bounds.
    Dense { column: usize, bounds: Vec<f32> },
}

/// Where the channel of this name stands, and its number of classes.
///
/// # Errors
/// A name that is no channel, a channel of the snapshot, a running total, a dense channel without
/// buckets.
pub fn place_of(schema: &Schema, name: &str) -> Result<(Place, usize), TrainError> {
    let refuse = |reason: String| Err(TrainError::param("predict", reason));
    let Some(index) = schema.channel(name) else {
        let known: Vec<&str> = schema
            .channels
            .iter()
            .filter(|channel| {
                channel.total.is_none() && channel.per != supermoe_channels::Per::Snapshot
            })
            .map(|channel| channel.name.as_str())
            .collect();
        return refuse(format!(
            "the dataset has no channel `{name}`; it can be one of {}",
            known.join(", ")
        ));
    };
    let channel = &schema.channels[index];
    if channel.total.is_some() {
        return refuse(format!(
            "`{name}` is a running total; predict its source instead"
        ));
    }
    if channel.per == supermoe_channels::Per::Snapshot {
        return refuse(format!(
            "`{name}` is a channel of the snapshot, equal in all steps: there is nothing to predict"
        ));
    }
    if !channel.is_dense() {
        // `index` is one of the code channels, or it would be dense.
        let index = schema
            .code_channels()
            .iter()
            .position(|&of| of == index)
            .unwrap_or_default();
        return Ok((Place::Codes { index }, channel.vocabulary as usize));
    }
    if channel.quantiles.is_empty() {
        return refuse(format!(
            "`{name}` has one value in the training samples: there is nothing to predict"
        ));
    }
    let columns = schema.dense_columns();
    let column = columns
        .iter()
        .position(|column| column.source == DenseSource::Channel(index))
        .unwrap_or_default();
    let bounds = channel.standardised_quantiles();
    let classes = bounds.len() + 1;
    Ok((Place::Dense { column, bounds }, classes))
}

/// The class of a channel at a row; `None` where it is unknown.
pub fn class_at(batch: &PackedBatch, place: &Place, row: usize) -> Option<u32> {
    match place {
        Place::Codes { index } => Some(batch.codes[*index][row]).filter(|&code| code >= FIRST_CODE),
        Place::Dense { column, bounds } => {
            let value = batch.dense[row * batch.dense_width + column];
            Some(bounds.partition_point(|&bound| bound <= value) as u32)
        }
    }
}
