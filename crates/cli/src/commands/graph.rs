//! `supermoe graph`: the stages and what flows between them, as Mermaid or Graphviz text.

use std::fmt::Write as _;
use std::io::Write as _;

use clap::{Args, ValueEnum};
use indexmap::{IndexMap, IndexSet};
use supermoe_workflow::{Cell, CellId, InputSource, Workflow};

use crate::failure::Failure;
use crate::output;
use crate::workflow_file::WorkflowArguments;

/// Draws a workflow as a Mermaid or Graphviz graph
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  supermoe graph workflow.yaml > graph.mmd\n  supermoe graph workflow.yaml --format dot | dot -Tsvg > graph.svg\n  supermoe graph workflow.yaml --cells"
)]
pub struct Arguments {
    #[command(flatten)]
    workflow: WorkflowArguments,

    /// The language of the graph
    #[arg(long, value_enum, default_value_t)]
    format: Format,

    /// One node for each cell of a matrix, not for each stage
    #[arg(long)]
    cells: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Format {
    #[default]
    Mermaid,
    Dot,
}

pub fn execute(arguments: &Arguments) -> Result<(), Failure> {
    let loaded = arguments.workflow.load()?;
    let workflow = &loaded.compiled.workflow;
    let drawing = if arguments.cells {
        Drawing::of_cells(workflow)
    } else {
        Drawing::of_stages(workflow)
    };
    let text = match arguments.format {
        Format::Mermaid => drawing.mermaid(),
        Format::Dot => drawing.dot(&workflow.name),
    };
    output::to_stdout(|out| out.write_all(text.as_bytes()))
}

/// Nodes and edges in the order of the file.
struct Drawing {
    nodes: Vec<Node>,
    /// From node, to node -> the ports between them; none where `needs` alone says so.
    edges: IndexMap<(usize, usize), IndexSet<String>>,
}

struct Node {
    label: String,
    shape: Shape,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Stage,
    /// Data from outside of the workflow.
    Data,
}

impl Drawing {
    fn of_stages(workflow: &Workflow) -> Drawing {
        let nodes = workflow
            .stages
            .iter()
            .map(|stage| {
                let cells: Vec<&Cell> = workflow.cells_of(stage.as_str()).collect();
                let uses = cells.first().map_or("", |cell| &*cell.base_plugin);
                let count = match cells.len() {
                    1 => String::new(),
                    several => format!(" × {several}"),
                };
                let label = if uses == stage.as_str() {
                    format!("{stage}{count}")
                } else {
                    format!("{stage}{count}\n{uses}")
                };
                Node {
                    label,
                    shape: Shape::Stage,
                }
            })
            .collect();
        let node_of: IndexMap<&str, usize> = workflow
            .stages
            .iter()
            .enumerate()
            .map(|(index, stage)| (stage.as_str(), index))
            .collect();
        let of = |cell: &Cell| {
            node_of
                .get(cell.stage.as_str())
                .copied()
                .unwrap_or_default()
        };
        Drawing::wire(nodes, workflow, of)
    }

    fn of_cells(workflow: &Workflow) -> Drawing {
        let nodes = workflow
            .cells
            .iter()
            .map(|cell| Node {
                label: cell.to_string(),
                shape: Shape::Stage,
            })
            .collect();
        Drawing::wire(nodes, workflow, |cell| cell.id.index())
    }

    fn wire(nodes: Vec<Node>, workflow: &Workflow, node: impl Fn(&Cell) -> usize) -> Drawing {
        let mut drawing = Drawing {
            nodes,
            edges: IndexMap::new(),
        };
        let mut data: IndexMap<String, usize> = IndexMap::new();
        let of = |id: CellId| node(workflow.cell(id));
        for cell in &workflow.cells {
            for (port, inputs) in &cell.inputs {
                for input in inputs {
                    let from = match &input.source {
                        InputSource::Output { cell, .. } => of(*cell),
                        outside => drawing.data_node(&mut data, shown(outside)),
                    };
                    drawing
                        .edges
                        .entry((from, node(cell)))
                        .or_default()
                        .insert(port.clone());
                }
            }
            for needed in &cell.needs {
                drawing.edges.entry((of(*needed), node(cell))).or_default();
            }
        }
        drawing
    }

