//! From events to a dataset folder, from start to end.

use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;

use datafusion::prelude::SessionContext;
use futures::{FutureExt, StreamExt};
use supermoe_channels::{Card, Per, Split};

use crate::assemble::{Parts, assemble};
use crate::calendar::{Calendar, Snapshot};
use crate::card::card;
use crate::channel::{self, PlannedChannel};
use crate::error::PrepareError;
use crate::events::{self, Events};
use crate::expression::Expression;
use crate::leak::leaks;
use crate::names;
use crate::params::{Params, TotalParams};
use crate::reporter::Reporter;
use crate::session;
use crate::snapshot::{Plan, SnapshotSamples};
use crate::sql_error;
use crate::steps::StepTable;
use crate::tables::{self, Input};

/// Writes the dataset of these inputs into an existing folder. The bytes do not depend on the number of
/// threads.
///
/// # Errors
/// Anything wrong with the params, the inputs or the output folder.
pub fn prepare(
    params: &Params,
    inputs: &[Input],
    output: &Path,
    threads: usize,
    reporter: &mut dyn Reporter,
) -> Result<Card, PrepareError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads.max(1))
        .build();
    let prepared = runtime.map_err(PrepareError::Threads)?.block_on(run(
        params,
        inputs,
        output,
        threads.max(1),
        reporter,
    ));
    prepared.map_err(|error| tables::without_paths(error, inputs))
}

async fn run(
    params: &Params,
    inputs: &[Input],
    output: &Path,
    threads: usize,
    reporter: &mut dyn Reporter,
) -> Result<Card, PrepareError> {
    names::check(params)?;
    let calendar = Calendar::new(params)?;
    let context = session::new();
    unless_damaged(tables::register(&context, inputs), inputs).await?;
    let (first, last) = reach(params, &calendar);
    reporter.progress(
        0,
        calendar.snapshots.len() as u64,
        "snapshot",
        "reading events",
    );
    let read = events::read(&context, params, inputs, first..last);
    let (events, facts) = unless_damaged(read, inputs).await?;
    let schema = events.rows.schema();
    let channels = channel::plan(&context, &schema, params)?;
    let totals = plan_totals(&context, &events, params, &channels)?;
    let plan = Plan::new(&context, &schema, params, &channels, facts.end_micros).await?;
    stop(reporter)?;

    let events = Arc::new(events);
    let snapshots = all_samples(Arc::new(plan), &events, &calendar, threads, reporter).await?;
    refuse_empty_splits(params, &calendar, &snapshots)?;
    let all = calendar.snapshots.len() as u64;
    reporter.progress(all, all, "snapshot", "computing channels");
    let last_snapshot = calendar
        .snapshots
        .last()
        .map_or(0, |snapshot| snapshot.date.micros());
    let steps = StepTable::new(&events, last_snapshot)?;
    let step_values = channels.iter().map(|channel| match channel.per {
        Per::Step => steps.values(&context, channel).map(Some),
        Per::SampleStep | Per::Snapshot => Ok(None),
    });
    let parts = Parts {
        params,
        events: &events,
        steps: &steps,
        channels: &channels,
        step_values: step_values.collect::<Result<_, _>>()?,
        totals: compute_totals(&context, &steps, &totals)?,
        snapshots,
        training_end: calendar.training_end_micros(),
    };
    stop(reporter)?;
    finish(parts, calendar.warnings, facts, output, reporter)
}

/// A failure of a file names the file. The Parquet reader asserts some of what a damaged one may say
/// of itself.
async fn unless_damaged<T>(
    reading: impl Future<Output = Result<T, PrepareError>>,
    inputs: &[Input],
) -> Result<T, PrepareError> {
    let read = AssertUnwindSafe(reading).catch_unwind().await;
    let error = match read {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(error)) if !sql_error::while_reading(&error) => return Err(error),
        Ok(Err(error)) => error,
        Err(_) => {
            let problem = "an input file is damaged: its Parquet metadata contradict themselves";
            PrepareError::Data(problem.to_owned())
        }
    };
    Err(tables::faulty_file(inputs).await.unwrap_or(error))
}

/// Microseconds: rows outside reach neither a history nor a label.
fn reach(params: &Params, calendar: &Calendar) -> (i64, i64) {
    let dates = calendar
        .snapshots
        .iter()
        .map(|snapshot| snapshot.date.micros());
    // A calendar has at least one snapshot.
    let (first, last) = (dates.clone().min().unwrap_or(0), dates.max().unwrap_or(0));
    let longest = params
        .tasks
        .values()
        .map(|task| task.within.micros())
        .max()
        .unwrap_or(0);
    (first - params.history.micros(), last + longest)
}

