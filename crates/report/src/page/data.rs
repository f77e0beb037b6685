//! The data card: what the models were trained and tested on.

use indexmap::IndexSet;

use crate::chart::range_bar::{Quantiles, range_bar};
use crate::content::{DataCard, DataChannel, Report};
use crate::page::html::Html;
use crate::page::number_text::{count_text, percent_text};
use crate::page::table::{Cell, Table};
use crate::page::{Fold, close_fold, cut_note, nothing, open_fold};
use crate::time_text::metric_text;

const MOST_TASKS: usize = 200;
const MOST_CHANNELS: usize = 1000;
/// Channels that stand open.
const OPEN_CHANNELS: usize = 24;
const MOST_SNAPSHOTS: usize = 120;
const MOST_AGGREGATES: usize = 100;

pub(crate) fn draw(report: &Report, html: &mut Html) {
    if report.data.is_empty() {
        nothing(
            html,
            "No stage of this run gave a dataset with a card that could be read.",
        );
        return;
    }
    for card in &report.data {
        if report.data.len() > 1 {
            html.element("h3", &[], &card.cell).raw("\n");
        }
        draw_card(&card.content, html);
    }
}

fn draw_card(card: &DataCard, html: &mut Html) {
    tiles(card, html);
    splits(card, html);
    tasks(card, html);
    lengths(card, html);
    channels(card, html);
    aggregates(card, html);
    snapshots(card, html);
}

fn tiles(card: &DataCard, html: &mut Html) {
    let samples = |split: &str| card.splits.get(split).map_or(0, |split| split.samples);
    let period = format!("{} – {}", day(&card.first_time), day(&card.last_time));
    let tiles = [
        ("Rows", count_text(card.rows)),
        ("Users", count_text(card.entities)),
        ("Training samples", count_text(samples("train"))),
        ("Test samples", count_text(samples("test"))),
        ("Channels", count_text(card.channels.len() as u64)),
        ("Average length", format!("{:.1}", card.average_length)),
        ("Period", period),
    ];
    html.raw("<dl class=\"tiles\">\n");
    for (name, value) in tiles {
        html.raw("<div><dt>")
            .text(name)
            .raw("</dt><dd>")
            .text(value)
            .raw("</dd></div>\n");
    }
    html.raw("</dl>\n");
}

/// The day of a time such as `2009-12-01T07:45:00`.
fn day(time: &str) -> &str {
    time.split('T').next().unwrap_or(time)
}

fn splits(card: &DataCard, html: &mut Html) {
    let mut table = Table::new("Splits")
        .fitted()
        .left("split")
        .right("samples")
        .right("users")
        .right("average length")
        .right("snapshots")
        .right("from")
        .right("to");
    for (name, split) in &card.splits {
        let days = || split.snapshots.keys();
        let length = format!("{:.1}", split.average_length);
        table.row(vec![
            Cell::text(name),
            Cell::number(count_text(split.samples)),
            Cell::number(count_text(split.entities)),
            Cell::number(length),
            Cell::number(split.snapshots.len()),
            Cell::number(days().min().map_or("", |first| day(first))),
            Cell::number(days().max().map_or("", |last| day(last))),
        ]);
    }
    table.render(html);
}

fn tasks(card: &DataCard, html: &mut Html) {
    if card.tasks.is_empty() {
        return;
    }
    let splits: IndexSet<&str> = card
        .tasks
        .values()
        .flat_map(|task| task.label_rate.keys().map(String::as_str))
        .collect();
    let mut table = Table::new("Mean of the labels: the rate of positives of a binary task")
        .fitted()
        .left("task");
    for split in &splits {
        table = table.left(split);
    }
    table = table.right("without label");
    for (name, task) in card.tasks.iter().take(MOST_TASKS) {
        let mut cells = vec![Cell::text(name)];
        for split in &splits {
            let rate = task.label_rate.get(*split).copied().flatten();
            cells.push(rate.map_or_else(Cell::none, rate_cell));
        }
        cells.push(Cell::number(count_text(task.missing_labels.values().sum())));
        table.row(cells);
    }
    table.render(html);
    cut_note(html, table.len(), card.tasks.len(), "tasks");
}

/// A share has a bar; the mean of a regression task need not be one.
fn rate_cell(rate: f64) -> Cell {
    if (0.0..=1.0).contains(&rate) {
        share_cell(rate)
    } else {
        Cell::number(metric_text(rate))
    }
}

