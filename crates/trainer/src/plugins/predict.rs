//! The plugin `predict`.

use supermoe_nn::Cpu;
use supermoe_plugin::ports::PortType;
use supermoe_plugin::sdk::{BuiltIn, manifest};

use super::{EMBEDDINGS, dataset_with_embeddings, on_threads, with_models};
use crate::export_params::PredictParams;
use crate::model_factory::ModelFactory;
use crate::predict::{self, PredictJob};
use crate::trained::Artifact;

/// Raised when the outputs of `predict` change for the same params and inputs.
pub const PREDICT_REVISION: &str = "4";

/// Scores without labels: `dataset`, `model` -> `predictions`.
pub fn predict(factories: Vec<ModelFactory>) -> BuiltIn {
    let manifest = manifest("predict")
        .version(env!("CARGO_PKG_VERSION"))
        .description("Scores samples whose future is not known, by a fine-tuned model.")
        .revision(&with_models(PREDICT_REVISION, &factories))
        .input("dataset", PortType::Dataset)
        .describe(
            "dataset",
            "Whose samples are scored; prepared with the vocabularies and scales of the model's training.",
        )
        .input("model", PortType::Model)
        .describe("model", "Of `finetune`.")
        .optional_input(EMBEDDINGS, PortType::Embeddings)
        .describe(EMBEDDINGS, "What the model was fine-tuned with, if anything, for the samples of this dataset.")
        .output("predictions", PortType::Predictions)
        .describe(
            "predictions",
            "Probabilities, or numbers of regression tasks; labels are NULL.",
        )
        .params::<PredictParams>()
        .trains()
        .build();
    BuiltIn::new(manifest, move |context| {
        let params: PredictParams = context.params()?;
        params.check()?;
        let dataset = dataset_with_embeddings(context)?;
        let job = PredictJob {
            factories: &factories,
            model: Artifact {
                port: "model",
                folder: context.input("model")?,
            },
            params,
            dataset: &dataset,
            predictions: context.output("predictions")?,
        };
        on_threads(context, |monitor| {
            predict::run(&job, Cpu::default(), monitor)
        })
    })
}
