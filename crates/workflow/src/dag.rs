//! The graph of cells; a cycle is reported as the stages that wait for each other.

use std::collections::{HashMap, HashSet, VecDeque};

use petgraph::algo::{kosaraju_scc, toposort};
use petgraph::graph::{DiGraph, NodeIndex};

use crate::cell::CellId;
use crate::codes::Code;
use crate::diagnostics::Diagnostic;
use crate::session::{Reported, Session};
use crate::wiring::Wires;
use crate::workflow::Edge;

/// Builds the graph: node `n` is cell `n`. `name_of` gives the stage of a cell.
pub(crate) fn build(
    session: &mut Session<'_>,
    wires: &[Wires],
    name_of: &dyn Fn(CellId) -> String,
) -> Result<DiGraph<CellId, Edge>, Reported> {
    let edges = wires.iter().map(|wires| wires.upstream.len()).sum();
    let mut graph = DiGraph::with_capacity(wires.len(), edges);
    for cell in 0..wires.len() {
        graph.add_node(CellId(cell));
    }
    let mut upstream: HashMap<CellId, Edge> = HashMap::new();
    for (cell, wires) in wires.iter().enumerate() {
        if let [(from, edge, _)] = wires.upstream[..] {
            graph.add_edge(NodeIndex::new(from.0), NodeIndex::new(cell), edge);
            continue;
        }
        upstream.clear();
        for (from, edge, _) in &wires.upstream {
            match upstream.get_mut(from) {
                Some(Edge::Input) => {}
                Some(known) => *known = *edge,
                None => drop(upstream.insert(*from, *edge)),
            }
        }
        // In the order of the file, so that equal workflows have equal graphs.
        for (from, _, _) in &wires.upstream {
            if let Some(edge) = upstream.remove(from) {
                graph.add_edge(NodeIndex::new(from.0), NodeIndex::new(cell), edge);
            }
        }
    }
    if toposort(&graph, None).is_ok() {
        return Ok(graph);
    }
    report_cycles(session, &graph, wires, name_of);
    Err(Reported)
}

fn report_cycles(
    session: &mut Session<'_>,
    graph: &DiGraph<CellId, Edge>,
    wires: &[Wires],
    name_of: &dyn Fn(CellId) -> String,
) {
    const MOST_NAMED: usize = 12;
    let mut seen: HashSet<Vec<String>> = HashSet::new();
    let mut components = kosaraju_scc(graph);
    components
        .iter_mut()
        .for_each(|component| component.sort_unstable());
    components.sort();
    for component in components {
        let Some(cycle) = shortest_cycle(graph, &component) else {
            continue;
        };
        let mut names: Vec<String> = cycle
            .iter()
            .map(|node| name_of(CellId(node.index())))
            .collect();
        // All cells of a matrix have the same cycle.
        if !seen.insert(names.clone()) {
            continue;
        }
        names.push(names[0].clone());
        let text = if names.len() > MOST_NAMED {
            let left_out = names.len() - MOST_NAMED;
            format!(
                "{} -> … {left_out} more … -> {}",
                names[..MOST_NAMED - 1].join(" -> "),
                names[0]
            )
        } else {
            names.join(" -> ")
        };
        let mut diagnostic: Option<Diagnostic> = None;
        for (at, node) in cycle.iter().enumerate().take(MOST_NAMED) {
            let next = cycle[(at + 1) % cycle.len()];
            let span = wires[node.index()]
                .upstream
                .iter()
                .find(|(from, _, _)| from.0 == next.index())
                .map(|(_, _, span)| *span);
            let Some(span) = span else { continue };
            let label = format!("`{}` waits for `{}`", names[at], names[at + 1]);
            diagnostic = Some(match diagnostic {
                None => Diagnostic::new(
                    Code::Cycle,
                    session.source,
                    span,
                    format!("stages wait for each other: {text}"),
                    label,
                ),
                Some(diagnostic) => diagnostic.label(span, label),
            });
        }
        if let Some(diagnostic) = diagnostic {
            let help = if cycle.len() == 1 {
                "A stage cannot read its own output."
            } else {
                "Take one of these wires away."
            };
            session.report(diagnostic.help(help));
        }
    }
}

/// A shortest cycle in a strongly connected component, through its first node: each node waits
/// for the next. None where the component has no cycle.
fn shortest_cycle(
    graph: &DiGraph<CellId, Edge>,
    component: &[NodeIndex],
) -> Option<Vec<NodeIndex>> {
    let start = *component.first()?;
    let inside: HashSet<NodeIndex> = component.iter().copied().collect();
    let mut before: HashMap<NodeIndex, NodeIndex> = HashMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(node) = queue.pop_front() {
        // From a cell to what it waits for.
        for next in graph.neighbors_directed(node, petgraph::Direction::Incoming) {
            if next == start {
                let mut cycle = vec![node];
                let mut at = node;
                while let Some(previous) = before.get(&at) {
                    at = *previous;
                    cycle.push(at);
                }
                cycle.reverse();
                return Some(cycle);
            }
            if inside.contains(&next) && !before.contains_key(&next) {
                before.insert(next, node);
                queue.push_back(next);
            }
        }
    }
    None
}
