//! The model as the trainer sees it.

use std::sync::Arc;

use supermoe_channels::ChannelKind;
use supermoe_nn::layers::{
    self, EncoderConfig, EncoderInput, MfpConfig, MfpInput, Mode, TableSize,
};
use supermoe_nn::ops::{self, MoeOptions};
use supermoe_nn::{Device, Error, TableRows, Tape};
use supermoe_trainer::{
    Encoded, Encoder, InputShape, ModelInput, ModelKind, NetworkBuilder, NetworkValues, TrainError,
};

use crate::params::SuperMoeParams;

/// Standard deviation of the embeddings' first values.
const EMBEDDING_DEVIATION: f32 = 1.0;

/// See the crate.
pub struct SuperMoe {
    encoder: layers::Encoder,
    /// Indices in [`ModelInput::codes`] of the category channels.
    categories: Vec<usize>,
    balance_weight: f32,
    z_weight: f32,
    has_mixtures: bool,
}

impl ModelKind for SuperMoe {
    const NAME: &'static str = "supermoe";
    const DESCRIPTION: &'static str =
        "Transformer whose feed-forward layers are mixtures of experts.";
    const REVISION: &'static str = "1";
    const TRAINING_PARAMS: &'static [&'static str] =
        &["balance_weight", "z_weight", "capacity_factor"];

    type Params = SuperMoeParams;
    type Encoder<D: Device> = SuperMoe;

    fn build<D: Device>(
        params: &SuperMoeParams,
        shape: &InputShape<'_>,
        builder: &mut NetworkBuilder<'_, D>,
    ) -> Result<SuperMoe, TrainError> {
        params
            .check(shape.d_model)
            .map_err(|reason| TrainError::ModelParams {
                model: Self::NAME.to_owned(),
                reason,
            })?;
        let schema = shape.schema;
        let (mut categories, mut tables, mut ids) = (Vec::new(), Vec::new(), Vec::new());
        for (index, channel) in schema
            .code_channels()
            .into_iter()
            .map(|channel| &schema.channels[channel])
            .enumerate()
        {
            let rows = channel.vocabulary as usize;
            if channel.kind == ChannelKind::Id {
                let name = format!("mfp.table.{}", channel.name);
                builder.add_table(index, &name, rows, params.id_width, EMBEDDING_DEVIATION);
                ids.push(params.id_width);
            } else {
                categories.push(index);
                tables.push(TableSize {
                    name: channel.name.clone(),
                    rows,
                    dim: params.category_width,
                });
            }
        }
        let config = EncoderConfig {
            mfp: MfpConfig {
                categories: tables,
                ids,
                dense: schema.dense_columns().len(),
                maskable: shape.maskable.to_vec(),
                deviation: EMBEDDING_DEVIATION,
                width: shape.d_model,
            },
            width: shape.d_model,
            heads: params.heads,
            layers: params.layers,
            inner: params.d_ff,
            experts: params.experts,
            attention_experts: params.attention_experts,
            ffns: 2,
            moe: MoeOptions {
                top_k: params.top_k,
                capacity_factor: params.capacity_factor.map(|x| x as f32),
            },
            dropout: shape.dropout,
            positions: schema.positions(),
        };
        Ok(SuperMoe {
            encoder: layers::Encoder::new(builder.parameters, &config)?,
            categories,
            balance_weight: params.balance_weight as f32,
            z_weight: params.z_weight as f32,
            has_mixtures: params.experts > 1 || params.attention_experts > 1,
        })
    }
}

impl<D: Device> Encoder<D> for SuperMoe {
    fn encode<T: Tape<f32, D>>(
        &self,
        values: &NetworkValues<'_, D>,
        input: &ModelInput,
        mode: Mode,
        tape: &mut T,
    ) -> Result<Encoded<D>, Error> {
        let categories: Vec<Arc<[u32]>> = self
            .categories
            .iter()
            .map(|&index| Arc::clone(&input.codes[index]))
            .collect();
        let ids: Vec<&TableRows<D>> = values.rows.iter().collect();
        let input = EncoderInput {
            channels: MfpInput {
                categories: &categories,
                ids: &ids,
                dense: &input.dense,
            },
            positions: &input.position,
            offsets: &input.offsets,
        };
        let output = self
            .encoder
            .forward(values.parameters, &input, mode, tape)?;
        let auxiliary = if self.has_mixtures {
            let terms = [
                (&output.balance, self.balance_weight),
                (&output.z, self.z_weight),
            ];
            Some(ops::sum(values.parameters.device(), &terms, tape)?)
        } else {
            None
        };
        let loads = output.loads.into_iter();
        Ok(Encoded {
            hidden: output.hidden,
            auxiliary,
            expert_rows: loads.map(|load| (load.layer, load.counts)).collect(),
        })
    }
}
