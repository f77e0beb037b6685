//! CSV with a line for each cell of the table, all figures in full: for programs and spreadsheets.

use std::sync::Arc;

use ::csv::Writer;

use crate::comparison::level::Level;
use crate::comparison::table::{Comparison, ComparisonCell};

/// After the axes.
const FIGURES: [&str; 10] = [
    "metric",
    "mean",
    "deviation",
    "n",
    "best",
    "difference",
    "difference_deviation",
    "pairs",
    "p",
    "p_holm",
];

impl Comparison {
    /// Missing values are empty.
    ///
    /// # Errors
    /// None that memory does not have.
    pub fn csv(&self) -> Result<String, ::csv::Error> {
        let mut writer = Writer::from_writer(Vec::new());
        let axes = || {
            let axes = self.row_axes.iter().chain(&self.column_axes);
            axes.filter(|axis| ***axis != *"metric")
        };
        let head = axes().map(|axis| match FIGURES.contains(&&**axis) {
            true => format!("axis.{axis}"),
            false => axis.to_string(),
        });
        let figures = FIGURES.into_iter().map(str::to_owned);
        writer.write_record(head.chain(figures))?;
        for row in &self.rows {
            for (column, cell) in self.columns.iter().zip(&row.cells) {
                let of_rows = self.row_axes.iter().zip(&row.levels);
                let of_columns = self.column_axes.iter().zip(column);
                let names = of_rows.chain(of_columns).filter(is_no_metric);
                let names = names.map(|(_, level)| field(level));
                writer.write_record(names.chain(figures_of(cell.as_ref())))?;
            }
        }
        let bytes = writer.into_inner().map_err(|error| error.into_error())?;
        String::from_utf8(bytes).map_err(|error| std::io::Error::other(error).into())
    }
}

/// The metric has a column of its own.
fn is_no_metric((axis, _): &(&Arc<str>, &Level)) -> bool {
    ***axis != *"metric"
}

fn field(level: &Level) -> String {
    match level {
        Level::Absent => String::new(),
        named => named.to_string(),
    }
}

fn figures_of(cell: Option<&ComparisonCell>) -> Vec<String> {
    let Some(cell) = cell else {
        return vec![String::new(); FIGURES.len()];
    };
    let number = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
    let difference = cell.difference.as_ref();
    vec![
        field(&cell.metric),
        cell.mean.to_string(),
        number(cell.deviation),
        cell.n.to_string(),
        cell.best.to_string(),
        number(difference.and_then(|d| d.mean)),
        number(difference.and_then(|d| d.deviation)),
        difference.map_or_else(String::new, |d| d.pairs.to_string()),
        number(difference.and_then(|d| d.p)),
        number(difference.and_then(|d| d.p_holm)),
    ]
}
