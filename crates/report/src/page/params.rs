//! Params as they were resolved; what equals a default is left out.

use indexmap::IndexMap;
use serde_json::{Map, Value};

use crate::content::{Report, ReportedStage};
use crate::page::html::Html;
use crate::page::table::{Cell, Table};
use crate::page::{Fold, close_fold, cut_note, nothing, open_fold};

const MOST_PARAMS: usize = 400;
const MOST_STAGES: usize = 60;
/// Values of a param that differs from cell to cell.
const MOST_VALUES: usize = 8;
/// Deeper maps are written as JSON.
const DEEPEST: usize = 6;

pub(crate) fn draw(report: &Report, html: &mut Html) {
    if !report.params.is_empty() {
        let mut rows = IndexMap::new();
        flatten(&report.params, "", 0, &mut rows);
        let rows = rows.into_iter().map(|(name, value)| (name, vec![value]));
        table("Of the workflow", &rows.collect(), 1, html);
    }
    let mut stages: IndexMap<&str, Vec<&ReportedStage>> = IndexMap::new();
    for stage in report
        .stages
        .iter()
        .filter(|stage| !stage.params.is_empty())
    {
        stages.entry(&stage.stage).or_default().push(stage);
    }
    if stages.is_empty() && report.params.is_empty() {
        nothing(html, "Neither the workflow nor a stage sets a param.");
        return;
    }
    html.raw("<p class=\"note\">What equals a plugin's default is left out.</p>\n");
    for (stage, cells) in stages.iter().take(MOST_STAGES) {
        let plugin = cells.first().map_or("", |cell| cell.plugin.as_str());
        open_fold(html, format_args!("{stage} · {plugin}"), Fold::Closed);
        table(stage, &values(cells), cells.len(), html);
        close_fold(html);
    }
    cut_note(html, stages.len().min(MOST_STAGES), stages.len(), "stages");
}

/// The different values of each param over the cells of a stage.
fn values(cells: &[&ReportedStage]) -> IndexMap<String, Vec<String>> {
    let mut all: IndexMap<String, Vec<String>> = IndexMap::new();
    for cell in cells {
        let mut rows = IndexMap::new();
        flatten(&cell.params, "", 0, &mut rows);
        for (name, value) in rows {
            let known = all.entry(name).or_default();
            if known.len() <= MOST_VALUES && !known.contains(&value) {
                known.push(value);
            }
        }
    }
    all
}

fn flatten(
    map: &Map<String, Value>,
    prefix: &str,
    depth: usize,
    rows: &mut IndexMap<String, String>,
) {
    for (name, value) in map {
        let name = match prefix {
            "" => name.clone(),
            prefix => format!("{prefix}.{name}"),
        };
        match value {
            Value::Object(inner) if !inner.is_empty() && depth < DEEPEST => {
                flatten(inner, &name, depth + 1, rows);
            }
            Value::String(text) => {
                rows.insert(name, text.clone());
            }
            other => {
                rows.insert(name, other.to_string());
            }
        }
    }
}

fn table(caption: &str, rows: &IndexMap<String, Vec<String>>, cells: usize, html: &mut Html) {
    let mut table = Table::new(caption).fitted().left("param").left("value");
    for (name, values) in rows.iter().take(MOST_PARAMS) {
        let mut markup = Html::new();
        for (place, value) in values.iter().take(MOST_VALUES).enumerate() {
            if place > 0 {
                markup.raw("<span class=\"or\"> | </span>");
            }
            markup
                .raw("<code class=\"value\">")
                .passage(value)
                .raw("</code>");
        }
        if values.len() > MOST_VALUES {
            markup.raw("<span class=\"or\"> | …</span>");
        }
        if values.len() > 1 {
            markup
                .raw(" <span class=\"or\">")
                .text(format_args!("over {cells} cells"))
                .raw("</span>");
        }
        table.row(vec![Cell::text(name), Cell::Markup(markup)]);
    }
    table.render(html);
    cut_note(html, table.len(), rows.len(), "params");
}
