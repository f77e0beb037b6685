//! Means that do not depend on the order of the samples.

/// The mean of at least one value, summed in order of size, so that the order of the samples does not
/// matter to the last bit.
pub(crate) fn mean(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.iter().sum::<f64>() / values.len() as f64
}
