//! An experiment: the lift of each bucket over the control.

use crate::content::{Bounds, Experiment, ExperimentMetric, Lift};
use crate::page::cut_note;
use crate::page::html::Html;
use crate::page::number_text::{count_text, p_value_text};
use crate::page::table::{Cell, Table};
use crate::time_text::metric_text;

const MOST_ROWS: usize = 240;

pub(super) fn draw(experiment: &Experiment, html: &mut Html) {
    lifts(experiment, html);
    buckets(experiment, html);
}

fn lifts(experiment: &Experiment, html: &mut Html) {
    let caption = format!(
        "Lifts over {}, intervals of {} %",
        experiment.control,
        (experiment.confidence * 1e6).round() / 1e4
    );
    let mut table = Table::new(caption)
        .left("metric")
        .left("bucket")
        .right(&experiment.control)
        .right("value")
        .right("lift")
        .right("interval")
        .right("p")
        .right("adjusted p")
        .right("variance by CUPED");
    let rows = experiment.metrics.iter();
    let rows = rows.flat_map(|metric| metric.lifts.iter().map(move |lift| (metric, lift)));
    for (metric, lift) in rows.clone().take(MOST_ROWS) {
        table.row(row(experiment, metric, lift));
    }
    table.render(html);
    cut_note(html, table.len(), rows.count(), "rows");
    let correction = match experiment.correction.as_str() {
        "holm" => "adjusted by Holm’s method for the number of buckets",
        "bonferroni" => "adjusted by Bonferroni’s method for the number of buckets",
        _ => "not corrected for the number of buckets",
    };
    html.element(
        "p",
        &[("class", &"note")],
        format_args!("A lift is the difference over the control’s value. p-values are two-sided, {correction}."),
    )
    .raw("\n");
    for metric in &experiment.metrics {
        for note in &metric.notes {
            html.element(
                "p",
                &[("class", &"note")],
                format_args!("{}: {note}", metric.name),
            )
            .raw("\n");
        }
    }
}

fn row(experiment: &Experiment, metric: &ExperimentMetric, lift: &Lift) -> Vec<Cell> {
    let value = |name: &str| {
        let buckets = &experiment.buckets;
        let place = buckets.iter().position(|bucket| bucket.name == name);
        let estimate = place.and_then(|place| metric.estimates.get(place).copied().flatten());
        estimate.map_or_else(Cell::none, |estimate| {
            Cell::number(metric_text(estimate.value))
        })
    };
    let p = |p: Option<f64>| p.map_or_else(Cell::none, |p| Cell::number(p_value_text(p)));
    let share = |share: Option<f64>| {
        share.map_or_else(Cell::none, |share| Cell::number(signed_percent(share)))
    };
    vec![
        Cell::text(&metric.name),
        Cell::text(&lift.bucket),
        value(&experiment.control),
        value(&lift.bucket),
        share(lift.lift),
        lift.lift_interval
            .map_or_else(Cell::none, |Bounds { low, high }| {
                Cell::number(format_args!(
                    "[{}, {}]",
                    signed_percent(low),
                    signed_percent(high)
                ))
            }),
        p(lift.p_value),
        p(lift.p_adjusted),
        share(lift.variance_reduction.map(|share| -share)),
    ]
}

fn buckets(experiment: &Experiment, html: &mut Html) {
    let ratio = &experiment.sample_ratio;
    let mut table = Table::new(format_args!(
        "{} users by bucket: chi-square p {}, {}",
        count_text(experiment.users),
        p_value_text(ratio.p_value),
        match ratio.is_as_planned {
            true => "as planned",
            false => "not as planned",
        }
    ))
    .fitted()
    .left("bucket")
    .right("users")
    .right("share")
    .right("planned");
    for bucket in experiment.buckets.iter().take(MOST_ROWS) {
        table.row(vec![
            Cell::text(&bucket.name),
            Cell::number(count_text(bucket.users)),
            Cell::number(format_args!("{:.2} %", 100.0 * bucket.share)),
            Cell::number(format_args!("{:.2} %", 100.0 * bucket.planned_share)),
        ]);
    }
    table.render(html);
    cut_note(html, table.len(), experiment.buckets.len(), "buckets");
}

fn signed_percent(share: f64) -> String {
    format!("{:+.2} %", 100.0 * share)
}
