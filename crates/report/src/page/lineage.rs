//! From what each output was made: a picture of the stages, and all digests.

use indexmap::IndexMap;
use supermoe_engine::StageState;

use crate::chart::stage_graph::{Flow, MOST_NODES, Node, StageGraph};
use crate::content::{Report, ReportedInput, ReportedStage};
use crate::page::html::Html;
use crate::page::table::{Cell, Table};
use crate::page::{Fold, close_fold, cut_note, nothing, open_fold};

/// Rows that stand open, and rows at all.
const OPEN_ROWS: usize = 24;
const MOST_ROWS: usize = 300;
/// Artifacts of one port.
const MOST_INPUTS: usize = 6;
/// Under the name of a port whose artifacts no stage made.
const OUTSIDE: &str = "from outside";

pub(crate) fn draw(report: &Report, html: &mut Html) {
    if report.stages.is_empty() {
        nothing(html, "No stage has ended.");
        return;
    }
    let graph = graph(&report.stages);
    if graph.nodes.len() > MOST_NODES {
        html.element(
            "p",
            &[("class", &"note")],
            format_args!(
                "{} stages and sources are too many for a picture.",
                graph.nodes.len()
            ),
        );
    } else {
        html.raw("<div class=\"scroll drawing\" role=\"region\" aria-label=\"Picture of the stages\" tabindex=\"0\">");
        graph.render(html);
        html.raw("</div>\n");
    }
    let shown = &report.stages[..report.stages.len().min(MOST_ROWS)];
    let (open, folded) = shown.split_at(shown.len().min(OPEN_ROWS));
    table(open, html);
    if !folded.is_empty() {
        open_fold(
            html,
            format_args!("{} more stages", folded.len()),
            Fold::Closed,
        );
        table(folded, html);
        close_fold(html);
    }
    cut_note(
        html,
        shown.len(),
        report.run.counts.total().max(report.stages.len()),
        "stages",
    );
}

/// A box for each stage, whatever its cells, and for each port that takes from outside.
fn graph(stages: &[ReportedStage]) -> StageGraph {
    let mut places: IndexMap<&str, Vec<&ReportedStage>> = IndexMap::new();
    for stage in stages {
        places.entry(&stage.stage).or_default().push(stage);
    }
    let mut graph = StageGraph::default();
    for (stage, cells) in &places {
        graph.nodes.push(Node {
            name: (*stage).to_owned(),
            note: note(cells),
            class: class(cells),
        });
    }
    for (to, cells) in places.values().enumerate() {
        let inputs = cells.iter().flat_map(|cell| &cell.inputs);
        for (port, sources) in inputs {
            for source in sources {
                let from = match &source.stage {
                    Some(from) => places.get_index_of(from.as_str()),
                    None => Some(outside(&mut graph, port, to)),
                };
                let Some(from) = from else { continue };
                let name = match &source.stage {
                    Some(_) => source.source.rsplit('.').next().unwrap_or(port),
                    None => continue,
                };
                push_flow(&mut graph, from, to, name);
            }
        }
    }
    graph
}

fn push_flow(graph: &mut StageGraph, from: usize, to: usize, name: &str) {
    let known = |flow: &Flow| flow.from == from && flow.to == to && flow.name == name;
    if !graph.flows.iter().any(known) {
        graph.flows.push(Flow {
            from,
            to,
            name: name.to_owned(),
        });
    }
}

/// The box of what a stage takes from outside by one port; made with its first file.
fn outside(graph: &mut StageGraph, port: &str, to: usize) -> usize {
    let known = graph.flows.iter().find(|flow| {
        flow.to == to && flow.name == port && graph.nodes[flow.from].class == "outside"
    });
    if let Some(flow) = known {
        return flow.from;
    }
    let from = graph.nodes.len();
    graph.nodes.push(Node {
        name: port.to_owned(),
        note: OUTSIDE.to_owned(),
        class: "outside",
    });
    push_flow(graph, from, to, port);
    from
}

fn note(cells: &[&ReportedStage]) -> String {
    let count = |state: StageState| cells.iter().filter(|cell| cell.state == state).count();
    let states = [
        StageState::Failed,
        StageState::Ran,
        StageState::Cached,
        StageState::Skipped,
        StageState::Cancelled,
    ];
    let parts = states
        .into_iter()
        .filter_map(|state| match (count(state), cells.len()) {
            (0, _) => None,
            (_, 1) => Some(state.to_string()),
            (count, _) => Some(format!("{count} {state}")),
        });
    parts.collect::<Vec<_>>().join(", ")
}

fn class(cells: &[&ReportedStage]) -> &'static str {
    let any = |state: StageState| cells.iter().any(|cell| cell.state == state);
    match () {
        () if any(StageState::Failed) => "failed",
        () if any(StageState::Cancelled) || any(StageState::Skipped) => "odd",
        () if any(StageState::Ran) => "ran",
        () => "cached",
    }
}

fn table(stages: &[ReportedStage], html: &mut Html) {
    let mut table = Table::new("Digests are BLAKE3; a click selects a whole one")
        .left("stage")
        .left("plugin, revision")
        .left("key")
        .left("inputs")
        .left("outputs");
    for stage in stages {
        let mut plugin = Html::new();
        plugin.text(&stage.plugin);
        if let Some(revision) = &stage.revision {
            plugin
                .raw(" ")
                .element("code", &[("class", &"copy")], revision);
        }
        table.row(vec![
            Cell::text(&stage.cell),
            Cell::Markup(plugin),
            stage
                .key
                .map_or_else(|| Cell::text("–"), |key| Cell::Code(key.to_string())),
            Cell::Markup(inputs(stage)),
            Cell::Markup(outputs(stage)),
        ]);
    }
    table.render(html);
}

fn inputs(stage: &ReportedStage) -> Html {
    let mut html = Html::new();
    html.raw("<ul class=\"ports\">");
    for (port, sources) in &stage.inputs {
        for source in sources.iter().take(MOST_INPUTS) {
            input(port, source, &mut html);
        }
        if sources.len() > MOST_INPUTS {
            html.element(
                "li",
                &[],
                format_args!("… and {} more", sources.len() - MOST_INPUTS),
            );
        }
    }
    html.raw("</ul>");
    html
}

fn input(port: &str, source: &ReportedInput, html: &mut Html) {
    html.raw("<li>")
        .text(port)
        .raw(" ← ")
        .text(&source.source)
        .raw(" ");
    match &source.digest {
        Some(digest) => html.element("code", &[("class", &"copy")], digest),
        None => html.raw("<span class=\"or\">not known</span>"),
    };
    html.raw("</li>");
}

fn outputs(stage: &ReportedStage) -> Html {
    let mut html = Html::new();
    html.raw("<ul class=\"ports\">");
    for (port, output) in &stage.outputs {
        html.raw("<li>")
            .text(port)
            .raw(" ")
            .element("code", &[("class", &"copy")], output.digest)
            .raw("</li>");
    }
    html.raw("</ul>");
    html
}
