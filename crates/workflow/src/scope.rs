//! Which names an expression may use at its place, and what they stand for.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use jiff::civil::Date;
use serde_json::Value;

use crate::codes::Code;
use crate::expression::{Mistake, Path, Resolved};
use crate::nearest;
use crate::node::describe_value;
use crate::resolve::{Digits, Params};
use crate::schedule::Schedule;

/// All names that begin expressions.
const ROOTS: [&str; 7] = [
    "params", "env", "matrix", "inputs", "outputs", "run", "schedule",
];

/// The names at one place.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    /// The place in words: `with`, `store`.
    pub place: &'a str,
    pub params: Option<&'a Params>,
    pub env: EnvNames<'a>,
    pub matrix: MatrixNames<'a>,
    pub schedule: Option<ScheduleFacts<'a>>,
}

/// What `env.NAME` stands for.
#[derive(Clone, Copy)]
pub(crate) enum EnvNames<'a> {
    /// Nothing at this place.
    None,
    /// Any variable of the process.
    Any,
    /// Declared names, with the process's own values: within `env` itself.
    Process(&'a [String]),
    /// Declared names with their values.
    Declared(&'a BTreeMap<String, Option<String>>),
}

/// What `matrix.axis` stands for.
#[derive(Clone, Copy)]
pub(crate) enum MatrixNames<'a> {
    /// Nothing at this place.
    None,
    /// One cell. `axes` are all axes of the stage: those that the cell lacks give nothing.
    Cell {
        axes: &'a [String],
        values: &'a IndexMap<String, Value>,
        digits: &'a Digits,
    },
}

/// What `schedule.date` and `schedule.previous` stand for.
#[derive(Clone, Copy)]
pub(crate) struct ScheduleFacts<'a> {
    pub date: Option<Date>,
    pub schedule: Option<&'a Schedule>,
    /// Whether the schedule holds a mistake: its dates are then nothing.
    pub broken: bool,
}

impl<'a> Scope<'a> {
    /// A place at which no expression can be known.
    pub fn closed(place: &'a str) -> Self {
        Scope {
            place,
            params: None,
            env: EnvNames::None,
            matrix: MatrixNames::None,
            schedule: None,
        }
    }

    pub fn at(self, place: &'a str) -> Self {
        Scope { place, ..self }
    }

    /// The value of a name; `environment` reads the process's variables.
    pub fn look_up(
        &self,
        path: &Path<'_>,
        environment: &(dyn Fn(&str) -> Option<String> + Sync),
    ) -> Result<Resolved, Mistake> {
        match path.root() {
            "params" => self.param(path),
            "env" => self.variable(path, environment),
            "matrix" => self.axis(path),
            "schedule" => self.schedule(path),
            "run" | "inputs" | "outputs" => Err(self.not_here(path)),
            "secrets" => Err(unknown(
                path,
                "secrets stand in no expression",
                "List the secret under the stage's `secrets`: its program finds it as an environment variable.",
            )),
            root => {
                let help = nearest::nearest(root, ROOTS).map_or_else(
                    || {
                        format!(
                            "Names begin with {}. Texts stand in single quotes: '{}'.",
                            ROOTS.map(|root| format!("`{root}.`")).join(", "),
                            path.text
                        )
                    },
                    |near| format!("Did you mean `{near}`?"),
                );
                Err(unknown(
                    path,
                    format!("`{}` is unknown: no name begins with `{root}`", path.text),
                    help,
                ))
            }
        }
    }

    fn param(&self, path: &Path<'_>) -> Result<Resolved, Mistake> {
        let Some(params) = self.params else {
            return Err(self.not_here(path));
        };
        if path.rest().is_empty() {
            return Ok(Resolved::new(Value::Object(params.values.clone())));
        }
        let mut steps = path.rest().split('.');
        let first = steps.next().unwrap_or_default();
        let Some(value) = params.values.get(first) else {
            if params.broken {
                return Ok(Resolved::new(Value::Null));
            }
            let help = nearest::advice(first, "param", params.values.keys().map(String::as_str));
            return Err(Mistake {
                code: Code::UnknownParam,
                ..unknown(path, format!("the workflow has no param `{first}`"), help)
            });
        };
        descend(path, first, value, steps).map(|value| Resolved {
            digits: params.digits.get(path.rest()).cloned(),
            value,
        })
    }

    fn variable(
        &self,
        path: &Path<'_>,
        environment: &(dyn Fn(&str) -> Option<String> + Sync),
    ) -> Result<Resolved, Mistake> {
        let name = path.rest();
        if matches!(self.env, EnvNames::None) {
            return Err(self.not_here(path));
        }
        if name.is_empty() || name.contains('.') {
            return Err(unknown(
                path,
                format!("`{}` names no environment variable", path.text),
                "Write env.NAME.",
            ));
        }
        let text = |value: Option<String>| Resolved::new(value.map_or(Value::Null, Value::String));
        let undeclared = |names: &mut dyn Iterator<Item = &str>| {
            let near = nearest::nearest(name, names)
                .map_or(String::new(), |near| format!(" Or did you mean `{near}`?"));
            Mistake {
                code: Code::UnknownVariable,
                ..unknown(
                    path,
                    format!("`env` does not declare the variable `{name}`"),
                    format!(
                        "Declare it under the stage's or the defaults' `env`: `{name}:` takes its value from where supermoe is started.{near}"
                    ),
                )
            }
        };
        match self.env {
            EnvNames::Any => Ok(text(environment(name))),
            EnvNames::Process(names) if names.iter().any(|declared| declared == name) => {
                Ok(text(environment(name)))
            }
            EnvNames::Process(names) => Err(undeclared(&mut names.iter().map(String::as_str))),
            EnvNames::Declared(values) => match values.get(name) {
                Some(value) => Ok(text(value.clone())),
                None => Err(undeclared(&mut values.keys().map(String::as_str))),
            },
            EnvNames::None => Err(self.not_here(path)),
        }
    }

