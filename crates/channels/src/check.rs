//! Whether the parts of a dataset fit together; packing relies on it.

use std::collections::HashSet;

use crate::dataset::Dataset;
use crate::schema::{Channel, ChannelKind, FIRST_CODE, Per, SplitCounts, Task, TaskKind};
use crate::values::ChannelValues;

pub(crate) fn check(dataset: &Dataset) -> Result<(), String> {
    check_names(dataset)?;
    check_steps(dataset)?;
    check_samples(dataset)?;
    let schema = &dataset.schema;
    if dataset.channels.len() != schema.channels.len() {
        let (found, expected) = (dataset.channels.len(), schema.channels.len());
        return Err(format!(
            "values of {found} channels, but {expected} channels in the schema"
        ));
    }
    for (channel, values) in schema.channels.iter().zip(&dataset.channels) {
        check_channel(dataset, channel, values)
            .map_err(|problem| format!("channel `{}`: {problem}", channel.name))?;
    }
    for aggregate in &schema.aggregates {
        check_scale(aggregate.mean, aggregate.deviation)
            .map_err(|problem| format!("aggregate `{}`: {problem}", aggregate.name))?;
    }
    for (task, labels) in schema.tasks.iter().zip(&dataset.samples.labels) {
        check_task(task, labels).map_err(|problem| format!("task `{}`: {problem}", task.name))?;
    }
    let (found, expected) = (SplitCounts::of(&dataset.samples.split), schema.splits);
    if found != expected {
        return Err(format!(
            "its splits have {found:?} samples, the schema says {expected:?}"
        ));
    }
    Ok(())
}

fn check_names(dataset: &Dataset) -> Result<(), String> {
    let schema = &dataset.schema;
    let mut seen = HashSet::new();
    let channels = schema.channels.iter().map(|channel| &channel.name);
    for name in channels.chain(schema.aggregates.iter().map(|aggregate| &aggregate.name)) {
        if !seen.insert(name) {
            return Err(format!("two channels or aggregates are called `{name}`"));
        }
    }
    let mut tasks = HashSet::new();
    for task in &schema.tasks {
        if !tasks.insert(&task.name) {
            return Err(format!("two tasks are called `{}`", task.name));
        }
    }
    Ok(())
}

fn check_task(task: &Task, labels: &[f32]) -> Result<(), String> {
    check_scale(task.mean, task.deviation)?;
    let classes = task.classes.len();
    let fits = |label: f32| match task.kind {
        TaskKind::Binary => label == 0.0 || label == 1.0,
        TaskKind::Multiclass => label >= 0.0 && label.fract() == 0.0 && label < classes as f32,
        TaskKind::Regression => true,
    };
    match labels
        .iter()
        .find(|label| !label.is_nan() && !fits(**label))
    {
        Some(label) => Err(format!(
            "{label} is no label of a {:?} task with {classes} classes",
            task.kind
        )),
        None => Ok(()),
    }
}

fn check_steps(dataset: &Dataset) -> Result<(), String> {
    let steps = &dataset.steps;
    same_length("visit", steps.visit.len(), "steps", steps.entity.len())?;
    let pairs = steps.entity.windows(2).zip(steps.visit.windows(2));
    for (row, (entity, visit)) in (1..).zip(pairs) {
        if entity[0] > entity[1] || (entity[0] == entity[1] && visit[0] > visit[1]) {
            return Err(format!(
                "steps are not sorted by entity and visit at row {row}"
            ));
        }
    }
    Ok(())
}

fn check_samples(dataset: &Dataset) -> Result<(), String> {
    let samples = &dataset.samples;
    let count = samples.len();
    if u32::try_from(count).is_err() {
        return Err(format!("{count} samples; at most {} fit", u32::MAX));
    }
    same_length("entity_index", samples.entity_index.len(), "samples", count)?;
    same_length("snapshot", samples.snapshot_ms.len(), "samples", count)?;
    same_length("split", samples.split.len(), "samples", count)?;
    same_length("first_step", samples.first_step.len(), "samples", count)?;
    same_length("steps", samples.steps.len(), "samples", count)?;
    same_length("window_first", samples.window_first.len(), "samples", count)?;
    same_length(
        "aggregates",
        samples.aggregates.len(),
        "the schema's",
        dataset.schema.aggregates.len(),
    )?;
    same_length(
        "labels",
        samples.labels.len(),
        "the schema's tasks",
        dataset.schema.tasks.len(),
    )?;
    for column in samples.aggregates.iter().chain(&samples.labels) {
        same_length(
            "an aggregate or label column",
            column.len(),
            "samples",
            count,
        )?;
        if let Some(row) = column.iter().position(|x| x.is_infinite()) {
            return Err(format!("sample {row} has an infinite aggregate or label"));
        }
    }
    (0..count).try_for_each(|i| {
        check_range(dataset, i)
            .map_err(|problem| format!("sample {i} (`{}`): {problem}", samples.entity[i]))
    })
}

