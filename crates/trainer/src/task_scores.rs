//! How well scores tell the labels of each task.

/// AUC and log-loss of one task; `None` where the labels do not allow it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct TaskScore {
    /// `None` where all labelled samples have one label, or none is labelled.
    pub auc: Option<f64>,
    /// `None` where none is labelled.
    pub log_loss: Option<f64>,
}

/// By task. `scores` and `labels` are row-major [samples, tasks]; scores are probabilities, a NaN
/// label is none.
pub fn task_scores(scores: &[f64], labels: &[f32], tasks: usize) -> Vec<TaskScore> {
    (0..tasks)
        .map(|task| {
            let pairs = scores
                .iter()
                .zip(labels)
                .skip(task)
                .step_by(tasks)
                .filter(|(_, label)| !label.is_nan());
            let (scores, labels): (Vec<f64>, Vec<bool>) =
                pairs.map(|(&score, &label)| (score, label > 0.5)).unzip();
            TaskScore {
                auc: supermoe_metrics::auc(&scores, &labels).ok(),
                log_loss: supermoe_metrics::log_loss(&scores, &labels).ok(),
            }
        })
        .collect()
}

/// The mean AUC over the tasks that have one; `None` where none has.
pub fn mean_auc(scores: &[TaskScore]) -> Option<f64> {
    let known: Vec<f64> = scores.iter().filter_map(|score| score.auc).collect();
    (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_are_measured_on_their_own_samples() {
        let scores = [0.9, 0.1, 0.2, 0.8, 0.6, 0.5];
        let labels = [1.0, f32::NAN, 0.0, 1.0, f32::NAN, 1.0];
        let measured = task_scores(&scores, &labels, 2);
        assert_eq!(measured[0].auc, Some(1.0));
        assert_eq!(measured[1].auc, None, "one class only");
        assert!(measured[1].log_loss.is_some());
        assert_eq!(mean_auc(&measured), Some(1.0));
        assert_eq!(mean_auc(&[]), None);
    }
}
