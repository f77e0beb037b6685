//! The border to the orchestrator: manifest, request, events.

use std::path::Path;

use supermoe_channels::Dataset;
use supermoe_plugin::event::LogLevel;
use supermoe_plugin::manifest::InputPort;
use supermoe_plugin::ports::PortType;
use supermoe_plugin::sdk::{BuiltIn, Context, PluginError, manifest};

use crate::cell::{Cell, Source};
use crate::embeddings::Embeddings;
use crate::error::EvaluateError;
use crate::json_text::json_text;
use crate::markdown::markdown;
use crate::params::Params;
use crate::predictions::read_predictions;
use crate::probe::probe;
use crate::report::{Report, report};
use crate::score::Metric;
use crate::segments::Segments;

/// Raised when the report of the same inputs changes.
pub const REVISION: &str = "4";

/// The plugin `evaluate`.
pub fn plugin() -> BuiltIn {
    let several = |port_type, description: &str| InputPort {
        port_type,
        required: false,
        many: true,
        description: description.to_owned(),
    };
    let manifest = manifest("evaluate")
        .description(
            "Measures predictions and embeddings on the test split and puts comparable cells into one table",
        )
        .version(env!("CARGO_PKG_VERSION"))
        .revision(REVISION)
        .input_port(
            "predictions",
            several(
                PortType::Predictions,
                "Of one cell, or of all cells of a stage (stage.*.predictions) with one test set",
            ),
        )
        .input_port(
            "embeddings",
            several(
                PortType::Embeddings,
                "Of one cell or of several: a linear probe a task is fitted on train and measured on test",
            ),
        )
        .optional_input("dataset", PortType::Dataset)
        .describe("dataset", "What the inputs were made of: labels for the probes of embeddings, columns for `segments`")
        .output("report", PortType::Report)
        .describe("report", "report.json for programs, report.md for people")
        .params::<Params>()
        .build();
    BuiltIn::new(manifest, run)
}

fn run(context: &mut Context) -> Result<(), PluginError> {
    let params: Params = context.params()?;
    params.check()?;
    let threads = rayon::ThreadPoolBuilder::new()
        .num_threads(context.threads())
        .build()?;
    let made = threads.install(|| evaluate(context, &params));
    let report = match made {
        Err(EvaluateError::Stopped) => return Err(PluginError::stopped()),
        made => made?,
    };
    report
        .warnings
        .iter()
        .for_each(|warning| context.log(LogLevel::Warn, warning));
    send_metrics(context, &report);
    write(&report, context.output("report")?)?;
    Ok(())
}

fn evaluate(context: &Context, params: &Params) -> Result<Report, EvaluateError> {
    let stop = || {
        if context.stop_requested() {
            return Err(EvaluateError::Stopped);
        }
        Ok(())
    };
    let mut cells: Vec<Cell> = Vec::new();
    for artifact in context.inputs("predictions") {
        stop()?;
        cells.push(read_predictions(&artifact.path, artifact.matrix.clone())?);
    }
    let mut warnings = Vec::new();
    let dataset = context.optional_input("dataset");
    let needed = !context.inputs("embeddings").is_empty() || !params.segments.is_empty();
    let dataset = dataset.filter(|_| needed).map(Dataset::open).transpose()?;
    if !context.inputs("embeddings").is_empty() {
        let dataset = dataset.as_ref().ok_or(EvaluateError::NoDataset)?;
        // Beside predictions the probe answers for their tasks, which need not be all.
        let tasks = cells.first().map(|cell| cell.tasks.clone());
        let wanted = |task: &str| tasks.as_ref().is_none_or(|tasks| tasks.contains_key(task));
        for artifact in context.inputs("embeddings") {
            stop()?;
            let embeddings = Embeddings::read(&artifact.path, artifact.matrix.clone())?;
            let (cell, of_cell) = probe(&embeddings, dataset, wanted, params.probe_l2)?;
            cells.push(cell);
            warnings.extend(of_cell);
        }
    }
    stop()?;
    if let Some(tasks) = &params.tasks {
        cells = only(cells, tasks)?;
    }
    let segments = match (&dataset, params.segments.is_empty()) {
        (_, true) => None,
        (Some(dataset), false) => Some(Segments::of(&params.segments, dataset)?),
        (None, false) => return Err(EvaluateError::NoDatasetForSegments),
    };
    let mut report = report(&cells, &params.settings(), segments.as_ref(), &stop)?;
    report.warnings.extend(warnings);
    Ok(report)
}

