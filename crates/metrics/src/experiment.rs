//! Randomised experiments: the metric of an arm with its variance, the lift of one arm over another, and
//! whether users were shared out as planned. Users are independent of each other; all of a user's events
//! are in the user's numbers.
//!
//! A. Deng, U. Knoblich, J. Lu: Applying the delta method in metric analytics, KDD 2018. A. Deng, Y. Xu,
//! R. Kohavi, T. Walker: Improving the sensitivity of online controlled experiments by utilizing
//! pre-experiment data (CUPED), WSDM 2013.

use statrs::distribution::{ChiSquared, ContinuousCDF, StudentsT};

use crate::error::MetricError;
use crate::interval::{Interval, check_confidence};

/// The users of one arm in one metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Arm {
    estimate: f64,
    /// By user: how far the user's numbers move the estimate, times the number of users; their mean is 0.
    influence: Vec<f64>,
}

impl Arm {
    /// The mean over users. None of fewer than two.
    pub fn mean(values: &[f64]) -> Option<Arm> {
        let estimate = values.iter().sum::<f64>() / values.len() as f64;
        (values.len() > 1).then(|| Arm {
            estimate,
            influence: values.iter().map(|value| value - estimate).collect(),
        })
    }

    /// The sum of numerators over the sum of denominators, by the delta method: user i moves it by
    /// (n_i - R d_i) / mean(d). None of fewer than two users, or where denominators sum to 0.
    pub fn ratio(numerators: &[f64], denominators: &[f64]) -> Option<Arm> {
        let of_users = denominators.iter().sum::<f64>();
        let estimate = numerators.iter().sum::<f64>() / of_users;
        let mean = of_users / denominators.len() as f64;
        let pairs = numerators.iter().zip(denominators);
        let is_defined = denominators.len() > 1 && of_users != 0.0;
        is_defined.then(|| Arm {
            estimate,
            influence: pairs.map(|(n, d)| (n - estimate * d) / mean).collect(),
        })
    }

    pub fn estimate(&self) -> f64 {
        self.estimate
    }

    pub fn users(&self) -> usize {
        self.influence.len()
    }

    /// Of the estimate (n - 1).
    pub fn variance(&self) -> f64 {
        let count = self.users() as f64;
        product(&self.influence, &self.influence) / (count - 1.0) / count
    }

    /// The arm without what `covariate`, the same users before the experiment, foretells: estimate -
    /// coefficient * (covariate - `everyone`), where `everyone` is the covariate's value over all arms.
    ///
    /// # Panics
    /// If the covariate is of another number of users.
    pub fn adjusted(&self, covariate: &Arm, coefficient: f64, everyone: f64) -> Arm {
        assert_eq!(self.users(), covariate.users(), "the same users");
        let pairs = self.influence.iter().zip(&covariate.influence);
        Arm {
            estimate: self.estimate - coefficient * (covariate.estimate - everyone),
            influence: pairs.map(|(y, x)| y - coefficient * x).collect(),
        }
    }
}

/// The coefficient of CUPED, cov(Y, X) / var(X) within arms, pooled over them; pairs of metric and
/// covariate. None where the covariate does not vary.
pub fn cuped_coefficient<'a>(arms: impl IntoIterator<Item = (&'a Arm, &'a Arm)>) -> Option<f64> {
    let (mut covariance, mut variance) = (0.0, 0.0);
    for (metric, covariate) in arms {
        covariance += product(&metric.influence, &covariate.influence);
        variance += product(&covariate.influence, &covariate.influence);
    }
    (variance > 0.0).then(|| covariance / variance)
}

/// An arm against the control.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lift {
    /// Treatment minus control, in the metric's unit.
    pub difference: f64,
    /// None where neither arm varies; so below.
    pub difference_interval: Option<Interval>,
    /// The difference over the size of the control's estimate: 0.02 is 2 %. None where that is 0.
    pub lift: Option<f64>,
    /// By the delta method.
    pub lift_interval: Option<Interval>,
    /// Two-sided, of no difference: Welch's t-test.
    pub p_value: Option<f64>,
}

impl Lift {
    /// # Errors
    /// A confidence level outside (0, 1).
    pub fn of(treatment: &Arm, control: &Arm, confidence: f64) -> Result<Lift, MetricError> {
        check_confidence(confidence)?;
        let [of_treatment, of_control] = [treatment, control].map(Arm::variance);
        let difference = treatment.estimate - control.estimate;
        let error = (of_treatment + of_control).sqrt();
        let student = student(treatment, control);
        let critical = student.map(|student| student.inverse_cdf(0.5 + confidence / 2.0));
        let interval = |estimate: f64, standard_error: f64| {
            let half = critical? * standard_error;
            Some(Interval {
                low: estimate - half,
                high: estimate + half,
                standard_error,
            })
        };
        let base = control.estimate.abs();
        let lift = (base > 0.0).then(|| difference / base);
        let ratio = treatment.estimate / control.estimate;
        let of_lift = (of_treatment + ratio * ratio * of_control).sqrt() / base;
        Ok(Lift {
            difference,
            difference_interval: interval(difference, error),
            lift,
            lift_interval: lift.and_then(|lift| interval(lift, of_lift)),
            p_value: student.map(|student| 2.0 * student.sf((difference / error).abs())),
        })
    }
}

/// With the degrees of freedom of Welch and Satterthwaite; none where neither arm varies.
fn student(treatment: &Arm, control: &Arm) -> Option<StudentsT> {
    let both = [treatment, control].map(|arm| (arm.variance(), arm.users() as f64));
    let variance: f64 = both.iter().map(|(variance, _)| variance).sum();
    let squares: f64 = both
        .iter()
        .map(|(variance, users)| variance * variance / (users - 1.0))
        .sum();
    if squares > 0.0 {
        return StudentsT::new(0.0, 1.0, variance * variance / squares).ok();
    }
    None
}

/// Pearson's test of how users were shared out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SampleRatio {
    /// Chi-square.
    pub statistic: f64,
    pub degrees_of_freedom: u64,
    /// Of shares at least as far from the expected ones.
    pub p_value: f64,
}

impl SampleRatio {
    /// `expected` are the planned shares, in any unit. None where these are not one positive number for
    /// each of at least two counts, or there are no users.
    pub fn of(users: &[u64], expected: &[f64]) -> Option<SampleRatio> {
        let all = users.iter().sum::<u64>() as f64;
        let shares: f64 = expected.iter().sum();
        let are_shares = expected.iter().all(|share| *share > 0.0) && shares.is_finite();
        if users.len() != expected.len() || users.len() < 2 || !are_shares || all == 0.0 {
            return None;
        }
        let terms = users.iter().zip(expected).map(|(&count, share)| {
            let planned = all * share / shares;
            (count as f64 - planned).powi(2) / planned
        });
        let statistic = terms.sum();
        let degrees_of_freedom = users.len() as u64 - 1;
        let chi_squared = ChiSquared::new(degrees_of_freedom as f64).ok()?;
        Some(SampleRatio {
            statistic,
            degrees_of_freedom,
            p_value: chi_squared.sf(statistic),
        })
    }
}

fn product(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
