//! A share of a whole over steps, a row for each part: how far each is from an equal share.

use crate::chart::scale::{Range, place, tick_texts, ticks_among};
use crate::page::html::Html;

const WIDTH: f64 = 270.0;
const LEFT: f64 = 34.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 4.0;
const BOTTOM: f64 = 34.0;
/// Heights of the whole field, and of a row.
const TALLEST: f64 = 190.0;
const HIGHEST_ROW: f64 = 16.0;
/// Steps are put together to at most so many columns, parts to at most so many rows.
const MOST_COLUMNS: usize = 60;
pub(crate) const MOST_ROWS: usize = 64;

/// Upper bounds of the levels, as multiples of an equal share; the last has none.
const BOUNDS: [f64; 6] = [0.25, 0.5, 0.8, 1.25, 2.0, 4.0];
/// Texts of the levels, for the legend.
const LEVELS: [&str; 7] = ["< ¼", "¼–½", "½–0.8", "equal", "1.25–2", "2–4", "> 4"];

/// A row for each part: its share of the whole by step.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct HeatMap {
    pub title: String,
    /// Under the title, smaller.
    pub note: String,
    pub rows: Vec<Row>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub name: String,
    /// Sorted by step.
    pub points: Vec<(f64, f64)>,
}

impl HeatMap {
    pub(crate) fn render(&self, html: &mut Html) {
        html.raw("<figure><figcaption>")
            .text(&self.title)
            .element("span", &[("class", &"under")], &self.note)
            .raw("</figcaption>");
        let rows = &self.rows[..self.rows.len().min(MOST_ROWS)];
        let steps = || rows.iter().flat_map(|row| &row.points).map(|point| point.0);
        if steps().next().is_none() {
            html.raw("<p class=\"nothing\">It has no points.</p></figure>\n");
            return;
        }
        let range = Range::of(steps());
        let longest = rows.iter().map(|row| row.points.len()).max().unwrap_or(1);
        let columns = longest.clamp(1, MOST_COLUMNS);
        let fields: Vec<Vec<Option<f64>>> = rows
            .iter()
            .map(|row| column_means(&row.points, range, columns))
            .collect();
        let row_height = (TALLEST / rows.len() as f64).min(HIGHEST_ROW);
        let bottom = TOP + row_height * rows.len() as f64;
        let height = bottom + BOTTOM;
        html.open(
            "svg",
            &[
                ("viewBox", &format_args!("0 0 {WIDTH} {}", place(height))),
                ("role", &"img"),
                ("aria-label", &self.in_words()),
            ],
        );
        self.field(&fields, columns, row_height, html);
        row_names(rows, row_height, html);
        axis(range, &ticks_among(range, steps()), bottom, html);
        html.close("svg");
        html.raw("</figure>\n");
    }

    /// One path for each level: small, however many fields there are.
    fn field(&self, fields: &[Vec<Option<f64>>], columns: usize, row_height: f64, html: &mut Html) {
        let width = (WIDTH - LEFT - RIGHT) / columns as f64;
        let equal = 1.0 / self.rows.len() as f64;
        let gap = if row_height > 6.0 { 1.0 } else { 0.0 };
        let mut paths = vec![String::new(); LEVELS.len()];
        for (row, values) in fields.iter().enumerate() {
            let mut column = 0;
            while column < columns {
                let Some(value) = values[column] else {
                    column += 1;
                    continue;
                };
                let level = level(value / equal);
                let same = values[column..]
                    .iter()
                    .take_while(|other| {
                        other.is_some_and(|other| self::level(other / equal) == level)
                    })
                    .count();
                paths[level].push_str(&format!(
                    "M{} {}h{}v{}h-{}z",
                    place(LEFT + width * column as f64),
                    place(TOP + row_height * row as f64),
                    place(width * same as f64),
                    place(row_height - gap),
                    place(width * same as f64)
                ));
                column += same;
            }
        }
        for (level, path) in paths.iter().enumerate() {
            if !path.is_empty() {
                html.open("path", &[("class", &format_args!("h{level}")), ("d", path)]);
                html.element("title", &[], LEVELS[level]).close("path");
            }
        }
    }

