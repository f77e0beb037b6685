//! The order of cells: who waits for whom, levels, and the longest path that remains.

use petgraph::Direction;
use petgraph::graph::NodeIndex;
use supermoe_workflow::{Cell, CellId, InputSource, Workflow};

/// Neighbours of every cell, laid out for fast walks.
#[derive(Debug)]
pub(crate) struct Graph {
    /// Cells that wait for a cell: those of cell `i` are `downstream[starts[i]..starts[i + 1]]`.
    starts: Vec<u32>,
    downstream: Vec<u32>,
    /// How many cells a cell waits for.
    waits_for: Vec<u32>,
}

impl Graph {
    pub(crate) fn new(workflow: &Workflow) -> Graph {
        let count = workflow.cells.len();
        let mut graph = Graph {
            starts: Vec::with_capacity(count + 1),
            downstream: Vec::with_capacity(workflow.graph.edge_count()),
            waits_for: vec![0; count],
        };
        for cell in 0..count {
            graph.starts.push(graph.downstream.len() as u32);
            for next in workflow
                .graph
                .neighbors_directed(NodeIndex::new(cell), Direction::Outgoing)
            {
                graph.downstream.push(next.index() as u32);
                graph.waits_for[next.index()] += 1;
            }
        }
        graph.starts.push(graph.downstream.len() as u32);
        graph
    }

    pub(crate) fn downstream(&self, cell: CellId) -> impl Iterator<Item = CellId> + '_ {
        let (from, to) = (self.starts[cell.index()], self.starts[cell.index() + 1]);
        self.downstream[from as usize..to as usize]
            .iter()
            .map(|next| CellId(*next as usize))
    }

    /// How many cells each cell waits for.
    pub(crate) fn waits_for(&self) -> Vec<u32> {
        self.waits_for.clone()
    }

    /// Cells whose outputs a cell reads, in the order of its ports.
    pub(crate) fn makers(cell: &Cell) -> impl Iterator<Item = CellId> + '_ {
        cell.inputs
            .values()
            .flatten()
            .filter_map(|input| match input.source {
                InputSource::Output { cell, .. } => Some(cell),
                _ => None,
            })
    }

    /// Cells in levels: each waits only for cells of earlier levels.
    pub(crate) fn levels(&self) -> Vec<Vec<CellId>> {
        let mut open = self.waits_for();
        let mut level: Vec<CellId> = (0..open.len())
            .filter(|cell| open[*cell] == 0)
            .map(CellId)
            .collect();
        let mut levels = Vec::new();
        while !level.is_empty() {
            let mut next = Vec::new();
            for cell in &level {
                for after in self.downstream(*cell) {
                    open[after.index()] -= 1;
                    if open[after.index()] == 0 {
                        next.push(after);
                    }
                }
            }
            levels.push(std::mem::replace(&mut level, next));
        }
        levels
    }

    /// For each cell the seconds from its start to the end of the longest path that begins with it.
    pub(crate) fn remaining_path(&self, seconds: &[f64]) -> Vec<f64> {
        let mut remaining = seconds.to_vec();
        for cell in self.levels().into_iter().rev().flatten() {
            let after = self
                .downstream(cell)
                .map(|next| remaining[next.index()])
                .fold(0.0, f64::max);
            remaining[cell.index()] += after;
        }
        remaining
    }
}
