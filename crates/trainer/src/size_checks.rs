//! Checks of sizes and weights that the params of models share; what does not fit is told in words.

/// An error unless each of these counts is at least 1.
pub fn positive(counts: &[(&str, usize)]) -> Result<(), String> {
    match counts.iter().find(|(_, count)| *count == 0) {
        None => Ok(()),
        Some((name, _)) => Err(format!("`{name}` must be at least 1")),
    }
}

/// An error unless the heads of attention divide the width.
pub fn heads_divide(heads: usize, d_model: usize) -> Result<(), String> {
    if heads > 0 && d_model.is_multiple_of(heads) {
        return Ok(());
    }
    Err(format!(
        "`heads` must divide `d_model`, and {heads} does not divide {d_model}"
    ))
}

/// An error unless each of these weights is a number of at least 0.
pub fn weights(weights: &[(&str, f64)]) -> Result<(), String> {
    let wrong = |(_, weight): &&(&str, f64)| !weight.is_finite() || *weight < 0.0;
    match weights.iter().find(wrong) {
        None => Ok(()),
        Some((name, weight)) => Err(format!("`{name}` must be at least 0, found {weight}")),
    }
}
