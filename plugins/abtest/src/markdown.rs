//! `report.md`: the experiment for people.

use std::fmt::Write as _;

use supermoe_plugin::markdown_text::markdown_text;

use crate::params::Correction;
use crate::report::{Bounds, Experiment, Lift, Metric, MetricKind, Report};

pub fn markdown(report: &Report) -> String {
    let experiment = &report.experiment;
    let mut text = String::from("# Experiment\n\n");
    // Writing to a String does not fail; so below.
    let _ = writeln!(
        text,
        "{} users in {} buckets, {} rows; control is {}.\n",
        experiment.users,
        experiment.buckets.len(),
        experiment.rows,
        markdown_text(&experiment.control)
    );
    buckets(experiment, &mut text);
    text.push_str("\n## Lifts\n\n");
    lifts(experiment, &mut text);
    let _ = writeln!(
        text,
        "\nA lift is the difference over the control's value, with its interval of {} %. p is two-sided{}.",
        percent(experiment.confidence),
        match experiment.correction {
            Correction::Holm => ", and adjusted by Holm's method for the number of buckets",
            Correction::Bonferroni =>
                ", and adjusted by Bonferroni's method for the number of buckets",
            Correction::None => ", and not corrected for the number of buckets",
        }
    );
    if experiment.metrics.iter().any(|metric| metric.is_adjusted) {
        text.push_str(
            "\nLifts, not values, are adjusted by the same users' numbers from before the experiment (CUPED); the last column \
             is what this does to the variance of the difference.\n",
        );
    }
    if !report.warnings.is_empty() {
        text.push_str("\n## Warnings\n\n");
        let warnings = report.warnings.iter();
        warnings.for_each(|warning| text.push_str(&format!("- {}\n", markdown_text(warning))));
    }
    text
}

fn buckets(experiment: &Experiment, text: &mut String) {
    text.push_str("| bucket | users | share | planned |\n| --- | ---: | ---: | ---: |\n");
    for bucket in &experiment.buckets {
        let _ = writeln!(
            text,
            "| {} | {} | {:.2} % | {:.2} % |",
            markdown_text(&bucket.name),
            bucket.users,
            100.0 * bucket.share,
            100.0 * bucket.planned_share
        );
    }
    let ratio = &experiment.sample_ratio;
    let _ = writeln!(
        text,
        "\nShares of users: chi-square {:.3} with {} degrees of freedom, p {}; {}.",
        ratio.statistic,
        ratio.degrees_of_freedom,
        p_value(Some(ratio.p_value)),
        match ratio.is_as_planned {
            true => "as planned",
            false => "**not as planned**",
        }
    );
}

fn lifts(experiment: &Experiment, text: &mut String) {
    text.push_str(
        "| metric | bucket | control | value | lift | interval | p | adjusted p | variance by CUPED |\n\
         | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
    );
    for metric in &experiment.metrics {
        for lift in &metric.lifts {
            let _ = writeln!(text, "| {} |", row(experiment, metric, lift).join(" | "));
        }
    }
}

fn row(experiment: &Experiment, metric: &Metric, lift: &Lift) -> Vec<String> {
    let place = |name: &str| {
        experiment
            .buckets
            .iter()
            .position(|bucket| bucket.name == name)
    };
    let value = |name: &str| {
        let estimate = place(name).and_then(|place| metric.estimates[place]);
        estimate.map_or_else(|| "-".to_owned(), |estimate| significant(estimate.value))
    };
    let kind = match metric.kind {
        MetricKind::Mean => "mean",
        MetricKind::Ratio => "ratio",
    };
    let found = &lift.found;
    vec![
        format!("{} ({kind})", markdown_text(&metric.name)),
        markdown_text(&lift.bucket),
        value(&experiment.control),
        value(&lift.bucket),
        found.lift.map_or_else(|| "-".to_owned(), signed_percent),
        interval(found.lift_interval),
        p_value(found.p_value),
        p_value(found.p_adjusted),
        lift.variance_reduction.map_or_else(
            || "-".to_owned(),
            |share| format!("{:+.1} %", -100.0 * share),
        ),
    ]
}

fn interval(bounds: Option<Bounds>) -> String {
    bounds.map_or_else(
        || "-".to_owned(),
        |Bounds { low, high }| format!("[{}, {}]", signed_percent(low), signed_percent(high)),
    )
}

fn signed_percent(share: f64) -> String {
    format!("{:+.2} %", 100.0 * share)
}

/// Of a value of any size, five digits.
fn significant(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if (0.001..100_000.0).contains(&size) => {
            let digits = (4 - size.log10().floor() as i64).clamp(0, 7) as usize;
            format!("{value:.digits$}")
        }
        _ => format!("{value:.4e}"),
    }
}

fn p_value(p: Option<f64>) -> String {
    match p {
        None => "-".to_owned(),
        Some(p) if p < 0.0001 => "<0.0001".to_owned(),
        Some(p) => format!("{p:.4}"),
    }
}

/// `95`, `99.9`
fn percent(confidence: f64) -> f64 {
    (confidence * 1e6).round() / 1e4
}
