//! The model as the trainer sees it.

use supermoe_nn::layers::Mode;
use supermoe_nn::ops::MoeOptions;
use supermoe_nn::{Device, Error, Tape};
use supermoe_trainer::{
    EmbeddingWidths, Encoded, Encoder, InputShape, ModelInput, ModelKind, NetworkBuilder,
    NetworkValues, Representation, SequenceEncoder, SequenceSizes, TrainError,
};

use crate::params::BertParams;

/// See the crate.
pub struct Bert {
    encoder: SequenceEncoder,
}

impl ModelKind for Bert {
    const NAME: &'static str = "bert";
    const DESCRIPTION: &'static str =
        "Transformer encoder over the steps, pre-trained by masked channels (Devlin et al. 2018).";
    const REVISION: &'static str = "1";

    type Params = BertParams;
    type Encoder<D: Device> = Bert;

    fn check(params: &BertParams, shape: &InputShape<'_>) -> Result<(), String> {
        params.check(shape.d_model)
    }

    fn build<D: Device>(
        params: &BertParams,
        shape: &InputShape<'_>,
        builder: &mut NetworkBuilder<'_, D>,
    ) -> Result<Bert, TrainError> {
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
        Ok(Bert {
            encoder: SequenceEncoder::new(&sizes, shape, builder)?,
        })
    }
}

impl<D: Device> Encoder<D> for Bert {
    fn encode<T: Tape<f32, D>>(
        &self,
        values: &NetworkValues<'_, D>,
        input: &ModelInput,
        mode: Mode,
        tape: &mut T,
    ) -> Result<Encoded<D>, Error> {
        let output = self.encoder.forward(values, input, mode, tape)?;
        Ok(Encoded {
            representation: Representation::Steps(output.hidden),
            auxiliary: Vec::new(),
            expert_rows: Vec::new(),
        })
    }
}
