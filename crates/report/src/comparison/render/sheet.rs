//! A comparison in words and digits, as every format but CSV shows it.

use std::collections::BTreeSet;

use crate::comparison::level::{Level, METRIC};
use crate::comparison::table::{Comparison, ComparisonCell, ComparisonRow, PairedDifference};
use crate::metric_name::{Better, metric_name};

/// Written where nothing was measured.
pub(crate) const NOTHING: &str = "-";

/// From this size on, numbers are written with an exponent.
const LARGE: f64 = 1e9;

pub(crate) struct Sheet {
    pub caption: String,
    /// Of the first columns, which name the rows.
    pub names: Vec<String>,
    /// Of the others, which hold figures.
    pub heads: Vec<String>,
    pub rows: Vec<SheetRow>,
}

pub(crate) struct SheetRow {
    pub names: Vec<String>,
    pub figures: Vec<Figure>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Figure {
    /// `0.7904 ± 0.0012`
    pub text: String,
    pub best: bool,
    /// Stars, or nothing.
    pub mark: &'static str,
}

impl Figure {
    fn plain(text: impl Into<String>) -> Figure {
        Figure {
            text: text.into(),
            best: false,
            mark: "",
        }
    }

    pub(crate) fn marked(&self) -> String {
        format!("{}{}", self.text, self.mark)
    }
}

/// What stands in a caption where it is the same for all cells, and else has a column.
struct Counts {
    by_row: Vec<usize>,
    common: Option<usize>,
}

impl Counts {
    fn head(&self, name: &str) -> Option<String> {
        self.common.is_none().then(|| name.to_owned())
    }

    fn figure(&self, count: usize) -> Option<Figure> {
        self.common
            .is_none()
            .then(|| Figure::plain(count.to_string()))
    }
}

impl Comparison {
    /// The means, and below them the differences where there are some.
    pub(crate) fn sheets(&self) -> Vec<Sheet> {
        let mut sheets = vec![self.means()];
        if self.has_differences() {
            sheets.push(self.differences());
        }
        sheets
    }

    fn means(&self) -> Sheet {
        let counts = self.counts(|cell| Some(cell.n));
        let rows = self.rows.iter().zip(&counts.by_row).map(|(row, n)| {
            let figures = row.cells.iter().map(|cell| match cell {
                Some(cell) => self.mean(cell, *n),
                None => Figure::plain(NOTHING),
            });
            SheetRow {
                names: self.names(row),
                figures: figures.chain(counts.figure(*n)).collect(),
            }
        });
        Sheet {
            caption: self.caption(&counts),
            names: self.row_heads(),
            heads: self.heads().chain(counts.head("n")).collect(),
            rows: rows.collect(),
        }
    }

    /// How many of something each row's cells have.
    fn counts(&self, of: impl Fn(&ComparisonCell) -> Option<usize>) -> Counts {
        let by_row: Vec<Option<usize>> = self
            .rows
            .iter()
            .map(|row| row.cells.iter().flatten().filter_map(&of).max())
            .collect();
        let cells = self.rows.iter().flat_map(|row| &row.cells).flatten();
        let all: BTreeSet<usize> = cells.filter_map(&of).collect();
        Counts {
            by_row: by_row.into_iter().map(Option::unwrap_or_default).collect(),
            common: all.first().copied().filter(|_| all.len() == 1),
        }
    }

    fn mean(&self, cell: &ComparisonCell, n_of_row: usize) -> Figure {
        let mut text = self.number(cell.mean);
        if let Some(deviation) = cell.deviation {
            text.push_str(&format!(" ± {}", self.number(deviation)));
        }
        if cell.n != n_of_row {
            text.push_str(&format!(" (n={})", cell.n));
        }
        let p = cell.difference.as_ref().and_then(|d| d.p_holm);
        Figure {
            text,
            best: cell.best,
            mark: stars(p),
        }
    }

    fn differences(&self) -> Sheet {
        let counts = self.counts(|cell| Some(cell.difference.as_ref()?.pairs));
        let has_some = |row: &ComparisonRow| {
            let mut cells = row.cells.iter().flatten();
            cells.any(|cell| cell.difference.is_some())
        };
        let rows = self.rows.iter().zip(&counts.by_row);
        let rows = rows.filter(|(row, _)| has_some(row)).map(|(row, pairs)| {
            let figures = row.cells.iter().map(|cell| {
                let difference = cell.as_ref().and_then(|cell| cell.difference.as_ref());
                difference.map_or_else(|| Figure::plain(NOTHING), |d| self.difference(d))
            });
            SheetRow {
                names: self.names(row),
                figures: figures.chain(counts.figure(*pairs)).collect(),
            }
        });
        Sheet {
            caption: self.caption_of_differences(&counts),
            names: self.row_heads(),
            heads: self.heads().chain(counts.head("pairs")).collect(),
            rows: rows.collect(),
        }
    }

