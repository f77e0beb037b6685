//! Each row of a report against one of them: paired differences, their intervals and p-values.

use indexmap::IndexMap;
use serde::Serialize;
use serde_json::Value;
use supermoe_metrics::{Placements, holm, percentile_p_value};
use supermoe_plugin::matrix_text::matrix_text;

use crate::cell::Source;
use crate::error::EvaluateError;
use crate::groups::Group;
use crate::score::Metric;
use crate::uncertainty::plan::{Place, Unit};
use crate::uncertainty::replicates::{are_enough, defined, interval};
use crate::uncertainty::{Interval, Method, Settings, failed};

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparisons {
    pub reference: RowName,
    /// Of the other groups, in their order.
    pub rows: Vec<ComparedRow>,
}

/// Which group a row is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RowName {
    pub source: Source,
    /// The matrix values without the seed.
    pub matrix: IndexMap<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ComparedRow {
    #[serde(flatten)]
    pub name: RowName,
    /// By task, by metric; those without a value are left out.
    pub tasks: IndexMap<String, IndexMap<Metric, Difference>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean_auc: Option<Difference>,
}

/// A row's metric minus the reference's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Difference {
    pub difference: f64,
    /// Null where the samples show no spread, or are too few.
    pub interval: Option<Interval>,
    /// Two-sided, of no difference.
    pub p_value: Option<f64>,
    /// Corrected by Holm's method for the number of rows that are compared in this metric.
    pub p_adjusted: Option<f64>,
}

impl Difference {
    /// The paired test of DeLong et al. (1988).
    pub fn delong(
        a: &Placements,
        b: &Placements,
        confidence: f64,
    ) -> Result<Difference, EvaluateError> {
        let found = a.compare(b, confidence).map_err(failed)?;
        let interval = found.interval;
        Ok(Difference {
            difference: found.difference,
            interval: interval.map(|interval| Interval::of(interval, Method::Delong)),
            p_value: found.p_value,
            p_adjusted: None,
        })
    }

    /// `replicates`: the difference on resampled entities; NaN where there is none.
    pub fn bootstrap(
        difference: f64,
        replicates: &[f64],
        confidence: f64,
    ) -> Result<Difference, EvaluateError> {
        let p_value = are_enough(replicates)
            .then(|| percentile_p_value(&defined(replicates)))
            .flatten();
        Ok(Difference {
            difference,
            interval: interval(replicates, confidence)?,
            p_value,
            p_adjusted: None,
        })
    }
}

impl RowName {
    fn of(group: &Group) -> RowName {
        RowName {
            source: group.source,
            matrix: group.matrix.clone(),
            input: group.input,
        }
    }
}

impl ComparedRow {
    pub fn new(group: &Group) -> ComparedRow {
        ComparedRow {
            name: RowName::of(group),
            tasks: IndexMap::new(),
            mean_auc: None,
        }
    }

    /// Classes one by one are not compared: of many, some differ by chance.
    pub fn insert(&mut self, unit: &Unit, difference: Difference) {
        match &unit.place {
            Place::Task(task) => {
                let of_task = self.tasks.entry(task.clone()).or_default();
                of_task.insert(unit.metric, difference);
            }
            Place::MeanOfTasks => self.mean_auc = Some(difference),
            Place::Class(..) => {}
        }
    }
}

impl Comparisons {
    /// None without rows.
    pub fn of(reference: &Group, mut rows: Vec<ComparedRow>) -> Option<Comparisons> {
        let first = rows.first()?;
        let metrics = first.tasks.iter().flat_map(|(task, metrics)| {
            let metrics = metrics.keys();
            metrics.map(move |metric| (task.clone(), *metric))
        });
        let metrics: Vec<(String, Metric)> = metrics.collect();
        for (task, metric) in metrics {
            correct(&mut rows, |row| row.tasks.get_mut(&task)?.get_mut(&metric));
        }
        correct(&mut rows, |row| row.mean_auc.as_mut());
        Some(Comparisons {
            reference: RowName::of(reference),
            rows,
        })
    }
}

/// Corrects the p-values of one metric over the rows that have one.
fn correct(rows: &mut [ComparedRow], of: impl Fn(&mut ComparedRow) -> Option<&mut Difference>) {
    let found: Vec<&mut Difference> = rows
        .iter_mut()
        .filter_map(of)
        .filter(|difference| difference.p_value.is_some())
        .collect();
    let p_values: Vec<f64> = found.iter().filter_map(|found| found.p_value).collect();
    for (difference, adjusted) in found.into_iter().zip(holm(&p_values)) {
        difference.p_adjusted = Some(adjusted);
    }
}

/// The group that others are compared with: the first that has the wanted matrix values.
pub fn reference(groups: &[Group], settings: &Settings) -> Result<usize, EvaluateError> {
    let Some(wanted) = &settings.reference else {
        return Ok(0);
    };
    let text = |axis: &str, value: &Value| {
        let pair = IndexMap::from([(axis.to_owned(), value.clone())]);
        matrix_text(&pair)
    };
    let is_wanted = |group: &Group| {
        wanted.iter().all(|(axis, value)| {
            let of_group = group.matrix.get(axis);
            of_group.is_some_and(|found| text(axis, found) == text(axis, value))
        })
    };
    // Probes of embeddings come after predictions, and may have the same matrix values.
    let found: Vec<usize> = (0..groups.len())
        .filter(|&i| is_wanted(&groups[i]))
        .collect();
    let alike = found
        .iter()
        .filter(|&&i| groups[i].source == groups[found[0]].source);
    match alike.count() {
        1 => Ok(found[0]),
        count => {
            let names = groups.iter().map(Group::name);
            let names: Vec<String> = names.filter(|name| !name.is_empty()).collect();
            let known = match names.is_empty() {
                true => "there is no matrix, so leave `reference` out".to_owned(),
                false => format!("the rows are {}", names.join("; ")),
            };
            Err(match count {
                0 => EvaluateError::NoReference {
                    wanted: matrix_text(wanted),
                    known,
                },
                count => EvaluateError::ManyReferences {
                    wanted: matrix_text(wanted),
                    count,
                    known,
                },
            })
        }
    }
}
