//! One HTML page with the tables, which needs nothing else.

use crate::comparison::render::sheet::{Figure, Sheet};
use crate::comparison::table::Comparison;
use crate::page::html::Html;
use crate::page::open_document;
use crate::page::table::{Cell, Table};

impl Comparison {
    /// The best in bold; names can only ever be text.
    pub fn html(&self) -> String {
        let mut html = Html::new();
        open_document(&mut html, format_args!("{} · supermoe", self.title()));
        html.raw("<main>\n<section>\n");
        for sheet in self.sheets() {
            sheet.table().render(&mut html);
        }
        if !self.notes.is_empty() {
            html.raw("<ul>\n");
            for note in &self.notes {
                html.element("li", &[], note).raw("\n");
            }
            html.raw("</ul>\n");
        }
        html.raw("</section>\n</main>\n</body>\n</html>\n");
        html.into_text()
    }
}

impl Sheet {
    fn table(&self) -> Table {
        let mut table = Table::new(&self.caption).fitted();
        for name in &self.names {
            table = table.left(name);
        }
        for head in &self.heads {
            table = table.right(head);
        }
        for row in &self.rows {
            let names = row.names.iter().map(Cell::text);
            let figures = row.figures.iter().map(Figure::cell);
            table.row(names.chain(figures).collect());
        }
        table
    }
}

impl Figure {
    fn cell(&self) -> Cell {
        match self.best {
            true => Cell::Best(self.marked()),
            false => Cell::Number(self.marked()),
        }
    }
}