/// The cells that have some of these tasks, with those tasks alone.
fn only(cells: Vec<Cell>, tasks: &[String]) -> Result<Vec<Cell>, EvaluateError> {
    let mut known: Vec<String> = Vec::new();
    let mut kept = Vec::new();
    for mut cell in cells {
        known.extend(cell.tasks.keys().cloned());
        cell.tasks.retain(|task, _| tasks.contains(task));
        if !cell.tasks.is_empty() {
            kept.push(cell);
        }
    }
    known.sort();
    known.dedup();
    match tasks.iter().find(|task| !known.contains(task)) {
        Some(task) => Err(EvaluateError::UnknownTask {
            task: task.clone(),
            known: known.join(", "),
        }),
        None => Ok(kept),
    }
}

/// `test/<task>/<metric>` and `test/<task>/<class>/<metric>`, `probe/...` for embeddings; where there are
/// several groups the name is followed by the group: `[model=ple]`. The ends of an AUC's interval are
/// `test/<task>/auc/low` and `high`.
fn send_metrics(context: &Context, report: &Report) {
    for group in &report.groups {
        let prefix = match group.source {
            Source::Predictions => "test",
            Source::Embeddings => "probe",
        };
        let like = report
            .groups
            .iter()
            .filter(|other| other.source == group.source);
        let of_group = match like.count() {
            1 => String::new(),
            _ => format!("[{}]", group.name()),
        };
        let tasks = group
            .tasks
            .iter()
            .map(|(task, found)| (task.clone(), found));
        let classes = group.classes.iter().flat_map(|(task, classes)| {
            let classes = classes.iter();
            classes.map(move |(class, found)| (format!("{task}/{class}"), found))
        });
        for (name, found) in tasks.chain(classes) {
            for (metric, summary) in found {
                if let Some(summary) = summary {
                    let name = format!("{prefix}/{name}/{}", metric.name());
                    context.metric(&format!("{name}{of_group}"), summary.mean, None);
                    if let Some(interval) = summary.interval.filter(|_| metric == &Metric::Auc) {
                        context.metric(&format!("{name}/low{of_group}"), interval.low, None);
                        context.metric(&format!("{name}/high{of_group}"), interval.high, None);
                    }
                }
            }
        }
        if let Some(summary) = group.mean_auc {
            context.metric(&format!("{prefix}/mean_auc{of_group}"), summary.mean, None);
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
    let json = json_text(report).map_err(|source| EvaluateError::Io {
        action: "write",
        path: folder.join("report.json"),
        source: source.into(),
    })?;
    write("report.json", json)?;
    write("report.md", markdown(report))
}

#[cfg(test)]
mod tests {
    use supermoe_channels::TaskKind;

    use super::*;
    use crate::cell::TaskPredictions;

    fn cell(tasks: &[&str]) -> Cell {
        let of = |task: &&str| {
            let predictions = TaskPredictions {
                kind: TaskKind::Binary,
                samples: Vec::new(),
                columns: Vec::new(),
            };
            ((*task).to_owned(), predictions)
        };
        Cell {
            source: Source::Predictions,
            matrix: Default::default(),
            tasks: tasks.iter().map(of).collect(),
        }
    }

    #[test]
    fn cells_without_the_tasks_are_left_out_and_unknown_tasks_told() {
        let cells = || vec![cell(&["buy"]), cell(&["churn"]), cell(&["buy", "churn"])];
        let kept = only(cells(), &["buy".to_owned()]).unwrap();
        assert_eq!(kept, [cell(&["buy"]), cell(&["buy"])]);
        let error = only(cells(), &["buys".to_owned()]).unwrap_err().to_string();
        assert_eq!(
            error,
            "`tasks`: no input has the task `buys`; the tasks of the inputs are buy, churn"
        );
    }
}
