//! The numbers of a group on resampled test sets.

use rayon::prelude::*;
use supermoe_metrics::{Resampled, draws, percentile_interval};

use crate::cell::Cell;
use crate::error::EvaluateError;
use crate::uncertainty::plan::{Plan, Source};
use crate::uncertainty::{Interval, Method, Settings, failed};

/// With more resamples than this share that have no value, those that have one stand for none.
const MOST_UNDEFINED: f64 = 0.05;

/// By unit of the plan, by resample: the mean over the group's cells; NaN where a resample has no value.
pub struct Replicates(Vec<Vec<f64>>);

impl Replicates {
    /// Resample i is the same for every group, so that differences of two groups are paired.
    pub fn of(
        plan: &Plan,
        cells: &[&Cell],
        settings: &Settings,
    ) -> Result<Replicates, EvaluateError> {
        let ready: Vec<Vec<Option<Resampled>>> = cells
            .iter()
            .map(|cell| plan.ready(cell))
            .collect::<Result<_, _>>()?;
        let by_replicate: Vec<Vec<f64>> = (0..u64::from(settings.resamples))
            .into_par_iter()
            .map(|replicate| {
                let draws = draws(plan.entities, settings.seed, replicate);
                let mut sums = vec![0.0; plan.units.len()];
                for cell in &ready {
                    let values = values(plan, cell, &draws);
                    sums.iter_mut().zip(values).for_each(|(sum, x)| *sum += x);
                }
                let count = ready.len() as f64;
                sums.into_iter().map(|sum| sum / count).collect()
            })
            .collect();
        let by_unit = (0..plan.units.len())
            .map(|unit| by_replicate.iter().map(|values| values[unit]).collect());
        Ok(Replicates(by_unit.collect()))
    }

    pub fn interval(
        &self,
        unit: usize,
        confidence: f64,
    ) -> Result<Option<Interval>, EvaluateError> {
        interval(&self.0[unit], confidence)
    }

    /// The differences from another group's, by resample.
    pub fn minus(&self, other: &Replicates, unit: usize) -> Vec<f64> {
        let pairs = self.0[unit].iter().zip(&other.0[unit]);
        pairs.map(|(a, b)| a - b).collect()
    }

    /// How many resamples have no value, where they are too many for an interval.
    pub fn undefined_if_too_many(&self, unit: usize) -> Option<usize> {
        let values = &self.0[unit];
        let undefined = values.len() - defined(values).len();
        (undefined > 0 && !are_enough(values)).then_some(undefined)
    }
}

/// The percentile interval of resampled values; none where too few have one.
pub fn interval(values: &[f64], confidence: f64) -> Result<Option<Interval>, EvaluateError> {
    if !are_enough(values) {
        return Ok(None);
    }
    let interval = percentile_interval(&defined(values), confidence).map_err(failed)?;
    Ok(interval.map(|interval| Interval::of(interval, Method::Bootstrap)))
}

pub fn defined(values: &[f64]) -> Vec<f64> {
    values.iter().copied().filter(|x| !x.is_nan()).collect()
}

pub fn are_enough(values: &[f64]) -> bool {
    let undefined = values.iter().filter(|x| x.is_nan()).count();
    undefined as f64 <= MOST_UNDEFINED * values.len() as f64
}

/// A cell's values by unit; means come after what they are made of.
fn values(plan: &Plan, cell: &[Option<Resampled>], draws: &[u32]) -> Vec<f64> {
    let mut values: Vec<f64> = Vec::with_capacity(plan.units.len());
    for (unit, ready) in plan.units.iter().zip(cell) {
        let value = match (&unit.source, ready) {
            (Source::MeanOf(units), _) => {
                let sum: f64 = units.iter().map(|&unit| values[unit]).sum();
                sum / units.len() as f64
            }
            (_, Some(resampled)) => resampled.value(draws).unwrap_or(f64::NAN),
            (_, None) => f64::NAN,
        };
        values.push(value);
    }
    values
}
