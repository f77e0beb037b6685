//! The data card, and the warnings that the counts give.

use indexmap::IndexMap;
use supermoe_channels::{
    Card, CardSummary, ChannelCard, LengthDistribution, Schema, Split, SplitCard, Task, TaskCard,
    TaskKind,
};

use crate::bucket::{BucketPlan, BucketResult};
use crate::dates::written;
use crate::event_query::Facts;
use crate::fit::Fit;
use crate::summary::{SPLITS, SampleCounts, TaskCounts, index};

pub fn card(
    plan: &BucketPlan,
    fit: &Fit,
    facts: &Facts,
    results: &[BucketResult],
    mut warnings: Vec<String>,
) -> Card {
    let (counts, schema) = (&fit.counts, &fit.schema);
    let none = TaskCounts::default();
    let tasks = schema.tasks.iter().enumerate();
    let tasks: IndexMap<String, TaskCard> = tasks
        .map(|(i, task)| {
            let counts_of = counts.tasks.get(i).unwrap_or(&none);
            warn_of_labels(task, counts_of, counts, &mut warnings);
            (task.name.clone(), task_card(task, counts_of))
        })
        .collect();
    warn_of_vocabularies(fit, &mut warnings);
    let all: u64 = counts.lengths.values().sum();
    let average_length = mean(counts.steps.iter().sum(), all);
    let missing = schema.aggregates.iter().zip(&counts.missing_aggregates);
    let missing = missing.map(|(aggregate, count)| (aggregate.name.clone(), *count));
    let splits = SPLITS.into_iter();
    let splits = splits.filter(|split| *split != Split::Predict || counts.of_split(*split) > 0);
    Card {
        summary: CardSummary {
            training: counts.of_split(Split::Train),
            test: counts.of_split(Split::Test),
            channels: schema.channels.len() as u64,
            average_length,
        },
        rows: facts.rows,
        entities: results.iter().map(|result| result.all_entities).sum(),
        first_time: written(facts.first_micros),
        last_time: written(facts.last_micros),
        data_end: written(facts.end_micros),
        splits: splits
            .map(|split| (split.name().to_owned(), split_card(plan, counts, split)))
            .collect(),
        tasks,
        channels: channel_cards(schema, fit),
        average_length,
        lengths: LengthDistribution::of(&counts.lengths),
        cut: counts.cut as f64 / all.max(1) as f64,
        missing_aggregates: missing.filter(|(_, count)| *count > 0).collect(),
        bad_rows: facts.bad_rows.clone(),
        warnings,
    }
}

fn mean(sum: u64, count: u64) -> f64 {
    match count {
        0 => 0.0,
        count => sum as f64 / count as f64,
    }
}

fn split_card(plan: &BucketPlan, counts: &SampleCounts, split: Split) -> SplitCard {
    let of_snapshot = plan.calendar.snapshots.iter().zip(&counts.samples);
    let asked = of_snapshot.filter(|(snapshot, counts)| {
        snapshot.role == crate::calendar::SnapshotRole::All(split) || counts[index(split)] > 0
    });
    let samples = counts.of_split(split);
    SplitCard {
        samples,
        entities: counts.entities[index(split)],
        snapshots: asked
            .map(|(snapshot, counts)| (snapshot.date.to_string(), counts[index(split)]))
            .collect(),
        average_length: mean(counts.steps[index(split)], samples),
    }
}

fn channel_cards(schema: &Schema, fit: &Fit) -> IndexMap<String, ChannelCard> {
    let channels = schema.channels.iter().zip(&fit.missing);
    channels
        .map(|(channel, &missing)| {
            let vocabulary = fit.vocabularies.get(&channel.name);
            let card = ChannelCard {
                kind: channel.kind,
                per: channel.per,
                values: vocabulary.map_or(0, |vocabulary| vocabulary.entries().len() as u64),
                missing,
            };
            (channel.name.clone(), card)
        })
        .collect()
}