    fn in_words(&self) -> String {
        let last = |row: &Row| row.points.last().map(|point| point.1);
        let mut text = format!(
            "{}: share of each expert by step; an equal share is {:.1} %. At the end:",
            self.title,
            100.0 / self.rows.len() as f64
        );
        for row in self.rows.iter().take(16) {
            if let Some(share) = last(row) {
                text.push_str(&format!(" {} {:.1} %,", row.name, share * 100.0));
            }
        }
        text.pop();
        text.push('.');
        text
    }
}

/// What the colours mean.
pub(crate) fn legend(html: &mut Html) {
    html.raw("<ul class=\"legend heat\" aria-label=\"Colours: share of an expert, as a multiple of an equal share\">");
    for (level, text) in LEVELS.iter().enumerate() {
        html.raw("<li><svg class=\"key\" viewBox=\"0 0 22 12\" aria-hidden=\"true\">")
            .empty(
                "rect",
                &[
                    ("class", &format_args!("h{level}")),
                    ("width", &22),
                    ("height", &12),
                ],
            )
            .raw("</svg>")
            .text(text)
            .raw("</li>");
    }
    html.raw("</ul>");
}

fn level(relative: f64) -> usize {
    BOUNDS
        .iter()
        .position(|bound| relative < *bound)
        .unwrap_or(BOUNDS.len())
}

/// The mean of the points that fall into each column; a column without any repeats the one before.
fn column_means(points: &[(f64, f64)], range: Range, columns: usize) -> Vec<Option<f64>> {
    let mut sums = vec![(0.0, 0.0); columns];
    for (step, value) in points {
        if step.is_finite() && value.is_finite() {
            let column = (range.share(*step) * columns as f64) as usize;
            let sum: &mut (f64, f64) = &mut sums[column.min(columns - 1)];
            *sum = (sum.0 + value, sum.1 + 1.0);
        }
    }
    let mut before = None;
    sums.into_iter()
        .map(|(sum, count)| {
            if count > 0.0 {
                before = Some(sum / count);
            }
            before
        })
        .collect()
}

fn row_names(rows: &[Row], row_height: f64, html: &mut Html) {
    // As many names as have room.
    let every = (10.0 / row_height).ceil().max(1.0) as usize;
    for (index, row) in rows.iter().enumerate().step_by(every) {
        let y = TOP + row_height * (index as f64 + 0.5) + 3.0;
        html.element(
            "text",
            &[("class", &"end"), ("x", &(LEFT - 6.0)), ("y", &place(y))],
            row.name.chars().take(7).collect::<String>(),
        );
    }
}

fn axis(range: Range, ticks: &[f64], bottom: f64, html: &mut Html) {
    for (tick, text) in ticks.iter().zip(tick_texts(ticks)) {
        let x = LEFT + range.share(*tick) * (WIDTH - LEFT - RIGHT);
        html.element(
            "text",
            &[
                ("class", &"middle"),
                ("x", &place(x)),
                ("y", &place(bottom + 13.0)),
            ],
            text,
        );
    }
    html.element(
        "text",
        &[
            ("class", &"middle label"),
            ("x", &(LEFT + (WIDTH - LEFT - RIGHT) / 2.0)),
            ("y", &place(bottom + 29.0)),
        ],
        "step",
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(rows: Vec<Row>) -> String {
        let mut html = Html::new();
        HeatMap {
            title: "Layer 0".to_owned(),
            note: "two experts".to_owned(),
            rows,
        }
        .render(&mut html);
        html.into_text().replace("><", ">\n<")
    }

    fn row(name: &str, points: &[(f64, f64)]) -> Row {
        Row {
            name: name.to_owned(),
            points: points.to_vec(),
        }
    }

    #[test]
    fn two_experts_over_three_steps() {
        insta::assert_snapshot!(map(vec![
            row("0", &[(10.0, 0.5), (20.0, 0.9), (30.0, 1.0)]),
            row("1", &[(10.0, 0.5), (20.0, 0.1), (30.0, 0.0)]),
        ]));
    }

    #[test]
    fn many_experts_and_steps_have_a_bounded_picture() {
        let points: Vec<(f64, f64)> = (0..5000)
            .map(|step| (f64::from(step), f64::from(step % 7) / 100.0))
            .collect();
        let rows = (0..500).map(|expert| row(&expert.to_string(), &points));
        let text = map(rows.collect());
        assert!(text.len() < 150_000, "{}", text.len());
        assert!(map(Vec::new()).contains("no points"));
    }
}
