//! The plugin `finetune`.

use supermoe_nn::Cpu;
use supermoe_plugin::ports::PortType;
use supermoe_plugin::sdk::{BuiltIn, manifest};

use super::{EMBEDDINGS, dataset_with_embeddings, on_threads, variants};
use crate::chosen_params::{PORT, params_with_choice};
use crate::finetune::{self, FinetuneOutputs};
use crate::finetune_params::FinetuneParams;
use crate::job::Job;
use crate::model_factory::ModelFactory;

/// Raised when the outputs of `finetune` change for the same params and inputs.
pub const FINETUNE_REVISION: &str = "6";

/// Multi-task fine-tuning: `dataset`, `encoder`, `embeddings`, `choice` (optional) -> `model`, `history`, `predictions`.
pub fn finetune(factories: Vec<ModelFactory>) -> BuiltIn {
    let manifest = manifest("finetune")
        .version(env!("CARGO_PKG_VERSION"))
        .description("Trains towers, one a task, on an encoder of behaviour sequences, and scores the test split.")
        .revision(FINETUNE_REVISION)
        .input("dataset", PortType::Dataset)
        .describe("dataset", "What `prepare` made.")
        .optional_input("encoder", PortType::Encoder)
        .describe("encoder", "Where the encoder begins; without it, at random weights.")
        .optional_input(EMBEDDINGS, PortType::Embeddings)
        .describe(EMBEDDINGS, "Of `export`: each number is one more aggregate of the sample with its entity and snapshot.")
        .optional_input(PORT, PortType::Choice)
        .describe(PORT, "Of `select`: its params stand in place of those of `with`.")
        .output("model", PortType::Model)
        .describe("model", "Configuration and the weights that were kept.")
        .output("history", PortType::File)
        .describe("history", "NDJSON, one value of one metric a line.")
        .output("predictions", PortType::Predictions)
        .describe("predictions", "Scores of the validation and test samples.")
        .params::<FinetuneParams>()
        .variants(variants(&factories, |_| None))
        .checkpoints()
        .trains()
        .build();
    BuiltIn::new(manifest, move |context| {
        let params: FinetuneParams = params_with_choice(context, &factories)?;
        params.check()?;
        params.training.precision.choose()?;
        let dataset = dataset_with_embeddings(context)?;
        let job = Job::new(&factories, params, context.seed(), &dataset)?;
        let job = job.in_folder(context.work());
        let encoder = context.optional_input("encoder");
        let outputs = FinetuneOutputs {
            model: context.output("model")?,
            history: context.output("history")?,
            predictions: context.output("predictions")?,
        };
        on_threads(context, |monitor| {
            finetune::run(&job, encoder, &outputs, Cpu::default(), monitor)
        })
    })
}
