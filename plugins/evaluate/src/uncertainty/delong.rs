//! DeLong's placements of the AUCs of a group, where its formula holds.

use supermoe_metrics::{MetricError, Placements};

use crate::cell::Cell;
use crate::error::EvaluateError;
use crate::score::{Metric, labelled};
use crate::uncertainty::plan::{Plan, Source};

/// By unit of the plan: of the mean over the group's cells.
pub struct DelongPlacements(Vec<Option<Placements>>);

impl DelongPlacements {
    pub fn of(plan: &Plan, cells: &[&Cell]) -> Result<DelongPlacements, EvaluateError> {
        let by_unit = plan.units.iter().map(|unit| match &unit.source {
            Source::Column {
                task,
                column,
                independent: true,
            } if unit.metric == Metric::Auc => mean(cells, task, *column),
            _ => Ok(None),
        });
        by_unit.collect::<Result<_, _>>().map(DelongPlacements)
    }

    pub fn get(&self, unit: usize) -> Option<&Placements> {
        self.0[unit].as_ref()
    }
}

/// None where a class has one sample only.
fn mean(cells: &[&Cell], task: &str, column: usize) -> Result<Option<Placements>, EvaluateError> {
    let mut models = Vec::with_capacity(cells.len());
    for cell in cells {
        let (scores, labels) = labelled(&cell.tasks[task].columns[column]);
        let labels: Vec<bool> = labels.into_iter().map(|label| label == 1.0).collect();
        match Placements::new(&scores, &labels) {
            Ok(placements) => models.push(placements),
            Err(MetricError::FewOfAClass { .. }) => return Ok(None),
            Err(error) => {
                return Err(EvaluateError::Metric {
                    cell: cell.name(),
                    task: task.to_owned(),
                    problem: error.to_string(),
                });
            }
        }
    }
    Ok(Placements::mean(&models))
}
