//! A distribution by its quantiles: from least to most, the middle half, the median.

use crate::chart::scale::{Range, place, tick_texts};
use crate::page::html::Html;

const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 66.0;
const SIDE: f64 = 14.0;
const MIDDLE: f64 = 22.0;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Quantiles {
    pub min: f64,
    pub p25: f64,
    pub median: f64,
    pub p75: f64,
    pub p95: f64,
    pub max: f64,
}

/// `name`: what is distributed, for those who do not see the picture.
pub(crate) fn range_bar(name: &str, of: &Quantiles, html: &mut Html) {
    let range = Range::of([0.0, of.min, of.max.max(1.0)].into_iter());
    let at = |value: f64| SIDE + range.share(value) * (WIDTH - 2.0 * SIDE);
    let said = format!(
        "{name}: from {} to {}, a quarter up to {}, half up to {}, three quarters up to {}, 95 % up to {}",
        of.min, of.max, of.p25, of.median, of.p75, of.p95
    );
    html.open(
        "svg",
        &[
            ("viewBox", &format_args!("0 0 {WIDTH} {HEIGHT}")),
            ("class", &"range"),
            ("role", &"img"),
            ("aria-label", &said),
        ],
    );
    let whiskers = format!(
        "M{} {MIDDLE}H{}M{} {}v10M{} {}v10",
        place(at(of.min)),
        place(at(of.max)),
        place(at(of.min)),
        MIDDLE - 5.0,
        place(at(of.max)),
        MIDDLE - 5.0
    );
    html.empty("path", &[("class", &"whiskers"), ("d", &whiskers)]);
    html.empty(
        "rect",
        &[
            ("class", &"middle-half"),
            ("x", &place(at(of.p25))),
            ("y", &(MIDDLE - 9.0)),
            ("width", &place((at(of.p75) - at(of.p25)).max(1.0))),
            ("height", &18),
            ("rx", &2),
        ],
    );
    for (class, value) in [("median", of.median), ("far", of.p95)] {
        let path = format!("M{} {}v18", place(at(value)), MIDDLE - 9.0);
        html.empty("path", &[("class", &class), ("d", &path)]);
    }
    let ticks = range.ticks(6);
    for (tick, text) in ticks.iter().zip(tick_texts(&ticks)) {
        html.element(
            "text",
            &[
                ("class", &"middle"),
                ("x", &place(at(*tick))),
                ("y", &(HEIGHT - 14.0)),
            ],
            text,
        );
    }
    html.close("svg");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(of: Quantiles) -> String {
        let mut html = Html::new();
        range_bar("Steps", &of, &mut html);
        html.into_text().replace("><", ">\n<")
    }

    #[test]
    fn lengths_of_samples() {
        insta::assert_snapshot!(drawn(Quantiles {
            min: 1.0,
            p25: 19.0,
            median: 32.0,
            p75: 48.0,
            p95: 60.0,
            max: 64.0
        }));
    }

    #[test]
    fn all_alike_or_none_at_all() {
        for value in [0.0, 1.0, f64::NAN] {
            let text = drawn(Quantiles {
                min: value,
                p25: value,
                median: value,
                p75: value,
                p95: value,
                max: value,
            });
            assert!(!text.contains("=\"NaN"), "{text}");
        }
    }
}
