//! The buckets of an experiment compared with its control, metric by metric.

use supermoe_metrics as metrics;

use crate::error::AbtestError;
use crate::metric::Log;
use crate::params::Params;
use crate::report::{Bucket, Experiment, SampleRatio};
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
