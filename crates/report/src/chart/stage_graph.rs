//! The stages of a workflow as boxes from left to right, and what flows between them.

use std::collections::HashMap;

use crate::chart::scale::place;
use crate::page::html::Html;

/// More boxes than this are no picture any more.
pub(crate) const MOST_NODES: usize = 48;

const BOX_WIDTH: f64 = 138.0;
const BOX_HEIGHT: f64 = 46.0;
const BETWEEN_COLUMNS: f64 = 82.0;
const BETWEEN_ROWS: f64 = 22.0;
const MARGIN: f64 = 10.0;
/// Between flows that go around boxes.
const LANE: f64 = 9.0;
/// A picture that is too wide is made so much smaller, then it scrolls.
const SMALLEST: f64 = 0.72;
/// Characters that fit into a box.
const NAME_LENGTH: usize = 17;
const NOTE_LENGTH: usize = 22;
const FLOW_LENGTH: usize = 12;

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub name: String,
    /// Under the name, smaller.
    pub note: String,
    /// A class of the style sheet: `ran`, `cached`, `failed`, `outside`.
    pub class: &'static str,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Flow {
    /// Places in the nodes.
    pub from: usize,
    pub to: usize,
    /// What flows: a port.
    pub name: String,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct StageGraph {
    pub nodes: Vec<Node>,
    pub flows: Vec<Flow>,
}

impl StageGraph {
    pub(crate) fn render(&self, html: &mut Html) {
        let columns = self.columns();
        let lanes = self.lanes(&columns);
        let places = self.places(&columns, lanes.len() as f64 * LANE);
        let width = places.iter().map(|at| at.0).fold(0.0, f64::max) + BOX_WIDTH + MARGIN;
        let height = places.iter().map(|at| at.1).fold(0.0, f64::max) + BOX_HEIGHT + MARGIN;
        let smallest = format!("min-width:{}px", place(width * SMALLEST));
        html.open(
            "svg",
            &[
                ("class", &"graph"),
                (
                    "viewBox",
                    &format_args!("0 0 {} {}", place(width), place(height)),
                ),
                ("width", &place(width)),
                ("style", &smallest),
                ("role", &"img"),
                ("aria-label", &self.in_words()),
            ],
        );
        html.raw("<defs><marker id=\"arrow\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" orient=\"auto\"><path class=\"head\" d=\"M0 0L8 4L0 8z\"/></marker></defs>");
        for flow in &self.flows {
            let lane = lanes.iter().position(|from| *from == flow.from);
            let around = lane
                .filter(|_| self.passes_boxes(flow, &columns))
                .map(|lane| MARGIN + lane as f64 * LANE);
            draw_flow(places[flow.from], places[flow.to], around, html);
        }
        self.name_flows(&places, html);
        for (node, at) in self.nodes.iter().zip(&places) {
            draw_node(node, *at, html);
        }
        html.close("svg");
    }

    /// Names lie over all lines; one for what goes from a stage to several.
    fn name_flows(&self, places: &[(f64, f64)], html: &mut Html) {
        let mut named: Vec<(usize, &str)> = Vec::new();
        for flow in &self.flows {
            let from = &self.nodes[flow.from];
            // What comes from outside has the name of its box.
            if from.name != flow.name && !named.contains(&(flow.from, &flow.name)) {
                let row = named.iter().filter(|(from, _)| *from == flow.from).count();
                named.push((flow.from, &flow.name));
                name_flow(places[flow.from], row, &flow.name, html);
            }
        }
    }

    /// Nodes whose flows go over other columns: each has a lane of its own above all boxes.
    fn lanes(&self, columns: &[usize]) -> Vec<usize> {
        let mut lanes: Vec<usize> = Vec::new();
        for flow in &self.flows {
            if self.passes_boxes(flow, columns) && !lanes.contains(&flow.from) {
                lanes.push(flow.from);
            }
        }
        // Those that begin further right lie lower, so that no two cross on their way up.
        lanes.sort_by_key(|node| columns[*node]);
        lanes
    }

    fn passes_boxes(&self, flow: &Flow, columns: &[usize]) -> bool {
        columns[flow.to] > columns[flow.from] + 1
    }

    /// By node: how many others lie before it on its longest path. Nodes may stand in any order.
    fn columns(&self) -> Vec<usize> {
        let count = self.nodes.len();
        let mut columns = vec![0; count];
        // Each round settles at least one more column; in a cycle the last column ends it.
        for _ in 0..count {
            for flow in &self.flows {
                let after = columns[flow.from] + 1;
                if columns[flow.to] < after && after < count {
                    columns[flow.to] = after;
                }
            }
        }
        columns
    }

    /// Upper left corners. Within a column, a node lies near those that it takes from.
    /// `above_all`: room over the highest box.
    fn places(&self, columns: &[usize], above_all: f64) -> Vec<(f64, f64)> {
        let last = columns.iter().copied().max().unwrap_or(0);
        let mut rows: HashMap<usize, f64> = HashMap::new();
        let mut places = vec![(0.0, 0.0); self.nodes.len()];
        let tallest = (0..=last)
            .map(|column| columns.iter().filter(|of| **of == column).count())
            .max()
            .unwrap_or(1);
        for column in 0..=last {
            let mut members: Vec<(f64, usize)> = (0..self.nodes.len())
                .filter(|node| columns[*node] == column)
                .map(|node| (self.middle_of_sources(node, &rows), node))
                .collect();
            members.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            let above = (tallest - members.len()) as f64 / 2.0;
            for (row, (_, node)) in members.into_iter().enumerate() {
                let row = above + row as f64;
                rows.insert(node, row);
                places[node] = (
                    MARGIN + column as f64 * (BOX_WIDTH + BETWEEN_COLUMNS),
                    MARGIN + above_all + row * (BOX_HEIGHT + BETWEEN_ROWS),
                );
            }
        }
        places
    }

