//! `supermoe gc`: removes what no kept run reaches, after saying what that is.

use std::io::Write;
use std::time::Duration;

use clap::Args;
use serde_json::json;
use supermoe_plugin::size::size_text;
use supermoe_store::{GcMode, GcOptions, GcReport, RunId};

use crate::commands::block_on;
use crate::failure::{Failure, Problem};
use crate::output;
use crate::project::{StoreArguments, store_failed};
use crate::quantity;
use crate::screen::Screen;

/// Removes what no kept run reaches; without --yes it only says what that is
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  supermoe gc --keep 10\n  supermoe gc --keep 10 --yes\n\nRefs and runs that go on keep what they use, whatever their age."
)]
pub struct Arguments {
    /// How many of the newest runs keep everything that they name
    #[arg(long, value_name = "N", default_value_t = 10)]
    keep: usize,

    /// Removes it
    #[arg(long)]
    yes: bool,

    /// Spares what is younger, for runs on other machines that have only begun
    #[arg(long, value_name = "MINUTES", default_value_t = 60)]
    young: u64,

    #[command(flatten)]
    store: StoreArguments,

    /// Prints one JSON document
    #[arg(long)]
    json: bool,
}

pub fn execute(arguments: &Arguments) -> Result<(), Failure> {
    if arguments.keep == 0 {
        return Err(Problem::input(
            "supermoe::cli::keep",
            "--keep 0 would keep nothing, expected at least 1",
        )
        .help("Remove the store's folder to remove all of it")
        .into());
    }
    let mode = if arguments.yes {
        GcMode::Sweep
    } else {
        GcMode::DryRun
    };
    let (runs, report) = block_on(async {
        let (_, store) = arguments.store.open().await?;
        let runs = store.list_runs().await.map_err(store_failed)?;
        let keep: Vec<RunId> = runs.iter().take(arguments.keep).copied().collect();
        let report = store
            .gc(&GcOptions {
                keep,
                young: Duration::from_secs(arguments.young.saturating_mul(60)),
                mode,
            })
            .await
            .map_err(store_failed)?;
        Ok((runs.len(), report))
    })?;
    let kept = runs.min(arguments.keep);
    let removed = usize::try_from(report.runs).unwrap_or(usize::MAX);
    let spared = (runs - kept).saturating_sub(removed);
    if arguments.json {
        return output::json(&document(&report, arguments.yes, kept, spared));
    }
    let mut text = text(&report, arguments.yes, kept, &Screen::stdout());
    if spared > 0 {
        text.push_str(&format!(
            "spared {} more: younger than {} (--young MINUTES), or going on\n",
            quantity::counted(spared, "run"),
            quantity::counted(
                usize::try_from(arguments.young).unwrap_or(usize::MAX),
                "minute"
            ),
        ));
    }
    output::to_stdout(|out| out.write_all(text.as_bytes()))
}

fn document(
    report: &GcReport,
    removed: bool,
    kept_runs: usize,
    spared_runs: usize,
) -> serde_json::Value {
    json!({
        "removed": removed,
        "kept_runs": kept_runs,
        "spared_runs": spared_runs,
        "runs": report.runs,
        "results": report.results,
        "checkpoints": report.checkpoints,
        "trees": report.trees,
        "blobs": report.blobs,
        "removed_bytes": report.removed_bytes,
        "kept_objects": report.kept_objects,
        "kept_bytes": report.kept_bytes,
    })
}

fn text(report: &GcReport, removed: bool, kept_runs: usize, screen: &Screen) -> String {
    let parts: Vec<String> = [
        (report.runs, "run"),
        (report.results, "result"),
        (report.checkpoints, "checkpoint"),
        (report.trees, "tree"),
        (report.blobs, "blob"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, noun)| quantity::counted(usize::try_from(count).unwrap_or(usize::MAX), noun))
    .collect();
    let kept = format!(
        "kept {}, {} in {}",
        quantity::counted(kept_runs, "run"),
        quantity::counted(
            usize::try_from(report.kept_objects).unwrap_or(usize::MAX),
            "object"
        ),
        size_text(report.kept_bytes)
    );
    if parts.is_empty() {
        return format!("nothing to remove; {kept}\n");
    }
    let verb = if removed { "removed" } else { "would remove" };
    let mut text = format!(
        "{} {}: {}\n{kept}\n",
        screen.bold(verb),
        size_text(report.removed_bytes),
        parts.join(", ")
    );
    if !removed {
        text.push_str("nothing was removed: say --yes to do it\n");
    }
    text
}
