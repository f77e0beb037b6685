//! For a terminal: aligned, the best set off, in blocks of columns that fit.

use crate::comparison::render::sheet::{Sheet, SheetRow};
use crate::comparison::table::Comparison;
use crate::text_table::{Align, TextTable, plain};

impl Comparison {
    /// Lines of at most `width` columns where that can be; `bold` sets the best off, by what has no
    /// width.
    pub fn terminal(&self, width: usize, bold: impl Fn(&str) -> String) -> String {
        let sheets = self.sheets();
        let mut parts: Vec<String> = sheets
            .iter()
            .map(|sheet| sheet.terminal(width, &bold))
            .collect();
        let notes = self.notes.iter().map(|note| format!("{}\n", plain(note)));
        parts.push(notes.collect());
        parts.retain(|part| !part.is_empty());
        parts.join("\n")
    }
}

impl Sheet {
    fn terminal(&self, width: usize, bold: &impl Fn(&str) -> String) -> String {
        let mut text = wrapped(&self.caption, width);
        for (place, columns) in self.blocks(width).into_iter().enumerate() {
            if place > 0 {
                text.push('\n');
            }
            let names = self.names.len();
            let block = self.block(columns.clone());
            text.push_str(&block.render_styled(width, |row, column, cell| {
                let figure = column.checked_sub(names);
                let figure = figure.map(|figure| columns.start + figure);
                match figure.is_some_and(|figure| self.rows[row].figures[figure].best) {
                    true => bold(cell),
                    false => cell.to_owned(),
                }
            }));
        }
        text
    }

    /// Runs of figures that fit the width beside the names, each at least one.
    fn blocks(&self, width: usize) -> Vec<std::ops::Range<usize>> {
        let mut blocks = Vec::new();
        let mut from = 0;
        for to in 1..=self.heads.len() {
            if to - from > 1 && self.block(from..to).natural_width() > width {
                blocks.push(from..to - 1);
                from = to - 1;
            }
        }
        blocks.push(from..self.heads.len());
        blocks
    }

    /// Figures stay aligned where some of a column have marks.
    fn width_of_marks(&self, column: usize) -> usize {
        let marks = self.rows.iter().map(|row| row.figures[column].mark.len());
        marks.max().unwrap_or(0)
    }

    fn block(&self, columns: std::ops::Range<usize>) -> TextTable {
        let names = self.names.iter().map(|name| (name.clone(), Align::Left));
        let heads = self.heads[columns.clone()].iter();
        let heads = heads.map(|head| (head.clone(), Align::Right));
        let row = |row: &SheetRow| {
            let figures = columns.clone().map(|column| {
                let figure = &row.figures[column];
                let width = self.width_of_marks(column);
                format!("{}{:width$}", figure.text, figure.mark)
            });
            row.names.iter().cloned().chain(figures).collect()
        };
        TextTable {
            heads: names.chain(heads).collect(),
            rows: self.rows.iter().map(row).collect(),
        }
    }
}

/// Lines of at most `width`, broken between words.
fn wrapped(text: &str, width: usize) -> String {
    let mut lines: Vec<String> = Vec::new();
    for word in plain(text).split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.join("\n") + "\n"
}
