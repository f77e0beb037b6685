//! Vocabularies, classes and scales of all buckets: the dataset's schema.

use std::collections::HashMap;

use indexmap::IndexMap;
use supermoe_channels::{
    Aggregate, Channel, ChannelKind, Per, SCHEMA_VERSION, Scale, ScaleFit, Schema, Split,
    SplitCounts, Task, TaskKind, Total, Vocabulary,
};

use crate::bucket::{BucketPlan, BucketResult};
use crate::channel::{Coding, PlannedChannel};
use crate::dictionary::entries;
use crate::error::PrepareError;
use crate::fitted::Fitted;
use crate::summary::{SampleCounts, index};

/// More classes than this are taken for a mistake.
const MOST_CLASSES: usize = 10_000;

/// What all buckets together give.
pub struct Fit {
    pub schema: Schema,
    pub vocabularies: IndexMap<String, Vocabulary>,
    pub counts: SampleCounts,
    /// By channel: the share of counted values that are missing or unknown; of totals 0.
    pub missing: Vec<f64>,
}

/// Reduces the buckets in their order; `fitted` gives vocabularies, scales and classes where it is
/// there.
///
/// # Errors
/// Files of the work folder that cannot be read; a multiclass task of too many classes.
pub fn fit(
    plan: &BucketPlan,
    results: &[BucketResult],
    fitted: Option<&Fitted>,
) -> Result<Fit, PrepareError> {
    let mut counts = SampleCounts::default();
    for result in results {
        counts.merge(&result.counts);
    }
    let mut vocabularies = IndexMap::new();
    let mut channels = Vec::new();
    let mut missing = Vec::new();
    let mut dictionary = 0;
    for (i, channel) in plan.channels.iter().enumerate() {
        let nulls = results.iter().map(|result| result.fits.nulls[i]);
        let (nulls, all) = nulls.fold((0, 0), |(a, b), (c, d)| (a + c, b + d));
        let mut unknown = nulls;
        let codes = match channel.coding {
            Coding::Number => 0,
            Coding::Hash(buckets) => buckets + supermoe_channels::FIRST_CODE,
            Coding::Vocabulary { .. } => {
                let value_counts = value_counts(results, dictionary)?;
                dictionary += 1;
                let vocabulary =
                    match fitted.and_then(|fitted| fitted.vocabularies.get(&channel.name)) {
                        Some(vocabulary) => vocabulary.clone(),
                        None => vocabulary(channel, &value_counts),
                    };
                let encoder = vocabulary.encoder();
                let lost = value_counts.iter();
                let lost = lost.filter(|(value, _)| !encoder.knows(value.as_str()));
                unknown += lost.map(|(_, count)| count).sum::<u64>();
                let codes = vocabulary.codes();
                vocabularies.insert(channel.name.clone(), vocabulary);
                codes
            }
        };
        missing.push(match channel.coding {
            Coding::Number => missing_numbers(results, i),
            _ => share(unknown, all),
        });
        let hash_buckets = match channel.coding {
            Coding::Hash(buckets) => buckets,
            Coding::Number | Coding::Vocabulary { .. } => 0,
        };
        channels.push(Channel {
            name: channel.name.clone(),
            kind: channel.kind,
            per: channel.per,
            vocabulary: codes,
            hash_buckets,
            mean: 0.0,
            deviation: 1.0,
            quantiles: Vec::new(),
            total: channel.betrays.clone().map(|source| Total { source }),
        });
    }
    for total in plan.totals.step_channels() {
        missing.push(0.0);
        channels.push(Channel {
            name: total.name.clone(),
            kind: ChannelKind::Dense,
            per: Per::Step,
            vocabulary: 0,
            hash_buckets: 0,
            mean: 0.0,
            deviation: 1.0,
            quantiles: Vec::new(),
            total: Some(Total {
                source: total.source.clone(),
            }),
        });
    }
    for (i, channel) in channels.iter_mut().enumerate() {
        let of_fitted = fitted.and_then(|fitted| fitted.schema.channels.get(i));
        if let Some(there) = of_fitted {
            (channel.mean, channel.deviation) = (there.mean, there.deviation);
            channel.quantiles.clone_from(&there.quantiles);
        } else if channel.is_dense() {
            let fits = results
                .iter()
                .filter_map(|result| result.fits.channels[i].as_ref());
            let scale = Scale::of(fits);
            (channel.mean, channel.deviation) = (scale.mean, scale.deviation);
            channel.quantiles = scale.quantiles;
        }
    }
    let schema = Schema {
        version: SCHEMA_VERSION,
        entity: plan.params.entity.clone(),
        time: plan.params.time.clone(),
        length: plan.params.length,
        history_seconds: plan.params.history.seconds(),
        channels,
        aggregates: aggregates(plan, results, fitted),
        tasks: tasks(plan, &counts, fitted)?,
        splits: SplitCounts {
            train: counts.of_split(Split::Train),
            valid: counts.of_split(Split::Valid),
            test: counts.of_split(Split::Test),
            predict: counts.of_split(Split::Predict),
        },
        snapshots: plan
            .calendar
            .snapshots
            .iter()
            .map(|snapshot| snapshot.date.to_string())
            .collect(),
    };
    Ok(Fit {
        schema,
        vocabularies,
        counts,
        missing,
    })
}

