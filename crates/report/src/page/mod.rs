//! A report as one HTML page that needs nothing else: no network, no script, no font of its own.

mod certainty;
mod curves;
mod data;
mod experiment;
mod experts;
mod header;
pub(crate) mod html;
mod lineage;
mod number_text;
mod params;
mod results;
mod stages;
pub(crate) mod table;
mod training;

use crate::content::Report;
use crate::page::html::Html;

const STYLE: &str = include_str!("style.css");

/// Nothing is loaded and no script runs, whatever stands in the page.
const POLICY: &str = "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'\">\n";

/// A part of the page: what the table of contents calls it, and what draws it.
struct Section {
    id: &'static str,
    title: &'static str,
    draw: fn(&Report, &mut Html),
}

const SECTIONS: [Section; 9] = [
    Section {
        id: "results",
        title: "Results",
        draw: results::draw,
    },
    Section {
        id: "curves",
        title: "Curves",
        draw: curves::draw,
    },
    Section {
        id: "training",
        title: "Training",
        draw: training::draw,
    },
    Section {
        id: "experts",
        title: "Expert load",
        draw: experts::draw,
    },
    Section {
        id: "data",
        title: "Data",
        draw: data::draw,
    },
    Section {
        id: "params",
        title: "Params",
        draw: params::draw,
    },
    Section {
        id: "stages",
        title: "Stages",
        draw: stages::draw,
    },
    Section {
        id: "lineage",
        title: "Lineage",
        draw: lineage::draw,
    },
    Section {
        id: "machine",
        title: "Machine and speed",
        draw: stages::draw_machine,
    },
];

/// The whole page.
pub fn page(report: &Report) -> String {
    let mut html = Html::new();
    let run = &report.run;
    open_document(
        &mut html,
        format_args!("{} · {} · supermoe", run.workflow, run.outcome),
    );
    html.raw("<a class=\"skip\" href=\"#results\">To the results</a>\n");
    header::draw(report, &mut html);
    contents(&mut html);
    html.raw("<main>\n");
    header::notices(report, &mut html);
    for section in &SECTIONS {
        let heading = format!("{}-title", section.id);
        html.open(
            "section",
            &[("id", &section.id), ("aria-labelledby", &heading)],
        )
        .element("h2", &[("id", &heading)], section.title)
        .raw("\n");
        (section.draw)(report, &mut html);
        html.raw("</section>\n");
    }
    html.raw("</main>\n<footer><p>Made by supermoe ")
        .text(env!("CARGO_PKG_VERSION"))
        .raw(" from the journal of run <code class=\"copy\">")
        .text(report.run.id)
        .raw("</code> and the artifacts that it names. The same stands in report.json, for programs, and report.md.</p></footer>\n</body>\n</html>\n");
    html.into_text()
}

/// All up to the first thing that is seen.
pub(crate) fn open_document(html: &mut Html, title: impl std::fmt::Display) {
    html.raw("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n")
        .raw(POLICY)
        .raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n<meta name=\"robots\" content=\"noindex\">\n<link rel=\"icon\" href=\"data:,\">\n")
        .element("title", &[], title)
        .raw("\n<style>\n")
        .raw(STYLE)
        .raw("</style>\n</head>\n<body>\n");
}

fn contents(html: &mut Html) {
    html.raw("<nav aria-label=\"Sections\"><ul>");
    for section in &SECTIONS {
        html.raw("<li>")
            .element(
                "a",
                &[("href", &format_args!("#{}", section.id))],
                section.title,
            )
            .raw("</li>");
    }
    html.raw("</ul></nav>\n");
}

/// Says why there is nothing to show.
fn nothing(html: &mut Html, why: &'static str) {
    html.element("p", &[("class", &"nothing")], why).raw("\n");
}

/// Begins a part that is opened by hand, or stands open.
fn open_fold(html: &mut Html, summary: impl std::fmt::Display, open: Fold) {
    html.raw(match open {
        Fold::Open => "<details open>",
        Fold::Closed => "<details>",
    })
    .element("summary", &[], summary)
    .raw("\n");
}

fn close_fold(html: &mut Html) {
    html.raw("</details>\n");
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fold {
    Open,
    Closed,
}

/// Says how much is not shown.
fn cut_note(html: &mut Html, shown: usize, of: usize, what: &'static str) {
    if shown < of {
        html.element(
            "p",
            &[("class", &"note")],
            format_args!("{shown} of {of} {what} are shown."),
        )
        .raw("\n");
    }
}
