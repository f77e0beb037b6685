//! A stage's matrix, expanded to cells.
//!
//! Cells are all combinations of the axes' values, the last axis fastest, without those that an
//! entry of `exclude` matches. An entry of `include` adds its values to every cell whose axes it
//! agrees with; where there is none it is a cell of its own.

use std::collections::HashSet;
use std::fmt::Write;
use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::Value;

use crate::axis::{AxisValue, Combination, Row, axis, rows};
use crate::axis_text::label_text;
use crate::codes::Code;
use crate::diagnostics::Diagnostic;
use crate::expression::evaluate::same;
use crate::nearest;
use crate::node::{Kind, Node};
use crate::resolve::Digits;
use crate::scope::Scope;
use crate::session::{Reported, Session};
use crate::source::Span;

/// The most cells of one matrix.
pub(crate) const MAX_CELLS: usize = 10_000;

/// The cells of one stage.
#[derive(Debug, Clone, Default)]
pub(crate) struct Matrix {
    /// Axes in order: those with lists of values first, then what `include` adds.
    pub axes: Vec<String>,
    /// How many axes have lists of values.
    pub declared: usize,
    pub cells: Vec<MatrixCell>,
    pub max_parallel: Option<u32>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct MatrixCell {
    pub values: IndexMap<String, Value>,
    pub digits: Digits,
    /// `finetune[model=ple,seed=1]`
    pub label: Arc<str>,
}

impl Matrix {
    /// The one cell of a stage without a matrix.
    pub fn single(stage: &str) -> Self {
        Matrix {
            cells: vec![MatrixCell {
                label: Arc::from(stage),
                ..MatrixCell::default()
            }],
            ..Matrix::default()
        }
    }
}

/// Expands the matrix of the stage `stage`.
pub(crate) fn expand(
    session: &mut Session<'_>,
    stage: &str,
    node: &Node<'_>,
    scope: &Scope<'_>,
) -> Result<Matrix, Reported> {
    let what = format!("the matrix of `{stage}`");
    let Kind::Map(entries) = &node.kind else {
        return Err(session.wrong_kind(node, &what, "a map of axes to lists of values"));
    };
    let mut wrong = false;
    let mut axes: IndexMap<String, Vec<AxisValue>> = IndexMap::new();
    for entry in entries
        .iter()
        .filter(|entry| !matches!(entry.key.as_ref(), "include" | "exclude" | "max_parallel"))
    {
        match axis(session, entry, scope) {
            Ok(values) => drop(axes.insert(entry.key.clone().into_owned(), values)),
            Err(Reported) => wrong = true,
        }
    }
    let max_parallel = match node
        .get("max_parallel")
        .map(|node| session.integer(node, "`max_parallel`", 1..=MAX_CELLS as u32, scope))
    {
        None => None,
        Some(Ok(number)) => number,
        Some(Err(Reported)) => {
            wrong = true;
            None
        }
    };
    let include = rows(session, node.get("include"), "include", scope);
    let exclude = rows(session, node.get("exclude"), "exclude", scope);
    let (Ok(include), Ok(exclude), false) = (include, exclude, wrong) else {
        return Err(Reported);
    };
    let exclude = check_exclude(session, exclude, &axes)?;

    let count = axes
        .values()
        .try_fold(usize::from(!axes.is_empty()), |product, values| {
            product.checked_mul(values.len())
        });
    if count.is_none_or(|count| count + include.len() > MAX_CELLS) {
        let count = count.map_or_else(
            || "more cells than can be counted".to_owned(),
            |count| format!("{} cells", count + include.len()),
        );
        let message = format!("{what} has {count}; at most {MAX_CELLS} are allowed");
        return Err(session.error(
            Code::TooManyCells,
            node.span,
            message,
            "too many cells",
            "Take values away, or split the stage.",
        ));
    }
    let mut combinations = combine(&axes);
    remove_excluded(session, &mut combinations, &exclude);
    let declared = axes.len();
    let mut names: Vec<String> = axes.keys().cloned().collect();
    add_included(&mut combinations, include, declared, &mut names);
    if combinations.is_empty() {
        return Err(session.error(
            Code::EmptyAxis,
            node.span,
            format!("{what} has no cell"),
            "no cell is left",
            "Give it an axis with values, or leave the matrix out.",
        ));
    }
    let cells: Vec<MatrixCell> = combinations
        .into_iter()
        .map(|combination| cell(stage, combination))
        .collect();
    let mut seen = HashSet::new();
    for cell in &cells {
        if !seen.insert(cell.label.clone()) {
            return Err(session.error(
                Code::DuplicateAxisValue,
                node.span,
                format!("{what} has the cell {} twice", cell.label),
                "two cells are the same",
                "Take one of them out of `include`.",
            ));
        }
    }
    Ok(Matrix {
        axes: names,
        declared,
        cells,
        max_parallel,
    })
}

fn check_exclude(
    session: &mut Session<'_>,
    rows: Vec<Row>,
    axes: &IndexMap<String, Vec<AxisValue>>,
) -> Result<Vec<(Combination, Span)>, Reported> {
    let mut wrong = false;
    for (row, key_spans, _) in &rows {
        for (axis, span) in row.keys().zip(key_spans) {
            if !axes.contains_key(axis) {
                let help = nearest::advice(axis, "axis", axes.keys().map(String::as_str));
                session.error(
                    Code::UnknownAxis,
                    *span,
                    format!("`exclude` names the axis `{axis}`, which the matrix does not have"),
                    "unknown axis",
                    help,
                );
                wrong = true;
            }
        }
    }
    if wrong {
        Err(Reported)
    } else {
        Ok(rows.into_iter().map(|(row, _, span)| (row, span)).collect())
    }
}

fn combine(axes: &IndexMap<String, Vec<AxisValue>>) -> Vec<Combination> {
    if axes.is_empty() {
        return Vec::new();
    }
    let mut combinations = vec![Combination::new()];
    for (axis, values) in axes {
        combinations = combinations
            .iter()
            .flat_map(|before| {
                values.iter().map(move |value| {
                    let mut combination = before.clone();
                    combination.insert(axis.clone(), value.clone());
                    combination
                })
            })
            .collect();
    }
    combinations
}

fn agrees(combination: &Combination, row: &Combination) -> bool {
    row.iter().all(|(axis, value)| {
        combination
            .get(axis)
            .is_some_and(|other| same(&other.value, &value.value))
    })
}

fn remove_excluded(
    session: &mut Session<'_>,
    combinations: &mut Vec<Combination>,
    exclude: &[(Combination, Span)],
) {
    let mut used = vec![false; exclude.len()];
    combinations.retain(|combination| {
        let mut keep = true;
        for (at, (row, _)) in exclude.iter().enumerate() {
            if agrees(combination, row) {
                used[at] = true;
                keep = false;
            }
        }
        keep
    });
    for ((_, span), used) in exclude.iter().zip(used) {
        if !used {
            let diagnostic = Diagnostic::new(
                Code::ExcludeMatchesNothing,
                session.source,
                *span,
                "this entry of `exclude` takes no cell away",
                "matches nothing",
            )
            .help("Compare its values with those of the axes: 1 and '1' are two values.");
            session.warnings.push(diagnostic);
        }
    }
}

fn add_included(
    combinations: &mut Vec<Combination>,
    include: Vec<Row>,
    declared: usize,
    names: &mut Vec<String>,
) {
    let axes: Vec<String> = names[..declared].to_vec();
    let product = combinations.len();
    for (row, _, _) in include {
        for axis in row.keys() {
            if !names.contains(axis) {
                names.push(axis.clone());
            }
        }
        let on_axes: Combination = row
            .iter()
            .filter(|(axis, _)| axes.contains(axis))
            .map(|(axis, value)| (axis.clone(), value.clone()))
            .collect();
        let mut added = false;
        // An entry with axis values alone adds nothing to the cell that it names.
        for combination in combinations[..product]
            .iter_mut()
            .filter(|combination| agrees(combination, &on_axes))
        {
            added = true;
            combination.extend(
                row.iter()
                    .filter(|(axis, _)| !axes.contains(axis))
                    .map(|(axis, value)| (axis.clone(), value.clone())),
            );
        }
        if !added {
            combinations.push(row);
        }
    }
}

fn cell(stage: &str, combination: Combination) -> MatrixCell {
    let mut label = String::with_capacity(stage.len() + 16 * combination.len());
    label.push_str(stage);
    let mut values = IndexMap::with_capacity(combination.len());
    let mut digits = Digits::new();
    for (at, (axis, value)) in combination.into_iter().enumerate() {
        let text = label_text(&value.value, value.digits.get("").map(String::as_str));
        // Writing to a String does not fail.
        let _ = write!(label, "{}{axis}={text}", if at == 0 { '[' } else { ',' });
        digits.extend(
            value
                .digits
                .into_iter()
                .map(|(path, written)| (format!("{axis}{path}"), written)),
        );
        values.insert(axis, value.value);
    }
    if !values.is_empty() {
        label.push(']');
    }
    MatrixCell {
        values,
        digits,
        label: Arc::from(label),
    }
}
