//! From events to a dataset folder, from start to end.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;

use futures::{FutureExt, StreamExt};
use rayon::prelude::*;
use supermoe_channels::{Card, Split, write_schema, write_vocabulary};
use tokio::sync::Semaphore;

use crate::bucket::{BucketPlan, BucketResult};
use crate::calendar::Calendar;
use crate::card::card;
use crate::channel::{self, ChannelTables};
use crate::definitions::Definitions;
use crate::error::PrepareError;
use crate::event_query::{EventQuery, Facts};
use crate::files::{Input, without_paths};
use crate::fit::{Fit, fit};
use crate::fitted::Fitted;
use crate::leak::{LookedAt, leaks};
use crate::names;
use crate::params::Params;
use crate::partitions::Bucket;
use crate::profile::ProfileQuery;
use crate::reporter::Reporter;
use crate::samples::SamplePlan;
use crate::session;
use crate::shard::{Offsets, ShardPlan};
use crate::sql_error;
use crate::tables;
use crate::text::first_pass::described_in;
use crate::totals::{PlannedTotal, Totals};

/// What buckets that are worked on at one time may take together.
const BUCKETS_BYTES: u64 = 1 << 30;
/// A bucket takes about so many times what its rows do: they are sorted, and columns are made of them.
const BUCKET_FACTOR: u64 = 4;

/// Where a run reads and writes.
#[derive(Debug, Clone, Copy)]
pub struct Places<'a> {
    pub inputs: &'a [Input],
    /// A dataset whose vocabularies and scales are taken over.
    pub fitted: Option<&'a Path>,
    /// An existing folder for the dataset.
    pub output: &'a Path,
    /// An existing folder for what is set aside.
    pub work: &'a Path,
}

/// Writes the dataset of these inputs. Its bytes do not depend on the number of threads, nor on the
/// order of the inputs' rows.
///
/// # Errors
/// Anything wrong with the params, the inputs or the folders.
pub fn prepare(
    params: &Params,
    places: Places<'_>,
    threads: usize,
    reporter: &mut dyn Reporter,
) -> Result<Card, PrepareError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads.max(1))
        .build();
    let runtime = runtime.map_err(PrepareError::Threads)?;
    let prepared = runtime.block_on(run(params, places, threads.max(1), reporter));
    prepared.map_err(|error| without_paths(error, places.inputs))
}

async fn run(
    params: &Params,
    places: Places<'_>,
    threads: usize,
    reporter: &mut dyn Reporter,
) -> Result<Card, PrepareError> {
    names::check(params)?;
    let definitions = Definitions::of(params);
    let fitted = places
        .fitted
        .map(|folder| Fitted::open(folder, &definitions));
    let fitted = fitted.transpose()?;
    let calendar = Calendar::new(params, fitted.is_some())?;
    reporter.progress(0, 1, "bucket", "reading events");
    let reading = read(params, calendar, places, reporter);
    let (plan, facts, warnings_of_reading) = unless_damaged(reading, params, places).await?;
    let buckets = plan.events.buckets();
    let plan = Arc::new(plan);
    let results = all_buckets(&plan, &buckets, threads, reporter).await?;
    let all = buckets.len() as u64;
    reporter.progress(all, all, "bucket", "fitting vocabularies and scales");
    let fit = fit(&plan, &results, fitted.as_ref())?;
    refuse_empty_splits(params, &plan.calendar, &fit)?;
    reporter.progress(all, all, "bucket", "writing");
    let definitions = match &fitted {
        Some(fitted) if params.tasks.is_empty() => fitted.definitions.clone(),
        _ => definitions,
    };
    let looked_at = write(&plan, &fit, &results, &definitions, threads, places.output)?;
    let mut warnings = plan.calendar.warnings.clone();
    warnings.extend(warnings_of_reading);
    warnings.extend(warn_of_leaks(&plan, &fit, looked_at.as_ref()));
    let card = card(&plan, &fit, &facts, &results, warnings);
    card.warnings
        .iter()
        .for_each(|warning| reporter.warn(warning));
    card.write(places.output)?;
    Ok(card)
}

