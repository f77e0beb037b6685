//! Metrics of a run side by side: one row a cell, one column a task.
//!
//! Names of three parts, `test/<task>/auc`, make one table for each first and last part, with a
//! column a task and their mean. All other names share a table with a column a name.

use indexmap::{IndexMap, IndexSet};
use serde::Serialize;
use supermoe_engine::RunRecord;
use supermoe_plugin::markdown_text::markdown_text;

use crate::text_table::{Align, Layout, TextTable, plain};
use crate::time_text::metric_text;

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MetricTable {
    /// `test/auc`, `metrics`
    pub title: String,
    /// Tasks, or whole names.
    pub columns: Vec<String>,
    pub rows: Vec<MetricRow>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MetricRow {
    /// `finetune[model=ple,seed=1]`
    pub cell: String,
    /// By column; none where the cell has no such metric.
    pub values: Vec<Option<f64>>,
    /// Over the columns, of a cell that has them all; only where columns are tasks.
    pub mean: Option<f64>,
}

/// The tables of a run in the order in which their first metric appears.
pub fn metric_tables(record: &RunRecord) -> Vec<MetricTable> {
    let mut drafts: IndexMap<String, Draft> = IndexMap::new();
    for stage in &record.stages {
        let cell = stage.cell().to_string();
        for (name, value) in &stage.metrics {
            let (title, column) = place(name);
            let draft = drafts.entry(title).or_default();
            let (column, _) = draft.columns.insert_full(column.to_owned());
            draft
                .rows
                .entry(cell.clone())
                .or_default()
                .insert(column, *value);
        }
    }
    // What has no tasks comes last.
    let (plain, by_task): (Vec<_>, Vec<_>) =
        drafts.into_iter().partition(|(title, _)| title == OTHER);
    by_task
        .into_iter()
        .chain(plain)
        .map(|(title, draft)| draft.finish(title))
        .collect()
}

const OTHER: &str = "metrics";

/// The table and column of a metric.
fn place(name: &str) -> (String, &str) {
    let mut parts = name.split('/');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(split), Some(task), Some(measure), None) => (format!("{split}/{measure}"), task),
        _ => (OTHER.to_owned(), name),
    }
}

#[derive(Default)]
struct Draft {
    columns: IndexSet<String>,
    /// Values by column, by cell.
    rows: IndexMap<String, IndexMap<usize, f64>>,
}

impl Draft {
    fn finish(self, title: String) -> MetricTable {
        let count = self.columns.len();
        let by_task = title != OTHER && count > 1;
        let rows = self.rows.into_iter().map(|(cell, found)| {
            let values: Vec<Option<f64>> = (0..count)
                .map(|column| found.get(&column).copied())
                .collect();
            let all: Option<Vec<f64>> = values.iter().copied().collect();
            let mean = all
                .filter(|_| by_task)
                .map(|all| all.iter().sum::<f64>() / count as f64);
            MetricRow { cell, values, mean }
        });
        MetricTable {
            title,
            rows: rows.collect(),
            columns: self.columns.into_iter().collect(),
        }
    }
}

impl MetricTable {
    /// Of a table with a column a name, keeps the first `most` columns; how many were left out.
    /// Tables with a column a task stay whole: their mean is over all.
    pub fn cut_columns(&mut self, most: usize) -> usize {
        if self.title != OTHER {
            return 0;
        }
        let hidden = self.columns.len().saturating_sub(most);
        self.columns.truncate(most);
        for row in &mut self.rows {
            row.values.truncate(most);
        }
        hidden
    }

    /// The table under its title. In a terminal, columns that do not fit stand in a further block.
    pub fn render(&self, layout: Layout) -> String {
        let mut text = match layout {
            Layout::Terminal { .. } => format!("{}\n", plain(&self.title)),
            Layout::Markdown => format!("### {}\n\n", markdown_text(&self.title)),
        };
        let columns = self.all_columns();
        let blocks: Vec<&[(String, Vec<String>)]> = match layout {
            Layout::Markdown => vec![&columns],
            Layout::Terminal { width } => self.blocks(&columns, width),
        };
        for (index, block) in blocks.into_iter().enumerate() {
            if index > 0 {
                text.push('\n');
            }
            text.push_str(&self.block(block).render(layout));
        }
        text
    }

    /// Every column with its texts, the mean last.
    fn all_columns(&self) -> Vec<(String, Vec<String>)> {
        let text = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), metric_text);
        let mut columns: Vec<(String, Vec<String>)> = self
            .columns
            .iter()
            .enumerate()
            .map(|(index, name)| {
                (
                    name.clone(),
                    self.rows
                        .iter()
                        .map(|row| text(row.values[index]))
                        .collect(),
                )
            })
            .collect();
        if self.rows.iter().any(|row| row.mean.is_some()) {
            columns.push((
                "mean".to_owned(),
                self.rows.iter().map(|row| text(row.mean)).collect(),
            ));
        }
        columns
    }

    /// Runs of columns that fit the width beside the cells' names, each at least one column.
    fn blocks<'a>(
        &self,
        columns: &'a [(String, Vec<String>)],
        width: usize,
    ) -> Vec<&'a [(String, Vec<String>)]> {
        let mut blocks = Vec::new();
        let mut from = 0;
        for to in 1..=columns.len() {
            let fits = self.block(&columns[from..to]).natural_width() <= width;
            if !fits && to - from > 1 {
                blocks.push(&columns[from..to - 1]);
                from = to - 1;
            }
        }
        blocks.push(&columns[from..]);
        blocks
    }

    fn block(&self, columns: &[(String, Vec<String>)]) -> TextTable {
        let mut heads = vec![("stage".to_owned(), Align::Left)];
        heads.extend(columns.iter().map(|(name, _)| (name.clone(), Align::Right)));
        let rows = self.rows.iter().enumerate().map(|(index, row)| {
            let texts = columns.iter().map(|(_, texts)| texts[index].clone());
            std::iter::once(row.cell.clone()).chain(texts).collect()
        });
        TextTable {
            heads,
            rows: rows.collect(),
        }
    }
}
