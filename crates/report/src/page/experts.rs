//! How the work is shared among the experts of each layer, by step.

use indexmap::IndexMap;

use crate::chart::heat_map::{HeatMap, MOST_ROWS, Row, legend};
use crate::content::{Found, LayerLoad, Report, Training};
use crate::page::html::Html;
use crate::page::number_text::percent_text;
use crate::page::{Fold, close_fold, cut_note, nothing, open_fold};

/// Layers of a cell, and those that stand open.
const MOST_LAYERS: usize = 24;
const OPEN_LAYERS: usize = 6;

pub(crate) fn draw(report: &Report, html: &mut Html) {
    // Of each stage the first cell: the others differ by little, and can be reported one by one.
    let mut stages: IndexMap<&str, (&Found<Training>, usize)> = IndexMap::new();
    for training in &report.training {
        if !training.content.expert_load().is_empty() {
            stages.entry(&training.stage).or_insert((training, 0)).1 += 1;
        }
    }
    if stages.is_empty() {
        nothing(
            html,
            "No stage of this run has recorded the load of its experts.",
        );
        return;
    }
    html.raw("<p class=\"note\">Share of the work that each expert did, as a multiple of an equal share.</p>\n");
    legend(html);
    for (cell, cells) in stages.into_values() {
        html.element("h3", &[], &cell.cell).raw("\n");
        cut_note(html, 1, cells, "cells");
        layers(&cell.content, html);
    }
}

fn layers(training: &Training, html: &mut Html) {
    let layers = training.expert_load();
    let shown = &layers[..layers.len().min(MOST_LAYERS)];
    let (open, folded) = shown.split_at(shown.len().min(OPEN_LAYERS));
    charts(open, html);
    if !folded.is_empty() {
        open_fold(
            html,
            format_args!("{} more layers", folded.len()),
            Fold::Closed,
        );
        charts(folded, html);
        close_fold(html);
    }
    cut_note(html, shown.len(), layers.len(), "layers");
}

fn charts(layers: &[LayerLoad<'_>], html: &mut Html) {
    html.raw("<div class=\"charts small\">\n");
    for layer in layers {
        let rows = layer.experts.iter().map(|load| Row {
            name: load.expert.to_owned(),
            points: load.points.to_vec(),
        });
        HeatMap {
            title: layer.layer.to_owned(),
            note: note(layer),
            rows: rows.collect(),
        }
        .render(html);
    }
    html.raw("</div>\n");
}

fn note(layer: &LayerLoad<'_>) -> String {
    let experts = &layer.experts;
    let last = experts.iter().filter_map(|load| {
        let share = load.points.last()?.1;
        Some((load.expert, share))
    });
    let busiest = last.max_by(|a, b| a.1.total_cmp(&b.1));
    let mut note = format!("{} experts", experts.len());
    if experts.len() > MOST_ROWS {
        note.push_str(&format!(", the first {MOST_ROWS} drawn"));
    }
    if let Some((expert, share)) = busiest {
        note.push_str(&format!(
            "; busiest at the end: {expert}, {}",
            percent_text(share)
        ));
    }
    if let Some(dropped) = layer.dropped {
        note.push_str(&format!("; {} over capacity", percent_text(dropped)));
    }
    note
}
