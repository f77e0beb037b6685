//! The model as the trainer sees it.

use supermoe_nn::layers::{Mfp, Mode, drop_out};
use supermoe_nn::{Device, Error, Tape};
use supermoe_trainer::{
    ChannelTables, EmbeddingWidths, Encoded, Encoder, InputShape, ModelInput, ModelKind,
    NetworkBuilder, NetworkValues, Representation, TrainError,
};

use crate::cell::Gru;
use crate::params::GruParams;

/// See the crate.
pub struct GruModel {
    tables: ChannelTables,
    projection: Mfp,
    layers: Vec<Gru>,
    dropout: f32,
}

impl ModelKind for GruModel {
    const NAME: &'static str = "gru";
    const DESCRIPTION: &'static str =
        "Gated recurrent unit over the steps, pre-trained by masked channels (Cho et al. 2014).";
    const REVISION: &'static str = "1";

    type Params = GruParams;
    type Encoder<D: Device> = GruModel;

    fn check(params: &GruParams, _shape: &InputShape<'_>) -> Result<(), String> {
        params.check()
    }

    fn build<D: Device>(
        params: &GruParams,
        shape: &InputShape<'_>,
        builder: &mut NetworkBuilder<'_, D>,
    ) -> Result<GruModel, TrainError> {
        let widths = EmbeddingWidths {
            id: params.id_width,
            category: params.category_width,
        };
        let tables = ChannelTables::new(widths, shape, builder)?;
        let parameters = &mut *builder.parameters;
        let projection = Mfp::new(parameters, "mfp", &tables.config)?;
        let layers = (0..params.layers)
            .map(|layer| Gru::new(parameters, &format!("gru.{layer}"), shape.d_model));
        Ok(GruModel {
            layers: layers.collect::<Result<_, _>>()?,
            tables,
            projection,
            dropout: shape.dropout,
        })
    }
}

impl<D: Device> Encoder<D> for GruModel {
    fn encode<T: Tape<f32, D>>(
        &self,
        values: &NetworkValues<'_, D>,
        input: &ModelInput,
        mode: Mode,
        tape: &mut T,
    ) -> Result<Encoded<D>, Error> {
        let mut x = self.tables.with_input(values, input, |channels| {
            self.projection.forward(values.parameters, &channels, tape)
        })?;
        for (layer, place) in self.layers.iter().zip(1..) {
            x = drop_out(x, self.dropout, mode.at(place), tape)?;
            x = layer.forward(values.parameters, &x, &input.offsets, tape)?;
        }
        Ok(Encoded {
            representation: Representation::Steps(x),
            auxiliary: Vec::new(),
            expert_rows: Vec::new(),
        })
    }
}
