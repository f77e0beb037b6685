//! Metrics as reports call them, and which of their values is the best.

use crate::time_text::metric_text;

/// How a metric is called in a head, and which end of it is the better one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MetricName<'a> {
    pub title: &'a str,
    pub better: Better,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Better {
    Higher,
    Lower,
    /// Nothing is said of it.
    Unknown,
}

pub(crate) fn metric_name(metric: &str) -> MetricName<'_> {
    let (title, better) = match metric {
        "auc" => ("AUC", Better::Higher),
        "logloss" => ("Log-loss", Better::Lower),
        "calibration_error" => ("Calibration error", Better::Lower),
        "recall_at_p85" => ("Recall at precision 0.85", Better::Higher),
        "recall_at_p50" => ("Recall at precision 0.50", Better::Higher),
        "mae" => ("Mean absolute error", Better::Lower),
        "rmse" => ("Root mean squared error", Better::Lower),
        "r2" => ("R²", Better::Higher),
        "concordance" => ("Concordance", Better::Higher),
        "accuracy" => ("Accuracy", Better::Higher),
        other => (other, Better::Unknown),
    };
    MetricName { title, better }
}

/// Whether a metric is in the unit of its task's label, so that it has no mean over tasks.
pub(crate) fn has_unit_of_label(metric: &str) -> bool {
    matches!(metric, "mae" | "rmse")
}

impl Better {
    /// In words, for a caption.
    pub(crate) fn note(self) -> &'static str {
        match self {
            Better::Higher => "higher is better",
            Better::Lower => "lower is better",
            Better::Unknown => "",
        }
    }

    /// Places of the best values; none where all are alike, or one stands alone.
    pub(crate) fn best(self, values: &[Option<f64>]) -> Vec<bool> {
        let known = || {
            let known = values.iter().flatten().copied();
            known.filter(|value| !value.is_nan())
        };
        let (low, high) = (known().reduce(f64::min), known().reduce(f64::max));
        let best = match self {
            Better::Higher => high,
            Better::Lower => low,
            Better::Unknown => None,
        };
        let best = best.filter(|_| low != high);
        values
            .iter()
            .map(|value| best.is_some() && *value == best)
            .collect()
    }
}

/// `0.7133 ± 0.0042`
pub(crate) fn summary_text(mean: f64, deviation: Option<f64>) -> String {
    match deviation {
        Some(deviation) if has_four_decimals(mean) && deviation < 1000.0 => {
            format!("{mean:.4} ± {deviation:.4}")
        }
        Some(deviation) => format!("{} ± {}", metric_text(mean), metric_text(deviation)),
        None => metric_text(mean),
    }
}

fn has_four_decimals(mean: f64) -> bool {
    mean == 0.0 || (0.001..1000.0).contains(&mean.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_stands_with_its_deviation() {
        assert_eq!(summary_text(0.71334, Some(0.0042)), "0.7133 ± 0.0042");
        assert_eq!(summary_text(0.71334, Some(0.00042)), "0.7133 ± 0.0004");
        assert_eq!(summary_text(1.0, Some(0.0)), "1.0000 ± 0.0000");
        assert_eq!(summary_text(4321.0, Some(0.5)), "4321 ± 0.5000");
        assert_eq!(summary_text(0.71334, None), "0.7133");
    }

    #[test]
    fn the_best_of_a_column() {
        let values = [Some(0.5), None, Some(0.7), Some(0.7)];
        assert_eq!(Better::Higher.best(&values), [false, false, true, true]);
        assert_eq!(Better::Lower.best(&values), [true, false, false, false]);
        assert_eq!(Better::Unknown.best(&values), [false; 4]);
        assert_eq!(Better::Higher.best(&[Some(1.0), None]), [false, false]);
        assert_eq!(Better::Higher.best(&[Some(1.0), Some(1.0)]), [false, false]);
        assert_eq!(Better::Higher.best(&[Some(f64::NAN), None]), [false, false]);
    }
}
