//! What a model sees of a batch: packed arrays that operations can hold without copying.

use std::sync::Arc;

use supermoe_channels::{DenseSource, PackedBatch, Schema};
use supermoe_nn::Offsets;
use supermoe_nn::ops::DenseInput;

use crate::error::TrainError;
use crate::predicted_channel::equal_in_all_steps;

/// B sequences with N steps in all, the snapshot step of each last. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct ModelInput {
    /// Which rows belong to which sequence.
    pub offsets: Offsets,
    /// Steps counted from the newest back; 0 is the snapshot step. [N]
    pub position: Arc<[u32]>,
    /// By id or category channel, in the order of `Schema::code_channels`. [N] each
    pub codes: Vec<Arc<[u32]>>,
    /// Dense channels and aggregates, with what masking hides. [N, K]
    pub dense: DenseInput,
}

/// The parts of [`ModelInput`] that are the same for every batch of a dataset.
#[derive(Debug, Clone, PartialEq)]
pub struct InputLayout {
    /// Columns of the dense input, K.
    pub dense_columns: usize,
    /// The columns that masking may hide: dense channels that differ from step to step. Aggregates stand
    /// in the snapshot step alone, which is never masked.
    pub maskable: Arc<[usize]>,
}

impl InputLayout {
    pub fn new(schema: &Schema) -> InputLayout {
        let columns = schema.dense_columns();
        let maskable = columns
            .iter()
            .enumerate()
            .filter_map(|(column, of)| match of.source {
                DenseSource::Channel(channel)
                    if !equal_in_all_steps(schema.channels[channel].per) =>
                {
                    Some(column)
                }
                DenseSource::Channel(_) | DenseSource::Aggregate(_) => None,
            });
        InputLayout {
            dense_columns: columns.len(),
            maskable: maskable.collect(),
        }
    }

    /// The input for a batch. `hidden` is row-major [N, K], or empty where nothing is hidden.
    pub fn input(&self, batch: &PackedBatch, hidden: &[bool]) -> Result<ModelInput, TrainError> {
        let masked: Vec<bool> = hidden
            .chunks_exact(self.dense_columns.max(1))
            .flat_map(|row| self.maskable.iter().map(|&column| row[column]))
            .collect();
        Ok(ModelInput {
            offsets: Offsets::new(batch.offsets.clone())?,
            position: batch.position.as_slice().into(),
            codes: batch
                .codes
                .iter()
                .map(|codes| codes.as_slice().into())
                .collect(),
            dense: DenseInput {
                values: batch.dense.as_slice().into(),
                channels: self.dense_columns,
                maskable: Arc::clone(&self.maskable),
                masked: masked.into(),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use supermoe_channels::{ChannelKind, Split};

    use super::*;
    use crate::tiny_retail;

    #[test]
    fn only_dense_channels_of_steps_can_be_hidden() {
        let dataset = tiny_retail::dataset(4);
        let layout = InputLayout::new(dataset.schema());
        assert_eq!(layout.dense_columns, 6);
        assert_eq!(layout.maskable.as_ref(), [0, 1, 2, 3]);
    }

    #[test]
    fn channels_are_as_many_as_the_dataset_has() {
        let dataset = tiny_retail::dataset_of_channels(4, 786);
        let layout = InputLayout::new(dataset.schema());
        let batch = dataset.pack(&dataset.split(Split::Train));
        let input = layout.input(&batch, &[]).unwrap();
        // Of 779 added channels 259 are numbers; two aggregates are columns too.
        assert_eq!((input.codes.len(), input.dense.channels), (523, 265));
        assert_eq!(layout.maskable.len(), 263);
        let rows = input.offsets.rows();
        assert_eq!(input.dense.values.len(), 265 * rows);
        assert!(input.codes.iter().all(|codes| codes.len() == rows));
    }

    #[test]
    fn a_kind_of_channel_may_be_missing() {
        let (ids, categories) = (ChannelKind::Id, ChannelKind::Category);
        let of_codes = tiny_retail::dataset_of_channel_kinds(4, 103, &[ids, categories]);
        let layout = InputLayout::new(of_codes.schema());
        let batch = of_codes.pack(&of_codes.split(Split::Train));
        let input = layout.input(&batch, &[]).unwrap();
        assert_eq!((layout.dense_columns, layout.maskable.len()), (0, 0));
        assert_eq!((input.codes.len(), input.dense.channels), (67, 0));
        let of_numbers = tiny_retail::dataset_of_channel_kinds(4, 103, &[ChannelKind::Dense]);
        let layout = InputLayout::new(of_numbers.schema());
        let batch = of_numbers.pack(&of_numbers.split(Split::Train));
        let input = layout.input(&batch, &[]).unwrap();
        assert_eq!((input.codes.len(), input.dense.channels), (0, 38));
    }

    #[test]
    fn hidden_places_keep_their_column() {
        let dataset = tiny_retail::dataset(4);
        let layout = InputLayout::new(dataset.schema());
        let batch = dataset.pack(&dataset.split(Split::Train));
        let mut hidden = vec![false; batch.dense.len()];
        hidden[5 * batch.dense_width + 2] = true;
        let input = layout.input(&batch, &hidden).unwrap();
        assert_eq!(
            input.dense.masked.iter().position(|&masked| masked),
            Some(5 * 4 + 2)
        );
        assert_eq!(input.offsets.rows(), batch.tokens());
        assert!(layout.input(&batch, &[]).unwrap().dense.masked.is_empty());
    }

    #[test]
    fn events_in_another_order_are_the_same_codes_in_other_rows() {
        let codes = |dataset: &supermoe_channels::Dataset| {
            let layout = InputLayout::new(dataset.schema());
            let batch = dataset.pack(&dataset.split(Split::Train));
            layout.input(&batch, &[]).unwrap().codes[0].to_vec()
        };
        let (mut first, mut second) = (
            codes(&tiny_retail::dataset(4)),
            codes(&tiny_retail::reordered(4)),
        );
        assert_ne!(first, second);
        first.sort_unstable();
        second.sort_unstable();
        assert_eq!(first, second);
    }

    #[test]
    fn the_recencies_of_older_events_can_change_alone() {
        let input = |dataset: &supermoe_channels::Dataset| {
            let layout = InputLayout::new(dataset.schema());
            let batch = dataset.pack(&dataset.split(Split::Train));
            layout.input(&batch, &[]).unwrap()
        };
        let moved = tiny_retail::with_recencies(4, |older| older[0] += 1.0);
        let (first, second) = (input(&tiny_retail::dataset(4)), input(&moved));
        assert_eq!(first.codes, second.codes);
        let columns = first.dense.channels;
        let places = 0..first.dense.values.len();
        let changed = places.filter(|&i| first.dense.values[i] != second.dense.values[i]);
        let oldest = first.offsets.ranges().map(|rows| rows.start * columns + 1);
        assert_eq!(changed.collect::<Vec<_>>(), oldest.collect::<Vec<_>>());
    }

    #[test]
    fn there_may_be_any_number_of_channels() {
        let dataset = tiny_retail::dataset_of_channels(4, 100);
        let layout = InputLayout::new(dataset.schema());
        let batch = dataset.pack(&dataset.split(Split::Train));
        let input = layout.input(&batch, &[]).unwrap();
        let aggregates = dataset.schema().aggregates.len();
        let numbers = layout.dense_columns - aggregates;
        assert_eq!(input.codes.len() + numbers, 100);
        assert_eq!(layout.maskable.len(), numbers);
    }
}
