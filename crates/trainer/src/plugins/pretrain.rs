//! The plugin `pretrain`.

use supermoe_channels::Dataset;
use supermoe_nn::Cpu;
use supermoe_plugin::manifest::Variants;
use supermoe_plugin::ports::PortType;
use supermoe_plugin::sdk::{BuiltIn, manifest};

use super::{on_threads, variants};
use crate::chosen_params::{PORT, params_with_choice};
use crate::job::Job;
use crate::model_factory::{ModelFactory, Pretraining};
use crate::pretrain::{self, PretrainOutputs};
use crate::pretrain_params::{PretrainParams, why_predict};

/// Raised when the outputs of `pretrain` change for the same params and inputs.
pub const PRETRAIN_REVISION: &str = "6";

/// The models; those without a pre-training of their own need `predict`.
fn pretrained(factories: &[ModelFactory]) -> Variants {
    let mut variants = variants(factories, ModelFactory::without_pretraining);
    for (name, model) in &mut variants.values {
        let factory = factories.iter().find(|factory| factory.name == name);
        if factory.is_some_and(|factory| factory.pretraining == Pretraining::MaskedChannels) {
            model.needs.insert("predict".to_owned(), why_predict(name));
        }
    }
    variants
}

/// Masked channel prediction, or what a model brings: `dataset`, `encoder`, `choice` (optional)
/// -> `encoder`, `history`.
pub fn pretrain(factories: Vec<ModelFactory>) -> BuiltIn {
    let manifest = manifest("pretrain")
        .version(env!("CARGO_PKG_VERSION"))
        .description("Pre-trains an encoder of behaviour sequences by masked channel prediction, or as its model does.")
        .revision(PRETRAIN_REVISION)
        .input("dataset", PortType::Dataset)
        .describe("dataset", "What `prepare` made; the training split is learned from, the validation split measured.")
        .optional_input("encoder", PortType::Encoder)
        .describe("encoder", "Where the encoder begins; without it, at random weights.")
        .optional_input(PORT, PortType::Choice)
        .describe(PORT, "Of `select`: its params stand in place of those of `with`.")
        .output("encoder", PortType::Encoder)
        .describe("encoder", "The model's configuration and weights, for `finetune`.")
        .output("history", PortType::File)
        .describe("history", "NDJSON, one value of one metric a line.")
        .params::<PretrainParams>()
        .variants(pretrained(&factories))
        .checkpoints()
        .trains()
        .build();
    BuiltIn::new(manifest, move |context| {
        let params: PretrainParams = params_with_choice(context, &factories)?;
        params.check()?;
        params.training.precision.choose()?;
        let dataset = Dataset::open(context.input("dataset")?)?;
        let job = Job::new(&factories, params, context.seed(), &dataset)?;
        let job = job.in_folder(context.work());
        let encoder = context.optional_input("encoder");
        let outputs = PretrainOutputs {
            encoder: context.output("encoder")?,
            history: context.output("history")?,
        };
        on_threads(context, |monitor| {
            pretrain::run(&job, encoder, &outputs, Cpu::default(), monitor)
        })
    })
}
