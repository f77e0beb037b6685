//! `--only`, `--from`, `--until`, `--force`: which cells a run may touch.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use petgraph::Direction;
use serde_json::Value;
use supermoe_workflow::{Cell, CellId, Workflow};

/// A stage, or some of its cells: `finetune`, `finetune[model=ple]`, `finetune[model=ple,seed=1]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    pub stage: String,
    /// Axes and the text of their values; axes that are not named take every value.
    pub axes: Vec<(String, String)>,
}

/// A mistake in what was selected: the user's input is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectionError {
    #[error("`{0}` names no stage or cell. Expected `stage` or `stage[axis=value,axis=value]`")]
    NotASelector(String),
    #[error("there is no stage `{name}` in this workflow{}", nearest(.suggestion))]
    NoSuchStage {
        name: String,
        suggestion: Option<String>,
    },
    #[error("stage `{stage}` has no matrix axis `{axis}`. {}", axes_of(.axes))]
    NoSuchAxis {
        stage: String,
        axis: String,
        axes: Vec<String>,
    },
    #[error("`{selector}` is no cell of this workflow{}", nearest(.suggestion))]
    NoSuchCell {
        selector: String,
        suggestion: Option<String>,
    },
    #[error("nothing is left to run: no cell is in --only, --from and --until at the same time")]
    Empty,
}

fn nearest(suggestion: &Option<String>) -> String {
    suggestion
        .as_ref()
        .map_or_else(String::new, |name| format!(". Did you mean `{name}`?"))
}

fn axes_of(axes: &[String]) -> String {
    if axes.is_empty() {
        "It has no matrix".to_owned()
    } else {
        format!("Its axes: {}", axes.join(", "))
    }
}

impl FromStr for Selector {
    type Err = SelectionError;

    fn from_str(text: &str) -> Result<Selector, SelectionError> {
        let mistake = || SelectionError::NotASelector(text.to_owned());
        let Some((stage, rest)) = text.split_once('[') else {
            return match text.trim() {
                "" => Err(mistake()),
                stage if stage.contains(['=', ',', ']']) => Err(mistake()),
                stage => Ok(Selector {
                    stage: stage.to_owned(),
                    axes: Vec::new(),
                }),
            };
        };
        let inner = rest.strip_suffix(']').ok_or_else(mistake)?;
        if stage.is_empty() || inner.is_empty() {
            return Err(mistake());
        }
        let mut axes = Vec::new();
        for part in inner.split(',') {
            match part.split_once('=') {
                Some((axis, value)) if !axis.trim().is_empty() => {
                    axes.push((axis.trim().to_owned(), value.trim().to_owned()));
                }
                // A comma within a value.
                _ => match axes.last_mut() {
                    Some((_, value)) => *value = format!("{value},{part}"),
                    None => return Err(mistake()),
                },
            }
        }
        Ok(Selector {
            stage: stage.to_owned(),
            axes,
        })
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.stage)?;
        if !self.axes.is_empty() {
            let axes: Vec<_> = self
                .axes
                .iter()
                .map(|(axis, value)| format!("{axis}={value}"))
                .collect();
            write!(f, "[{}]", axes.join(","))?;
        }
        Ok(())
    }
}

impl Selector {
    fn matches(&self, cell: &Cell) -> bool {
        cell.stage.as_str() == self.stage
            && (self.axes.iter().all(|(axis, value)| {
                cell.matrix
                    .get(axis)
                    .is_some_and(|found| shown(found) == *value)
            }) || self.to_string() == *cell.label)
    }

    /// The cells that it names, at least one.
    fn cells(&self, workflow: &Workflow) -> Result<Vec<CellId>, SelectionError> {
        let found: Vec<CellId> = workflow
            .cells
            .iter()
            .filter(|cell| self.matches(cell))
            .map(|cell| cell.id)
            .collect();
        if found.is_empty() {
            Err(self.mistake(workflow))
        } else {
            Ok(found)
        }
    }

    fn mistake(&self, workflow: &Workflow) -> SelectionError {
        if !workflow
            .stages
            .iter()
            .any(|stage| stage.as_str() == self.stage)
        {
            let names = workflow.stages.iter().map(|stage| stage.as_str());
            return SelectionError::NoSuchStage {
                name: self.stage.clone(),
                suggestion: nearest_name(&self.stage, names),
            };
        }
        let cells: Vec<&Cell> = workflow.cells_of(&self.stage).collect();
        for (axis, _) in &self.axes {
            if !cells.iter().any(|cell| cell.matrix.contains_key(axis)) {
                let axes = cells
                    .first()
                    .map_or_else(Vec::new, |cell| cell.matrix.keys().cloned().collect());
                return SelectionError::NoSuchAxis {
                    stage: self.stage.clone(),
                    axis: axis.clone(),
                    axes,
                };
            }
        }
        let selector = self.to_string();
        let suggestion = nearest_name(&selector, cells.iter().map(|cell| &*cell.label));
        SelectionError::NoSuchCell {
            selector,
            suggestion,
        }
    }
}

