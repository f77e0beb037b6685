//! One training that may be chosen: the values of its cell, and how good it was.

use indexmap::{IndexMap, IndexSet};
use serde_json::Value;
use supermoe_plugin::listed::first_of;
use supermoe_plugin::matrix_text::{matrix_text, value_text};
use supermoe_trainer::choice::CandidateCell;

use crate::error::SelectError;
use crate::params::SelectParams;

/// Values of an axis that a message lists.
const MOST_VALUES: usize = 12;

/// A cell and the params that it stands for.
#[derive(Debug, Clone, PartialEq)]
pub struct CellOfCandidate {
    pub params: IndexMap<String, Value>,
    pub cell: CandidateCell,
}

/// Whether a cell has the values that are asked for; `"0.1"` asks for 0.1 too.
///
/// # Errors
/// An axis that the cell does not have.
pub fn is_asked_for(
    matrix: &IndexMap<String, Value>,
    only: &IndexMap<String, Value>,
) -> Result<bool, SelectError> {
    for (axis, wanted) in only {
        let Some(value) = matrix.get(axis) else {
            return Err(no_axis("where", axis, matrix));
        };
        if value != wanted && value_text(value) != value_text(wanted) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The params that a cell stands for, from the values of its axes.
///
/// # Errors
/// An axis that the cell does not have.
pub fn params_of(
    matrix: &IndexMap<String, Value>,
    params: &SelectParams,
) -> Result<IndexMap<String, Value>, SelectError> {
    let value = |axis: &String| {
        let found = match axis.split_once('.') {
            None => matrix.get(axis),
            Some((axis, key)) => matrix.get(axis).and_then(|value| value.get(key)),
        };
        found.cloned().ok_or_else(|| no_axis("set", axis, matrix))
    };
    let set = params.set.iter();
    set.map(|(name, axis)| Ok((name.clone(), value(axis)?)))
        .collect()
}

fn no_axis(param: &'static str, axis: &str, matrix: &IndexMap<String, Value>) -> SelectError {
    let axes: Vec<&str> = matrix.keys().map(String::as_str).collect();
    let reason = if axes.is_empty() {
        format!(
            "the candidates have no axis `{axis}`: give them a matrix, and take all its cells (stage.*.history)"
        )
    } else {
        format!(
            "the candidates have no axis `{axis}`; those of {} are {}",
            name_of(matrix),
            axes.join(", ")
        )
    };
    SelectError::Param {
        name: param,
        reason,
    }
}

/// A cell in messages: `[model=ple, seed=1]`.
pub fn name_of(matrix: &IndexMap<String, Value>) -> String {
    format!("[{}]", matrix_text(matrix))
}

/// That no candidate has what is asked for, and which values there are.
pub fn none_has(only: &IndexMap<String, Value>, cells: &[&IndexMap<String, Value>]) -> SelectError {
    let of_axis = |axis: &String| {
        let values: IndexSet<String> = cells
            .iter()
            .filter_map(|cell| cell.get(axis))
            .map(value_text)
            .collect();
        let values: Vec<String> = values.into_iter().collect();
        format!(
            "the values of `{axis}` are {}",
            first_of(&values, MOST_VALUES)
        )
    };
    let known: Vec<String> = only.keys().map(of_axis).collect();
    SelectError::Param {
        name: "where",
        reason: format!(
            "none of the {} candidates has {}; {}",
            cells.len(),
            name_of(only),
            known.join("; ")
        ),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn cell(value: Value) -> IndexMap<String, Value> {
        serde_json::from_value(value).unwrap()
    }

    fn params(value: Value) -> SelectParams {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn params_come_from_axes_and_from_keys_of_their_maps() {
        let cell = cell(json!({ "rate": 0.1, "sizes": { "epochs": 2 } }));
        let params = params(
            json!({ "set": { "optimizer.learning_rate": "rate", "epochs": "sizes.epochs" } }),
        );
        let found = params_of(&cell, &params).unwrap();
        assert_eq!(
            json!(found),
            json!({ "optimizer.learning_rate": 0.1, "epochs": 2 })
        );
    }

    #[test]
    fn axes_that_are_not_there_are_told() {
        let cell = cell(json!({ "rate": 0.1, "model": "ple" }));
        let params = params(json!({ "set": { "epochs": "epoch" } }));
        assert_eq!(
            params_of(&cell, &params).unwrap_err().to_string(),
            "`set`: the candidates have no axis `epoch`; those of [rate=0.1, model=ple] are rate, model"
        );
        assert!(
            params_of(&IndexMap::new(), &params)
                .unwrap_err()
                .to_string()
                .contains("give them a matrix")
        );
    }

    #[test]
    fn cells_with_other_values_are_not_asked_for() {
        let ple = cell(json!({ "model": "ple" }));
        let only = |model: &str| cell(json!({ "model": model }));
        assert!(is_asked_for(&ple, &only("ple")).unwrap());
        assert!(!is_asked_for(&ple, &only("bert")).unwrap());
        assert!(is_asked_for(&ple, &cell(json!({ "modle": "ple" }))).is_err());
        let rate = cell(json!({ "rate": 0.1 }));
        assert!(is_asked_for(&rate, &cell(json!({ "rate": "0.1" }))).unwrap());
    }

    #[test]
    fn values_that_no_candidate_has_are_told_with_those_there_are() {
        let cells =
            ["ple", "mmoe", "ple"].map(|model| cell(json!({ "model": model, "rate": 0.1 })));
        let cells: Vec<&IndexMap<String, Value>> = cells.iter().collect();
        let error = none_has(&cell(json!({ "model": "bert", "rate": 0.1 })), &cells);
        assert_eq!(
            error.to_string(),
            "`where`: none of the 3 candidates has [model=bert, rate=0.1]; the values of `model` are ple, mmoe; the \
             values of `rate` are 0.1"
        );
    }
}
