//! The model as the trainer sees it.

use supermoe_nn::layers::{Mlp, Mode, SoftmaxGate};
use supermoe_nn::{Device, Error, Group, Matrix, Tape};
use supermoe_trainer::{
    EmbeddingWidths, Encoded, Encoder, InputShape, ModelInput, ModelKind, NetworkBuilder,
    NetworkValues, PooledFeatures, Pretraining, Representation, TrainError,
};

use crate::params::MmoeParams;

/// See the crate.
pub struct Mmoe {
    features: PooledFeatures,
    experts: Vec<Mlp>,
    tasks: Vec<TaskPart>,
}

/// What serves one task alone, but for the last layer of its tower.
struct TaskPart {
    gate: SoftmaxGate,
    tower: Mlp,
}

impl ModelKind for Mmoe {
    const NAME: &'static str = "mmoe";
    const DESCRIPTION: &'static str =
        "Shared experts with a softmax gate for each task, no sequence model (Ma et al. 2018).";
    const REVISION: &'static str = "1";
    const PRETRAINING: Pretraining = Pretraining::None;

    type Params = MmoeParams;
    type Encoder<D: Device> = Mmoe;

    fn check(params: &MmoeParams, _: &InputShape<'_>) -> Result<(), String> {
        params.check()
    }

    fn build<D: Device>(
        params: &MmoeParams,
        shape: &InputShape<'_>,
        builder: &mut NetworkBuilder<'_, D>,
    ) -> Result<Mmoe, TrainError> {
        let widths = EmbeddingWidths {
            id: params.id_width,
            category: params.category_width,
        };
        let features = PooledFeatures::new(widths, shape, builder)?;
        let (inputs, width) = (features.width(), shape.d_model);
        let parameters = &mut *builder.parameters;
        let expert = |e: usize| {
            let widths = [inputs, params.d_ff, width];
            Mlp::new(parameters, &format!("expert.{e}"), Group::Encoder, &widths)
        };
        let experts = (0..params.experts)
            .map(expert)
            .collect::<Result<_, Error>>()?;
        let parameters = &mut *builder.parameters;
        let task = |name: &str| {
            let (gate, tower) = (format!("gate.{name}"), format!("tower.{name}"));
            let group = Group::Towers;
            Ok(TaskPart {
                gate: SoftmaxGate::new(parameters, &gate, group, inputs, params.experts)?,
                tower: Mlp::new(parameters, &tower, group, &[width, width])?,
            })
        };
        let names = shape.tasks.iter().map(|task| task.name.as_str());
        Ok(Mmoe {
            features,
            experts,
            tasks: names.map(task).collect::<Result<_, Error>>()?,
        })
    }
}

impl<D: Device> Encoder<D> for Mmoe {
    fn encode<T: Tape<f32, D>>(
        &self,
        values: &NetworkValues<'_, D>,
        input: &ModelInput,
        mode: Mode,
        tape: &mut T,
    ) -> Result<Encoded<D>, Error> {
        let parameters = values.parameters;
        let x = self.features.forward(values, input, mode, tape)?;
        let mut results = Vec::new();
        for expert in &self.experts {
            results.push(expert.forward(parameters, &x, tape)?);
        }
        let results: Vec<&Matrix<D>> = results.iter().collect();
        let mut own = Vec::new();
        for task in &self.tasks {
            let mixed = task.gate.forward(parameters, &x, &results, tape)?;
            own.push(task.tower.forward(parameters, &mixed, tape)?);
        }
        Ok(Encoded {
            representation: Representation::Tasks(own),
            auxiliary: Vec::new(),
            expert_rows: Vec::new(),
        })
    }
}
