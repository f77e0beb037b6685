//! Values by row, column and repetition, each once, and their means over tasks.

use std::sync::Arc;

use indexmap::{IndexMap, IndexSet};

use crate::comparison::axes::Axes;
use crate::comparison::error::ComparisonError;
use crate::comparison::level::{Level, METRIC, TASK};
use crate::comparison::observation::{Observation, Origin};
use crate::metric_name::has_unit_of_label;

/// A cell of the table, before repetitions become a mean.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Slot {
    pub row: Vec<Level>,
    pub column: Vec<Level>,
}

/// One value of a slot: its levels on the axes over which the mean is taken.
type Repetition = Vec<Level>;

/// Two values for one place.
#[derive(Debug)]
pub(crate) struct Conflict<'a> {
    pub first: &'a Observation,
    pub second: &'a Observation,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Place {
    slot: Slot,
    repetition: Repetition,
    metric: Level,
}

/// Values by place and task.
#[derive(Debug, Default)]
pub(crate) struct Grid {
    values: IndexMap<Place, IndexMap<Level, Measured>>,
}

/// A value, and the results that it was measured on: one, or one a task of a mean.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Measured {
    pub value: f64,
    pub origins: Vec<Origin>,
}

/// Of a slot: what it was measured by, and its values by repetition.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Filled {
    pub metric: Level,
    pub values: IndexMap<Repetition, Measured>,
}

impl Grid {
    /// # Errors
    /// Two different values for one place. The same value twice is one: an evaluation may repeat what
    /// another measured.
    pub(crate) fn lay<'a>(chosen: &[&'a Observation], axes: &Axes) -> Result<Grid, Conflict<'a>> {
        let mut held: IndexMap<(Place, Level), &Observation> = IndexMap::new();
        let mut grid = Grid::default();
        for value in chosen.iter().copied() {
            let place = Place {
                slot: Slot {
                    row: value.levels(&axes.rows),
                    column: value.levels(&axes.columns),
                },
                repetition: value.levels(&axes.over),
                metric: value.level(METRIC),
            };
            let key = (place, value.level(TASK));
            let first = *held.entry(key.clone()).or_insert(value);
            if first.value != value.value {
                return Err(Conflict {
                    first,
                    second: value,
                });
            }
            let (place, task) = key;
            grid.values.entry(place).or_default().insert(
                task,
                Measured {
                    value: value.value,
                    origins: vec![value.origin],
                },
            );
        }
        Ok(grid)
    }

    /// Where tasks have rows or columns, the mean over all of them gets one too; where they have none,
    /// it stands for them.
    ///
    /// # Errors
    /// Tasks that would have to share a cell and have no mean.
    pub(crate) fn with_means(self, axes: &Axes) -> Result<Table, ComparisonError> {
        let mut tasks: IndexMap<Level, IndexSet<Level>> = IndexMap::new();
        for (place, of_place) in &self.values {
            let of_metric = tasks.entry(place.metric.clone()).or_default();
            of_metric.extend(of_place.keys().cloned());
        }
        let mut table = Table::default();
        if !axes.place(TASK) {
            for (place, of_place) in self.values {
                let of_metric = &tasks[&place.metric];
                check_mean(&place.metric, of_metric)?;
                table.insert_mean(place, &of_place, of_metric);
            }
            return Ok(table);
        }
        let mut by_mean: IndexMap<Place, IndexMap<Level, Measured>> = IndexMap::new();
        for (place, of_place) in self.values {
            by_mean
                .entry(place.over_tasks(axes))
                .or_default()
                .extend(of_place.clone());
            for value in of_place.into_values() {
                table.insert(place.clone(), value);
            }
        }
        for (place, of_place) in by_mean {
            let of_metric = &tasks[&place.metric];
            if of_metric.len() > 1 && check_mean(&place.metric, of_metric).is_ok() {
                table.insert_mean(place, &of_place, of_metric);
            }
        }
        Ok(table)
    }
}

fn check_mean(metric: &Level, tasks: &IndexSet<Level>) -> Result<(), ComparisonError> {
    if tasks.len() > 1 && has_unit_of_label(&metric.to_string()) {
        return Err(ComparisonError::NoMean {
            metric: metric.to_string(),
            tasks: tasks.iter().map(Level::to_string).collect(),
        });
    }
    Ok(())
}

impl Place {
    fn over_tasks(&self, axes: &Axes) -> Place {
        let over_tasks = |names: &[Arc<str>], levels: &[Level]| {
            let levels = names.iter().zip(levels);
            levels
                .map(|(axis, level)| match **axis == *TASK {
                    true => Level::Mean,
                    false => level.clone(),
                })
                .collect()
        };
        Place {
            slot: Slot {
                row: over_tasks(&axes.rows, &self.slot.row),
                column: over_tasks(&axes.columns, &self.slot.column),
            },
            ..self.clone()
        }
    }
}

/// What stands in each slot.
#[derive(Debug, Default)]
pub(crate) struct Table {
    pub slots: IndexMap<Slot, Filled>,
}

impl Table {
    fn insert(&mut self, place: Place, value: Measured) {
        let metric = place.metric;
        let filled = self.slots.entry(place.slot).or_insert_with(|| Filled {
            metric,
            values: IndexMap::new(),
        });
        filled.values.insert(place.repetition, value);
    }

    /// Only where every task has its value: means of different tasks are not comparable.
    fn insert_mean(
        &mut self,
        place: Place,
        values: &IndexMap<Level, Measured>,
        tasks: &IndexSet<Level>,
    ) {
        let of_tasks: Option<Vec<&Measured>> = tasks.iter().map(|task| values.get(task)).collect();
        if let Some(of_tasks) = of_tasks {
            let sum: f64 = of_tasks.iter().map(|measured| measured.value).sum();
            let mean = Measured {
                value: sum / of_tasks.len() as f64,
                origins: of_tasks.iter().flat_map(|m| m.origins.clone()).collect(),
            };
            self.insert(place, mean);
        }
    }
}
