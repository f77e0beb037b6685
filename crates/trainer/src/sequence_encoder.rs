//! A transformer over the steps of packed sequences, for models that are one: projection of all channels,
//! positions, blocks, a last normalisation.

use supermoe_nn::layers::{self, EncoderConfig, EncoderInput, EncoderOutput, Mode};
use supermoe_nn::ops::MoeOptions;
use supermoe_nn::{Device, Error, Tape};

use crate::channel_tables::{ChannelTables, EmbeddingWidths};
use crate::model_factory::InputShape;
use crate::model_input::ModelInput;
use crate::network::{NetworkBuilder, NetworkValues};

/// Sizes that the stage does not give.
#[derive(Debug, Clone, PartialEq)]
pub struct SequenceSizes {
    /// Number of blocks.
    pub layers: usize,
    /// Heads of attention, a divisor of the width.
    pub heads: usize,
    /// Inner width of a feed-forward network.
    pub d_ff: usize,
    /// Feed-forward layers in a block.
    pub ffns: usize,
    /// Experts of each feed-forward layer; 1 = a plain network.
    pub experts: usize,
    /// Experts of each projection of attention; 1 = plain attention.
    pub attention_experts: usize,
    /// How steps are sent to experts.
    pub moe: MoeOptions,
    /// Width of the noise on what gates see in training; 0 = none.
    pub jitter: f32,
    pub embeddings: EmbeddingWidths,
}

impl SequenceSizes {
    /// The sizes of the blocks, for a projection of these channels.
    pub fn config(&self, tables: &ChannelTables, shape: &InputShape<'_>) -> EncoderConfig {
        EncoderConfig {
            mfp: tables.config.clone(),
            width: shape.d_model,
            heads: self.heads,
            layers: self.layers,
            inner: self.d_ff,
            experts: self.experts,
            attention_experts: self.attention_experts,
            ffns: self.ffns,
            moe: self.moe.clone(),
            jitter: self.jitter,
            dropout: shape.dropout,
            positions: shape.schema.positions(),
        }
    }
}

/// See the module.
pub struct SequenceEncoder {
    tables: ChannelTables,
    encoder: layers::Encoder,
}

impl SequenceEncoder {
    /// Adds its parameters, see [`layers::Encoder::new`].
    ///
    /// # Errors
    /// Sizes that do not fit together; a dataset without channels.
    pub fn new<D: Device>(
        sizes: &SequenceSizes,
        shape: &InputShape<'_>,
        builder: &mut NetworkBuilder<'_, D>,
    ) -> Result<SequenceEncoder, Error> {
        let tables = ChannelTables::new(sizes.embeddings, shape, builder)?;
        let config = sizes.config(&tables, shape);
        Ok(SequenceEncoder {
            encoder: layers::Encoder::new(builder.parameters, &config)?,
            tables,
        })
    }

    /// Encodes a batch.
    pub fn forward<D: Device, T: Tape<f32, D>>(
        &self,
        values: &NetworkValues<'_, D>,
        input: &ModelInput,
        mode: Mode,
        tape: &mut T,
    ) -> Result<EncoderOutput<D>, Error> {
        self.tables.with_input(values, input, |channels| {
            let input = EncoderInput {
                channels,
                positions: &input.position,
                offsets: &input.offsets,
            };
            self.encoder.forward(values.parameters, &input, mode, tape)
        })
    }
}