/// Plans everything, then reads the events and profiles into partitions.
async fn read(
    params: &Params,
    calendar: Calendar,
    places: Places<'_>,
    reporter: &mut dyn Reporter,
) -> Result<(BucketPlan, Facts, Vec<String>), PrepareError> {
    let context = session::new(&session::runtime(places.work)?);
    let bad_rows = tables::register(&context, places.inputs, params, reporter).await?;
    let events = EventQuery::plan(&context, params, places.inputs).await?;
    let profile = ProfileQuery::plan(&context, params).await?;
    let tables = ChannelTables {
        events: &events.schema,
        profile: profile.as_ref().map(|profile| &profile.schema),
    };
    let planning = session::new(&session::runtime(places.work)?);
    let totals = Totals::plan(&planning, &events.schema, params)?;
    let channels = channel::plan(&planning, &tables, params, &totals)?;
    totals.check_sources(params, &channels)?;
    let dates = calendar
        .snapshots
        .iter()
        .map(|snapshot| snapshot.date.micros());
    let mut samples = SamplePlan::new(&planning, &events.schema, params, dates.collect()).await?;
    let mut warnings = events.warnings.clone();
    for (port, bad) in &bad_rows {
        let first: Vec<String> = bad.first.iter().map(described_in).collect();
        let (count, first) = (bad.count, first.join("; "));
        warnings.push(format!(
            "input `{port}`: {count} rows cannot be read and are left out, the first of them: {first}"
        ));
    }
    let mut used: BTreeSet<&str> = samples.aggregates.columns();
    used.extend(samples.labels.columns());
    used.extend(channel::columns(
        channels
            .iter()
            .filter(|channel| channel.per != supermoe_channels::Per::Entity),
    ));
    for expression in totals.all().filter_map(PlannedTotal::expression) {
        used.extend(expression.columns.iter().map(String::as_str));
    }
    let (events, mut facts) = events.run(params, &used, places.work, reporter).await?;
    facts.bad_rows = bad_rows;
    let profile = match profile {
        Some(profile) => Some(profile.run(params, places.work).await?),
        None => None,
    };
    samples.data_end = facts.end_micros;
    let buckets = events.buckets().len();
    let plan = BucketPlan {
        params: params.clone(),
        calendar,
        channels,
        totals,
        samples,
        events,
        profile,
        buckets,
        work: places.work.to_owned(),
    };
    Ok((plan, facts, warnings))
}

/// A failure of a file names the file. The Parquet reader asserts some of what a damaged one may say
/// of itself.
async fn unless_damaged<T>(
    reading: impl Future<Output = Result<T, PrepareError>>,
    params: &Params,
    places: Places<'_>,
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
    let context = session::new(&session::runtime(places.work)?);
    let faulty = tables::faulty_file(&context, places.inputs, params).await;
    Err(faulty.unwrap_or(error))
}

/// Buckets side by side on the runtime's threads, as many as memory allows, in their order.
async fn all_buckets(
    plan: &Arc<BucketPlan>,
    buckets: &[Bucket],
    threads: usize,
    reporter: &mut dyn Reporter,
) -> Result<Vec<BucketResult>, PrepareError> {
    let memory = Arc::new(Semaphore::new((BUCKETS_BYTES >> 20) as usize));
    let work = |(index, bucket): (usize, Bucket)| {
        let (plan, memory) = (plan.clone(), memory.clone());
        tokio::spawn(async move {
            let bytes = plan.events.bytes(bucket.rows) * BUCKET_FACTOR;
            // At least one MiB, at most all.
            let share = (bytes.min(BUCKETS_BYTES) >> 20).max(1) as u32;
            let held = memory.acquire_many(share).await;
            let result = plan.run(index, &bucket).await;
            drop(held);
            result
        })
    };
    let numbered: Vec<(usize, Bucket)> = buckets.iter().cloned().enumerate().collect();
    let mut results = futures::stream::iter(numbered).map(work).buffered(threads);
    let mut all = Vec::with_capacity(buckets.len());
    while let Some(result) = results.next().await {
        let result = result
            .map_err(|error| PrepareError::Data(format!("a bucket's worker failed: {error}")))??;
        all.push(result);
        let (done, total) = (all.len() as u64, buckets.len() as u64);
        reporter.progress(done, total, "bucket", "making steps and samples");
        if reporter.stop_requested() {
            return Err(PrepareError::Stopped);
        }
    }
    Ok(all)
}