fn stop(reporter: &dyn Reporter) -> Result<(), PrepareError> {
    if reporter.stop_requested() {
        Err(PrepareError::Stopped)
    } else {
        Ok(())
    }
}

/// Snapshots side by side on the runtime's threads, in the order of their dates.
async fn all_samples(
    plan: Arc<Plan>,
    events: &Arc<Events>,
    calendar: &Calendar,
    threads: usize,
    reporter: &mut dyn Reporter,
) -> Result<Vec<SnapshotSamples>, PrepareError> {
    let total = calendar.snapshots.len();
    let work = |snapshot: Snapshot| {
        let (plan, events) = (plan.clone(), events.clone());
        tokio::spawn(async move { plan.samples(&events, snapshot).await })
    };
    let mut results = futures::stream::iter(calendar.snapshots.clone())
        .map(work)
        .buffered(threads);
    let mut all = Vec::with_capacity(total);
    while let Some(result) = results.next().await {
        let samples = result.map_err(|error| {
            PrepareError::Data(format!("a snapshot's worker failed: {error}"))
        })??;
        let message = format!("samples of {}", samples.snapshot.date);
        all.push(samples);
        reporter.progress(all.len() as u64, total as u64, "snapshot", &message);
        stop(reporter)?;
    }
    Ok(all)
}

fn refuse_empty_splits(
    params: &Params,
    calendar: &Calendar,
    snapshots: &[SnapshotSamples],
) -> Result<(), PrepareError> {
    for split in Split::ALL {
        let asked = calendar
            .snapshots
            .iter()
            .any(|snapshot| snapshot.split == split);
        let of_split = snapshots
            .iter()
            .filter(|samples| samples.snapshot.split == split);
        let samples: usize = of_split.map(|samples| samples.windows.len()).sum();
        if asked && samples == 0 {
            let problem = format!(
                "it has no samples: no event lies within {} before one of its snapshots",
                params.history
            );
            return Err(PrepareError::param(format!("with.splits.{split}"), problem));
        }
    }
    Ok(())
}

enum PlannedTotal {
    Count(crate::params::Counted),
    Sum(Expression),
}

fn plan_totals(
    context: &SessionContext,
    events: &Events,
    params: &Params,
    channels: &[PlannedChannel],
) -> Result<Vec<PlannedTotal>, PrepareError> {
    let schema = events.rows.schema();
    let plan = |(name, total): (&String, &TotalParams)| {
        if let Some(source) = total
            .source
            .iter()
            .find(|source| !channels.iter().any(|channel| channel.name == **source))
        {
            let problem = format!("there is no channel `{source}`");
            return Err(PrepareError::param(
                format!("with.totals.{name}.source"),
                problem,
            ));
        }
        match (total.count, &total.sum) {
            (Some(counted), None) => Ok(PlannedTotal::Count(counted)),
            (None, Some(sql)) => {
                let param = format!("with.totals.{name}.sum");
                Ok(PlannedTotal::Sum(Expression::parse(
                    context,
                    &schema,
                    param,
                    sql,
                    &[],
                )?))
            }
            _ => Err(PrepareError::param(
                format!("with.totals.{name}"),
                "expected either `count` or `sum`",
            )),
        }
    };
    params.totals.iter().map(plan).collect()
}

fn compute_totals(
    context: &SessionContext,
    steps: &StepTable<'_>,
    totals: &[PlannedTotal],
) -> Result<Vec<Vec<f64>>, PrepareError> {
    let compute = |total: &PlannedTotal| match total {
        PlannedTotal::Count(counted) => Ok(steps.counts(*counted)),
        PlannedTotal::Sum(expression) => steps.totals(context, expression),
    };
    totals.iter().map(compute).collect()
}

fn finish(
    parts: Parts<'_>,
    mut warnings: Vec<String>,
    facts: events::Facts,
    output: &Path,
    reporter: &mut dyn Reporter,
) -> Result<Card, PrepareError> {
    let total = parts.snapshots.len() as u64;
    reporter.progress(total, total, "snapshot", "fitting vocabularies and scales");
    let dataset = assemble(&parts)?;
    warnings.extend(facts.warnings.iter().cloned());
    warnings.extend(leaks(&dataset));
    let card = card(&dataset, &facts, &parts.snapshots, warnings);
    card.warnings
        .iter()
        .for_each(|warning| reporter.warn(warning));
    reporter.progress(total, total, "snapshot", "writing");
    dataset.write(output)?;
    card.write(output)?;
    Ok(card)
}
