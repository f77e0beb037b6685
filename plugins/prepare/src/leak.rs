//! Looks for inputs that tell a label by themselves: a column that was filled in after the fact.

use supermoe_channels::{Per, Split, TaskKind, UNKNOWN_CODE};
use supermoe_metrics::auc;

use crate::samples::SampleChunk;
use crate::values::BucketValues;

/// Most training samples that are looked at: every n-th of more.
const LOOKED_AT: usize = 10_000;
/// Fewer samples of a class than this prove nothing.
const LEAST_OF_A_CLASS: usize = 20;
/// Channels of more codes could tell training labels apart by chance.
const MOST_CODES: u32 = 64;
/// What no honest input reaches.
const SUSPICIOUS_AUC: f64 = 0.999;

/// The inputs and labels of some training samples.
#[derive(Debug, Clone)]
pub struct LookedAt {
    /// By channel and then total: the newest step's values.
    pub channels: Vec<Input>,
    /// By aggregate.
    pub aggregates: Vec<Vec<f32>>,
    /// By task; of a multiclass task the index of the class.
    pub labels: Vec<Vec<f32>>,
    stride: usize,
    seen: usize,
}

/// One value per sample.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    Numbers(Vec<f32>),
    Codes(Vec<u32>),
    /// The same for all entities, so it tells nothing of one.
    OfSnapshot,
}

impl LookedAt {
    /// `training_samples`: how many the bucket has. `buckets`: how many there are.
    pub fn new(
        values: &BucketValues<'_>,
        aggregates: usize,
        tasks: usize,
        training_samples: usize,
        buckets: usize,
    ) -> Self {
        let share = (LOOKED_AT / buckets.max(1)).max(64);
        let channels = values.channels.iter().map(|channel| match channel.per {
            Per::Snapshot => Input::OfSnapshot,
            _ if channel.coding == crate::channel::Coding::Number => Input::Numbers(Vec::new()),
            _ => Input::Codes(Vec::new()),
        });
        let totals = values
            .steps
            .channel_totals()
            .iter()
            .map(|_| Input::Numbers(Vec::new()));
        Self {
            channels: channels.chain(totals).collect(),
            aggregates: vec![Vec::new(); aggregates],
            labels: vec![Vec::new(); tasks],
            stride: training_samples.div_ceil(share).max(1),
            seen: 0,
        }
    }

    pub fn add(&mut self, values: &BucketValues<'_>, chunk: &SampleChunk<'_>) {
        for (i, window) in chunk.windows.iter().enumerate() {
            if window.split != Split::Train {
                continue;
            }
            self.seen += 1;
            if !(self.seen - 1).is_multiple_of(self.stride) {
                continue;
            }
            for (channel, input) in self.channels.iter_mut().enumerate() {
                match input {
                    Input::Numbers(numbers) => {
                        let mut newest = f64::NAN;
                        values.for_each_number(channel, chunk, i, |x| newest = x);
                        numbers.push(newest as f32);
                    }
                    Input::Codes(codes) => {
                        let code = values.newest_code(channel, chunk, i);
                        codes.push(code.unwrap_or(UNKNOWN_CODE));
                    }
                    Input::OfSnapshot => {}
                }
            }
            for (all, of_chunk) in self.aggregates.iter_mut().zip(&chunk.aggregates) {
                all.push(of_chunk[i]);
            }
            for (all, of_chunk) in self.labels.iter_mut().zip(&chunk.labels.values) {
                all.push(of_chunk[i]);
            }
        }
    }

    /// Appends those of another bucket.
    pub fn append(&mut self, other: LookedAt) {
        for (all, more) in self.channels.iter_mut().zip(other.channels) {
            match (all, more) {
                (Input::Numbers(all), Input::Numbers(more)) => all.extend(more),
                (Input::Codes(all), Input::Codes(more)) => all.extend(more),
                _ => {}
            }
        }
        for (all, more) in self.aggregates.iter_mut().zip(other.aggregates) {
            all.extend(more);
        }
        for (all, more) in self.labels.iter_mut().zip(other.labels) {
            all.extend(more);
        }
    }
}

