//! The best value of one metric in a history.

use supermoe_trainer::HistoryRecord;
use supermoe_trainer::choice::Goal;

/// The best value, and its epoch; of equal ones the first.
///
/// # Errors
/// In words: no such metric, with those there are; a value that is no finite number.
pub fn best(history: &[HistoryRecord], metric: &str, goal: Goal) -> Result<(f64, u64), String> {
    let mut best: Option<(f64, u64)> = None;
    for record in history.iter().filter(|record| record.name == metric) {
        if !record.value.is_finite() {
            return Err(format!(
                "`{metric}` is {} in epoch {}",
                record.value, record.epoch
            ));
        }
        if best.is_none_or(|(value, _)| is_better(record.value, value, goal)) {
            best = Some((record.value, record.epoch));
        }
    }
    best.ok_or_else(|| {
        let mut known: Vec<&str> = history.iter().map(|record| record.name.as_str()).collect();
        known.retain(|name| name.starts_with("valid/"));
        known.sort_unstable();
        known.dedup();
        format!(
            "its history has no metric `{metric}`; of the validation split it has {}",
            if known.is_empty() {
                "none".to_owned()
            } else {
                known.join(", ")
            }
        )
    })
}

/// Whether `value` is better than `other`.
pub fn is_better(value: f64, other: f64, goal: Goal) -> bool {
    match goal {
        Goal::Highest => value > other,
        Goal::Lowest => value < other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(epoch: u64, name: &str, value: f64) -> HistoryRecord {
        HistoryRecord {
            step: epoch * 10,
            epoch,
            name: name.into(),
            value,
        }
    }

    #[test]
    fn the_best_epoch_counts_and_of_equal_ones_the_first() {
        let history = [0.5, 0.75, 0.75, 0.25];
        let history: Vec<_> = (1..)
            .zip(history)
            .map(|(epoch, value)| record(epoch, "valid/mean_auc", value))
            .collect();
        assert_eq!(
            best(&history, "valid/mean_auc", Goal::Highest),
            Ok((0.75, 2))
        );
        assert_eq!(
            best(&history, "valid/mean_auc", Goal::Lowest),
            Ok((0.25, 4))
        );
    }

    #[test]
    fn a_history_without_the_metric_tells_what_it_has() {
        let history = [record(1, "train/loss", 1.0), record(1, "valid/loss", 1.0)];
        assert_eq!(
            best(&history, "valid/los", Goal::Lowest).unwrap_err(),
            "its history has no metric `valid/los`; of the validation split it has valid/loss"
        );
        assert!(
            best(&[], "valid/loss", Goal::Lowest)
                .unwrap_err()
                .ends_with("it has none")
        );
        let broken = [record(3, "valid/loss", f64::NAN)];
        assert_eq!(
            best(&broken, "valid/loss", Goal::Lowest).unwrap_err(),
            "`valid/loss` is NaN in epoch 3"
        );
    }
}