fn task_card(task: &Task, counts: &TaskCounts) -> TaskCard {
    let by_split = |value: &dyn Fn(usize) -> Option<f64>| -> IndexMap<String, Option<f64>> {
        let splits = Split::ALL.into_iter();
        splits
            .map(|split| (split.name().to_owned(), value(index(split))))
            .collect()
    };
    let (known, unseen) = classes(task, counts);
    let labels = |split: usize| {
        known
            .iter()
            .map(|(_, of_class)| of_class[split])
            .sum::<u64>()
    };
    let missing = Split::ALL.into_iter().map(|split| {
        let unseen = unseen
            .iter()
            .map(|(_, of_class)| of_class[index(split)])
            .sum::<u64>();
        (
            split.name().to_owned(),
            counts.missing[index(split)] + unseen,
        )
    });
    TaskCard {
        kind: task.kind,
        label_rate: by_split(&|split| {
            let moments = &counts.labels[split];
            (moments.count() > 0).then(|| moments.mean())
        }),
        missing_labels: missing.collect(),
        class_rate: known
            .iter()
            .map(|(class, of_class)| {
                let rate = |split: usize| {
                    let all = labels(split);
                    (all > 0).then(|| of_class[split] as f64 / all as f64)
                };
                ((*class).to_owned(), by_split(&rate))
            })
            .collect(),
        unseen_labels: unseen.iter().flat_map(|(_, of_class)| of_class).sum(),
    }
}

/// How often a class stands in each split.
type ClassCount<'a> = (&'a str, [u64; 4]);

/// The classes of a multiclass task, and those labels that are no class.
fn classes<'a>(
    task: &'a Task,
    counts: &'a TaskCounts,
) -> (Vec<ClassCount<'a>>, Vec<ClassCount<'a>>) {
    let known = task.classes.iter().map(|class| {
        let of_class = counts.classes.get(class).copied().unwrap_or_default();
        (class.as_str(), of_class)
    });
    let unseen = counts.classes.iter();
    let unseen = unseen.filter(|(class, _)| task.classes.binary_search(class).is_err());
    let unseen = unseen.map(|(class, of_class)| (class.as_str(), *of_class));
    (known.collect(), unseen.collect())
}

fn warn_of_labels(
    task: &Task,
    counts: &TaskCounts,
    samples: &SampleCounts,
    warnings: &mut Vec<String>,
) {
    let name = &task.name;
    let (known, unseen) = classes(task, counts);
    for split in Split::ALL {
        let at = index(split);
        if samples.of_split(split) == 0 {
            continue;
        }
        let found: Vec<&str> = known
            .iter()
            .filter(|(_, of_class)| of_class[at] > 0)
            .map(|(class, _)| *class)
            .collect();
        match (task.kind, counts.ends[at], found.as_slice()) {
            (TaskKind::Multiclass, _, []) | (TaskKind::Binary | TaskKind::Regression, None, _) => {
                let why = "its windows reach past the data's end, or no sample meets its `where`";
                warnings.push(format!("task `{name}` has no label in {split}: {why}"));
            }
            (TaskKind::Multiclass, _, [class]) => warnings.push(format!(
                "task `{name}` has one class in {split}: all labels are `{class}`; nothing can be learned or \
                 measured from them"
            )),
            (TaskKind::Binary, Some((least, most)), _) if least == most => warnings.push(format!(
                "task `{name}` has one class in {split}: all labels are {least}; nothing can be learned or \
                 measured from them"
            )),
            (TaskKind::Regression, Some((least, most)), _) if least == most => {
                warnings.push(format!(
                    "task `{name}` has one label in {split}: all are {least}; nothing can be learned or measured \
                     from them"
                ));
            }
            _ => {}
        }
    }
    let unseen: u64 = unseen.iter().flat_map(|(_, of_class)| of_class).sum();
    if unseen > 0 {
        warnings.push(format!(
            "task `{name}`: {unseen} labels are of classes that no training sample has, so they are none"
        ));
    }
    if counts.nulls > 0 {
        warnings.push(format!(
            "task `{name}`: the label of {} samples is NULL, so they have none; coalesce(..., 0) makes it 0, as it \
             should be where nothing happened in the window",
            counts.nulls
        ));
    }
}

fn warn_of_vocabularies(fit: &Fit, warnings: &mut Vec<String>) {
    for (channel, vocabulary) in &fit.vocabularies {
        if vocabulary.entries().is_empty() {
            warnings.push(format!(
                "channel `{channel}` has no known value: none is seen in the training period, or none as often as \
                 its `min_count`; all its values are unknown, so it tells nothing"
            ));
        }
    }
}
