//! Lines over two axes, as one SVG picture with a legend and a text that says the same.

use crate::chart::plot::{HEIGHT, Plot, WIDTH};
use crate::chart::scale::{Range, ticks_among};
use crate::page::html::Html;
use crate::time_text::metric_text;

/// Colours of the style sheet; with more lines they come again, with other dashes.
pub(crate) const HUES: usize = 8;
/// A line with more points is drawn through the means of equal parts.
const MOST_POINTS: usize = 240;

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Line {
    pub name: String,
    /// Sorted by the first value where the lines are over steps.
    pub points: Vec<(f64, f64)>,
    /// One of [`HUES`].
    pub hue: usize,
    pub stroke: Stroke,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stroke {
    Solid,
    Dashed,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Extent {
    /// From the values.
    Fitted,
    /// From 0 to 1.
    Unit,
    /// The same for both axes, from the values of both, zero among them.
    Joint,
}

/// What is drawn behind the lines.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Reference {
    None,
    /// Where both values are equal.
    Diagonal,
    /// Where the upper value is this one.
    Level(f64),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LineChart {
    pub title: String,
    pub x_label: &'static str,
    pub y_label: &'static str,
    pub x: Extent,
    pub y: Extent,
    pub reference: Reference,
    pub legend: Legend,
    pub lines: Vec<Line>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Legend {
    /// Under the picture, where there is more than one line.
    Own,
    /// Several pictures share one, which stands elsewhere.
    Shared,
}

impl LineChart {
    /// A figure: caption, picture, legend.
    pub(crate) fn render(&self, html: &mut Html) {
        html.raw("<figure>").element("figcaption", &[], &self.title);
        let lines: Vec<Line> = self.lines.iter().map(prepared).collect();
        if lines.iter().all(|line| line.points.is_empty()) {
            html.raw("<p class=\"nothing\">It has no points.</p></figure>\n");
            return;
        }
        self.picture(&lines, html);
        if lines.len() > 1 && self.legend == Legend::Own {
            let keys = lines
                .iter()
                .map(|line| (line.name.as_str(), line.hue, line.stroke));
            legend(keys, html);
        }
        html.raw("</figure>\n");
    }

    fn picture(&self, lines: &[Line], html: &mut Html) {
        let points = || lines.iter().flat_map(|line| &line.points);
        let x = range(self.x, points().map(|point| point.0), points(), 0);
        let y = range(self.y, points().map(|point| point.1), points(), 5);
        let x_ticks = match self.x {
            Extent::Fitted => ticks_among(x, points().map(|point| point.0)),
            Extent::Unit | Extent::Joint => x.ticks(5),
        };
        let plot = Plot { x, y, x_ticks };
        html.open(
            "svg",
            &[
                ("viewBox", &format_args!("0 0 {WIDTH} {HEIGHT}")),
                ("role", &"img"),
                ("aria-label", &self.in_words(lines)),
            ],
        );
        plot.axes(self.x_label, self.y_label, html);
        plot.reference(self.reference, html);
        for line in lines {
            plot.line(line, html);
        }
        html.close("svg");
    }

    /// What a person who does not see the picture is told.
    fn in_words(&self, lines: &[Line]) -> String {
        let mut text = format!("{}: {} over {}.", self.title, self.y_label, self.x_label);
        for line in lines.iter().take(HUES) {
            let (Some(first), Some(last)) = (line.points.first(), line.points.last()) else {
                continue;
            };
            text.push_str(&format!(
                " {}: {} at {}, {} at {}.",
                line.name,
                metric_text(first.1),
                metric_text(first.0),
                metric_text(last.1),
                metric_text(last.0)
            ));
        }
        text
    }
}

/// Without what cannot be drawn, and not more than can be seen.
fn prepared(line: &Line) -> Line {
    let finite: Vec<(f64, f64)> = line
        .points
        .iter()
        .copied()
        .filter(|(x, y)| x.is_finite() && y.is_finite())
        .collect();
    let points = match finite.len().div_ceil(MOST_POINTS) {
        0 | 1 => finite,
        part => finite.chunks(part).map(mean).collect(),
    };
    Line {
        points,
        ..line.clone()
    }
}

fn mean(points: &[(f64, f64)]) -> (f64, f64) {
    let count = points.len() as f64;
    let x = points.iter().map(|point| point.0 / count).sum();
    let y = points.iter().map(|point| point.1 / count).sum();
    (x, y)
}

/// `round_to`: how many ticks the range is widened to; 0 leaves it.
fn range<'a>(
    extent: Extent,
    values: impl Iterator<Item = f64>,
    points: impl Iterator<Item = &'a (f64, f64)>,
    round_to: usize,
) -> Range {
    match extent {
        Extent::Unit => Range::UNIT,
        Extent::Fitted if round_to == 0 => Range::of(values),
        Extent::Fitted => Range::of(values).rounded(round_to),
        Extent::Joint => {
            let both = points.flat_map(|point| [point.0, point.1]);
            Range::of(both.chain([0.0])).rounded(5)
        }
    }
}

/// The class of a line in the style sheet.
pub(super) fn class(hue: usize, stroke: Stroke) -> String {
    let dashes = match stroke {
        Stroke::Solid => "",
        Stroke::Dashed => " dashed",
    };
    format!("line s{}{dashes}", hue % HUES)
}

/// What lines mean: name, colour, stroke.
pub(crate) fn legend<'a>(keys: impl Iterator<Item = (&'a str, usize, Stroke)>, html: &mut Html) {
    html.raw("<ul class=\"legend\">");
    for (name, hue, stroke) in keys {
        html.raw("<li><svg class=\"key\" viewBox=\"0 0 22 8\" aria-hidden=\"true\">")
            .empty("path", &[("class", &class(hue, stroke)), ("d", &"M1 4H21")])
            .raw("</svg>")
            .text(name)
            .raw("</li>");
    }
    html.raw("</ul>\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(lines: Vec<Line>) -> String {
        let chart = LineChart {
            title: "Loss".to_owned(),
            x_label: "step",
            y_label: "loss",
            x: Extent::Fitted,
            y: Extent::Fitted,
            reference: Reference::None,
            legend: Legend::Own,
            lines,
        };
        let mut html = Html::new();
        chart.render(&mut html);
        html.into_text().replace("><", ">\n<")
    }

    fn line(name: &str, points: &[(f64, f64)], stroke: Stroke) -> Line {
        Line {
            name: name.to_owned(),
            points: points.to_vec(),
            hue: 0,
            stroke,
        }
    }

    #[test]
    fn two_lines_with_a_legend() {
        insta::assert_snapshot!(chart(vec![
            line(
                "train",
                &[(0.0, 0.7), (50.0, 0.52), (100.0, 0.45)],
                Stroke::Solid
            ),
            line("valid", &[(50.0, 0.6), (100.0, 0.5)], Stroke::Dashed),
        ]));
    }

    #[test]
    fn what_cannot_be_drawn_is_left_out() {
        assert!(chart(Vec::new()).contains("It has no points"));
        assert!(chart(vec![line("a", &[(f64::NAN, 1.0)], Stroke::Solid)]).contains("no points"));
        let text = chart(vec![line(
            "a",
            &[(1.0, f64::INFINITY), (2.0, 3.0), (2.0, f64::NAN)],
            Stroke::Solid,
        )]);
        assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
        assert_eq!(text.matches("<circle").count(), 1, "{text}");
    }

    #[test]
    fn a_long_line_has_a_bounded_picture() {
        let points: Vec<(f64, f64)> = (0..100_000)
            .map(|step| (f64::from(step), f64::from(step % 97)))
            .collect();
        let text = chart(vec![line("long", &points, Stroke::Solid)]);
        assert!(text.len() < 8_000, "{}", text.len());
    }
}
