//! The embedding tables of a dataset's id and category channels, for models that project every step.

use std::sync::Arc;

use supermoe_channels::ChannelKind;
use supermoe_nn::layers::{MfpConfig, MfpInput, TableSize};
use supermoe_nn::{Device, Error, TableRows};

use crate::model_factory::InputShape;
use crate::model_input::ModelInput;
use crate::network::{NetworkBuilder, NetworkValues};

/// Standard deviation of the embeddings' first values; a normalisation follows.
const EMBEDDING_DEVIATION: f32 = 1.0;

/// Widths of embeddings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EmbeddingWidths {
    /// Of id channels.
    pub id: usize,
    /// Of category channels.
    pub category: usize,
}

/// What multi-channel feature projection ([`supermoe_nn::layers::Mfp`]) is made of and fed with.
pub struct ChannelTables {
    /// Sizes of the projection.
    pub config: MfpConfig,
    /// Indices in [`ModelInput::codes`] of the category channels.
    categories: Vec<usize>,
}

impl ChannelTables {
    /// Adds the host tables of the id channels, `mfp.table.<channel>`; those of category channels are the
    /// projection's own.
    ///
    /// # Errors
    /// No memory for a table.
    pub fn new<D: Device>(
        widths: EmbeddingWidths,
        shape: &InputShape<'_>,
        builder: &mut NetworkBuilder<'_, D>,
    ) -> Result<ChannelTables, Error> {
        let schema = shape.schema;
        let (mut categories, mut tables, mut ids) = (Vec::new(), Vec::new(), Vec::new());
        for (index, channel) in schema.code_channels().into_iter().enumerate() {
            let channel = &schema.channels[channel];
            let rows = channel.vocabulary as usize;
            if channel.kind == ChannelKind::Id {
                let name = format!("mfp.table.{}", channel.name);
                builder.add_table(index, &name, rows, widths.id, EMBEDDING_DEVIATION)?;
                ids.push(widths.id);
            } else {
                categories.push(index);
                tables.push(TableSize {
                    name: channel.name.clone(),
                    rows,
                    dim: widths.category,
                });
            }
        }
        Ok(ChannelTables {
            config: MfpConfig {
                categories: tables,
                ids,
                dense: schema.dense_columns().len(),
                maskable: shape.maskable.to_vec(),
                deviation: EMBEDDING_DEVIATION,
                width: shape.d_model,
            },
            categories,
        })
    }

    /// Hands the batch, as the projection takes it, to `work`.
    pub fn with_input<D: Device, R>(
        &self,
        values: &NetworkValues<'_, D>,
        input: &ModelInput,
        work: impl FnOnce(MfpInput<'_, D>) -> R,
    ) -> R {
        let codes = self.categories.iter();
        let categories: Vec<Arc<[u32]>> = codes
            .map(|&index| Arc::clone(&input.codes[index]))
            .collect();
        let ids: Vec<&TableRows<D>> = values.rows.iter().collect();
        work(MfpInput {
            categories: &categories,
            ids: &ids,
            dense: &input.dense,
        })
    }
}
