//! Axes, grid and lines of a chart as parts of an SVG picture.

use crate::chart::line_chart::{HUES, Line, Reference, class};
use crate::chart::scale::{Range, place, tick_texts};
use crate::page::html::Html;
use crate::time_text::metric_text;

/// The picture's size in its own units; on the page it is as wide as its column.
pub(super) const WIDTH: f64 = 360.0;
pub(super) const HEIGHT: f64 = 236.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 38.0;
/// Points so near to the one before are not seen apart.
const NEAR: f64 = 0.4;
/// Marks that can be pointed at, on lines with few points.
const MOST_MARKS: usize = 40;

/// Two axes and what is drawn between them.
pub(super) struct Plot {
    pub x: Range,
    pub y: Range,
    pub x_ticks: Vec<f64>,
}

impl Plot {
    fn at(&self, point: (f64, f64)) -> (f64, f64) {
        (
            LEFT + self.x.share(point.0) * (WIDTH - LEFT - RIGHT),
            HEIGHT - BOTTOM - self.y.share(point.1) * (HEIGHT - TOP - BOTTOM),
        )
    }

    pub fn axes(&self, x_label: &str, y_label: &str, html: &mut Html) {
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

    pub fn reference(&self, reference: Reference, html: &mut Html) {
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

    pub fn line(&self, line: &Line, html: &mut Html) {
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
