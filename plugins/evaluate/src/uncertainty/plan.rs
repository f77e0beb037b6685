//! Which numbers of a report get an interval, and from which samples each is made.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use supermoe_channels::TaskKind;
use supermoe_metrics::{MetricError, Resampled};

use crate::cell::{Cell, TaskPredictions};
use crate::error::EvaluateError;
use crate::groups::{Group, Summary};
use crate::score::Metric;
use crate::uncertainty::replicates::Replicates;

/// Made from the test set, which all cells share.
pub struct Plan {
    pub units: Vec<Unit>,
    /// Of the test set, of all tasks.
    pub entities: usize,
    /// By task: the index of the entity of each sample.
    entity_of: HashMap<String, Vec<u32>>,
    /// Tasks with an AUC in which no entity stands twice.
    once: Vec<String>,
    /// Tasks with an AUC in which some do.
    repeated: Vec<String>,
}

/// A number of the report.
pub struct Unit {
    pub place: Place,
    pub metric: Metric,
    pub source: Source,
}

pub enum Place {
    Task(String),
    /// A class of a multiclass task.
    Class(String, String),
    MeanOfTasks,
}

pub enum Source {
    /// Of a column of the task's predictions. `independent`: no entity stands there twice.
    Column {
        task: String,
        column: usize,
        independent: bool,
    },
    /// Log-loss of the true classes of a multiclass task.
    TrueClass { task: String },
    /// Of other units, by index.
    MeanOf(Vec<usize>),
}

impl Plan {
    pub fn of(cells: &[Cell]) -> Plan {
        let tasks = || cells.iter().take(1).flat_map(|cell| &cell.tasks);
        let names = tasks().flat_map(|(_, task)| task.samples.iter().map(|(entity, _)| entity));
        let names: BTreeSet<&Arc<str>> = names.collect();
        let index: HashMap<&Arc<str>, u32> = names.iter().copied().zip(0..).collect();
        let mut plan = Plan {
            units: Vec::new(),
            entities: names.len(),
            entity_of: HashMap::new(),
            once: Vec::new(),
            repeated: Vec::new(),
        };
        let mut of_tasks = Vec::new();
        for (name, task) in tasks() {
            let of_samples = task.samples.iter().map(|(entity, _)| index[entity]);
            plan.entity_of.insert(name.clone(), of_samples.collect());
            of_tasks.extend(plan.add_task(name, task));
        }
        if !of_tasks.is_empty() {
            plan.add(Place::MeanOfTasks, Metric::Auc, Source::MeanOf(of_tasks));
        }
        plan
    }

    fn add(&mut self, place: Place, metric: Metric, source: Source) -> usize {
        self.units.push(Unit {
            place,
            metric,
            source,
        });
        self.units.len() - 1
    }

    /// The unit of the task's AUC, where it has one.
    fn add_task(&mut self, name: &str, task: &TaskPredictions) -> Option<usize> {
        let labels = task.columns.first().map(|column| &column.labels);
        labels?.iter().flatten().next()?;
        let independent = entities_stand_once(task);
        let column = |column| Source::Column {
            task: name.to_owned(),
            column,
            independent,
        };
        let place = || Place::Task(name.to_owned());
        let auc = match task.kind {
            TaskKind::Regression => {
                for metric in [Metric::Mae, Metric::Rmse, Metric::R2] {
                    self.add(place(), metric, column(0));
                }
                return None;
            }
            TaskKind::Binary => {
                self.add(place(), Metric::Logloss, column(0));
                has_two_classes(task, 0).then(|| self.add(place(), Metric::Auc, column(0)))
            }
            TaskKind::Multiclass => {
                let true_class = Source::TrueClass {
                    task: name.to_owned(),
                };
                self.add(place(), Metric::Logloss, true_class);
                let mut of_classes = Vec::new();
                for (i, class) in task.classes().into_iter().enumerate() {
                    if has_two_classes(task, i) {
                        let place = Place::Class(name.to_owned(), class.to_owned());
                        of_classes.push(self.add(place, Metric::Auc, column(i)));
                    }
                }
                let any = !of_classes.is_empty();
                any.then(|| self.add(place(), Metric::Auc, Source::MeanOf(of_classes)))
            }
        };
        if auc.is_some() {
            let list = match independent {
                true => &mut self.once,
                false => &mut self.repeated,
            };
            list.push(name.to_owned());
        }
        auc
    }

    /// A cell's numbers, made ready for resampling; none for units that are means of others.
    pub fn ready(&self, cell: &Cell) -> Result<Vec<Option<Resampled>>, EvaluateError> {
        let ready = self.units.iter().map(|unit| {
            let (task, found) = match &unit.source {
                Source::MeanOf(_) => return Ok(None),
                Source::TrueClass { task } => (task, self.of_true_class(task, &cell.tasks[task])),
                Source::Column { task, column, .. } => {
                    let of_task = &cell.tasks[task];
                    (task, self.of_column(task, of_task, *column, unit.metric))
                }
            };
            match found {
                Ok(found) => Ok(Some(found)),
                // Nothing is resampled of a task without a labelled sample.
                Err(MetricError::NoSamples) => Ok(None),
                Err(error) => Err(EvaluateError::Metric {
                    cell: cell.name(),
                    task: task.clone(),
                    problem: error.to_string(),
                }),
            }
        });
        ready.collect()
    }

