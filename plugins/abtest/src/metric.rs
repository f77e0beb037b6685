//! One metric of an experiment: its value in each bucket, and each bucket against the control.

use supermoe_metrics::{self as metrics, Arm, cuped_coefficient, holm};

use crate::error::AbtestError;
use crate::params::{Correction, MetricParams, Params, Terms};
use crate::report::{Estimate, Lift, LiftNumbers, Metric, MetricKind};
use crate::users::User;

/// Users by bucket, and what their numbers are called.
pub struct Log<'a> {
    pub names: &'a [&'a str],
    pub members: &'a [Vec<&'a User>],
    pub sums: Vec<&'a str>,
    pub pre: Vec<&'a str>,
}

impl Log<'_> {
    /// # Errors
    /// A metric that is neither a mean nor a ratio; values too large to add up; a confidence level outside (0, 1).
    pub fn metric(
        &self,
        name: &str,
        metric: &MetricParams,
        params: &Params,
    ) -> Result<Metric, AbtestError> {
        let Some(terms) = metric.terms() else {
            let problem = "expected either `mean` or `ratio`";
            return Err(AbtestError::param(format!("metrics.{name}"), problem));
        };
        let arms: Vec<Option<Arm>> = self
            .members
            .iter()
            .map(|users| arm(&terms, |column| self.sum(users, column)))
            .collect();
        let of_buckets = self.names.iter().zip(&arms);
        if let Some((bucket, _)) = of_buckets
            .into_iter()
            .find(|(_, arm)| overflows(arm.as_ref()))
        {
            let problem = format!(
                "the values of bucket `{bucket}` are too large: their mean or variance is no finite number; look for wrong rows"
            );
            return Err(AbtestError::param(format!("metrics.{name}"), problem));
        }
        let mut found = Metric {
            name: name.to_owned(),
            kind: match terms.denominator {
                None => MetricKind::Mean,
                Some(_) => MetricKind::Ratio,
            },
            is_adjusted: false,
            users_without_pre: None,
            estimates: arms.iter().map(|arm| arm.as_ref().map(estimate)).collect(),
            lifts: Vec::new(),
            notes: self.notes(&arms, &terms),
        };
        let pre = metric.pre_terms().map(|terms| self.pre_arms(&terms));
        found.users_without_pre = pre.as_ref().map(|pre| pre.missing);
        let adjusted = pre.and_then(|pre| adjusted(&arms, &pre));
        if metric.pre_terms().is_some() && adjusted.is_none() {
            let words = "the numbers from before the experiment do not vary: the lifts are not adjusted by them";
            found.notes.push(words.to_owned());
        }
        if adjusted
            .as_deref()
            .is_some_and(|adjusted| none_is_left(&arms, adjusted))
        {
            let words = "the numbers from before the experiment tell those of the metric in full, so that the adjusted lifts have \
                         no variance: is `pre` the metric itself?";
            found.notes.push(words.to_owned());
        }
        found.is_adjusted = adjusted.is_some();
        found.lifts = self.lifts(&arms, adjusted.as_deref(), params)?;
        Ok(found)
    }

    fn lifts(
        &self,
        arms: &[Option<Arm>],
        adjusted: Option<&[Option<Arm>]>,
        params: &Params,
    ) -> Result<Vec<Lift>, AbtestError> {
        let plain = lifts_of(arms, params)?;
        let Some(adjusted) = adjusted else {
            let of_buckets = self.names.iter().zip(plain).skip(1);
            let lifts = of_buckets.filter_map(|(bucket, found)| {
                Some(Lift {
                    bucket: (*bucket).to_owned(),
                    found: found?,
                    variance_reduction: None,
                    unadjusted: None,
                })
            });
            return Ok(lifts.collect());
        };
        let variance = |arms: &[Option<Arm>], place: usize| {
            let [control, treatment] = [&arms[0], &arms[place]].map(Option::as_ref);
            Some(control?.variance() + treatment?.variance())
        };
        let of_buckets = lifts_of(adjusted, params)?
            .into_iter()
            .zip(plain)
            .enumerate();
        let lifts = of_buckets.filter_map(|(place, (found, unadjusted))| {
            let before = variance(arms, place)?;
            Some(Lift {
                bucket: self.names[place].to_owned(),
                found: found?,
                variance_reduction: (before > 0.0)
                    .then(|| Some(1.0 - variance(adjusted, place)? / before))
                    .flatten(),
                unadjusted,
            })
        });
        Ok(lifts.collect())
    }

    fn sum(&self, users: &[&User], column: &str) -> Vec<f64> {
        let place = self.sums.iter().position(|name| *name == column);
        // A metric's columns are among the log's.
        let value = |user: &&User| place.map_or(f64::NAN, |place| user.sums[place]);
        users.iter().map(value).collect()
    }

    /// The covariate of each bucket. Who has none is average: the mean of those who have one, or, of a
    /// ratio, nothing in numerator and denominator.
    fn pre_arms(&self, terms: &Terms<'_>) -> PreArms {
        let places: Vec<usize> = terms
            .columns()
            .filter_map(|column| self.pre.iter().position(|name| *name == column))
            .collect();
        let has_none = |user: &User| places.iter().any(|&place| user.pre[place].is_nan());
        let all = || self.members.iter().flatten();
        let known = all().filter(|user| !has_none(user)).count();
        let fill = match terms.denominator {
            Some(_) => 0.0,
            None => {
                let known_users = all().filter(|user| !has_none(user));
                let sum: f64 = known_users.map(|user| user.pre[places[0]]).sum();
                sum / (known.max(1)) as f64
            }
        };
        let value = |users: &[&User], column: &str| -> Vec<f64> {
            let place = self.pre.iter().position(|name| *name == column);
            let of_user = |user: &&User| match place {
                Some(place) if !has_none(user) => user.pre[place],
                _ => fill,
            };
            users.iter().map(of_user).collect()
        };
        let everyone: Vec<&User> = all().copied().collect();
        PreArms {
            arms: self
                .members
                .iter()
                .map(|users| arm(terms, |column| value(users, column)))
                .collect(),
            everyone: arm(terms, |column| value(&everyone, column)),
            missing: (everyone.len() - known) as u64,
        }
    }

    /// What is not defined, in words.
    fn notes(&self, arms: &[Option<Arm>], terms: &Terms<'_>) -> Vec<String> {
        let of_buckets = self.names.iter().zip(arms);
        let notes = of_buckets.filter_map(|(bucket, arm)| match (arm, terms.denominator) {
            (None, Some(denominator)) => Some(format!(
                "`{denominator}` of bucket `{bucket}` sums to 0: its ratio is not defined"
            )),
            (Some(arm), _) if arm.variance() == 0.0 => Some(format!(
                "all users of bucket `{bucket}` have the same value, {}: it has no variance",
                arm.estimate()
            )),
            (Some(arm), _) if arm.estimate() == 0.0 && *bucket == self.names[0] => {
                Some("the control's value is 0: differences have no lift in percent".to_owned())
            }
            _ => None,
        });
        notes.collect()
    }
}

