//! Which cells of an upstream stage belong to a cell: those with the same values on the axes that
//! both stages have.

use std::collections::HashMap;

use serde_json::Value;

use crate::axis_text::join_text;
use crate::expand::{Matrix, MatrixCell};

/// The cells of one stage as another stage sees them.
pub(crate) struct Join {
    /// Axes that both stages have.
    pub shared: Vec<String>,
    /// Axes with lists of values that the upstream stage alone has.
    pub only_upstream: Vec<String>,
    /// Upstream cells by their values on the shared axes.
    cells: HashMap<String, Vec<usize>>,
}

impl Join {
    pub fn new(upstream: &Matrix, downstream: &Matrix) -> Self {
        let shared: Vec<String> = upstream
            .axes
            .iter()
            .filter(|axis| downstream.axes.contains(axis))
            .cloned()
            .collect();
        let only_upstream = upstream.axes[..upstream.declared]
            .iter()
            .filter(|axis| !downstream.axes.contains(axis))
            .cloned()
            .collect();
        let mut cells: HashMap<String, Vec<usize>> = HashMap::new();
        for (at, cell) in upstream.cells.iter().enumerate() {
            cells.entry(key(&shared, cell)).or_default().push(at);
        }
        Join {
            shared,
            only_upstream,
            cells,
        }
    }

    /// The upstream cells that belong to `cell`, by their place in the upstream matrix.
    pub fn of(&self, cell: &MatrixCell) -> &[usize] {
        self.cells
            .get(&key(&self.shared, cell))
            .map_or(&[], Vec::as_slice)
    }

    /// The values that upstream cells have to have, for messages: `model=ple, seed=1`.
    pub fn wanted(&self, cell: &MatrixCell) -> String {
        let parts: Vec<String> = self
            .shared
            .iter()
            .map(|axis| match cell.values.get(axis) {
                Some(Value::String(text)) => format!("{axis}={text}"),
                Some(value) => format!("{axis}={value}"),
                None => format!("no {axis}"),
            })
            .collect();
        parts.join(", ")
    }
}

fn key(axes: &[String], cell: &MatrixCell) -> String {
    let mut key = String::new();
    for axis in axes {
        if let Some(value) = cell.values.get(axis) {
            key.push_str(&join_text(value));
        }
        key.push('\n');
    }
    key
}