/// A warning for each input that orders (or, for codes, sorts) the training labels of a task almost
/// without fault: the newest step's channels, and the aggregates. `names`: of the channels and totals,
/// of the aggregates. `codes`: by channel, the number of its codes.
pub fn leaks(
    looked_at: &LookedAt,
    names: (&[&str], &[&str]),
    codes: &[u32],
    tasks: &[(&str, TaskKind)],
) -> Vec<String> {
    let mut warnings = Vec::new();
    for (&(task, kind), labels) in tasks.iter().zip(&looked_at.labels) {
        let questions = questions(kind, labels);
        let channels = names.0.iter().zip(&looked_at.channels).zip(codes);
        let channels = channels.filter_map(|((name, input), codes)| match input {
            Input::Numbers(numbers) => Some((*name, scores(numbers))),
            Input::Codes(values) if *codes <= MOST_CODES => Some((*name, Scores::Codes(values))),
            Input::Codes(_) | Input::OfSnapshot => None,
        });
        let aggregates = names.1.iter().zip(&looked_at.aggregates);
        let aggregates = aggregates.map(|(name, numbers)| (*name, scores(numbers)));
        for (input, scores) in channels.chain(aggregates) {
            let mut separations = questions.iter().map(|labels| scores.separation(labels));
            let least = separations.try_fold(f64::INFINITY, |least, auc| Some(least.min(auc?)));
            if let Some(auc) = least.filter(|auc| (SUSPICIOUS_AUC..=1.0).contains(auc)) {
                warnings.push(format!(
                    "`{input}` alone tells the label of task `{task}` (AUC {auc:.4} on training samples): does it \
                     know what happens after the snapshot?"
                ));
            }
        }
    }
    warnings
}

/// Yes or no, by sample; none where there is no label.
type Question = Vec<Option<bool>>;

/// What an input that knows the label could answer: its class, or whether it is above the middle.
fn questions(kind: TaskKind, labels: &[f32]) -> Vec<Question> {
    let ask = |yes: &dyn Fn(f32) -> bool| -> Question {
        let labels = labels.iter();
        labels
            .map(|&label| (!label.is_nan()).then(|| yes(label)))
            .collect()
    };
    match kind {
        TaskKind::Binary => vec![ask(&|label| label == 1.0)],
        TaskKind::Regression => {
            let mut known: Vec<f32> = labels
                .iter()
                .copied()
                .filter(|label| !label.is_nan())
                .collect();
            known.sort_unstable_by(f32::total_cmp);
            match known.get(known.len() / 2) {
                Some(&middle) => vec![ask(&|label| label >= middle)],
                None => Vec::new(),
            }
        }
        TaskKind::Multiclass => {
            let mut counts = std::collections::BTreeMap::new();
            for label in labels.iter().filter(|label| !label.is_nan()) {
                // Indices of classes.
                *counts.entry(*label as u32).or_insert(0) += 1;
            }
            let all: usize = counts.values().sum();
            let common = counts.into_iter();
            let common = common
                .filter(|(_, count)| *count >= LEAST_OF_A_CLASS && all - count >= LEAST_OF_A_CLASS);
            common
                .map(|(class, _)| ask(&|label| label == class as f32))
                .collect()
        }
    }
}

enum Scores<'a> {
    Numbers(&'a [f32]),
    Codes(&'a [u32]),
}

fn scores(numbers: &[f32]) -> Scores<'_> {
    Scores::Numbers(numbers)
}

impl Scores<'_> {
    /// The AUC of the values, either way round; of a code, that of its share of positives. A number
    /// that is missing counts as smallest.
    fn separation(&self, question: &Question) -> Option<f64> {
        let known: Vec<(usize, bool)> = question
            .iter()
            .enumerate()
            .filter_map(|(i, label)| Some((i, (*label)?)))
            .collect();
        let positives = known.iter().filter(|(_, label)| *label).count();
        if positives < LEAST_OF_A_CLASS || known.len() - positives < LEAST_OF_A_CLASS {
            return None;
        }
        let labels: Vec<bool> = known.iter().map(|(_, label)| *label).collect();
        let scores: Vec<f64> = match self {
            Scores::Numbers(numbers) => {
                let numbers = known.iter().map(|&(i, _)| f64::from(numbers[i]));
                numbers
                    .map(|x| if x.is_nan() { f64::NEG_INFINITY } else { x })
                    .collect()
            }
            Scores::Codes(codes) => {
                let mut of_code = [(0.0, 0.0); MOST_CODES as usize + 1];
                for &(i, label) in &known {
                    let (count, hits) = &mut of_code[codes[i] as usize];
                    *count += 1.0;
                    *hits += f64::from(u8::from(label));
                }
                let shares = known.iter().map(|&(i, _)| of_code[codes[i] as usize]);
                shares.map(|(count, hits)| hits / count).collect()
            }
        };
        let auc = auc(&scores, &labels).ok()?;
        Some(auc.max(1.0 - auc))
    }
}
