//! The model as the trainer sees it.

use supermoe_nn::layers::{Mlp, Mode};
use supermoe_nn::{Device, Error, Group, Tape};
use supermoe_trainer::{
    EmbeddingWidths, Encoded, Encoder, InputShape, ModelInput, ModelKind, NetworkBuilder,
    NetworkValues, PooledFeatures, Pretraining, Representation, TrainError,
};

use crate::level::{Level, Place, Stream};
use crate::params::PleParams;

/// See the crate.
pub struct Ple {
    features: PooledFeatures,
    levels: Vec<Level>,
    /// By task: all of its tower but the last layer.
    towers: Vec<Mlp>,
}

impl ModelKind for Ple {
    const NAME: &'static str = "ple";
    const DESCRIPTION: &'static str = "Levels of shared and task experts with customised gates, no sequence model (Tang et al. 2020).";
    const REVISION: &'static str = "1";
    const PRETRAINING: Pretraining = Pretraining::None;

    type Params = PleParams;
    type Encoder<D: Device> = Ple;

    fn check(params: &PleParams, _: &InputShape<'_>) -> Result<(), String> {
        params.check()
    }

    fn build<D: Device>(
        params: &PleParams,
        shape: &InputShape<'_>,
        builder: &mut NetworkBuilder<'_, D>,
    ) -> Result<Ple, TrainError> {
        let widths = EmbeddingWidths {
            id: params.id_width,
            category: params.category_width,
        };
        let features = PooledFeatures::new(widths, shape, builder)?;
        let (width, parameters) = (shape.d_model, &mut *builder.parameters);
        let tasks: Vec<&str> = shape.tasks.iter().map(|task| task.name.as_str()).collect();
        let mut levels = Vec::new();
        for number in 0..params.levels {
            let name = format!("level.{number}");
            let inputs = if number == 0 { features.width() } else { width };
            let place = if number + 1 == params.levels {
                Place::Last
            } else {
                Place::Inner
            };
            levels.push(Level::new(
                parameters, &name, &tasks, inputs, width, params, place,
            )?);
        }
        let tower = |task: &&str| {
            let name = format!("tower.{task}");
            Mlp::new(parameters, &name, Group::Towers, &[width, width])
        };
        Ok(Ple {
            features,
            levels,
            towers: tasks.iter().map(tower).collect::<Result<_, Error>>()?,
        })
    }
}

impl<D: Device> Encoder<D> for Ple {
    fn encode<T: Tape<f32, D>>(
        &self,
        values: &NetworkValues<'_, D>,
        input: &ModelInput,
        mode: Mode,
        tape: &mut T,
    ) -> Result<Encoded<D>, Error> {
        let parameters = values.parameters;
        let x = self.features.forward(values, input, mode, tape)?;
        let mut stream = Stream {
            tasks: vec![x.clone(); self.towers.len()],
            shared: Some(x),
        };
        for level in &self.levels {
            // Only the last level gives no shared part.
            let Some(shared) = &stream.shared else { break };
            stream = level.forward(parameters, &stream.tasks, shared, tape)?;
        }
        let towers = self.towers.iter().zip(&stream.tasks);
        let own = towers.map(|(tower, x)| tower.forward(parameters, x, tape));
        Ok(Encoded {
            representation: Representation::Tasks(own.collect::<Result<_, Error>>()?),
            auxiliary: Vec::new(),
            expert_rows: Vec::new(),
        })
    }
}