/// How often each value of a channel was counted; `dictionary`: its place among those set aside.
fn value_counts(
    results: &[BucketResult],
    dictionary: usize,
) -> Result<HashMap<String, u64>, PrepareError> {
    let mut all: HashMap<String, u64> = HashMap::new();
    for result in results {
        let batch = result.dictionaries.batch(dictionary)?;
        for (value, count) in entries(&batch).filter(|(_, count)| *count > 0) {
            match all.get_mut(value) {
                Some(all) => *all += count,
                None => {
                    all.insert(value.to_owned(), count);
                }
            }
        }
    }
    Ok(all)
}

fn vocabulary(channel: &PlannedChannel, counts: &HashMap<String, u64>) -> Vocabulary {
    let Coding::Vocabulary {
        min_count,
        max_size,
    } = channel.coding
    else {
        return Vocabulary::default();
    };
    let counts = counts.iter().map(|(value, count)| (value.clone(), *count));
    let mut vocabulary = Vocabulary::from_counts(counts, min_count);
    if let Some(max_size) = max_size {
        vocabulary.truncate(max_size as usize);
    }
    vocabulary
}

fn missing_numbers(results: &[BucketResult], channel: usize) -> f64 {
    let fits = results
        .iter()
        .filter_map(|result| result.fits.channels[channel].as_ref());
    let counts = fits.map(ScaleFit::missing);
    let (missing, all) = counts.fold((0, 0), |(a, b), (c, d)| (a + c, b + d));
    share(missing, all)
}

fn share(part: u64, all: u64) -> f64 {
    match all {
        0 => 0.0,
        all => part as f64 / all as f64,
    }
}

fn aggregates(
    plan: &BucketPlan,
    results: &[BucketResult],
    fitted: Option<&Fitted>,
) -> Vec<Aggregate> {
    if let Some(fitted) = fitted {
        return fitted.schema.aggregates.clone();
    }
    let aggregates = plan.params.aggregates.keys().enumerate();
    aggregates
        .map(|(i, name)| {
            let scale = Scale::of(results.iter().map(|result| &result.fits.aggregates[i]));
            Aggregate {
                name: name.clone(),
                mean: scale.mean,
                deviation: scale.deviation,
            }
        })
        .collect()
}

fn tasks(
    plan: &BucketPlan,
    counts: &SampleCounts,
    fitted: Option<&Fitted>,
) -> Result<Vec<Task>, PrepareError> {
    if let Some(fitted) = fitted {
        return Ok(fitted.schema.tasks.clone());
    }
    let tasks = plan.params.tasks.iter().zip(&counts.tasks);
    let tasks = tasks.map(|((name, task), counts)| {
        let train = index(Split::Train);
        let classes = counts.classes.iter().filter(|(_, of_class)| of_class[train] > 0);
        let classes: Vec<String> = classes.map(|(class, _)| class.clone()).collect();
        if classes.len() > MOST_CLASSES {
            let problem = format!(
                "its training labels are {} classes; at most {MOST_CLASSES} are sensible: is it an id?",
                classes.len()
            );
            return Err(PrepareError::param(format!("with.tasks.{name}.label"), problem));
        }
        let (mean, deviation) = match task.kind {
            TaskKind::Regression => {
                let labels = &counts.labels[train];
                (labels.mean(), labels.deviation())
            }
            TaskKind::Binary | TaskKind::Multiclass => (0.0, 1.0),
        };
        Ok(Task {
            name: name.clone(),
            kind: task.kind,
            classes,
            mean,
            deviation,
            within_seconds: task.within.seconds(),
        })
    });
    tasks.collect()
}
