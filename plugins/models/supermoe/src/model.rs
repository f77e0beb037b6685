//! The model as the trainer sees it.

use supermoe_nn::layers::Mode;
use supermoe_nn::ops::MoeOptions;
use supermoe_nn::{Device, Error, Tape};
use supermoe_trainer::{
    AuxiliaryLoss, EmbeddingWidths, Encoded, Encoder, ExpertRows, InputShape, ModelInput,
    ModelKind, NetworkBuilder, NetworkValues, Representation, SequenceEncoder, SequenceSizes,
    TrainError,
};

use crate::params::SuperMoeParams;

/// See the crate.
pub struct SuperMoe {
    encoder: SequenceEncoder,
    balance_weight: f32,
    z_weight: f32,
    has_mixtures: bool,
    has_capacity: bool,
}

impl ModelKind for SuperMoe {
    const NAME: &'static str = "supermoe";
    const DESCRIPTION: &'static str =
        "Transformer whose feed-forward layers are mixtures of experts.";
    const REVISION: &'static str = "2";
    const TRAINING_PARAMS: &'static [&'static str] =
        &["balance_weight", "z_weight", "capacity_factor", "jitter"];

    type Params = SuperMoeParams;
    type Encoder<D: Device> = SuperMoe;

    fn check(params: &SuperMoeParams, shape: &InputShape<'_>) -> Result<(), String> {
        params.check(shape.d_model)
    }

    fn build<D: Device>(
        params: &SuperMoeParams,
        shape: &InputShape<'_>,
        builder: &mut NetworkBuilder<'_, D>,
    ) -> Result<SuperMoe, TrainError> {
        let sizes = SequenceSizes {
            layers: params.layers,
            heads: params.heads,
            d_ff: params.d_ff,
            ffns: params.feed_forwards,
            experts: params.experts,
            attention_experts: params.attention_experts,
            moe: MoeOptions {
                top_k: params.top_k,
                capacity_factor: params.capacity_factor.map(|x| x as f32),
                jitter: None,
            },
            jitter: params.jitter as f32,
            embeddings: EmbeddingWidths {
                id: params.id_width,
                category: params.category_width,
            },
        };
        Ok(SuperMoe {
            encoder: SequenceEncoder::new(&sizes, shape, builder)?,
            balance_weight: params.balance_weight as f32,
            z_weight: params.z_weight as f32,
            has_mixtures: params.experts > 1 || params.attention_experts > 1,
            has_capacity: params.capacity_factor.is_some(),
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
        let output = self.encoder.forward(values, input, mode, tape)?;
        let terms = [
            ("balance", output.balance, self.balance_weight),
            ("router_z", output.z, self.z_weight),
        ];
        let used = terms
            .into_iter()
            .filter(|(_, _, weight)| self.has_mixtures && *weight > 0.0);
        let auxiliary = used.map(|(name, loss, weight)| AuxiliaryLoss { name, loss, weight });
        let expert_rows = output.loads.into_iter().map(|load| ExpertRows {
            layer: load.layer,
            counts: load.counts,
            dropped: self.has_capacity.then_some(load.dropped),
        });
        Ok(Encoded {
            representation: Representation::Steps(output.hidden),
            auxiliary: auxiliary.collect(),
            expert_rows: expert_rows.collect(),
        })
    }
}
