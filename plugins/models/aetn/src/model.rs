//! The model as the trainer sees it.

use std::sync::Arc;

use supermoe_nn::layers::{Block, LayerNorm, Mfp, Mode, drop_out};
use supermoe_nn::ops::{self, Activation, MoeOptions};
use supermoe_nn::parameters::{Initial, MatrixHandle};
use supermoe_nn::{Device, Error, Group, Matrix, Tape};
use supermoe_trainer::{
    AuxiliaryLoss, ChannelTables, EmbeddingWidths, Encoded, Encoder, InputShape, ModelInput,
    ModelKind, NetworkBuilder, NetworkValues, Representation, SequenceSizes, TrainError,
};

use crate::aggregate::AggregateLayout;
use crate::autoencoder::{AggregateDecoder, AggregateEncoder};
use crate::params::AetnParams;

/// See the crate.
pub struct Aetn {
    tables: ChannelTables,
    projection: Mfp,
    position: MatrixHandle,
    positions: usize,
    blocks: Vec<Block>,
    norm: LayerNorm,
    dropout: f32,
    layout: AggregateLayout,
    encoder: AggregateEncoder,
    /// From the code.
    decoder: AggregateDecoder,
    autoencoder_weight: f32,
    /// From what the transformer makes of a user.
    user_decoder: AggregateDecoder,
    reconstruction_weight: f32,
}

impl ModelKind for Aetn {
    const NAME: &'static str = "aetn";
    const DESCRIPTION: &'static str = "Transformer coupled with a denoising autoencoder of the user's aggregate (Zhang et al. 2020).";
    const REVISION: &'static str = "1";
    const TRAINING_PARAMS: &'static [&'static str] =
        &["noise", "autoencoder_weight", "reconstruction_weight"];

    type Params = AetnParams;
    type Encoder<D: Device> = Aetn;

    fn check(params: &AetnParams, shape: &InputShape<'_>) -> Result<(), String> {
        params.check(shape.d_model)
    }

    fn build<D: Device>(
        params: &AetnParams,
        shape: &InputShape<'_>,
        builder: &mut NetworkBuilder<'_, D>,
    ) -> Result<Aetn, TrainError> {
        let sizes = SequenceSizes {
            layers: params.layers,
            heads: params.heads,
            d_ff: params.d_ff,
            ffns: 1,
            jitter: 0.0,
            experts: 1,
            attention_experts: 1,
            moe: MoeOptions::default(),
            embeddings: EmbeddingWidths {
                id: params.id_width,
                category: params.category_width,
            },
        };
        let tables = ChannelTables::new(sizes.embeddings, shape, builder)?;
        let config = sizes.config(&tables, shape);
        let (inner, width) = (params.d_ff, shape.d_model);
        let parameters = &mut *builder.parameters;
        let projection = Mfp::new(parameters, "mfp", &config.mfp)?;
        let place = (config.positions, width);
        let position = parameters.add("position", Group::Encoder, place, Initial::Normal(0.02))?;
        let blocks = (0..params.layers)
            .map(|i| Block::new(parameters, &format!("block.{i}"), &config))
            .collect::<Result<_, Error>>()?;
        let layout = AggregateLayout::new(shape.schema, params.bag_width);
        let decoder = "autoencoder.decoder";
        Ok(Aetn {
            norm: LayerNorm::new(parameters, "norm", Group::Encoder, width)?,
            encoder: AggregateEncoder::new(parameters, &layout, inner, width, params.noise as f32)?,
            decoder: AggregateDecoder::new(parameters, decoder, &layout, inner, width)?,
            user_decoder: AggregateDecoder::new(parameters, "user_decoder", &layout, inner, width)?,
            tables,
            projection,
            position,
            positions: config.positions,
            blocks,
            dropout: shape.dropout,
            layout,
            autoencoder_weight: params.autoencoder_weight as f32,
            reconstruction_weight: params.reconstruction_weight as f32,
        })
    }
}

impl<D: Device> Encoder<D> for Aetn {
    fn encode<T: Tape<f32, D>>(
        &self,
        values: &NetworkValues<'_, D>,
        input: &ModelInput,
        mode: Mode,
        tape: &mut T,
    ) -> Result<Encoded<D>, Error> {
        let parameters = values.parameters;
        let samples = input.offsets.sequences();
        let aggregates = self.layout.of(input);
        let code =
            self.encoder
                .forward(parameters, &self.layout, &aggregates, samples, mode, tape)?;
        let steps = self.transform(values, input, &code, mode, tape)?;
        let user = ops::segment_max(&steps, &input.offsets, tape)?;
        let mut auxiliary = Vec::new();
        for (name, weight, decoder, x) in [
            ("autoencoder", self.autoencoder_weight, &self.decoder, &code),
            (
                "reconstruction",
                self.reconstruction_weight,
                &self.user_decoder,
                &user,
            ),
        ] {
            if weight > 0.0 {
                let loss = decoder.loss(parameters, x, &aggregates, &self.layout, tape)?;
                auxiliary.push(AuxiliaryLoss { name, loss, weight });
            }
        }
        Ok(Encoded {
            representation: Representation::Steps(steps),
            auxiliary,
            expert_rows: Vec::new(),
        })
    }
}

impl Aetn {
    /// The transformer over the steps, of which the snapshot step carries the code of the aggregate. [N, d]
    fn transform<D: Device, T: Tape<f32, D>>(
        &self,
        values: &NetworkValues<'_, D>,
        input: &ModelInput,
        code: &Matrix<D>,
        mode: Mode,
        tape: &mut T,
    ) -> Result<Matrix<D>, Error> {
        let parameters = values.parameters;
        let x = self.tables.with_input(values, input, |channels| {
            self.projection.forward(parameters, &channels, tape)
        })?;
        let last = self.positions as u32 - 1;
        let places: Arc<[u32]> = input.position.iter().map(|&at| at.min(last)).collect();
        let position = ops::gather_rows(parameters.get(self.position), &places, tape)?;
        let x = ops::add(&x, &position, tape)?;
        let snapshots: Arc<[u32]> = input
            .offsets
            .ranges()
            .map(|rows| rows.end as u32 - 1)
            .collect();
        let x = ops::add_rows(&x, code, &snapshots, tape)?;
        let mut x = drop_out(x, self.dropout, mode.at(0), tape)?;
        for (i, block) in self.blocks.iter().enumerate() {
            let mode = mode.at(1 + i as u64);
            // Nothing is mixed: no expert has a load.
            let mut loads = Vec::new();
            x = block.forward(parameters, x, &input.offsets, mode, &mut loads, tape)?;
        }
        let normalized = self
            .norm
            .forward(parameters, &x, None, Activation::Identity, tape)?;
        Ok(normalized.y)
    }
}