fn refuse_empty_splits(
    params: &Params,
    calendar: &Calendar,
    fit: &Fit,
) -> Result<(), PrepareError> {
    for split in Split::ALL.into_iter().chain([Split::Predict]) {
        if !calendar.asks_for(split) || fit.counts.of_split(split) > 0 {
            continue;
        }
        let by_entity = !calendar
            .snapshots
            .iter()
            .any(|snapshot| snapshot.role == crate::calendar::SnapshotRole::All(split));
        let problem = match by_entity && fit.counts.samples.iter().flatten().any(|&count| count > 0)
        {
            true => "it has no samples: no entity falls into it; give it a larger share".to_owned(),
            false => format!(
                "it has no samples: no event lies within {} before one of its snapshots",
                params.history
            ),
        };
        return Err(PrepareError::param(format!("with.splits.{split}"), problem));
    }
    Ok(())
}

/// Writes all but the card; shards side by side. What was looked at for leaks, in the order of the
/// buckets.
fn write(
    plan: &BucketPlan,
    fit: &Fit,
    results: &[BucketResult],
    definitions: &Definitions,
    threads: usize,
    output: &Path,
) -> Result<Option<LookedAt>, PrepareError> {
    write_schema(output, &fit.schema)?;
    for (channel, vocabulary) in &fit.vocabularies {
        write_vocabulary(output, channel, vocabulary)?;
    }
    definitions.write(output)?;
    let shard_plan = ShardPlan::new(plan, fit, output);
    let mut offsets = Vec::with_capacity(results.len());
    let mut next = Offsets::default();
    for result in results {
        offsets.push(next);
        next.steps += result.steps;
        next.entities += result.entities;
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let pool = pool.map_err(|error| PrepareError::Threads(std::io::Error::other(error)))?;
    let looked_at: Vec<Result<LookedAt, PrepareError>> = pool.install(|| {
        let shards = results.par_iter().zip(&offsets).enumerate();
        shards
            .map(|(index, (result, offsets))| shard_plan.write(index, result, *offsets))
            .collect()
    });
    let mut all: Option<LookedAt> = None;
    for looked_at in looked_at {
        let looked_at = looked_at?;
        match &mut all {
            Some(all) => all.append(looked_at),
            None => all = Some(looked_at),
        }
    }
    Ok(all)
}

fn warn_of_leaks(plan: &BucketPlan, fit: &Fit, looked_at: Option<&LookedAt>) -> Vec<String> {
    let Some(looked_at) = looked_at else {
        return Vec::new();
    };
    let channels: Vec<&str> = fit
        .schema
        .channels
        .iter()
        .map(|channel| channel.name.as_str())
        .collect();
    let aggregates: Vec<&str> = plan.params.aggregates.keys().map(String::as_str).collect();
    let codes: Vec<u32> = fit
        .schema
        .channels
        .iter()
        .map(|channel| channel.vocabulary)
        .collect();
    let tasks: Vec<_> = plan
        .params
        .tasks
        .iter()
        .map(|(name, task)| (name.as_str(), task.kind))
        .collect();
    leaks(looked_at, (&channels, &aggregates), &codes, &tasks)
}
