//! How well scores tell the labels of a task.

use supermoe_channels::{Task, TaskKind};

/// The metrics of one task on some samples.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Measured {
    /// By the last part of their name: `auc`, `<class>/auc`, `rmse`. Those that the labels do not allow
    /// are left out.
    pub metrics: Vec<(String, f64)>,
    /// What early stopping looks at, 0.5 by chance and 1 at best: the AUC, the mean AUC of the classes
    /// against the rest, the concordance of a regression task. `None` where there are not two labels to
    /// tell apart.
    pub quality: Option<f64>,
}

/// `scores` are row-major [samples, outputs of the task]; a NaN label is none.
pub fn measure(task: &Task, scores: &[f64], labels: &[f32]) -> Measured {
    let mut measured = Measured::default();
    match task.kind {
        TaskKind::Binary => {
            let (scores, labels) = labelled(scores, labels, |label| label > 0.5);
            measured.quality = supermoe_metrics::auc(&scores, &labels).ok();
            measured.add("auc", measured.quality);
            measured.add("logloss", supermoe_metrics::log_loss(&scores, &labels).ok());
        }
        TaskKind::Multiclass => measure_classes(task, scores, labels, &mut measured),
        TaskKind::Regression => {
            let (scores, labels) = labelled(scores, labels, f64::from);
            measured.quality = supermoe_metrics::concordance(&scores, &labels).ok();
            measured.add("mae", supermoe_metrics::mae(&scores, &labels).ok());
            measured.add("rmse", supermoe_metrics::rmse(&scores, &labels).ok());
            measured.add("r2", supermoe_metrics::r2(&scores, &labels).ok());
            measured.add("concordance", measured.quality);
        }
    }
    measured
}

/// Each class against the rest, and their mean.
fn measure_classes(task: &Task, scores: &[f64], labels: &[f32], measured: &mut Measured) {
    let classes = task.classes.len();
    let mut aucs = Vec::new();
    for (class, name) in task.classes.iter().enumerate() {
        let of_class: Vec<f64> = scores
            .iter()
            .skip(class)
            .step_by(classes)
            .copied()
            .collect();
        let (of_class, labels) = labelled(&of_class, labels, |label| label == class as f32);
        let auc = supermoe_metrics::auc(&of_class, &labels).ok();
        measured.add(&format!("{name}/auc"), auc);
        aucs.extend(auc);
    }
    if !aucs.is_empty() {
        measured.quality = Some(aucs.iter().sum::<f64>() / aucs.len() as f64);
    }
    measured.add("auc", measured.quality);
    let rows = scores.chunks_exact(classes.max(1)).zip(labels);
    let of_true: Vec<f64> = rows
        .filter(|(_, label)| !label.is_nan())
        .filter_map(|(row, &label)| row.get(label as usize).copied())
        .collect();
    let log_loss = supermoe_metrics::log_loss_of_true_class(&of_true).ok();
    measured.add("logloss", log_loss);
}

impl Measured {
    fn add(&mut self, name: &str, value: Option<f64>) {
        self.metrics
            .extend(value.map(|value| (name.to_owned(), value)));
    }
}

fn labelled<L>(scores: &[f64], labels: &[f32], of: impl Fn(f32) -> L) -> (Vec<f64>, Vec<L>) {
    let pairs = scores.iter().zip(labels);
    let pairs = pairs.filter(|(_, label)| !label.is_nan());
    pairs.map(|(&score, &label)| (score, of(label))).unzip()
}

/// The mean quality of the tasks that have one; `None` where none has.
pub fn mean_quality(measured: &[Measured]) -> Option<f64> {
    let known: Vec<f64> = measured.iter().filter_map(|task| task.quality).collect();
    (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(kind: TaskKind, classes: &[&str]) -> Task {
        Task {
            name: "t".into(),
            kind,
            classes: classes.iter().map(|class| class.to_string()).collect(),
            mean: 0.0,
            deviation: 1.0,
            within_seconds: 1,
        }
    }

    fn metric(measured: &Measured, name: &str) -> Option<f64> {
        let metrics = measured.metrics.iter();
        let mut found = metrics.filter(|(of, _)| of == name);
        found.next().map(|(_, value)| *value)
    }

    #[test]
    fn tasks_are_measured_on_their_own_samples() {
        let binary = task(TaskKind::Binary, &[]);
        let first = measure(&binary, &[0.9, 0.2, 0.6], &[1.0, 0.0, f32::NAN]);
        assert_eq!(first.quality, Some(1.0));
        let second = measure(&binary, &[0.1, 0.8], &[1.0, 1.0]);
        assert_eq!(second.quality, None, "one class only");
        assert!(metric(&second, "logloss").is_some());
        let none = measure(&binary, &[0.1], &[f32::NAN]);
        assert_eq!(none, Measured::default());
        assert_eq!(mean_quality(&[first, second, none]), Some(1.0));
        assert_eq!(mean_quality(&[]), None);
    }

    #[test]
    fn classes_are_measured_against_the_rest() {
        let multiclass = task(TaskKind::Multiclass, &["a", "b", "never"]);
        let scores = [0.7, 0.2, 0.1, 0.3, 0.6, 0.1, 0.6, 0.3, 0.1, 0.0, 0.0, 1.0];
        let measured = measure(&multiclass, &scores, &[0.0, 1.0, 0.0, f32::NAN]);
        assert_eq!(metric(&measured, "a/auc"), Some(1.0));
        assert_eq!(metric(&measured, "b/auc"), Some(1.0));
        assert_eq!(metric(&measured, "never/auc"), None);
        assert_eq!(metric(&measured, "auc"), Some(1.0));
        let expected = -(0.7f64.ln() + 0.6f64.ln() + 0.6f64.ln()) / 3.0;
        let found = metric(&measured, "logloss").unwrap();
        assert!((found - expected).abs() < 1e-12);
    }

    #[test]
    fn numbers_are_measured_by_error_and_order() {
        let regression = task(TaskKind::Regression, &[]);
        let labels = [1.0, 2.0, 4.0, f32::NAN];
        let measured = measure(&regression, &[2.0, 3.0, 5.0, 9.0], &labels);
        assert_eq!(measured.quality, Some(1.0));
        assert_eq!(metric(&measured, "mae"), Some(1.0));
        assert_eq!(metric(&measured, "rmse"), Some(1.0));
        assert!(metric(&measured, "r2").unwrap() < 1.0);
    }
}