    fn of_column(
        &self,
        name: &str,
        task: &TaskPredictions,
        column: usize,
        metric: Metric,
    ) -> Result<Resampled, MetricError> {
        let column = &task.columns[column];
        let (mut scores, mut labels, mut entities) = (Vec::new(), Vec::new(), Vec::new());
        for (i, entity) in self.entity_of[name].iter().enumerate() {
            if let Some(label) = column.labels[i] {
                scores.push(column.scores[i]);
                labels.push(f64::from(label));
                entities.push(*entity);
            }
        }
        let classes = || labels.iter().map(|label| *label == 1.0).collect::<Vec<_>>();
        match metric {
            Metric::Logloss => Resampled::log_loss(&scores, &classes(), &entities),
            Metric::Mae => Resampled::mae(&scores, &labels, &entities),
            Metric::Rmse => Resampled::rmse(&scores, &labels, &entities),
            Metric::R2 => Resampled::r2(&scores, &labels, &entities),
            // No other metric is planned.
            _ => Resampled::auc(&scores, &classes(), &entities),
        }
    }

    fn of_true_class(&self, name: &str, task: &TaskPredictions) -> Result<Resampled, MetricError> {
        let entities = self.entity_of[name].iter().enumerate();
        let known = entities.filter_map(|(i, entity)| {
            let mut columns = task.columns.iter();
            let of_truth = columns.find(|column| column.labels[i] == Some(1.0))?;
            Some((of_truth.scores[i], *entity))
        });
        let (scores, entities): (Vec<f64>, Vec<u32>) = known.unzip();
        Resampled::log_loss(&scores, &vec![true; scores.len()], &entities)
    }

    /// How intervals are made, in words.
    pub fn notes(&self, resamples: u32) -> Vec<String> {
        let list = |names: &[String]| {
            let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
            names.join(", ")
        };
        let mut notes = Vec::new();
        if !self.once.is_empty() {
            notes.push(format!(
                "every entity stands once in the test set of {}: intervals and tests of AUC are DeLong's",
                list(&self.once)
            ));
        }
        if !self.repeated.is_empty() {
            let instead = match resamples {
                0 => "there are none: `bootstrap.resamples` is 0",
                _ => "those of the bootstrap over entities stand instead",
            };
            notes.push(format!(
                "entities stand more than once in the test set of {}, so its samples are not independent and DeLong's \
                 intervals and tests of AUC would be too sure; {instead}",
                list(&self.repeated)
            ));
        }
        notes
    }

    /// The numbers that have no interval for want of samples, in words; the labels are those of every
    /// group, so any group's replicates tell.
    pub fn too_few(&self, resamples: u32, replicates: &Replicates) -> Vec<String> {
        let rare = self.units.iter().enumerate().filter_map(|(index, unit)| {
            let undefined = replicates.undefined_if_too_many(index)?;
            let name = unit.name();
            Some(format!(
                "{name}: {undefined} of {resamples} resamples have no value, as they hold no sample, or one class or label \
                 only: there are too few samples for an interval"
            ))
        });
        rare.collect()
    }
}

/// Of the samples that have a label; those of an entity stand side by side.
fn entities_stand_once(task: &TaskPredictions) -> bool {
    let first = task.columns.first();
    let labels = first.map_or(&[][..], |column| &column.labels);
    let labelled = task.samples.iter().zip(labels);
    let entities: Vec<&Arc<str>> = labelled
        .filter(|(_, label)| label.is_some())
        .map(|((entity, _), _)| entity)
        .collect();
    entities.windows(2).all(|pair| pair[0] != pair[1])
}

fn has_two_classes(task: &TaskPredictions, column: usize) -> bool {
    let labels = task.columns.get(column).map(|column| &column.labels);
    let has = |wanted: f32| labels.is_some_and(|labels| labels.contains(&Some(wanted)));
    has(0.0) && has(1.0)
}

impl Unit {
    pub fn summary_of<'a>(&self, group: &'a Group) -> Option<&'a Summary> {
        match &self.place {
            Place::Task(task) => group.tasks[task].get(&self.metric)?.as_ref(),
            Place::Class(task, class) => group.classes[task][class].get(&self.metric)?.as_ref(),
            Place::MeanOfTasks => group.mean_auc.as_ref(),
        }
    }

    pub fn summary_of_mut<'a>(&self, group: &'a mut Group) -> Option<&'a mut Summary> {
        match &self.place {
            Place::Task(task) => group.tasks[task].get_mut(&self.metric)?.as_mut(),
            Place::Class(task, class) => {
                let classes = &mut group.classes[task];
                classes[class].get_mut(&self.metric)?.as_mut()
            }
            Place::MeanOfTasks => group.mean_auc.as_mut(),
        }
    }

    /// As in notes: `` task `buy`, AUC ``
    fn name(&self) -> String {
        let metric = self.metric.title();
        match &self.place {
            Place::Task(task) => format!("task `{task}`, {metric}"),
            Place::Class(task, class) => format!("task `{task}`, class `{class}`, {metric}"),
            Place::MeanOfTasks => format!("mean {metric}"),
        }
    }
}
