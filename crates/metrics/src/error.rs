//! Why a metric has no value.

use std::fmt;

#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum MetricError {
    #[error("{scores} scores but {labels} labels")]
    Lengths { scores: usize, labels: usize },
    #[error("there are no samples")]
    NoSamples,
    #[error("score {index} is NaN")]
    NotANumber { index: usize },
    #[error("score {index} is {score}; expected a probability from 0 to 1")]
    NotAProbability { index: usize, score: f64 },
    #[error("all {samples} labels are {label}; two classes are needed")]
    OneClass { samples: usize, label: Label },
    #[error("of {samples} labels {positives} are 1; a variance needs at least two of each class")]
    FewOfAClass { samples: usize, positives: usize },
    #[error("the confidence level asked for is {0}; expected more than 0 and less than 1")]
    Confidence(f64),
    #[error("the precision asked for is {0}; expected more than 0 and at most 1")]
    Precision(f64),
    #[error("score {index} is {score}; expected a number of at most 1e150 in size")]
    ScoreTooLarge { index: usize, score: f64 },
    #[error("label {index} is {label}; expected a number of at most 1e150 in size")]
    LabelTooLarge { index: usize, label: f64 },
    #[error("all {samples} labels are {label}; two values are needed")]
    ConstantLabels { samples: usize, label: f64 },
    #[error("a curve of {0} points was asked for; expected at least 2")]
    CurvePoints(usize),
}

/// A label, written 0 or 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Label(pub bool);

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", u8::from(self.0))
    }
}

/// What predicted numbers and their labels may be in size, so that sums of squares stay finite.
pub const LARGEST_NUMBER: f64 = 1e150;

/// As many scores as labels, at least one, all finite and not larger than 1e150.
pub(crate) fn check_numbers(scores: &[f64], labels: &[f64]) -> Result<(), MetricError> {
    check(scores, labels)?;
    let too_large = |value: &f64| value.is_nan() || value.abs() > LARGEST_NUMBER;
    if let Some(index) = scores.iter().position(too_large) {
        let score = scores[index];
        return Err(MetricError::ScoreTooLarge { index, score });
    }
    match labels.iter().position(too_large) {
        Some(index) => Err(MetricError::LabelTooLarge {
            index,
            label: labels[index],
        }),
        None => Ok(()),
    }
}

/// As many scores as labels, at least one, no score NaN.
pub(crate) fn check<L>(scores: &[f64], labels: &[L]) -> Result<(), MetricError> {
    if scores.len() != labels.len() {
        return Err(MetricError::Lengths {
            scores: scores.len(),
            labels: labels.len(),
        });
    }
    if scores.is_empty() {
        return Err(MetricError::NoSamples);
    }
    match scores.iter().position(|score| score.is_nan()) {
        Some(index) => Err(MetricError::NotANumber { index }),
        None => Ok(()),
    }
}

/// As `check`, and every score within 0 to 1.
pub(crate) fn check_probabilities(scores: &[f64], labels: &[bool]) -> Result<(), MetricError> {
    check(scores, labels)?;
    match scores.iter().position(|score| !(0.0..=1.0).contains(score)) {
        Some(index) => Err(MetricError::NotAProbability {
            index,
            score: scores[index],
        }),
        None => Ok(()),
    }
}
