//! Tables of the page: each in a box of its own that scrolls, with heads that say what they head.

use std::fmt::Display;

use crate::page::html::Html;

/// With more rows, the box scrolls up and down too, and the heads stay in sight.
const LONG: usize = 40;

/// What stands in a cell.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    Text(String),
    /// Set to the right, in digits of equal width.
    Number(String),
    /// The best of its column.
    Best(String),
    /// A name that is copied whole: a digest, a key.
    Code(String),
    Markup(Html),
}

impl Cell {
    pub(crate) fn text(text: impl Display) -> Cell {
        Cell::Text(text.to_string())
    }

    pub(crate) fn number(number: impl Display) -> Cell {
        Cell::Number(number.to_string())
    }

    pub(crate) fn none() -> Cell {
        Cell::Number("–".to_owned())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Left,
    Right,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Width {
    /// Of the page.
    Full,
    /// Of what stands in it.
    Fitted,
}

#[derive(Debug, Clone)]
pub(crate) struct Table {
    caption: String,
    width: Width,
    heads: Vec<(String, Side)>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    pub(crate) fn new(caption: impl Display) -> Table {
        Table {
            caption: caption.to_string(),
            width: Width::Full,
            heads: Vec::new(),
            rows: Vec::new(),
        }
    }

    /// Not wider than its content.
    pub(crate) fn fitted(mut self) -> Table {
        self.width = Width::Fitted;
        self
    }

    pub(crate) fn left(mut self, head: impl Display) -> Table {
        self.heads.push((head.to_string(), Side::Left));
        self
    }

    pub(crate) fn right(mut self, head: impl Display) -> Table {
        self.heads.push((head.to_string(), Side::Right));
        self
    }

    /// A row; its first cell is its head.
    pub(crate) fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The box can be reached with the keyboard, so that it can be scrolled without a mouse.
    pub(crate) fn render(&self, html: &mut Html) {
        let class = match self.width {
            Width::Full => "table",
            Width::Fitted => "table fitted",
        };
        let scroll = match self.rows.len() {
            0..=LONG => "scroll",
            _ => "scroll long",
        };
        html.open("figure", &[("class", &class)])
            .element("figcaption", &[], &self.caption)
            .open(
                "div",
                &[
                    ("class", &scroll),
                    ("role", &"region"),
                    ("aria-label", &self.caption),
                    ("tabindex", &"0"),
                ],
            )
            .open("table", &[("aria-label", &self.caption)])
            .raw("<thead><tr>");
        for (head, side) in &self.heads {
            html.element(
                "th",
                &[("scope", &"col"), ("class", &side_class(*side))],
                head,
            );
        }
        html.raw("</tr></thead><tbody>\n");
        for row in &self.rows {
            html.raw("<tr>");
            for (column, cell) in row.iter().enumerate() {
                render_cell(html, cell, column == 0);
            }
            html.raw("</tr>\n");
        }
        html.raw("</tbody></table></div></figure>\n");
    }
}

fn side_class(side: Side) -> &'static str {
    match side {
        Side::Left => "left",
        Side::Right => "right",
    }
}

fn render_cell(html: &mut Html, cell: &Cell, heads_row: bool) {
    let side = match cell {
        Cell::Number(_) | Cell::Best(_) => Side::Right,
        Cell::Text(_) | Cell::Code(_) | Cell::Markup(_) => Side::Left,
    };
    let tag = if heads_row { "th" } else { "td" };
    match heads_row {
        true => html.open(tag, &[("scope", &"row"), ("class", &side_class(side))]),
        false => html.open(tag, &[("class", &side_class(side))]),
    };
    match cell {
        Cell::Text(text) => html.name(text),
        Cell::Number(text) => html.text(text),
        Cell::Best(text) => html.element("strong", &[], text),
        Cell::Code(text) => html.element("code", &[("class", &"copy")], text),
        Cell::Markup(markup) => html.append(markup),
    };
    html.close(tag);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_have_a_scope_and_the_box_a_name() {
        let mut table = Table::new("AUC").left("cell").right("buy");
        table.row(vec![Cell::text("a<b"), Cell::Best("0.9".to_owned())]);
        let mut html = Html::new();
        table.render(&mut html);
        insta::assert_snapshot!(html.into_text(), @r#"
        <figure class="table"><figcaption>AUC</figcaption><div class="scroll" role="region" aria-label="AUC" tabindex="0"><table aria-label="AUC"><thead><tr><th scope="col" class="left">cell</th><th scope="col" class="right">buy</th></tr></thead><tbody>
        <tr><th scope="row" class="left">a&lt;b</th><td class="right"><strong>0.9</strong></td></tr>
        </tbody></table></div></figure>
        "#);
    }
}
