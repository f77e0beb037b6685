//! The head of the page: which run, how it ended, and what could not be read.

use supermoe_engine::Outcome;

use crate::content::Report;
use crate::page::html::Html;
use crate::page::{Fold, close_fold, cut_note, open_fold};
use crate::time_text::seconds_text;

pub(crate) fn draw(report: &Report, html: &mut Html) {
    let run = &report.run;
    html.raw("<header>\n<p class=\"eyebrow\">supermoe report</p>\n")
        .element("h1", &[], &run.workflow)
        .raw("\n<dl class=\"facts\">\n");
    let (class, sign) = match run.outcome {
        Outcome::Succeeded => ("badge good", "✓"),
        Outcome::Failed => ("badge bad", "✕"),
        Outcome::Cancelled | Outcome::Interrupted => ("badge odd", "■"),
        Outcome::Running => ("badge odd", "…"),
    };
    html.raw("<div><dt>Outcome</dt><dd>")
        .open("span", &[("class", &class)])
        .raw("<span aria-hidden=\"true\">")
        .text(sign)
        .raw("</span> ")
        .text(run.outcome)
        .raw("</span></dd></div>\n<div><dt>Started</dt><dd>")
        .element(
            "time",
            &[("datetime", &run.started)],
            run.started.strftime("%Y-%m-%d %H:%M:%S UTC"),
        )
        .raw("</dd></div>\n<div><dt>Duration</dt><dd>")
        .text(run.seconds.map_or_else(|| "–".to_owned(), seconds_text))
        .raw("</dd></div>\n<div><dt>Stages</dt><dd>")
        .text(counts(report))
        .raw("</dd></div>\n<div class=\"wide\"><dt>Run</dt><dd><code class=\"copy\">")
        .text(run.id)
        .raw("</code></dd></div>\n<div class=\"wide\"><dt>File</dt><dd><code>")
        .text(run.file.display())
        .raw("</code></dd></div>\n</dl>\n</header>\n");
}

fn counts(report: &Report) -> String {
    let counts = report.run.counts;
    let parts = [
        (counts.ran, "ran"),
        (counts.cached, "cached"),
        (counts.failed, "failed"),
        (counts.skipped, "skipped"),
        (counts.cancelled, "cancelled"),
    ];
    let parts = parts.iter().filter(|(count, _)| *count > 0);
    let parts: Vec<String> = parts
        .map(|(count, name)| format!("{count} {name}"))
        .collect();
    match parts.is_empty() {
        true => "none".to_owned(),
        false => parts.join(", "),
    }
}

/// What a reader has to know before all else.
pub(crate) fn notices(report: &Report, html: &mut Html) {
    let unread = report
        .problems
        .iter()
        .map(|p| format!("{}: {}", p.what, p.why));
    notice("Could not be read", "bad", unread.collect(), html);
    notice(
        "Could not be kept",
        "bad",
        report.run.not_stored.clone(),
        html,
    );
    let cards = report.data.iter().flat_map(|card| {
        let warnings = card.content.warnings.iter();
        warnings.map(|warning| format!("{}: {warning}", card.cell))
    });
    let evaluations = report.evaluations.iter().flat_map(|evaluation| {
        let warnings = evaluation.content.warnings.iter();
        warnings.map(|warning| format!("{}: {warning}", evaluation.cell))
    });
    notice("Warnings", "odd", cards.chain(evaluations).collect(), html);
    let left_out = report
        .left_out
        .iter()
        .map(|left| format!("{} of {} {}", left.shown, left.of, left.what));
    notice(
        "Only a part is in this report",
        "odd",
        left_out.collect(),
        html,
    );
}

/// Lines of a notice that stand open, and lines at all.
const OPEN_LINES: usize = 5;
const MOST_LINES: usize = 40;

fn notice(title: &'static str, class: &'static str, lines: Vec<String>, html: &mut Html) {
    if lines.is_empty() {
        return;
    }
    html.open("aside", &[("class", &format_args!("notice {class}"))])
        .element("h2", &[], title);
    let shown = &lines[..lines.len().min(MOST_LINES)];
    let (open, folded) = shown.split_at(shown.len().min(OPEN_LINES));
    list(open, html);
    if !folded.is_empty() {
        open_fold(html, format_args!("{} more", folded.len()), Fold::Closed);
        list(folded, html);
        cut_note(html, shown.len(), lines.len(), "lines");
        close_fold(html);
    }
    html.raw("</aside>\n");
}

fn list(lines: &[String], html: &mut Html) {
    html.raw("<ul>");
    for line in lines {
        html.element("li", &[], line);
    }
    html.raw("</ul>");
}
