//! Looks for inputs that tell a label by themselves: a column that was filled in after the fact.

use supermoe_channels::{Dataset, DenseSource, Per, SampleId, Split};
use supermoe_metrics::auc;

/// Most training samples that are looked at: every n-th of more.
const LOOKED_AT: usize = 10_000;
/// Fewer samples of a class than this prove nothing.
const LEAST_OF_A_CLASS: usize = 20;
/// Channels of more codes could tell training labels apart by chance.
const MOST_CODES: u32 = 64;
/// What no honest input reaches.
const SUSPICIOUS_AUC: f64 = 0.999;

/// One number per sample for each input, by its name.
type Inputs = Vec<(String, Vec<Value>)>;

#[derive(Clone, Copy)]
enum Value {
    Number(f32),
    Code(u32),
}

/// A warning for each input that orders (or, for codes, sorts) the training labels of a task almost
/// without fault: the newest step's channels, and the aggregates.
pub fn leaks(dataset: &Dataset) -> Vec<String> {
    let train = dataset.split(Split::Train);
    let stride = train.len().div_ceil(LOOKED_AT).max(1);
    let looked_at: Vec<SampleId> = train.into_iter().step_by(stride).collect();
    let inputs = inputs(dataset, &looked_at);
    let mut warnings = Vec::new();
    for (i, task) in dataset.schema().tasks.iter().enumerate() {
        let labels: Vec<f32> = looked_at
            .iter()
            .map(|&sample| dataset.label(sample, i))
            .collect();
        for (input, values) in &inputs {
            if let Some(auc) = separation(values, &labels).filter(|auc| *auc >= SUSPICIOUS_AUC) {
                warnings.push(format!(
                    "`{input}` alone tells the label of task `{}` (AUC {auc:.4} on training samples): does it know \
                     what happens after the snapshot?",
                    task.name
                ));
            }
        }
    }
    warnings
}

fn inputs(dataset: &Dataset, samples: &[SampleId]) -> Inputs {
    let schema = dataset.schema();
    // A channel of the snapshot is the same for all entities.
    let looks_at_events = |channel: usize| schema.channels[channel].per != Per::Snapshot;
    let coded: Vec<(usize, usize)> = schema.code_channels().into_iter().enumerate().collect();
    let coded = coded
        .into_iter()
        .filter(|&(_, i)| looks_at_events(i) && schema.channels[i].vocabulary <= MOST_CODES);
    let coded: Vec<(usize, usize)> = coded.collect();
    let columns = schema.dense_columns();
    let dense = columns
        .iter()
        .enumerate()
        .filter(|(_, column)| match column.source {
            DenseSource::Channel(i) => looks_at_events(i),
            DenseSource::Aggregate(_) => true,
        });
    let dense: Vec<_> = dense.collect();
    let names = coded.iter().map(|&(_, i)| schema.channels[i].name.clone());
    let names = names.chain(dense.iter().map(|(_, column)| column.name.clone()));
    let mut inputs: Inputs = names
        .map(|name| (name, Vec::with_capacity(samples.len())))
        .collect();
    for samples in samples.chunks(256) {
        let batch = dataset.pack(samples);
        for i in 0..batch.len() {
            let snapshot_step = batch.sequence(i).end - 1;
            let newest = snapshot_step - 1;
            let codes = coded
                .iter()
                .map(|&(place, _)| Value::Code(batch.codes[place][newest]));
            let numbers = dense.iter().map(|(k, column)| {
                let token = match column.source {
                    DenseSource::Channel(_) => newest,
                    DenseSource::Aggregate(_) => snapshot_step,
                };
                Value::Number(batch.dense[token * batch.dense_width + k])
            });
            for ((_, values), value) in inputs.iter_mut().zip(codes.chain(numbers)) {
                values.push(value);
            }
        }
    }
    inputs
}

/// The AUC of the values, either way round; of a code, that of its share of positives.
fn separation(values: &[Value], labels: &[f32]) -> Option<f64> {
    let labelled = values
        .iter()
        .zip(labels)
        .filter(|(_, label)| !label.is_nan());
    let (values, labels): (Vec<Value>, Vec<bool>) = labelled
        .map(|(&value, &label)| (value, label == 1.0))
        .unzip();
    let positives = labels.iter().filter(|&&label| label).count();
    if positives < LEAST_OF_A_CLASS || labels.len() - positives < LEAST_OF_A_CLASS {
        return None;
    }
    let mut of_code = [(0.0, 0.0); MOST_CODES as usize];
    for (value, &label) in values.iter().zip(&labels) {
        if let Value::Code(code) = value {
            let (count, hits) = &mut of_code[*code as usize];
            *count += 1.0;
            *hits += f64::from(u8::from(label));
        }
    }
    let scores: Vec<f64> = values
        .iter()
        .map(|value| match value {
            Value::Number(x) => f64::from(*x),
            Value::Code(code) => of_code[*code as usize].1 / of_code[*code as usize].0,
        })
        .collect();
    let auc = auc(&scores, &labels).ok()?;
    Some(auc.max(1.0 - auc))
}
