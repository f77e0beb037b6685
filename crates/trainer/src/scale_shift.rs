//! How far the scale of a number has moved between two datasets.

use crate::error::TrainError;

/// Of the encoder's deviation: how far the mean may have moved.
const MOST_SHIFT: f64 = 0.5;
/// How many times larger or smaller the deviation may have become.
const MOST_RATIO: f64 = 2.0;

/// A warning where the scale [(mean, deviation) of the encoder, of the dataset] has moved a little: values
/// then enter the encoder slightly otherwise than those it learned from, which training puts right.
///
/// # Errors
/// It has moved so far that the weights mean something else.
pub fn scale_shift(what: &str, scales: [(f64, f64); 2]) -> Result<Option<String>, TrainError> {
    let [(mean, deviation), (mean_here, deviation_here)] = scales;
    if scales[0] == scales[1] {
        return Ok(None);
    }
    let (shift, ratio) = (
        (mean_here - mean).abs() / deviation,
        deviation_here / deviation,
    );
    let both = format!(
        "the {what} is scaled otherwise in the dataset: mean {mean_here:.4}, it was {mean:.4}; deviation \
         {deviation_here:.4}, it was {deviation:.4}"
    );
    if shift > MOST_SHIFT || !(1.0 / MOST_RATIO..=MOST_RATIO).contains(&ratio) {
        return Err(TrainError::Encoder(format!(
            "{both}; that is too far for its weights: prepare the dataset with that of the encoder as its input `fitted`"
        )));
    }
    Ok(Some(format!("encoder: {both}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_shift_is_told_and_a_large_one_refused() {
        let moved =
            |mean: f64, deviation: f64| scale_shift("channel `x`", [(1.0, 2.0), (mean, deviation)]);
        assert_eq!(moved(1.0, 2.0).unwrap(), None);
        assert_eq!(
            moved(1.5, 2.5).unwrap().unwrap(),
            "encoder: the channel `x` is scaled otherwise in the dataset: mean 1.5000, it was 1.0000; deviation 2.5000, \
             it was 2.0000"
        );
        for (mean, deviation) in [(2.5, 2.0), (-0.5, 2.0), (1.0, 5.0), (1.0, 0.9)] {
            let error = moved(mean, deviation).unwrap_err().to_string();
            assert!(
                error.contains("prepare the dataset with that of the encoder"),
                "{error}"
            );
        }
    }
}
