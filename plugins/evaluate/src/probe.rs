//! What frozen embeddings are good for: a linear probe per task, fitted on the training split and
//! used on the test split.

use std::collections::{BTreeMap, HashMap};

use supermoe_channels::{Dataset, SampleId, Split, Task, TaskKind};

use crate::cell::{Cell, Column, Sample, Source, TaskPredictions};
use crate::comparable::date;
use crate::embeddings::Embeddings;
use crate::error::EvaluateError;
use crate::linear_probe::{LinearProbe, Loss};

/// Fits a probe for each of the dataset's tasks that `wanted` says yes to, and predicts the test split.
/// Also gives warnings in words.
///
/// # Errors
/// Embeddings that are not those of this dataset's training and test samples, no task, or a task without
/// a training label.
pub fn probe(
    embeddings: &Embeddings,
    dataset: &Dataset,
    wanted: impl Fn(&str) -> bool,
    l2: f64,
) -> Result<(Cell, Vec<String>), EvaluateError> {
    let refuse = |problem: String| EvaluateError::Embeddings {
        cell: embeddings.name(),
        problem,
    };
    let splits = Splits::find(embeddings, dataset).map_err(refuse)?;
    let mut cell = Cell {
        source: Source::Embeddings,
        matrix: embeddings.matrix.clone(),
        tasks: BTreeMap::new(),
    };
    let mut warnings = Vec::new();
    let tasks = dataset.schema().tasks.iter().enumerate();
    for (index, task) in tasks.filter(|(_, task)| wanted(&task.name)) {
        let (predictions, warning) = splits
            .probe(dataset, index, task, l2)
            .map_err(|problem| refuse(format!("task `{}`: {problem}", task.name)))?;
        warnings.extend(warning.map(|words| format!("{}: {words}", embeddings.name())));
        cell.tasks.insert(task.name.clone(), predictions);
    }
    if cell.tasks.is_empty() {
        return Err(refuse("the dataset has none of the tasks".to_owned()));
    }
    Ok((cell, warnings))
}

/// Training and test samples with their embeddings in the units of the probe: mean 0 and deviation 1
/// over the training samples.
struct Splits {
    width: usize,
    train: Vec<SampleId>,
    /// Row-major [train, width].
    train_features: Vec<f64>,
    /// In the order of cells: by entity, then by snapshot.
    test: Vec<(Sample, SampleId)>,
    test_features: Vec<f64>,
}

impl Splits {
    fn find(embeddings: &Embeddings, dataset: &Dataset) -> Result<Splits, String> {
        let rows = rows_by_sample(embeddings)?;
        let train = find(dataset, Split::Train, &rows)?;
        let mut test: Vec<(Sample, SampleId, usize)> = find(dataset, Split::Test, &rows)?
            .into_iter()
            .map(|(id, row)| {
                let sample = (dataset.entity(id).into(), dataset.snapshot_ms(id));
                (sample, id, row)
            })
            .collect();
        test.sort_by(|a, b| a.0.cmp(&b.0));
        let scale = Scale::of(embeddings, &train);
        let features = |rows: &mut dyn Iterator<Item = usize>| -> Vec<f64> {
            rows.flat_map(|row| scale.apply(embeddings.table.row(row)))
                .collect()
        };
        Ok(Splits {
            width: embeddings.table.width,
            train_features: features(&mut train.iter().map(|(_, row)| *row)),
            test_features: features(&mut test.iter().map(|(_, _, row)| *row)),
            train: train.into_iter().map(|(id, _)| id).collect(),
            test: test
                .into_iter()
                .map(|(sample, id, _)| (sample, id))
                .collect(),
        })
    }

    /// The test predictions, and a warning.
    fn probe(
        &self,
        dataset: &Dataset,
        index: usize,
        task: &Task,
        l2: f64,
    ) -> Result<(TaskPredictions, Option<String>), String> {
        let (mut features, mut targets) = (Vec::new(), Vec::new());
        let rows = self.train_features.chunks_exact(self.width);
        for (&id, row) in self.train.iter().zip(rows) {
            let label = dataset.label(id, index);
            if !label.is_nan() {
                features.extend_from_slice(row);
                targets.push((f64::from(label) - task.mean) / task.deviation);
            }
        }
        let Some(first) = targets.first() else {
            return Err("no training sample has a label".to_owned());
        };
        let constant = targets.iter().all(|target| target == first);
        let loss = match task.kind {
            TaskKind::Binary => Loss::Logistic,
            TaskKind::Regression => Loss::Squares,
            TaskKind::Multiclass => Loss::Softmax {
                classes: task.classes.len(),
            },
        };
        let fitted = LinearProbe::fit(&features, &targets, self.width, loss, l2);
        let warning = if constant {
            Some("all training labels are equal: there is nothing for a probe to learn")
        } else if !fitted.converged {
            Some("the probe has not come to its minimum; raise `probe_l2`")
        } else {
            None
        };
        let warning = warning.map(|words| format!("task `{}`: {words}", task.name));
        Ok((self.predict(dataset, index, task, &fitted), warning))
    }

