//! The border to the orchestrator: manifest, request, events.

use std::path::Path;

use supermoe_plugin::event::LogLevel;
use supermoe_plugin::ports::PortType;
use supermoe_plugin::sdk::{BuiltIn, Context, PluginError, manifest};

use crate::error::AbtestError;
use crate::experiment::analyse;
use crate::log::read_log;
use crate::markdown::markdown;
use crate::params::Params;
use crate::report::{Experiment, Report};

/// Raised when the report of the same log changes.
pub const REVISION: &str = "2";

/// The plugin `abtest`: `log` -> `report`.
pub fn plugin() -> BuiltIn {
    let manifest = manifest("abtest")
        .description("Compares the buckets of an experiment: lifts with confidence intervals")
        .version(env!("CARGO_PKG_VERSION"))
        .revision(REVISION)
        .many_inputs("log", PortType::Any)
        .describe(
            "log",
            "Users with their buckets and numbers: Parquet, or CSV with a header line; several files form one log",
        )
        .output("report", PortType::Report)
        .describe("report", "report.json for programs, report.md for people")
        .params::<Params>()
        .build();
    BuiltIn::new(manifest, run)
}

fn run(context: &mut Context) -> Result<(), PluginError> {
    let params: Params = context.params()?;
    params.check()?;
    let paths = context.inputs("log").iter();
    let paths: Vec<_> = paths.map(|artifact| artifact.path.clone()).collect();
    let users = match read_log(&paths, &params, &|| context.stop_requested()) {
        Err(AbtestError::Stopped) => return Err(PluginError::stopped()),
        users => users?,
    };
    let experiment = analyse(&users, &params)?;
    let report = Report {
        warnings: warnings(&experiment),
        experiment,
    };
    let warnings = report.warnings.iter();
    warnings.for_each(|warning| context.log(LogLevel::Warn, warning));
    send_metrics(context, &report.experiment);
    Ok(write(&report, context.output("report")?)?)
}

fn warnings(experiment: &Experiment) -> Vec<String> {
    let ratio = &experiment.sample_ratio;
    let shares = (!ratio.is_as_planned).then(|| {
        format!(
            "users are not shared out as planned (chi-square p = {:.2e}, below {}): look for the cause before believing \
             any lift, since who is missing may differ from who is there",
            ratio.p_value, ratio.alpha
        )
    });
    let of_metrics = experiment.metrics.iter().flat_map(|metric| {
        let notes = metric.notes.iter();
        notes.map(move |note| format!("metric `{}`: {note}", metric.name))
    });
    shares.into_iter().chain(of_metrics).collect()
}

/// `abtest/<bucket>/<metric>/lift`, its ends `lift_low` and `lift_high`, and `p_value`, corrected.
fn send_metrics(context: &Context, experiment: &Experiment) {
    let p_value = experiment.sample_ratio.p_value;
    context.metric("abtest/sample_ratio/p_value", p_value, None);
    for metric in &experiment.metrics {
        for lift in &metric.lifts {
            let found = &lift.found;
            let numbers = [
                ("lift", found.lift),
                ("lift_low", found.lift_interval.map(|bounds| bounds.low)),
                ("lift_high", found.lift_interval.map(|bounds| bounds.high)),
                ("p_value", found.p_adjusted),
            ];
            for (name, value) in numbers {
                if let Some(value) = value {
                    let name = format!("abtest/{}/{}/{name}", lift.bucket, metric.name);
                    context.metric(&name, value, None);
                }
            }
        }
    }
}

fn write(report: &Report, folder: &Path) -> Result<(), AbtestError> {
    let write = |name: &str, text: String| {
        let path = folder.join(name);
        std::fs::write(&path, text).map_err(|source| AbtestError::Write { path, source })
    };
    let json = serde_json::to_string_pretty(report).map_err(|source| AbtestError::Write {
        path: folder.join("report.json"),
        source: source.into(),
    })?;
    write("report.json", json + "\n")?;
    write("report.md", markdown(report))
}