fn check_range(dataset: &Dataset, i: usize) -> Result<(), String> {
    let samples = &dataset.samples;
    let (first, steps, window) = (
        samples.first_step[i],
        samples.steps[i],
        samples.window_first[i],
    );
    if steps == 0 || steps > dataset.schema.length {
        return Err(format!(
            "{steps} steps; expected 1 to {}",
            dataset.schema.length
        ));
    }
    let end = first.saturating_add(u64::from(steps));
    if window > first || end > dataset.steps.entity.len() as u64 {
        let all = dataset.steps.entity.len();
        return Err(format!(
            "its steps {first}..{end}, window from {window}, are not within 0..{all}"
        ));
    }
    let entity = samples.entity_index[i];
    // Steps are sorted by entity, so the ends speak for what is between.
    if dataset.steps.entity[window as usize] != entity
        || dataset.steps.entity[end as usize - 1] != entity
    {
        return Err("its steps belong to another entity".to_owned());
    }
    Ok(())
}

fn check_channel(
    dataset: &Dataset,
    channel: &Channel,
    values: &ChannelValues,
) -> Result<(), String> {
    let steps = dataset.steps.entity.len();
    let samples = dataset.samples.len();
    let sample_steps = dataset.sample_offsets[samples];
    let dense = channel.kind == ChannelKind::Dense;
    match (values, channel.per, dense, channel.total.is_some()) {
        (
            ChannelValues::Codes {
                values,
                first_of_window,
            },
            Per::Step,
            false,
            false,
        ) => {
            check_codes(channel, values, steps)?;
            first_of_window
                .as_ref()
                .map_or(Ok(()), |values| check_codes(channel, values, steps))?;
        }
        (
            ChannelValues::Numbers {
                values,
                first_of_window,
            },
            Per::Step,
            true,
            false,
        ) => {
            check_numbers(values, steps)?;
            first_of_window
                .as_ref()
                .map_or(Ok(()), |values| check_numbers(values, steps))?;
        }
        (ChannelValues::Total(sums), Per::Step, true, true) => {
            same_length("values", sums.len(), "steps", steps)?;
            if let Some(row) = sums.iter().position(|sum| !sum.is_finite()) {
                return Err(format!("the total at row {row} is not a finite number"));
            }
        }
        (ChannelValues::SampleStepCodes(values), Per::SampleStep, false, false) => {
            check_codes(channel, values, sample_steps)?;
        }
        (ChannelValues::SampleStepNumbers(values), Per::SampleStep, true, _) => {
            check_numbers(values, sample_steps)?;
        }
        (ChannelValues::SnapshotCodes(values), Per::Snapshot, false, false) => {
            check_codes(channel, values, samples)?;
        }
        (ChannelValues::SnapshotNumbers(values), Per::Snapshot, true, false) => {
            check_numbers(values, samples)?;
        }
        (ChannelValues::EntityCodes(values), Per::Entity, false, false) => {
            check_codes(channel, values, values.len())?;
            check_entities(dataset, values.len())?;
        }
        (ChannelValues::EntityNumbers(values), Per::Entity, true, false) => {
            check_numbers(values, values.len())?;
            check_entities(dataset, values.len())?;
        }
        _ => return Err("its values are not of the kind that the schema says".to_owned()),
    }
    if dense {
        return check_scale(channel.mean, channel.deviation);
    }
    if channel.hash_buckets > 0 {
        let expected = u64::from(channel.hash_buckets) + u64::from(FIRST_CODE);
        if u64::from(channel.vocabulary) != expected {
            let found = channel.vocabulary;
            return Err(format!(
                "its {} hash buckets make {expected} codes, the schema says {found}",
                channel.hash_buckets
            ));
        }
        return Ok(());
    }
    let vocabulary = dataset
        .vocabularies
        .get(&channel.name)
        .ok_or("it has no vocabulary")?;
    if vocabulary.codes() != channel.vocabulary {
        let (found, expected) = (vocabulary.codes(), channel.vocabulary);
        return Err(format!(
            "its vocabulary has {found} codes, the schema says {expected}"
        ));
    }
    Ok(())
}

/// Whether every sample's entity is among those that have values.
fn check_entities(dataset: &Dataset, entities: usize) -> Result<(), String> {
    let indices = &dataset.samples.entity_index;
    match indices.iter().position(|&index| index as usize >= entities) {
        Some(i) => Err(format!(
            "sample {i} is of entity {}, but there are values of {entities} entities",
            indices[i]
        )),
        None => Ok(()),
    }
}

fn check_codes(channel: &Channel, codes: &[u32], expected: usize) -> Result<(), String> {
    same_length("values", codes.len(), "expected", expected)?;
    let limit = channel.vocabulary.max(FIRST_CODE);
    match codes.iter().position(|&code| code >= limit) {
        Some(row) => Err(format!(
            "code {} at row {row}; codes are 0..{limit}",
            codes[row]
        )),
        None => Ok(()),
    }
}

fn check_numbers(numbers: &[f32], expected: usize) -> Result<(), String> {
    same_length("values", numbers.len(), "expected", expected)?;
    match numbers.iter().position(|x| x.is_infinite()) {
        Some(row) => Err(format!("the value at row {row} is infinite")),
        None => Ok(()),
    }
}

fn check_scale(mean: f64, deviation: f64) -> Result<(), String> {
    if mean.is_finite() && deviation.is_finite() && deviation > 0.0 {
        return Ok(());
    }
    Err(format!(
        "mean {mean} and deviation {deviation}; expected finite numbers, deviation above 0"
    ))
}

fn same_length(what: &str, found: usize, of: &str, expected: usize) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    Err(format!("{what}: {found} items, but {of}: {expected}"))
}
