//! Lines over two axes, as one SVG picture with a legend and a text that says the same.

use crate::chart::scale::{Range, place, tick_texts, ticks_among};
use crate::page::html::Html;
use crate::time_text::metric_text;

/// The picture's size in its own units; on the page it is as wide as its column.
const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 236.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 38.0;
/// Colours of the style sheet; with more lines they come again, with other dashes.
pub(crate) const HUES: usize = 8;
/// A line with more points is drawn through the means of equal parts.
const MOST_POINTS: usize = 240;
/// Points so near to the one before are not seen apart.
const NEAR: f64 = 0.4;
/// Marks that can be pointed at, on lines with few points.
const MOST_MARKS: usize = 40;

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

struct Plot {
    x: Range,
    y: Range,
    x_ticks: Vec<f64>,
}

impl Plot {
    fn at(&self, point: (f64, f64)) -> (f64, f64) {
        (
            LEFT + self.x.share(point.0) * (WIDTH - LEFT - RIGHT),
            HEIGHT - BOTTOM - self.y.share(point.1) * (HEIGHT - TOP - BOTTOM),
        )
    }

    fn axes(&self, x_label: &str, y_label: &str, html: &mut Html) {
        let bottom = HEIGHT - BOTTOM;
        let y_ticks = self.y.ticks(5);
        let mut grid = String::new();
        for tick in &y_ticks {
            let (_, y) = self.at((self.x.low, *tick));
            grid.push_str(&format!("M{LEFT} {}H{}", place(y), WIDTH - RIGHT));
        }
        html.empty("path", &[("class", &"grid"), ("d", &grid)]);
        for (tick, text) in y_ticks.iter().zip(tick_texts(&y_ticks)) {
            let (_, y) = self.at((self.x.low, *tick));
            html.element(
                "text",
                &[
                    ("class", &"end"),
                    ("x", &(LEFT - 6.0)),
                    ("y", &place(y + 3.5)),
                ],
                text,
            );
        }
        for (tick, text) in self.x_ticks.iter().zip(tick_texts(&self.x_ticks)) {
            let (x, _) = self.at((*tick, self.y.low));
            html.element(
                "text",
                &[
                    ("class", &"middle"),
                    ("x", &place(x)),
                    ("y", &(bottom + 15.0)),
                ],
                text,
            );
        }
        let axis = format!("M{LEFT} {bottom}H{}", WIDTH - RIGHT);
        html.empty("path", &[("class", &"axis"), ("d", &axis)]);
        let middle = LEFT + (WIDTH - LEFT - RIGHT) / 2.0;
        html.element(
            "text",
            &[
                ("class", &"middle label"),
                ("x", &middle),
                ("y", &(HEIGHT - 6.0)),
            ],
            x_label,
        );
        let height = TOP + (HEIGHT - TOP - BOTTOM) / 2.0;
        html.element(
            "text",
            &[
                ("class", &"middle label"),
                (
                    "transform",
                    &format_args!("translate(10 {height}) rotate(-90)"),
                ),
            ],
            y_label,
        );
    }

    fn reference(&self, reference: Reference, html: &mut Html) {
        let (from, to) = match reference {
            Reference::None => return,
            Reference::Diagonal => ((self.x.low, self.y.low), (self.x.high, self.y.high)),
            Reference::Level(level) => ((self.x.low, level), (self.x.high, level)),
        };
        let (from, to) = (self.at(from), self.at(to));
        let path = format!(
            "M{} {}L{} {}",
            place(from.0),
            place(from.1),
            place(to.0),
            place(to.1)
        );
        html.empty("path", &[("class", &"reference"), ("d", &path)]);
    }

    fn line(&self, line: &Line, html: &mut Html) {
        let class = class(line.hue, line.stroke);
        let places: Vec<(f64, f64)> = line.points.iter().map(|point| self.at(*point)).collect();
        html.open("path", &[("class", &class), ("d", &path(&places))])
            .element("title", &[], &line.name)
            .close("path");
        if places.len() <= MOST_MARKS {
            for (point, at) in line.points.iter().zip(&places) {
                html.open(
                    "circle",
                    &[
                        ("class", &format_args!("mark s{}", line.hue % HUES)),
                        ("cx", &place(at.0)),
                        ("cy", &place(at.1)),
                        ("r", &"2.2"),
                    ],
                );
                let said = format!(
                    "{}: {} at {}",
                    line.name,
                    metric_text(point.1),
                    metric_text(point.0)
                );
                html.element("title", &[], said).close("circle");
            }
        }
    }
}

/// Through all places but those that lie on the one before.
fn path(places: &[(f64, f64)]) -> String {
    let mut text = String::new();
    let mut before: Option<(f64, f64)> = None;
    for (index, at) in places.iter().enumerate() {
        let is_last = index + 1 == places.len();
        if let Some(before) = before
            && !is_last
            && (at.0 - before.0).abs() < NEAR
            && (at.1 - before.1).abs() < NEAR
        {
            continue;
        }
        text.push(if before.is_none() { 'M' } else { 'L' });
        text.push_str(&format!("{} {}", place(at.0), place(at.1)));
        before = Some(*at);
    }
    text
}

fn class(hue: usize, stroke: Stroke) -> String {
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
