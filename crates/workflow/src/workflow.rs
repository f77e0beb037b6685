//! A checked workflow: what the engine plans and runs.

use petgraph::graph::DiGraph;
use serde_json::{Map, Value};

use crate::cell::{Cell, CellId};
use crate::diagnostics::Diagnostics;
use crate::name::StageName;
use crate::schedule::Schedule;
use crate::source::Source;

/// A workflow that compiled, and what is doubtful in it.
#[derive(Debug)]
pub struct Compiled {
    pub workflow: Workflow,
    pub warnings: Diagnostics,
}

#[derive(Debug, Clone)]
pub struct Workflow {
    pub name: String,
    pub source: Source,
    /// Params after overrides.
    pub params: Map<String, Value>,
    /// Where results are kept: a folder relative to the project or a URL; none: the default.
    pub store: Option<String>,
    pub schedule: Option<Schedule>,
    /// Names of environment variables that are secret.
    pub secrets: Vec<String>,
    /// Stages in the order of the file.
    pub stages: Vec<StageName>,
    /// Cells by [`CellId`], stage by stage in the order of the file.
    pub cells: Vec<Cell>,
    /// One node a cell, with the same index; edges lead from upstream to downstream, at most one
    /// between two cells; without cycles.
    pub graph: DiGraph<CellId, Edge>,
}

/// Why one cell comes after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    /// It reads an output.
    Input,
    /// `needs` alone says so.
    Needs,
}

impl Workflow {
    pub fn cell(&self, id: CellId) -> &Cell {
        &self.cells[id.0]
    }

    /// The cells of one stage, in order.
    pub fn cells_of<'a>(&'a self, stage: &'a str) -> impl Iterator<Item = &'a Cell> {
        self.cells.iter().filter(move |cell| cell.stage == *stage)
    }
}
