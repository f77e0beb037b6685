//! Weights of K tasks that are above 0 and sum to K.

/// K softmax(a).
pub fn scaled_softmax(a: &[f64]) -> Vec<f64> {
    let largest = a.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = a.iter().map(|a| (a - largest).exp()).collect();
    let scale = a.len() as f64 / powers.iter().sum::<f64>();
    powers.into_iter().map(|power| power * scale).collect()
}

/// The gradient to a of what has this gradient to lambda = K softmax(a):
/// d/da_j = lambda_j (h_j - sum_k lambda_k h_k / K).
pub fn to_logits(lambda: &[f64], of_lambda: &[f64]) -> Vec<f64> {
    let pairs = || lambda.iter().zip(of_lambda);
    let mean = pairs().map(|(lambda, h)| lambda * h).sum::<f64>() / lambda.len() as f64;
    pairs().map(|(lambda, h)| lambda * (h - mean)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, stream, unit};

    #[test]
    fn weights_sum_to_their_number() {
        assert_eq!(scaled_softmax(&[0.0; 4]), [1.0; 4]);
        assert_eq!(scaled_softmax(&[700.0]), [1.0]);
        let lambda = scaled_softmax(&[0.0, 2f64.ln()]);
        assert!((lambda[0] - 2.0 / 3.0).abs() < 1e-15 && (lambda[1] - 4.0 / 3.0).abs() < 1e-15);
        let mut random = stream(1, Purpose::Order, 0, 0);
        for tasks in 1..40 {
            let a: Vec<f64> = (0..tasks)
                .map(|_| 2000.0 * f64::from(unit(&mut random)) - 1000.0)
                .collect();
            let lambda = scaled_softmax(&a);
            assert!((lambda.iter().sum::<f64>() - tasks as f64).abs() < 1e-9);
            assert!(lambda.iter().all(|lambda| *lambda >= 0.0));
        }
    }

    #[test]
    fn the_gradient_is_that_of_differences() {
        let (a, h) = ([0.3, -0.7, 1.1], [2.0, -1.0, 0.5]);
        let value = |a: &[f64]| -> f64 {
            let lambda = scaled_softmax(a);
            lambda.iter().zip(&h).map(|(lambda, h)| lambda * h).sum()
        };
        let gradient = to_logits(&scaled_softmax(&a), &h);
        for (j, found) in gradient.into_iter().enumerate() {
            let moved = |by: f64| {
                let mut a = a;
                a[j] += by;
                value(&a)
            };
            let expected = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            assert!((found - expected).abs() < 1e-8, "{found} {expected}");
        }
    }
}
