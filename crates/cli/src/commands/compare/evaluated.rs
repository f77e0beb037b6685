//! The runs that are to be compared, and what each of them evaluated.

use std::path::Path;

use supermoe_engine::{Outcome, RunRecord};
use supermoe_report::EvaluatedRun;
use supermoe_store::{RunId, Store};

use crate::commands::show::record_failed;
use crate::failure::{Failure, Problem};
use crate::project::{StoreArguments, store_failed};
use crate::run_name::find_run;
use crate::workflow_file::WorkflowArguments;

const CODE: &str = "supermoe::cli::compare";

/// Those that are named, or the latest one of a workflow's that succeeded.
pub async fn evaluated_runs(
    names: &[String],
    workflow: Option<&Path>,
    arguments: &StoreArguments,
) -> Result<Vec<EvaluatedRun>, Failure> {
    if let Some(file) = workflow {
        let (store, record) = latest_of_workflow(file, arguments).await?;
        return Ok(vec![evaluated_run(&store, &record).await?]);
    }
    let (_, store) = arguments.open().await?;
    let mut runs: Vec<RunId> = Vec::new();
    for name in names {
        let run = find_run(&store, name).await?;
        if !runs.contains(&run) {
            runs.push(run);
        }
    }
    let mut evaluated = Vec::new();
    for run in runs {
        let record = RunRecord::read(&store, run).await.map_err(record_failed)?;
        evaluated.push(evaluated_run(&store, &record).await?);
    }
    Ok(evaluated)
}

async fn latest_of_workflow(
    file: &Path,
    arguments: &StoreArguments,
) -> Result<(Store, RunRecord), Failure> {
    let loaded = WorkflowArguments::of_file(file).load()?;
    let workflow = loaded.compiled.workflow;
    let store = match &arguments.store {
        Some(_) => arguments.open().await?.1,
        None => {
            let url = loaded.project.store_url(workflow.store.as_deref())?;
            loaded.project.open(&url).await?
        }
    };
    let mut others = 0;
    for run in store.list_runs().await.map_err(store_failed)? {
        let record = match RunRecord::read(&store, run).await {
            Ok(record) => record,
            // One damaged journal must not hide the others.
            Err(error) => {
                tracing::warn!("{error}");
                continue;
            }
        };
        if record.workflow != workflow.name {
            continue;
        }
        if record.outcome == Outcome::Succeeded {
            return Ok((store, record));
        }
        others += 1;
    }
    let (name, url) = (&workflow.name, store.url());
    let message = match others {
        0 => format!("The workflow `{name}` has no run in {url}"),
        1 => format!("The one run of the workflow `{name}` in {url} did not succeed"),
        _ => format!("None of the {others} runs of the workflow `{name}` in {url} succeeded"),
    };
    let help = match others {
        0 => format!("Run it: supermoe run {}", file.display()),
        _ => "`supermoe runs` lists them; one that failed can be named itself".to_owned(),
    };
    Err(Problem::input(CODE, message).help(help).into())
}

/// A run that did not succeed may have evaluated something all the same, which is then shown with a
/// warning.
async fn evaluated_run(store: &Store, record: &RunRecord) -> Result<EvaluatedRun, Failure> {
    let (run, outcome) = (record.run, record.outcome);
    let evaluated = EvaluatedRun::read(store, record)
        .await
        .map_err(|problems| {
            let problems = problems.iter();
            let all: Vec<String> = problems.map(|p| format!("{}: {}", p.what, p.why)).collect();
            Problem::failed(CODE, format!("Cannot read what run {run} evaluated"))
                .because(all.join("; "))
                .help(format!(
                    "Run it again, and what is missing is made again: supermoe run {}",
                    record.file.display()
                ))
        })?;
    match (evaluated.evaluations.is_empty(), outcome) {
        (false, Outcome::Succeeded) => Ok(evaluated),
        (false, _) => {
            Failure::from(
                Problem::input(CODE, format!("Run {run} {}", past(outcome)))
                    .help("Rows that it did not come to are not in the table"),
            )
            .warn();
            Ok(evaluated)
        }
        (true, Outcome::Succeeded) => Err(Problem::input(
            CODE,
            format!("Run {run} of `{}` evaluated nothing", record.workflow),
        )
        .help(
            "Give its workflow a stage that `uses: evaluate`, with the predictions of all cells: \
             inputs: { predictions: finetune.*.predictions }",
        )
        .into()),
        (true, _) => Err(Problem::input(
            CODE,
            format!("Run {run} {} and evaluated nothing", past(outcome)),
        )
        .help(format!("`supermoe show {run}` tells how far it came"))
        .into()),
    }
}

fn past(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Succeeded => "succeeded",
        Outcome::Failed => "failed",
        Outcome::Cancelled => "was cancelled",
        Outcome::Interrupted => "was interrupted",
        Outcome::Running => "still runs",
    }
}
