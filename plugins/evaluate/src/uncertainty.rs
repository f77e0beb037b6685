//! How sure a report's numbers are: a confidence interval for each, and each row against one of them.
//!
//! The AUC of a task whose entities stand once in the test set has DeLong's interval and test; all else
//! has those of a paired bootstrap over entities. Both are about other test sets of the same kind, for
//! models as they were trained: the spread over seeds is what [`deviation`](crate::groups::Summary::deviation) says.

mod comparison;
mod delong;
mod plan;
mod replicates;

use indexmap::IndexMap;
use serde::Serialize;
use serde_json::Value;
use supermoe_metrics::MetricError;

pub use comparison::{ComparedRow, Comparisons, Difference};
use delong::DelongPlacements;
use plan::Plan;
use replicates::Replicates;

use crate::cell::Cell;
use crate::error::EvaluateError;
use crate::groups::Group;

/// What intervals and tests are made with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Of the intervals: 0.95.
    pub confidence: f64,
    /// Of the bootstrap; none without.
    pub resamples: u32,
    pub seed: u64,
    /// The row that others are compared with, by some of its matrix values; the first where none is said.
    pub reference: Option<IndexMap<String, Value>>,
}

/// What the intervals and tests of a report stand on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Uncertainty {
    pub confidence: f64,
    pub resamples: u32,
    pub seed: u64,
    /// Entities of the test set, of all tasks.
    pub entities: u64,
    /// How they were made, in words.
    pub notes: Vec<String>,
    /// Numbers of which there are too few samples for an interval, in words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub too_few: Vec<String>,
}

/// Asks whether the stage is to stop.
pub type Stop<'a> = &'a dyn Fn() -> Result<(), EvaluateError>;

/// A confidence interval of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    pub low: f64,
    pub high: f64,
    pub standard_error: f64,
    pub method: Method,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Of samples that are independent of each other.
    Delong,
    /// Percentiles over resampled entities.
    Bootstrap,
}

impl Interval {
    fn of(interval: supermoe_metrics::Interval, method: Method) -> Interval {
        Interval {
            low: interval.low,
            high: interval.high,
            standard_error: interval.standard_error,
            method,
        }
    }
}

/// Whether rows are compared with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compare {
    WithReference,
    Nothing,
}

/// Puts an interval to every number of the groups that has one, and compares each group with the
/// reference. `members[i]` are the places in `cells` of group i.
///
/// # Errors
/// A score that is no probability or no number; a reference that no group is, or several are; being
/// asked to stop.
pub fn judge(
    cells: &[Cell],
    groups: &mut [Group],
    members: &[Vec<usize>],
    settings: &Settings,
    compare: Compare,
    stop: Stop<'_>,
) -> Result<(Uncertainty, Option<Comparisons>), EvaluateError> {
    let plan = Plan::of(cells);
    let reference = comparison::reference(groups, settings)?;
    let measure = |group: usize| {
        stop()?;
        let of_group: Vec<&Cell> = members[group].iter().map(|&i| &cells[i]).collect();
        Measured::of(&plan, &of_group, settings)
    };
    let of_reference = measure(reference)?;
    let mut rows = Vec::new();
    for place in 0..groups.len() {
        if place == reference {
            of_reference.add_intervals(&plan, &mut groups[place], settings)?;
            continue;
        }
        let measured = measure(place)?;
        measured.add_intervals(&plan, &mut groups[place], settings)?;
        if compare == Compare::WithReference {
            let pair = [&groups[place], &groups[reference]];
            rows.push(measured.against(&of_reference, &plan, pair, settings)?);
        }
    }
    let comparisons = Comparisons::of(&groups[reference], rows);
    let uncertainty = Uncertainty {
        confidence: settings.confidence,
        resamples: settings.resamples,
        seed: settings.seed,
        entities: plan.entities as u64,
        notes: plan.notes(settings.resamples),
        too_few: plan.too_few(settings.resamples, &of_reference.replicates),
    };
    Ok((uncertainty, comparisons))
}

/// What the metrics of a group may have been on other samples.
struct Measured {
    replicates: Replicates,
    delong: DelongPlacements,
}

impl Measured {
    fn of(plan: &Plan, cells: &[&Cell], settings: &Settings) -> Result<Measured, EvaluateError> {
        Ok(Measured {
            replicates: Replicates::of(plan, cells, settings)?,
            delong: DelongPlacements::of(plan, cells)?,
        })
    }

    fn add_intervals(
        &self,
        plan: &Plan,
        group: &mut Group,
        settings: &Settings,
    ) -> Result<(), EvaluateError> {
        for (index, unit) in plan.units.iter().enumerate() {
            let interval = match self.delong.get(index) {
                Some(placements) => {
                    let interval = placements.interval(settings.confidence).map_err(failed)?;
                    interval.map(|interval| Interval::of(interval, Method::Delong))
                }
                None => self.replicates.interval(index, settings.confidence)?,
            };
            if let Some(summary) = unit.summary_of_mut(group) {
                summary.interval = interval;
            }
        }
        Ok(())
    }

    /// A group against the reference; `pair` are the two, in this order.
    fn against(
        &self,
        reference: &Measured,
        plan: &Plan,
        pair: [&Group; 2],
        settings: &Settings,
    ) -> Result<ComparedRow, EvaluateError> {
        let mut row = ComparedRow::new(pair[0]);
        for (index, unit) in plan.units.iter().enumerate() {
            let [value, of_reference] = pair.map(|group| unit.summary_of(group));
            let Some((value, of_reference)) = value.zip(of_reference) else {
                continue;
            };
            let difference = value.mean - of_reference.mean;
            let found = match self.delong.get(index).zip(reference.delong.get(index)) {
                Some((a, b)) => Difference::delong(a, b, settings.confidence)?,
                None => Difference::bootstrap(
                    difference,
                    &self.replicates.minus(&reference.replicates, index),
                    settings.confidence,
                )?,
            };
            row.insert(unit, found);
        }
        Ok(row)
    }
}

/// What the plan leaves out has no error here, but a confidence level may.
fn failed(error: MetricError) -> EvaluateError {
    EvaluateError::Uncertainty(error)
}