fn share_cell(share: f64) -> Cell {
    let mut markup = Html::new();
    markup
        .raw("<span class=\"share\">")
        .text(percent_text(share))
        .raw("<svg viewBox=\"0 0 60 8\" preserveAspectRatio=\"none\" aria-hidden=\"true\"><rect class=\"track\" width=\"60\" height=\"8\"/>")
        .empty(
            "rect",
            &[
                ("class", &"fill"),
                ("width", &format_args!("{:.1}", share.clamp(0.0, 1.0) * 60.0)),
                ("height", &8),
            ],
        )
        .raw("</svg></span>");
    Cell::Markup(markup)
}

fn lengths(card: &DataCard, html: &mut Html) {
    let Some(lengths) = &card.lengths else {
        return;
    };
    html.raw("<figure class=\"alone\"><figcaption>Steps of a sample: least, middle half, median, 95 %, most</figcaption>\n");
    let quantiles = Quantiles {
        min: lengths.min,
        p25: lengths.p25,
        median: lengths.median,
        p75: lengths.p75,
        p95: lengths.p95,
        max: lengths.max,
    };
    range_bar("Steps of a sample", &quantiles, html);
    html.element(
        "p",
        &[("class", &"note")],
        format_args!(
            "{} of the samples had a longer history and were cut.",
            percent_text(card.cut)
        ),
    )
    .raw("</figure>\n");
}

fn channels(card: &DataCard, html: &mut Html) {
    if card.channels.is_empty() {
        return;
    }
    let all: Vec<(&String, &DataChannel)> = card.channels.iter().collect();
    let shown = &all[..all.len().min(MOST_CHANNELS)];
    let (open, folded) = shown.split_at(shown.len().min(OPEN_CHANNELS));
    channel_table(open, html);
    if !folded.is_empty() {
        open_fold(
            html,
            format_args!("{} more channels", folded.len()),
            Fold::Closed,
        );
        channel_table(folded, html);
        close_fold(html);
    }
    cut_note(html, shown.len(), all.len(), "channels");
}

fn channel_table(channels: &[(&String, &DataChannel)], html: &mut Html) {
    let mut table =
        Table::new("Channels; missing: share of steps without a value, or with an unknown one")
            .fitted()
            .left("channel")
            .left("kind")
            .left("depends on")
            .right("values")
            .left("missing");
    for (name, channel) in channels {
        let values = match channel.values {
            0 => Cell::none(),
            values => Cell::number(count_text(values)),
        };
        table.row(vec![
            Cell::text(name),
            Cell::text(&channel.kind),
            Cell::text(channel.per.replace('_', " and ")),
            values,
            share_cell(channel.missing),
        ]);
    }
    table.render(html);
}

fn aggregates(card: &DataCard, html: &mut Html) {
    if card.missing_aggregates.is_empty() {
        return;
    }
    let mut table = Table::new("Aggregates without a value")
        .fitted()
        .left("aggregate")
        .right("samples");
    for (name, samples) in card.missing_aggregates.iter().take(MOST_AGGREGATES) {
        table.row(vec![Cell::text(name), Cell::number(count_text(*samples))]);
    }
    open_fold(html, "Missing aggregates", Fold::Closed);
    table.render(html);
    cut_note(
        html,
        table.len(),
        card.missing_aggregates.len(),
        "aggregates",
    );
    close_fold(html);
}

fn snapshots(card: &DataCard, html: &mut Html) {
    let mut table = Table::new("Samples by snapshot")
        .fitted()
        .left("snapshot")
        .left("split")
        .right("samples");
    let all = card.splits.iter().flat_map(|(split, of)| {
        of.snapshots
            .iter()
            .map(move |(snapshot, samples)| (split, snapshot, samples))
    });
    let count = all.clone().count();
    if count == 0 {
        return;
    }
    for (split, snapshot, samples) in all.take(MOST_SNAPSHOTS) {
        table.row(vec![
            Cell::text(snapshot),
            Cell::text(split),
            Cell::number(count_text(*samples)),
        ]);
    }
    open_fold(html, "Samples by snapshot", Fold::Closed);
    table.render(html);
    cut_note(html, table.len(), count, "snapshots");
    close_fold(html);
}
