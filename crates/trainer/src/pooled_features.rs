//! One vector for each sample without a sequence model: mean embeddings of its steps' channels, numbers
//! of its steps, of its newest step and of its snapshot.

use std::sync::Arc;

use supermoe_channels::ChannelKind;
use supermoe_nn::layers::{Mode, drop_out};
use supermoe_nn::ops::DenseInput;
use supermoe_nn::parameters::{Initial, MatrixHandle};
use supermoe_nn::{Device, Error, Group, Matrix, Offsets, Tape, matrix, ops};

use crate::channel_tables::EmbeddingWidths;
use crate::error::TrainError;
use crate::model_factory::InputShape;
use crate::model_input::ModelInput;
use crate::network::{NetworkBuilder, NetworkValues};
use crate::pooled_numbers::{PooledNumbers, events_and_snapshot};
use crate::predicted_channel::equal_in_all_steps;

/// Standard deviation of the embeddings' first values; no normalisation follows.
const EMBEDDING_DEVIATION: f32 = 0.1;
/// The place of this dropout among those that draw in a step.
const FEATURE_DROPOUT: u64 = 1 << 32;

/// What is pooled, in this order:
/// - the embeddings of each id and category channel of the events, their mean over the events;
/// - the embeddings of each id and category channel of the snapshot or the entity;
/// - the numbers of [`PooledNumbers`].
///
/// A sample without events has zeros in their place. In training a share of all is dropped.
pub struct PooledFeatures {
    events: Vec<Embedding>,
    snapshot: Vec<Embedding>,
    numbers: PooledNumbers,
    width: usize,
    dropout: f32,
}

/// An embedded channel.
struct Embedding {
    /// Index in [`ModelInput::codes`].
    channel: usize,
    table: EmbeddingTable,
}

enum EmbeddingTable {
    Parameter(MatrixHandle),
    /// Index among the host tables.
    Host(usize),
}

impl PooledFeatures {
    /// Adds `features.table.<channel>` for each id and category channel.
    ///
    /// # Errors
    /// A dataset without channels and aggregates.
    pub fn new<D: Device>(
        widths: EmbeddingWidths,
        shape: &InputShape<'_>,
        builder: &mut NetworkBuilder<'_, D>,
    ) -> Result<PooledFeatures, TrainError> {
        let schema = shape.schema;
        let (mut events, mut snapshot) = (Vec::new(), Vec::new());
        let (mut hosts, mut width) = (0, 0);
        for (index, channel) in schema.code_channels().into_iter().enumerate() {
            let channel = &schema.channels[channel];
            let (rows, name) = (
                channel.vocabulary as usize,
                format!("features.table.{}", channel.name),
            );
            let table = if channel.kind == ChannelKind::Id {
                builder.add_table(index, &name, rows, widths.id, EMBEDDING_DEVIATION)?;
                hosts += 1;
                width += widths.id;
                EmbeddingTable::Host(hosts - 1)
            } else {
                let initial = Initial::Normal(EMBEDDING_DEVIATION);
                let shape = (rows, widths.category);
                width += widths.category;
                let table = builder
                    .parameters
                    .add(name, Group::Tables, shape, initial)?;
                EmbeddingTable::Parameter(table)
            };
            let embedding = Embedding {
                channel: index,
                table,
            };
            if equal_in_all_steps(channel.per) {
                snapshot.push(embedding);
            } else {
                events.push(embedding);
            }
        }
        let numbers = PooledNumbers::new(schema);
        width += numbers.width();
        if width == 0 {
            return Err(TrainError::Dataset(
                "it has no channels and no aggregates: there is nothing to learn from; name some in \
                 `with.channels` or `with.aggregates` of the `prepare` stage that made it"
                    .to_owned(),
            ));
        }
        Ok(PooledFeatures {
            events,
            snapshot,
            numbers,
            width,
            dropout: shape.dropout,
        })
    }

    /// Numbers of a sample, F.
    pub fn width(&self) -> usize {
        self.width
    }

    /// [B, F]
    pub fn forward<D: Device, T: Tape<f32, D>>(
        &self,
        values: &NetworkValues<'_, D>,
        input: &ModelInput,
        mode: Mode,
        tape: &mut T,
    ) -> Result<Matrix<D>, Error> {
        let (mut events, mut lengths, mut snapshots) = (Vec::new(), Vec::new(), Vec::new());
        for rows in input.offsets.ranges() {
            let (own, snapshot) = events_and_snapshot(rows);
            lengths.push(own.len());
            events.extend(own);
            snapshots.push(snapshot);
        }
        let mut parts = Vec::new();
        if !self.events.is_empty() {
            let embedded = embed(&self.events, values, input, &events, tape)?;
            let offsets = Offsets::from_lengths(&lengths)?;
            parts.push(ops::segment_mean(&embedded, &offsets, tape)?);
        }
        if !self.snapshot.is_empty() {
            parts.push(embed(&self.snapshot, values, input, &snapshots, tape)?);
        }
        if self.numbers.width() > 0 {
            let (device, rows) = (values.parameters.device(), snapshots.len());
            let numbers = self.numbers.of(input);
            parts.push(matrix(device, numbers, rows, self.numbers.width())?);
        }
        let parts: Vec<&Matrix<D>> = parts.iter().collect();
        let features = ops::join_columns(&parts, tape)?;
        drop_out(features, self.dropout, mode.at(FEATURE_DROPOUT), tape)
    }
}

/// The embeddings of channels at some rows, side by side.
fn embed<D: Device, T: Tape<f32, D>>(
    embeddings: &[Embedding],
    values: &NetworkValues<'_, D>,
    input: &ModelInput,
    rows: &[usize],
    tape: &mut T,
) -> Result<Matrix<D>, Error> {
    let pick = |codes: &[u32]| -> Arc<[u32]> { rows.iter().map(|&row| codes[row]).collect() };
    let (mut tables, mut codes) = (Vec::new(), Vec::new());
    for embedding in embeddings {
        match embedding.table {
            EmbeddingTable::Parameter(table) => {
                tables.push(values.parameters.get(table));
                codes.push(pick(&input.codes[embedding.channel]));
            }
            EmbeddingTable::Host(index) => {
                let rows = &values.rows[index];
                tables.push(&rows.leaf);
                codes.push(pick(&rows.index));
            }
        }
    }
    let device = values.parameters.device();
    ops::lookup(device, &tables, &codes, &DenseInput::default(), None, tape)
}
