//! The border to the orchestrator: manifest, request, events.

use supermoe_plugin::event::{LogLevel, Progress};
use supermoe_plugin::manifest::InputPort;
use supermoe_plugin::ports::PortType;
use supermoe_plugin::sdk::{BuiltIn, Context, PluginError, manifest};

use crate::error::PrepareError;
use crate::files::Input;
use crate::fitted;
use crate::params::Params;
use crate::prepare::{Places, prepare};
use crate::reporter::Reporter;

/// Raised when the dataset of the same params and inputs changes.
const REVISION: &str = "2";

/// The plugin `prepare`.
pub fn plugin() -> BuiltIn {
    let tables = InputPort {
        port_type: PortType::Any,
        required: false,
        many: true,
        description:
            "A table of the port's name: Parquet, CSV (.csv, .tsv) or JSON lines (.json, .jsonl, \
                      .ndjson); several files form one table."
                .to_owned(),
    };
    let fitted_port = InputPort {
        port_type: PortType::Dataset,
        required: false,
        many: false,
        description:
            "A dataset of the same channels: its vocabularies, scales and classes are taken over"
                .to_owned(),
    };
    let manifest = manifest("prepare")
        .description("Turns events into a dataset of channels, samples and labels")
        .version(env!("CARGO_PKG_VERSION"))
        .revision(REVISION)
        .input_port("*", tables)
        .input_port(fitted::PORT, fitted_port)
        .output("dataset", PortType::Dataset)
        .describe(
            "dataset",
            "Channel schema, vocabularies, steps, samples and a data card",
        )
        .params::<Params>()
        .build();
    BuiltIn::new(manifest, run)
}

fn run(context: &mut Context) -> Result<(), PluginError> {
    let params: Params = context.params()?;
    let request = context.request();
    let fitted = request.inputs.get(fitted::PORT);
    let fitted = fitted
        .and_then(|artifacts| artifacts.first())
        .map(|artifact| artifact.path.clone());
    let inputs: Vec<Input> = request
        .inputs
        .iter()
        .filter(|(port, _)| *port != fitted::PORT)
        .map(|(port, artifacts)| Input {
            port: port.clone(),
            paths: artifacts
                .iter()
                .map(|artifact| artifact.path.clone())
                .collect(),
        })
        .collect();
    let output = context.output("dataset")?;
    let work = tempfile::tempdir_in(&context.request().work)
        .map_err(|error| PrepareError::Data(format!("cannot use the work folder: {error}")))?;
    let places = Places {
        inputs: &inputs,
        fitted: fitted.as_deref(),
        output,
        work: work.path(),
    };
    match prepare(&params, places, context.threads(), &mut Events { context }) {
        Ok(card) => {
            for (split, of_split) in &card.splits {
                context.metric(&format!("{split}/samples"), of_split.samples as f64, None);
            }
            Ok(())
        }
        Err(PrepareError::Stopped) => Err(PluginError::stopped()),
        Err(error) => Err(error.into()),
    }
}

struct Events<'a> {
    context: &'a Context,
}

impl Reporter for Events<'_> {
    fn progress(&mut self, done: u64, total: u64, unit: &str, message: &str) {
        self.context.progress(Progress {
            done,
            total: Some(total),
            unit: Some(unit.to_owned()),
            message: Some(message.to_owned()),
            loss: None,
        });
    }

    fn warn(&mut self, message: &str) {
        self.context.log(LogLevel::Warn, message);
    }

    fn stop_requested(&self) -> bool {
        self.context.stop_requested()
    }
}