struct PreArms {
    arms: Vec<Option<Arm>>,
    /// Over all buckets.
    everyone: Option<Arm>,
    /// Users without a number.
    missing: u64,
}

fn arm(terms: &Terms<'_>, values: impl Fn(&str) -> Vec<f64>) -> Option<Arm> {
    let numerators = values(terms.numerator);
    match terms.denominator {
        None => Arm::mean(&numerators),
        Some(denominator) => Arm::ratio(&numerators, &values(denominator)),
    }
}

fn estimate(arm: &Arm) -> Estimate {
    Estimate {
        value: arm.estimate(),
        standard_error: arm.variance().sqrt(),
    }
}

fn overflows(arm: Option<&Arm>) -> bool {
    arm.is_some_and(|arm| !arm.estimate().is_finite() || !arm.variance().is_finite())
}

/// Whether the adjustment leaves of what varied only what rounding leaves.
fn none_is_left(arms: &[Option<Arm>], adjusted: &[Option<Arm>]) -> bool {
    let variance = |arms: &[Option<Arm>]| -> f64 { arms.iter().flatten().map(Arm::variance).sum() };
    let before = variance(arms);
    before > 0.0 && variance(adjusted) <= 1e-24 * before
}

/// None where the pre-period does not vary, or some bucket has no covariate.
fn adjusted(arms: &[Option<Arm>], pre: &PreArms) -> Option<Vec<Option<Arm>>> {
    let pairs = arms.iter().zip(&pre.arms);
    let both = pairs.filter_map(|(arm, covariate)| arm.as_ref().zip(covariate.as_ref()));
    let coefficient = cuped_coefficient(both)?;
    let everyone = pre.everyone.as_ref()?.estimate();
    let adjusted = arms
        .iter()
        .zip(&pre.arms)
        .map(|(arm, covariate)| match arm {
            None => Some(None),
            Some(arm) => Some(Some(arm.adjusted(
                covariate.as_ref()?,
                coefficient,
                everyone,
            ))),
        });
    adjusted.collect()
}

/// Of each bucket against the first, with corrected p-values; none of the first itself.
fn lifts_of(
    arms: &[Option<Arm>],
    params: &Params,
) -> Result<Vec<Option<LiftNumbers>>, AbtestError> {
    let control = arms[0].as_ref();
    let mut lifts = vec![None];
    for arm in &arms[1..] {
        let pair = control.zip(arm.as_ref());
        let lift = pair.map(|(control, arm)| metrics::Lift::of(arm, control, params.confidence));
        let lift = lift
            .transpose()
            .map_err(|error| AbtestError::param("confidence", error.to_string()))?;
        lifts.push(lift.map(LiftNumbers::from));
    }
    let p_values: Vec<f64> = lifts
        .iter()
        .flatten()
        .filter_map(|lift| lift.p_value)
        .collect();
    let corrected = corrected(&p_values, params.correction);
    let with_p = lifts
        .iter_mut()
        .flatten()
        .filter(|lift| lift.p_value.is_some());
    for (lift, p) in with_p.zip(corrected) {
        lift.p_adjusted = Some(p);
    }
    Ok(lifts)
}

fn corrected(p_values: &[f64], correction: Correction) -> Vec<f64> {
    match correction {
        Correction::Holm => holm(p_values),
        Correction::Bonferroni => {
            let count = p_values.len() as f64;
            p_values.iter().map(|p| (p * count).min(1.0)).collect()
        }
        Correction::None => p_values.to_vec(),
    }
}