    fn data_node(&mut self, known: &mut IndexMap<String, usize>, label: String) -> usize {
        if let Some(index) = known.get(&label) {
            return *index;
        }
        let index = self.nodes.len();
        self.nodes.push(Node {
            label: label.clone(),
            shape: Shape::Data,
        });
        known.insert(label, index);
        index
    }

    fn mermaid(&self) -> String {
        let mut text = "flowchart LR\n".to_owned();
        for (index, node) in self.nodes.iter().enumerate() {
            let label = mermaid_text(&node.label);
            // Writing into a String cannot fail, here and below.
            let _ = match node.shape {
                Shape::Stage => writeln!(text, "  n{index}[\"{label}\"]"),
                Shape::Data => writeln!(text, "  n{index}[(\"{label}\")]"),
            };
        }
        for ((from, to), ports) in &self.edges {
            let _ = if ports.is_empty() {
                writeln!(text, "  n{from} -.-> n{to}")
            } else {
                writeln!(
                    text,
                    "  n{from} -- \"{}\" --> n{to}",
                    mermaid_text(&joined(ports))
                )
            };
        }
        text
    }

    fn dot(&self, name: &str) -> String {
        let mut text = format!("digraph \"{}\" {{\n", dot_text(name));
        text.push_str("  rankdir=LR;\n  node [fontname=\"sans-serif\"];\n");
        for (index, node) in self.nodes.iter().enumerate() {
            let shape = match node.shape {
                Shape::Stage => "box",
                Shape::Data => "cylinder",
            };
            let _ = writeln!(
                text,
                "  n{index} [label=\"{}\", shape={shape}];",
                dot_text(&node.label)
            );
        }
        for ((from, to), ports) in &self.edges {
            let _ = if ports.is_empty() {
                writeln!(text, "  n{from} -> n{to} [style=dashed];")
            } else {
                writeln!(
                    text,
                    "  n{from} -> n{to} [label=\"{}\"];",
                    dot_text(&joined(ports))
                )
            };
        }
        text.push_str("}\n");
        text
    }
}

fn joined(ports: &IndexSet<String>) -> String {
    ports
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ")
}

/// The last part of a path is enough to recognise a file.
fn shown(source: &InputSource) -> String {
    match source {
        InputSource::Output { port, .. } => port.clone(),
        InputSource::Path(path) => path.file_name().map_or_else(
            || path.display().to_string(),
            |name| name.to_string_lossy().into_owned(),
        ),
        InputSource::Url(url) => url.file_name().to_owned(),
        InputSource::Ref(name) => format!("ref:{name}"),
    }
}

/// Mermaid reads entities inside quotes, and nothing else that could end them.
fn mermaid_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' => out.push_str("#quot;"),
            '#' => out.push_str("#35;"),
            '<' => out.push_str("#lt;"),
            '>' => out.push_str("#gt;"),
            '\n' => out.push_str("<br/>"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

fn dot_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawing() -> Drawing {
        let node = |label: &str, shape| Node {
            label: label.to_owned(),
            shape,
        };
        let mut edges: IndexMap<(usize, usize), IndexSet<String>> = IndexMap::new();
        edges.entry((2, 0)).or_default().insert("events".to_owned());
        edges
            .entry((0, 1))
            .or_default()
            .insert("dataset".to_owned());
        edges.entry((0, 1)).or_default().insert("schema".to_owned());
        edges.entry((1, 3)).or_default();
        Drawing {
            nodes: vec![
                node("prepare", Shape::Stage),
                node("train × 3\npretrain", Shape::Stage),
                node("a \"b\" <c>.csv", Shape::Data),
                node("notify\nshell", Shape::Stage),
            ],
            edges,
        }
    }

    #[test]
    fn mermaid_holds_labels_that_would_end_it() {
        insta::assert_snapshot!(drawing().mermaid());
    }

    #[test]
    fn dot_holds_labels_that_would_end_it() {
        insta::assert_snapshot!(drawing().dot("re\"tail"));
    }
}
