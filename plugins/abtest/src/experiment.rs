//! The buckets of an experiment compared with its control, metric by metric.

use supermoe_metrics::{self as metrics, Arm, cuped_coefficient, holm};

use crate::error::AbtestError;
use crate::params::{Correction, MetricParams, Params, Terms};
use crate::report::{
    Bucket, Estimate, Experiment, Lift, LiftNumbers, Metric, MetricKind, SampleRatio,
};
use crate::users::{User, Users};

/// # Errors
/// No users, no control or nothing but it, a bucket of one user, shares of other buckets than there are.
pub fn analyse(users: &Users, params: &Params) -> Result<Experiment, AbtestError> {
    let order = buckets(users, params)?;
    let members: Vec<Vec<&User>> = order
        .iter()
        .map(|&bucket| {
            let of_bucket = users.users.values().filter(|user| user.bucket == bucket);
            of_bucket.collect()
        })
        .collect();
    let names: Vec<&str> = order
        .iter()
        .map(|&bucket| users.buckets[bucket].as_str())
        .collect();
    if let Some(place) = members.iter().position(|members| members.len() < 2) {
        return Err(AbtestError::Experiment(format!(
            "bucket `{}` has one user; a variance needs at least two in each bucket",
            names[place]
        )));
    }
    let planned = planned_shares(&names, params)?;
    let log = Log {
        names: &names,
        members: &members,
        sums: params.sums(),
        pre: params.pre_columns(),
    };
    let of_metrics = params.metrics.iter();
    let of_metrics = of_metrics.map(|(name, metric)| log.metric(name, metric, params));
    let all = users.users.len() as f64;
    let described = names.iter().zip(&members).zip(&planned);
    Ok(Experiment {
        control: params.control.clone(),
        confidence: params.confidence,
        correction: params.correction,
        rows: users.rows,
        users: users.users.len() as u64,
        buckets: described
            .map(|((name, members), planned)| Bucket {
                name: (*name).to_owned(),
                users: members.len() as u64,
                share: members.len() as f64 / all,
                planned_share: *planned,
            })
            .collect(),
        sample_ratio: sample_ratio(&members, &planned, params)?,
        metrics: of_metrics.collect::<Result<_, _>>()?,
    })
}

/// Indices of the buckets, the control first.
fn buckets(users: &Users, params: &Params) -> Result<Vec<usize>, AbtestError> {
    let list = || {
        let names: Vec<String> = users
            .buckets
            .iter()
            .map(|name| format!("`{name}`"))
            .collect();
        names.join(", ")
    };
    if users.users.is_empty() {
        return Err(AbtestError::Experiment(
            "the log has no rows; expected at least two users in each bucket".to_owned(),
        ));
    }
    let control = users
        .buckets
        .iter()
        .position(|name| *name == params.control);
    let Some(control) = control else {
        let problem = format!(
            "no user is in bucket `{}`; the buckets are {}",
            params.control,
            list()
        );
        return Err(AbtestError::param("control", problem));
    };
    if users.buckets.len() < 2 {
        return Err(AbtestError::Experiment(format!(
            "the log has one bucket, {}; expected the control and at least one other",
            list()
        )));
    }
    let others = (0..users.buckets.len()).filter(|&bucket| bucket != control);
    Ok(std::iter::once(control).chain(others).collect())
}

/// By bucket; they sum to 1.
fn planned_shares(names: &[&str], params: &Params) -> Result<Vec<f64>, AbtestError> {
    if params.shares.is_empty() {
        return Ok(vec![1.0 / names.len() as f64; names.len()]);
    }
    let known = names.join("`, `");
    if let Some(unknown) = params
        .shares
        .keys()
        .find(|name| !names.contains(&name.as_str()))
    {
        let problem = format!("no user is in this bucket; the buckets are `{known}`");
        return Err(AbtestError::param(format!("shares.{unknown}"), problem));
    }
    let shares: Option<Vec<f64>> = names
        .iter()
        .map(|name| params.shares.get(*name).copied())
        .collect();
    let shares = shares.ok_or_else(|| {
        AbtestError::param("shares", format!("expected a share for each of `{known}`"))
    })?;
    let sum: f64 = shares.iter().sum();
    Ok(shares.into_iter().map(|share| share / sum).collect())
}

fn sample_ratio(
    members: &[Vec<&User>],
    planned: &[f64],
    params: &Params,
) -> Result<SampleRatio, AbtestError> {
    let users: Vec<u64> = members.iter().map(|members| members.len() as u64).collect();
    let found = metrics::SampleRatio::of(&users, planned).ok_or_else(|| {
        AbtestError::param("shares", "they are too far apart to be shares of one whole")
    })?;
    Ok(SampleRatio {
        statistic: found.statistic,
        degrees_of_freedom: found.degrees_of_freedom,
        p_value: found.p_value,
        alpha: params.sample_ratio_alpha,
        is_as_planned: found.p_value >= params.sample_ratio_alpha,
    })
}

/// Users by bucket, and what their numbers are called.
struct Log<'a> {
    names: &'a [&'a str],
    members: &'a [Vec<&'a User>],
    sums: Vec<&'a str>,
    pre: Vec<&'a str>,
}

impl Log<'_> {
    fn metric(
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
