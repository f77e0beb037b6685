//! The values of evaluations, each with its place on every axis.

use std::sync::Arc;

use indexmap::{IndexMap, IndexSet};

use supermoe_store::{Digest, StageKey};

use crate::comparison::evaluated_run::{EvaluatedRun, EvaluatedStage, SourcedEvaluation};
use crate::comparison::level::{
    CLASS, EVALUATION, INPUT, Level, METRIC, OWN_AXES, RUN, SOURCE, STAGE, TASK,
};
use crate::comparison::test_set::TestSet;
use crate::content::{EvaluatedCell, Metrics};

/// Shorter beginnings of run ids are not shown.
const SHORTEST_RUN: usize = 10;

/// One metric of one task of one evaluated cell.
#[derive(Debug, Clone)]
pub(crate) struct Observation {
    place: Arc<IndexMap<Arc<str>, Level>>,
    task: Level,
    class: Level,
    metric: Level,
    pub value: f64,
    pub origin: Origin,
    pub test_set: Arc<TestSet>,
}

/// The result that was measured: it may stand in several runs, and in several cells of a matrix, and is
/// one all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    Stage(StageKey),
    /// Where the journal does not tell the stage: the cell of an evaluation.
    Cell {
        evaluation: Digest,
        index: usize,
    },
}

impl Origin {
    fn of(stage: Option<&EvaluatedStage>, evaluation: Digest, index: usize) -> Origin {
        match stage.and_then(|stage| stage.key) {
            Some(key) => Origin::Stage(key),
            None => Origin::Cell { evaluation, index },
        }
    }
}

impl Observation {
    pub(crate) fn level(&self, axis: &str) -> Level {
        match axis {
            TASK => self.task.clone(),
            CLASS => self.class.clone(),
            METRIC => self.metric.clone(),
            other => self.place.get(other).cloned().unwrap_or(Level::Absent),
        }
    }

    pub(crate) fn levels(&self, axes: &[Arc<str>]) -> Vec<Level> {
        axes.iter().map(|axis| self.level(axis)).collect()
    }
}

/// All that some runs evaluated.
#[derive(Debug, Clone)]
pub struct Observations {
    pub(crate) values: Vec<Observation>,
    /// Of the workflows' matrices, in the order of appearance.
    pub(crate) matrix_axes: IndexSet<Arc<str>>,
}

impl Observations {
    /// In the order of the runs and of their evaluations.
    pub fn of(runs: &[EvaluatedRun]) -> Observations {
        let mut all = Observations {
            values: Vec::new(),
            matrix_axes: IndexSet::new(),
        };
        let evaluations = || runs.iter().flat_map(|run| &run.evaluations);
        let task_axis = match evaluations().all(repeats_its_tasks) {
            true => TaskAxis::Repeats,
            false => TaskAxis::Other,
        };
        for run in runs {
            let run_name = run_name(run, runs);
            for evaluation in &run.evaluations {
                all.take_in(run, &run_name, evaluation, task_axis);
            }
        }
        all
    }

    fn take_in(
        &mut self,
        run: &EvaluatedRun,
        run_name: &str,
        evaluation: &SourcedEvaluation,
        task_axis: TaskAxis,
    ) {
        let found = &evaluation.found;
        let mut test_sets: IndexMap<String, Arc<TestSet>> = IndexMap::new();
        for (index, cell) in found.content.cells.iter().enumerate() {
            let stage = evaluation.stages.get(index).and_then(Option::as_ref);
            let origin = Origin::of(stage, found.digest, index);
            let own = [
                (STAGE, stage.map(|stage| Level::named(&stage.name))),
                (SOURCE, Some(Level::named(cell.source_name()))),
                (
                    INPUT,
                    cell.input.map(|place| Level::named(&place.to_string())),
                ),
                (EVALUATION, Some(Level::named(&found.cell))),
                (RUN, Some(Level::named(run_name))),
            ];
            let mut place = matrix_levels(cell, evaluation, task_axis);
            self.matrix_axes.extend(place.keys().cloned());
            place.extend(
                own.into_iter()
                    .filter_map(|(axis, level)| Some((axis.into(), level?))),
            );
            let place = Arc::new(place);
            let mut add = |task: &str, class: Level, metrics: &Metrics<f64>| {
                let test_set = test_sets
                    .entry(task.to_owned())
                    .or_insert_with(|| Arc::new(TestSet::of(run.run, found, task)));
                for (metric, value) in metrics {
                    let Some(value) = value.filter(|value| value.is_finite()) else {
                        continue;
                    };
                    self.values.push(Observation {
                        place: Arc::clone(&place),
                        task: Level::named(task),
                        class: class.clone(),
                        metric: Level::named(metric),
                        value,
                        origin,
                        test_set: Arc::clone(test_set),
                    });
                }
            };
            for (task, metrics) in &cell.tasks {
                add(task, Level::Absent, metrics);
            }
            for (task, classes) in &cell.classes {
                for (class, metrics) in classes {
                    add(task, Level::named(class), metrics);
                }
            }
        }
    }

    /// Every axis that can be asked for.
    pub(crate) fn axes(&self) -> impl Iterator<Item = &str> {
        let matrix = self.matrix_axes.iter().map(|axis| &**axis);
        matrix.chain(OWN_AXES)
    }
}

/// A matrix may have an axis that is called `task` too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TaskAxis {
    /// It says which task a model was trained for, and that alone was evaluated.
    Repeats,
    Other,
}

fn repeats_its_tasks(evaluation: &SourcedEvaluation) -> bool {
    let found = &evaluation.found;
    found.content.cells.iter().all(|cell| {
        let level = cell.matrix.get(TASK).or_else(|| found.matrix.get(TASK));
        let level = level.map(Level::of_value);
        level.is_none_or(|level| cell.tasks.keys().all(|task| level == Level::named(task)))
    })
}

/// The cell's own matrix values, and those in which it does not say otherwise than its evaluation.
fn matrix_levels(
    cell: &EvaluatedCell,
    evaluation: &SourcedEvaluation,
    task_axis: TaskAxis,
) -> IndexMap<Arc<str>, Level> {
    let of_evaluation = evaluation.found.matrix.iter();
    let others = of_evaluation.filter(|(axis, _)| !cell.matrix.contains_key(*axis));
    let all = cell.matrix.iter().chain(others);
    all.filter(|(axis, _)| !(*axis == TASK && task_axis == TaskAxis::Repeats))
        .map(|(axis, value)| {
            let axis = match OWN_AXES.contains(&axis.as_str()) {
                true => format!("matrix.{axis}").into(),
                false => axis.as_str().into(),
            };
            (axis, Level::of_value(value))
        })
        .collect()
}

/// As much of the run's id as tells it from the others.
fn run_name(run: &EvaluatedRun, runs: &[EvaluatedRun]) -> String {
    let id = run.run.to_string();
    let others = || runs.iter().filter(|other| other.run != run.run);
    let lengths = SHORTEST_RUN..id.len();
    let length = lengths
        .into_iter()
        .find(|length| others().all(|other| !other.run.to_string().starts_with(&id[..*length])));
    id[..length.unwrap_or(id.len())].to_owned()
}