    fn middle_of_sources(&self, node: usize, rows: &HashMap<usize, f64>) -> f64 {
        let sources: Vec<f64> = self
            .flows
            .iter()
            .filter(|flow| flow.to == node)
            .filter_map(|flow| rows.get(&flow.from).copied())
            .collect();
        sources.iter().sum::<f64>() / sources.len().max(1) as f64
    }

    fn in_words(&self) -> String {
        let flows = self.flows.iter().map(|flow| {
            let name = |node: usize| self.nodes.get(node).map_or("", |node| node.name.as_str());
            format!("{} to {}: {}", name(flow.from), name(flow.to), flow.name)
        });
        let flows: Vec<String> = flows.collect();
        format!("Stages and what flows between them. {}", flows.join("; "))
    }
}

/// `around`: the height of the lane that it takes around other boxes.
fn draw_flow(from: (f64, f64), to: (f64, f64), around: Option<f64>, html: &mut Html) {
    let start = (from.0 + BOX_WIDTH, from.1 + BOX_HEIGHT / 2.0);
    let end = (to.0 - 1.0, to.1 + BOX_HEIGHT / 2.0);
    let bend = BETWEEN_COLUMNS / 2.0;
    let curve = |points: [(f64, f64); 3]| {
        let points = points.map(|(x, y)| format!("{} {}", place(x), place(y)));
        format!("C{}", points.join(" "))
    };
    let start_text = format!("M{} {}", place(start.0), place(start.1));
    let path = match around {
        Some(lane) => {
            let up = (start.0 + bend * 0.9, lane);
            let down = (end.0 - bend * 0.9, lane);
            let rise = curve([
                (start.0 + bend * 0.7, start.1),
                (start.0 + bend * 0.2, lane),
                up,
            ]);
            let fall = curve([(end.0 - bend * 0.2, lane), (end.0 - bend * 0.7, end.1), end]);
            format!("{start_text}{rise}H{}{fall}", place(down.0))
        }
        None => {
            let over = curve([(start.0 + bend, start.1), (end.0 - bend, end.1), end]);
            format!("{start_text}{over}")
        }
    };
    html.empty(
        "path",
        &[
            ("class", &"flow"),
            ("d", &path),
            ("marker-end", &"url(#arrow)"),
        ],
    );
}

/// Under the line, beside the box that it comes from; further names of a box below.
fn name_flow(from: (f64, f64), row: usize, name: &str, html: &mut Html) {
    let y = from.1 + BOX_HEIGHT / 2.0 + 14.0 + row as f64 * 13.0;
    html.element(
        "text",
        &[
            ("class", &"flow-name"),
            ("x", &place(from.0 + BOX_WIDTH + 6.0)),
            ("y", &place(y)),
        ],
        cut(name, FLOW_LENGTH),
    );
}

fn draw_node(node: &Node, at: (f64, f64), html: &mut Html) {
    html.open("g", &[("class", &format_args!("node {}", node.class))])
        .element("title", &[], &node.name)
        .empty(
            "rect",
            &[
                ("x", &place(at.0)),
                ("y", &place(at.1)),
                ("width", &BOX_WIDTH),
                ("height", &BOX_HEIGHT),
                ("rx", &7),
            ],
        )
        .element(
            "text",
            &[
                ("class", &"name"),
                ("x", &place(at.0 + 11.0)),
                ("y", &place(at.1 + 20.0)),
            ],
            cut(&node.name, NAME_LENGTH),
        )
        .element(
            "text",
            &[
                ("class", &"note"),
                ("x", &place(at.0 + 11.0)),
                ("y", &place(at.1 + 35.0)),
            ],
            cut(&node.note, NOTE_LENGTH),
        )
        .close("g");
}

fn cut(text: &str, length: usize) -> String {
    if text.chars().count() <= length {
        return text.to_owned();
    }
    let kept: String = text.chars().take(length - 1).collect();
    kept + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, class: &'static str) -> Node {
        Node {
            name: name.to_owned(),
            note: "ran".to_owned(),
            class,
        }
    }

    fn flow(from: usize, to: usize, name: &str) -> Flow {
        Flow {
            from,
            to,
            name: name.to_owned(),
        }
    }

    #[test]
    fn a_chain_with_a_branch() {
        let graph = StageGraph {
            nodes: vec![
                node("prepare", "ran"),
                node("pretrain", "cached"),
                node("a stage of a very long name", "failed"),
            ],
            flows: vec![
                flow(0, 1, "dataset"),
                flow(0, 2, "dataset"),
                flow(1, 2, "encoder"),
            ],
        };
        let mut html = Html::new();
        graph.render(&mut html);
        insta::assert_snapshot!(html.into_text().replace("><", ">\n<"));
    }

    #[test]
    fn a_graph_of_any_kind_is_drawn() {
        let mut html = Html::new();
        StageGraph::default().render(&mut html);
        // A cycle cannot be in a workflow; a damaged journal can say anything.
        StageGraph {
            nodes: vec![node("a", "ran"), node("b", "ran")],
            flows: vec![flow(0, 1, "x"), flow(1, 0, "y"), flow(0, 0, "z")],
        }
        .render(&mut html);
        assert!(html.into_text().ends_with("</svg>"));
    }
}
