//! The border to the orchestrator: manifest, request, events.

use std::path::Path;

use schemars::JsonSchema;
use serde::Deserialize;
use supermoe_plugin::event::LogLevel;
use supermoe_plugin::ports::PortType;
use supermoe_plugin::sdk::{BuiltIn, Context, PluginError, manifest};

use crate::error::EvaluateError;
use crate::markdown::markdown;
use crate::predictions::PredictionFile;
use crate::report::{Report, report};

/// Raised when the report of the same inputs changes.
const REVISION: &str = "1";

/// It takes none: what is measured follows from the predictions.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Params {}

/// The plugin `evaluate`.
pub fn plugin() -> BuiltIn {
    let manifest = manifest("evaluate")
        .description(
            "Measures predictions on the test split and puts comparable cells into one table",
        )
        .version(env!("CARGO_PKG_VERSION"))
        .revision(REVISION)
        .many_inputs("predictions", PortType::Predictions)
        .describe(
            "predictions",
            "Of one cell, or of all cells of a stage (stage.*.predictions) with one test set",
        )
        .output("report", PortType::Report)
        .describe("report", "report.json for programs, report.md for people")
        .params::<Params>()
        .build();
    BuiltIn::new(manifest, run)
}

fn run(context: &mut Context) -> Result<(), PluginError> {
    let Params {} = context.params()?;
    let mut inputs = Vec::new();
    for artifact in context.inputs("predictions") {
        if context.stop_requested() {
            return Err(PluginError::stopped());
        }
        inputs.push(PredictionFile::read(
            &artifact.path,
            artifact.matrix.clone(),
        )?);
    }
    let report = report(&inputs)?;
    report
        .warnings
        .iter()
        .for_each(|warning| context.log(LogLevel::Warn, warning));
    send_metrics(context, &report);
    write(&report, context.output("report")?)?;
    Ok(())
}

/// `test/<task>/<metric>`; with several groups the name is followed by the group: `[model=ple]`.
fn send_metrics(context: &Context, report: &Report) {
    for group in &report.groups {
        let of_group = match report.groups.len() {
            1 => String::new(),
            _ => format!("[{}]", crate::report::name(&group.matrix)),
        };
        for (task, metrics) in &group.tasks {
            for (metric, summary) in metrics {
                if let Some(summary) = summary {
                    context.metric(
                        &format!("test/{task}/{metric}{of_group}"),
                        summary.mean,
                        None,
                    );
                }
            }
        }
        if let Some(summary) = group.mean_auc {
            context.metric(&format!("test/mean_auc{of_group}"), summary.mean, None);
        }
    }
}

fn write(report: &Report, folder: &Path) -> Result<(), EvaluateError> {
    let write = |name: &str, text: String| {
        let path = folder.join(name);
        std::fs::write(&path, text).map_err(|source| EvaluateError::Io {
            action: "write",
            path,
            source,
        })
    };
    let json = serde_json::to_string_pretty(report).map_err(|source| EvaluateError::Io {
        action: "write",
        path: folder.join("report.json"),
        source: source.into(),
    })?;
    write("report.json", json + "\n")?;
    write("report.md", markdown(report))
}
