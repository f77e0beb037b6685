//! The plugin `export`.

use supermoe_channels::Dataset;
use supermoe_nn::Cpu;
use supermoe_plugin::ports::PortType;
use supermoe_plugin::sdk::{BuiltIn, PluginError, manifest};

use super::{on_threads, with_models};
use crate::export::{self, ExportJob};
use crate::export_params::ExportParams;
use crate::model_factory::ModelFactory;
use crate::trained::Artifact;

/// Raised when the outputs of `export` change for the same params and inputs.
pub const EXPORT_REVISION: &str = "4";

/// Embeddings of samples: `dataset`, `encoder` or `model` -> `embeddings`, `encoder`.
pub fn export(factories: Vec<ModelFactory>) -> BuiltIn {
    let manifest = manifest("export")
        .version(env!("CARGO_PKG_VERSION"))
        .description("Writes the embeddings of a dataset's samples, and the encoder that makes them.")
        .revision(&with_models(EXPORT_REVISION, &factories))
        .input("dataset", PortType::Dataset)
        .describe("dataset", "Whose samples are embedded.")
        .optional_input("encoder", PortType::Encoder)
        .describe("encoder", "What embeds them: of `pretrain`. Either this or `model`.")
        .optional_input("model", PortType::Model)
        .describe("model", "What embeds them: of `finetune`. Either this or `encoder`.")
        .output("embeddings", PortType::Embeddings)
        .describe(
            "embeddings",
            "embeddings.parquet (entity, snapshot, split, embedding), embeddings.npy with the same rows, config.json.",
        )
        .output("encoder", PortType::Encoder)
        .describe("encoder", "The encoder alone: weights.safetensors and its config.json.")
        .params::<ExportParams>()
        .trains()
        .build();
    BuiltIn::new(manifest, move |context| {
        let params: ExportParams = context.params()?;
        params.check()?;
        let given = ["encoder", "model"].map(|port| {
            let folder = context.optional_input(port);
            folder.map(|folder| Artifact { port, folder })
        });
        let artifact = match given {
            [Some(one), None] | [None, Some(one)] => one,
            [None, None] => {
                return Err(PluginError::new(
                    "give the stage an input `encoder` (of `pretrain`) or `model` (of `finetune`)",
                ));
            }
            [Some(_), Some(_)] => {
                return Err(PluginError::new(
                    "both `encoder` and `model` were given: give the stage the one whose embeddings are wanted",
                ));
            }
        };
        let dataset = Dataset::open(context.input("dataset")?)?;
        let job = ExportJob {
            factories: &factories,
            artifact,
            params,
            dataset: &dataset,
            embeddings: context.output("embeddings")?,
            encoder: context.output("encoder")?,
        };
        on_threads(context, |monitor| {
            export::run(&job, Cpu::default(), monitor)
        })
    })
}