    fn difference(&self, difference: &PairedDifference) -> Figure {
        let Some(mean) = difference.mean else {
            return Figure::plain(NOTHING);
        };
        let size = self.number(mean.abs());
        // What reads as zero has no sign.
        let sign = match size.chars().any(|digit| ('1'..='9').contains(&digit)) {
            true if mean > 0.0 => "+",
            true => "-",
            false => "",
        };
        let mut text = format!("{sign}{size}");
        if let Some(p) = difference.p_holm {
            text.push_str(&format!(" ({})", p_text(p)));
        }
        Figure {
            text,
            best: false,
            mark: stars(difference.p_holm),
        }
    }

    fn names(&self, row: &ComparisonRow) -> Vec<String> {
        let levels = self.row_axes.iter().zip(&row.levels);
        levels
            .map(|(axis, level)| level_text(axis, level))
            .collect()
    }

    fn row_heads(&self) -> Vec<String> {
        self.row_axes.iter().map(|axis| axis.to_string()).collect()
    }

    fn heads(&self) -> impl Iterator<Item = String> {
        self.columns.iter().map(|levels| {
            let levels = self.column_axes.iter().zip(levels);
            let texts: Vec<String> = levels
                .map(|(axis, level)| level_text(axis, level))
                .collect();
            match texts.is_empty() {
                true => self.title(),
                false => texts.join(" · "),
            }
        })
    }

    /// `AUC`, or `Metrics` of a table of several.
    pub(crate) fn title(&self) -> String {
        let metric = self
            .metric
            .as_deref()
            .map(|metric| metric_name(metric).title);
        metric.unwrap_or("Metrics").to_owned()
    }

    fn caption(&self, counts: &Counts) -> String {
        let mut caption = format!("{} on the test split", self.title());
        if counts.by_row.iter().any(|n| *n > 1) {
            let over = self.over_text();
            caption.push_str(&format!(", mean ± standard deviation over {over}"));
        }
        if let Some(n) = counts.common {
            caption.push_str(&format!(" (n = {n})"));
        }
        let note = match self.metric.as_deref() {
            Some(metric) => metric_name(metric).better.note().to_owned(),
            None => self.lower_is_better(),
        };
        if !note.is_empty() {
            caption.push_str(&format!("; {note}"));
        }
        caption
    }

    fn lower_is_better(&self) -> String {
        let cells = self.rows.iter().flat_map(|row| &row.cells).flatten();
        let mut titles: Vec<String> = Vec::new();
        for cell in cells.filter(|cell| cell.better() == Better::Lower) {
            let title = level_text(METRIC, &cell.metric);
            if !titles.contains(&title) {
                titles.push(title);
            }
        }
        match titles.is_empty() {
            true => String::new(),
            false => format!("lower is better for {}", titles.join(", ")),
        }
    }

    fn caption_of_differences(&self, counts: &Counts) -> String {
        let Some(against) = &self.against else {
            return String::new();
        };
        let over = match self.over.is_empty() {
            true => String::new(),
            false => format!(", in pairs of the same {}", self.over_text()),
        };
        let mut caption = format!("Difference from {}{over}", against.name);
        if let Some(pairs) = counts.common {
            caption.push_str(&format!(" ({pairs} pairs)"));
        }
        if against.tests > 0 {
            caption.push_str(&format!(
                "; p of a {}, corrected for {} tests (Holm); * p < 0.05, ** p < 0.01, *** p < 0.001",
                against.test, against.tests
            ));
        }
        caption
    }

    fn number(&self, value: f64) -> String {
        match value.abs() < LARGE {
            true => format!("{value:.*}", self.digits),
            false => format!("{value:.*e}", self.digits),
        }
    }
}

fn level_text(axis: &str, level: &Level) -> String {
    match level {
        Level::Named(metric) if axis == METRIC => metric_name(metric).title.to_owned(),
        other => other.to_string(),
    }
}

fn p_text(p: f64) -> String {
    match p < 0.001 {
        true => "p < 0.001".to_owned(),
        false => format!("p = {p:.3}"),
    }
}

/// Marks of a corrected p-value.
fn stars(p: Option<f64>) -> &'static str {
    match p {
        Some(p) if p < 0.001 => "***",
        Some(p) if p < 0.01 => "**",
        Some(p) if p < 0.05 => "*",
        _ => "",
    }
}