    fn axis(&self, path: &Path<'_>) -> Result<Resolved, Mistake> {
        let MatrixNames::Cell {
            axes,
            values,
            digits,
        } = self.matrix
        else {
            return Err(self.not_here(path));
        };
        let mut steps = path.rest().split('.');
        let first = steps.next().unwrap_or_default();
        if axes.is_empty() {
            return Err(unknown(
                path,
                format!("`{}` is unknown: the stage has no matrix", path.text),
                format!(
                    "Give the stage a matrix, for example matrix: {{ {}: [1, 2] }}.",
                    if first.is_empty() { "seed" } else { first }
                ),
            ));
        }
        match values.get(first) {
            Some(value) => descend(path, first, value, steps).map(|value| Resolved {
                digits: digits.get(path.rest()).cloned(),
                value,
            }),
            None if axes.iter().any(|axis| axis == first) => Ok(Resolved::new(Value::Null)),
            None => {
                let help = nearest::advice(first, "axis", axes.iter().map(String::as_str));
                Err(unknown(
                    path,
                    format!("the stage's matrix has no axis `{first}`"),
                    help,
                ))
            }
        }
    }

    fn schedule(&self, path: &Path<'_>) -> Result<Resolved, Mistake> {
        let Some(facts) = self.schedule else {
            return Err(self.not_here(path));
        };
        if !matches!(path.rest(), "date" | "previous") {
            let help = nearest::advice(path.rest(), "name under `schedule`", ["date", "previous"]);
            return Err(unknown(path, format!("`{}` is unknown", path.text), help));
        }
        let Some(date) = facts.date else {
            return Err(Mistake {
                code: Code::DateMissing,
                ..unknown(
                    path,
                    format!("`{}` is known to a scheduled run only", path.text),
                    "Give the date by hand: --date 2024-01-31.",
                )
            });
        };
        if path.rest() == "date" {
            return Ok(Resolved::new(Value::String(date.to_string())));
        }
        if facts.broken {
            return Ok(Resolved::new(Value::Null));
        }
        let Some(schedule) = facts.schedule else {
            return Err(unknown(
                path,
                "`schedule.previous` needs a schedule, and the workflow has none",
                "Add on: { schedule: { cron: \"0 3 1 * *\" } }.",
            ));
        };
        match schedule.previous(date) {
            Some(previous) => Ok(Resolved::new(Value::String(previous.to_string()))),
            None => Err(unknown(
                path,
                format!("the schedule `{}` has no run before {date}", schedule.cron),
                "Correct `cron` or the date.",
            )),
        }
    }

    fn not_here(&self, path: &Path<'_>) -> Mistake {
        let root = path.root();
        let help = match root {
            "inputs" | "outputs" => {
                "They are known in the command of a `shell` stage, where they stand for paths."
            }
            "run" => {
                "A run's facts are known in `with` of a stage that says `cache: false`, each as an expression of its own."
            }
            "matrix" => "An axis is known within the stage that has the matrix.",
            "env" => {
                "Environment variables are known in stages (those that `env` declares) and in `store`."
            }
            "schedule" => "The schedule's dates are known within stages.",
            _ => "Write the value itself here.",
        };
        Mistake {
            code: Code::ExpressionNotAllowed,
            ..unknown(
                path,
                format!(
                    "`{}` cannot stand in {}: {root} is not known there",
                    path.text, self.place
                ),
                help,
            )
        }
    }
}

fn unknown(path: &Path<'_>, message: impl Into<String>, help: impl Into<String>) -> Mistake {
    Mistake {
        start: path.start,
        end: path.end(),
        code: Code::UnknownName,
        message: message.into(),
        help: help.into(),
    }
}

/// The value that the remaining names lead to.
fn descend<'v, 'p>(
    path: &Path<'_>,
    first: &str,
    value: &'v Value,
    steps: impl Iterator<Item = &'p str>,
) -> Result<Value, Mistake> {
    let mut value = value;
    let mut walked = first.to_owned();
    for step in steps {
        let next = match value {
            Value::Object(map) => map.get(step),
            Value::Array(items) => step.parse::<usize>().ok().and_then(|at| items.get(at)),
            _ => None,
        };
        let Some(next) = next else {
            let root = path.root();
            let help = match value {
                Value::Object(map) => {
                    nearest::advice(step, "name in it", map.keys().map(String::as_str))
                }
                Value::Array(items) => format!(
                    "Items are numbered from 0 to {}.",
                    items.len().saturating_sub(1)
                ),
                _ => format!("Write {root}.{walked}."),
            };
            return Err(unknown(
                path,
                format!(
                    "`{root}.{walked}` is {} and has no `{step}`",
                    describe_value(value)
                ),
                help,
            ));
        };
        value = next;
        walked.push('.');
        walked.push_str(step);
    }
    Ok(value.clone())
}
