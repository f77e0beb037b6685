//! The model as the trainer sees it.

use std::sync::Arc;

use supermoe_nn::layers::{Linear, Mlp, Mode};
use supermoe_nn::{Device, Error, Group, Matrix, Tape, ops};
use supermoe_trainer::{
    Augmentation, AuxiliaryLoss, EmbeddingWidths, Encoded, Encoder, InputShape, ModelInput,
    ModelKind, NetworkBuilder, NetworkValues, PooledFeatures, Pretraining, Representation,
    TrainError,
};

use crate::augmentation::Views;
use crate::params::{FeatureMasking, MtsslParams};

/// See the crate.
pub struct Mtssl {
    features: PooledFeatures,
    hidden: Mlp,
    output: Linear,
    masking: FeatureMasking,
    step_dropout: f32,
    temperature: f32,
}

impl ModelKind for Mtssl {
    const NAME: &'static str = "mtssl";
    const DESCRIPTION: &'static str = "Contrastive pre-training on users by correlated feature masking and dropout, no sequence model (Yao et al. 2021).";
    const REVISION: &'static str = "1";
    const TRAINING_PARAMS: &'static [&'static str] = &["masking", "step_dropout", "temperature"];
    const PRETRAINING: Pretraining = Pretraining::Own;

    type Params = MtsslParams;
    type Encoder<D: Device> = Mtssl;

    fn check(params: &MtsslParams, _: &InputShape<'_>) -> Result<(), String> {
        params.check()
    }

    fn build<D: Device>(
        params: &MtsslParams,
        shape: &InputShape<'_>,
        builder: &mut NetworkBuilder<'_, D>,
    ) -> Result<Mtssl, TrainError> {
        let widths = EmbeddingWidths {
            id: params.id_width,
            category: params.category_width,
        };
        let features = PooledFeatures::new(widths, shape, builder)?;
        let mut widths = vec![features.width()];
        widths.resize(params.layers + 1, params.d_ff);
        let (group, parameters) = (Group::Encoder, &mut *builder.parameters);
        Ok(Mtssl {
            features,
            hidden: Mlp::new(parameters, "hidden", group, &widths)?,
            output: Linear::new(parameters, "output", group, params.d_ff, shape.d_model)?,
            masking: params.masking,
            step_dropout: params.step_dropout as f32,
            temperature: params.temperature as f32,
        })
    }
}

impl Mtssl {
    /// [B, d_model]
    fn users<D: Device, T: Tape<f32, D>>(
        &self,
        values: &NetworkValues<'_, D>,
        input: &ModelInput,
        mode: Mode,
        tape: &mut T,
    ) -> Result<Matrix<D>, Error> {
        let x = self.features.forward(values, input, mode, tape)?;
        let x = self.hidden.forward(values.parameters, &x, tape)?;
        self.output.forward(values.parameters, &x, tape)
    }
}

impl<D: Device> Encoder<D> for Mtssl {
    fn encode<T: Tape<f32, D>>(
        &self,
        values: &NetworkValues<'_, D>,
        input: &ModelInput,
        mode: Mode,
        tape: &mut T,
    ) -> Result<Encoded<D>, Error> {
        Ok(Encoded {
            representation: Representation::Samples(self.users(values, input, mode, tape)?),
            auxiliary: Vec::new(),
            expert_rows: Vec::new(),
        })
    }

    fn augmentation(&self, training: &ModelInput) -> Result<Box<dyn Augmentation>, TrainError> {
        let views = Views::new(training, self.masking, self.step_dropout)?;
        Ok(Box::new(views))
    }

    fn pretraining_losses<T: Tape<f32, D>>(
        &self,
        values: &NetworkValues<'_, D>,
        input: &ModelInput,
        mode: Mode,
        tape: &mut T,
    ) -> Result<Vec<AuxiliaryLoss<D>>, TrainError> {
        let users = input.offsets.sequences() as u32 / 2;
        if users < 2 {
            // Nobody to be told from.
            return Ok(Vec::new());
        }
        let both = self.users(values, input, mode, tape)?;
        let (first, second): (Arc<[u32]>, Arc<[u32]>) =
            ((0..users).collect(), (users..2 * users).collect());
        let first = ops::gather_rows(&both, &first, tape)?;
        let second = ops::gather_rows(&both, &second, tape)?;
        Ok(vec![AuxiliaryLoss {
            name: "contrast",
            loss: ops::info_nce(&first, &second, self.temperature, tape)?,
            weight: 1.0,
        }])
    }
}