    fn predict(
        &self,
        dataset: &Dataset,
        index: usize,
        task: &Task,
        fitted: &LinearProbe,
    ) -> TaskPredictions {
        let labels: Vec<Option<f32>> = self
            .test
            .iter()
            .map(|(_, id)| Some(dataset.label(*id, index)).filter(|label| !label.is_nan()))
            .collect();
        let outputs: Vec<Vec<f64>> = self
            .test_features
            .chunks_exact(self.width)
            .map(|row| fitted.predict(row))
            .collect();
        let column = |output: usize, class: Option<&String>| Column {
            class: class.cloned(),
            labels: labels
                .iter()
                .map(|label| match class {
                    None => *label,
                    // A multiclass label is the index of its class.
                    Some(_) => label.map(|label| f32::from(label as usize == output)),
                })
                .collect(),
            scores: outputs
                .iter()
                .map(|outputs| outputs[output] * task.deviation + task.mean)
                .collect(),
        };
        let mut columns: Vec<Column> = match task.kind {
            TaskKind::Binary | TaskKind::Regression => vec![column(0, None)],
            TaskKind::Multiclass => task
                .classes
                .iter()
                .enumerate()
                .map(|(output, class)| column(output, Some(class)))
                .collect(),
        };
        columns.sort_by(|a, b| a.class.cmp(&b.class));
        TaskPredictions {
            kind: task.kind,
            samples: self.test.iter().map(|(sample, _)| sample.clone()).collect(),
            columns,
        }
    }
}

/// Where each sample's embedding stands.
fn rows_by_sample(embeddings: &Embeddings) -> Result<HashMap<(&str, i64), usize>, String> {
    let mut rows = HashMap::with_capacity(embeddings.table.samples.len());
    for (row, (entity, snapshot)) in embeddings.table.samples.iter().enumerate() {
        if rows.insert((&**entity, *snapshot), row).is_some() {
            let day = date(*snapshot);
            return Err(format!("entity {entity} stands twice at {day}"));
        }
    }
    Ok(rows)
}

/// All samples of a split, with their rows.
fn find(
    dataset: &Dataset,
    split: Split,
    rows: &HashMap<(&str, i64), usize>,
) -> Result<Vec<(SampleId, usize)>, String> {
    let samples = dataset.split(split);
    if samples.is_empty() {
        return Err(format!(
            "the dataset has no {split} samples; a probe is fitted on train and measured on test"
        ));
    }
    let row_of = |id: SampleId| rows.get(&(dataset.entity(id), dataset.snapshot_ms(id)));
    let mut missing = samples.iter().filter(|id| row_of(**id).is_none());
    if let Some(&first) = missing.next() {
        return Err(format!(
            "there is no embedding of {} of the dataset's {} {split} samples, for example entity {} at {}; take \
             both from one `export` of this dataset with train and test in its `splits`",
            missing.count() + 1,
            samples.len(),
            dataset.entity(first),
            date(dataset.snapshot_ms(first))
        ));
    }
    let found = samples.iter();
    Ok(found.filter_map(|&id| Some((id, *row_of(id)?))).collect())
}

/// Mean and deviation of each of the embedding's numbers over the training samples.
struct Scale(Vec<(f64, f64)>);

impl Scale {
    fn of(embeddings: &Embeddings, train: &[(SampleId, usize)]) -> Scale {
        let count = train.len() as f64;
        let sum_by_number = |of: &dyn Fn(usize, f64) -> f64| -> Vec<f64> {
            let mut sums = vec![0.0; embeddings.table.width];
            for (_, row) in train {
                let row = embeddings.table.row(*row).iter().enumerate();
                row.for_each(|(i, x)| sums[i] += of(i, f64::from(*x)));
            }
            sums.into_iter().map(|sum| sum / count).collect()
        };
        let means = sum_by_number(&|_, x| x);
        let variances = sum_by_number(&|i, x| (x - means[i]).powi(2));
        // A number that never changes says nothing: it becomes 0.
        let deviations = variances.into_iter().map(|variance| match variance.sqrt() {
            deviation if deviation > 0.0 => deviation,
            _ => 1.0,
        });
        Scale(means.into_iter().zip(deviations).collect())
    }

    fn apply(&self, embedding: &[f32]) -> impl Iterator<Item = f64> {
        let scaled = embedding.iter().zip(&self.0);
        scaled.map(|(x, (mean, deviation))| (f64::from(*x) - mean) / deviation)
    }
}