/// A value as it stands in a cell's name.
fn shown(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => Cow::Borrowed(text),
        other => Cow::Owned(other.to_string()),
    }
}

fn nearest_name<'a>(wrong: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    names
        .map(|name| (strsim::damerau_levenshtein(wrong, name), name))
        .filter(|(distance, name)| *distance <= (wrong.len().max(name.len()) / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name.to_owned())
}

/// What the user selected; the default is everything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection {
    /// These and nothing else; what they need must have results.
    pub only: Vec<Selector>,
    /// These and all that depends on them.
    pub from: Vec<Selector>,
    /// These and all that they depend on.
    pub until: Vec<Selector>,
    /// Run although their results are there.
    pub force: Vec<Selector>,
}

/// What a run does with one cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Taken from the store, or run.
    Selected,
    /// Runs in any case.
    Forced,
    /// Not selected, but a selected cell needs it: taken from the store.
    Supporting,
    Outside,
}

impl Role {
    pub(crate) fn is_selected(self) -> bool {
        matches!(self, Role::Selected | Role::Forced)
    }
}

impl Selection {
    /// The role of each cell, by cell id.
    pub(crate) fn roles(&self, workflow: &Workflow) -> Result<Vec<Role>, SelectionError> {
        let count = workflow.cells.len();
        let mut selected = vec![true; count];
        if !self.only.is_empty() {
            keep(&mut selected, &named(&self.only, workflow)?);
        }
        if !self.from.is_empty() {
            let start = named(&self.from, workflow)?;
            keep(
                &mut selected,
                &closure(workflow, start, Direction::Outgoing),
            );
        }
        if !self.until.is_empty() {
            let start = named(&self.until, workflow)?;
            keep(
                &mut selected,
                &closure(workflow, start, Direction::Incoming),
            );
        }
        let forced = named(&self.force, workflow)?;
        if count > 0 && !selected.contains(&true) {
            return Err(SelectionError::Empty);
        }
        let needed = if selected.contains(&false) {
            closure(workflow, selected.clone(), Direction::Incoming)
        } else {
            Vec::new()
        };
        Ok((0..count)
            .map(|cell| match (selected[cell], forced[cell]) {
                (true, true) => Role::Forced,
                (true, false) => Role::Selected,
                (false, _) if needed[cell] => Role::Supporting,
                (false, _) => Role::Outside,
            })
            .collect())
    }
}

fn keep(selected: &mut [bool], wanted: &[bool]) {
    for (cell, wanted) in selected.iter_mut().zip(wanted) {
        *cell &= wanted;
    }
}

fn named(selectors: &[Selector], workflow: &Workflow) -> Result<Vec<bool>, SelectionError> {
    let mut found = vec![false; workflow.cells.len()];
    for selector in selectors {
        for cell in selector.cells(workflow)? {
            found[cell.index()] = true;
        }
    }
    Ok(found)
}

/// All cells that can be reached from those given, themselves too.
fn closure(workflow: &Workflow, mut reached: Vec<bool>, direction: Direction) -> Vec<bool> {
    let mut open: Vec<usize> = (0..reached.len()).filter(|cell| reached[*cell]).collect();
    while let Some(cell) = open.pop() {
        for next in workflow
            .graph
            .neighbors_directed(petgraph::graph::NodeIndex::new(cell), direction)
        {
            if !std::mem::replace(&mut reached[next.index()], true) {
                open.push(next.index());
            }
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_are_stages_or_cells() {
        let cell: Selector = "finetune[model=ple,seed=1]".parse().expect("a selector");
        assert_eq!(cell.stage, "finetune");
        assert_eq!(
            cell.axes,
            [("model".into(), "ple".into()), ("seed".into(), "1".into())]
        );
        assert_eq!(cell.to_string(), "finetune[model=ple,seed=1]");
        assert_eq!("prepare".parse::<Selector>().expect("a selector").axes, []);
        let comma: Selector = "a[x=1,2,y=3]".parse().expect("a selector");
        assert_eq!(
            comma.axes,
            [("x".into(), "1,2".into()), ("y".into(), "3".into())]
        );
        for wrong in ["", "a[", "a[]", "[x=1]", "a[x]", "a=1", "a[x=1"] {
            assert!(wrong.parse::<Selector>().is_err(), "{wrong}");
        }
    }
}
