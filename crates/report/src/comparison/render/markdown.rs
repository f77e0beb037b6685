//! Markdown tables, for a change request or a wiki.

use supermoe_plugin::markdown_text::markdown_text;

use crate::comparison::render::sheet::{Figure, Sheet};
use crate::comparison::table::Comparison;

impl Comparison {
    /// The best in `**`; names can only ever be text.
    pub fn markdown(&self) -> String {
        let mut text: Vec<String> = self.sheets().iter().map(Sheet::markdown).collect();
        let notes = self
            .notes
            .iter()
            .map(|note| format!("- {}\n", markdown_text(note)));
        text.push(notes.collect());
        text.retain(|part| !part.is_empty());
        text.join("\n")
    }
}

impl Sheet {
    fn markdown(&self) -> String {
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let heads = self.names.iter().chain(&self.heads);
        let rules = self.names.iter().map(|_| "---".to_owned());
        let rules = rules.chain(self.heads.iter().map(|_| "--:".to_owned()));
        let mut text = format!("{}\n\n", markdown_text(&self.caption));
        text.push_str(&line(heads.map(|head| markdown_text(head)).collect()));
        text.push_str(&line(rules.collect()));
        for row in &self.rows {
            let names = row.names.iter().map(|name| markdown_text(name));
            let figures = row.figures.iter().map(Figure::markdown);
            text.push_str(&line(names.chain(figures).collect()));
        }
        text
    }
}

impl Figure {
    fn markdown(&self) -> String {
        let mark = markdown_text(self.mark);
        match self.best {
            true => format!("**{}**{mark}", markdown_text(&self.text)),
            false => format!("{}{mark}", markdown_text(&self.text)),
        }
    }
}
