//! Aligned columns for a terminal, or a Markdown table.

/// Where a text will be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// A terminal with so many columns.
    Terminal {
        width: usize,
    },
    Markdown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// What stands between two columns.
const GAP: usize = 2;
/// A column is never cut shorter than this.
const NARROWEST: usize = 8;

#[derive(Debug, Clone)]
pub(crate) struct TextTable {
    pub heads: Vec<(String, Align)>,
    pub rows: Vec<Vec<String>>,
}

impl TextTable {
    pub(crate) fn render(&self, layout: Layout) -> String {
        match layout {
            Layout::Markdown => self.plain().markdown(),
            Layout::Terminal { width } => self.render_styled(width, |_, _, text| text.to_owned()),
        }
    }

    /// For a terminal; `style` may add what has no width to the text of a cell, by row and column.
    pub(crate) fn render_styled(
        &self,
        width: usize,
        style: impl Fn(usize, usize, &str) -> String,
    ) -> String {
        self.plain().aligned(width, style)
    }

    fn plain(&self) -> TextTable {
        let cells = |cells: &Vec<String>| cells.iter().map(|cell| plain(cell)).collect();
        TextTable {
            heads: self
                .heads
                .iter()
                .map(|(head, align)| (plain(head), *align))
                .collect(),
            rows: self.rows.iter().map(cells).collect(),
        }
    }

    /// How wide the table is when nothing is cut.
    pub(crate) fn natural_width(&self) -> usize {
        let widths = self.widths();
        widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1)
    }

    fn widths(&self) -> Vec<usize> {
        let mut widths: Vec<usize> = self
            .heads
            .iter()
            .map(|(head, _)| head.chars().count())
            .collect();
        for row in &self.rows {
            for (width, text) in widths.iter_mut().zip(row) {
                *width = (*width).max(text.chars().count());
            }
        }
        widths
    }

    /// Lines of at most `width`, where the columns can be cut that far.
    fn aligned(&self, width: usize, style: impl Fn(usize, usize, &str) -> String) -> String {
        let mut widths = self.widths();
        let gaps = GAP * widths.len().saturating_sub(1);
        while widths.iter().sum::<usize>() + gaps > width {
            // The widest column gives way; of equal ones the last.
            match widths.iter_mut().max_by_key(|width| **width) {
                Some(widest) if *widest > NARROWEST => *widest -= 1,
                _ => break,
            }
        }
        let heads: Vec<String> = self.heads.iter().map(|(head, _)| head.clone()).collect();
        let mut text = String::new();
        for (line, row) in std::iter::once(&heads).chain(&self.rows).enumerate() {
            let styled = |column: usize, cell: &str| match line.checked_sub(1) {
                Some(row) => style(row, column, cell),
                None => cell.to_owned(),
            };
            let mut line = String::new();
            let cells = row.iter().zip(&widths).zip(&self.heads);
            for (column, ((cell, width), (_, align))) in cells.enumerate() {
                let cell = cut(cell, *width);
                let blank = " ".repeat(width - cell.chars().count());
                let cell = styled(column, &cell);
                match align {
                    Align::Left => line.extend([cell.as_str(), &blank]),
                    Align::Right => line.extend([blank.as_str(), &cell]),
                }
                line.push_str("  ");
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    fn markdown(&self) -> String {
        let heads: Vec<String> = self.heads.iter().map(|(head, _)| escaped(head)).collect();
        let rules = self.heads.iter().map(|(_, align)| match align {
            Align::Left => "---",
            Align::Right => "--:",
        });
        let mut text = format!(
            "| {} |\n| {} |\n",
            heads.join(" | "),
            rules.collect::<Vec<_>>().join(" | ")
        );
        for row in &self.rows {
            let cells: Vec<String> = row.iter().map(|cell| escaped(cell)).collect();
            text.push_str(&format!("| {} |\n", cells.join(" | ")));
        }
        text
    }
}

/// One line of text without what would command a terminal; as many characters as before.
pub(crate) fn plain(text: &str) -> String {
    text.replace(char::is_control, " ")
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    kept + "…"
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('|', "\\|")
        .replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> TextTable {
        TextTable {
            heads: vec![
                ("stage".into(), Align::Left),
                ("time".into(), Align::Right),
                ("why".into(), Align::Left),
            ],
            rows: vec![
                vec!["prepare".into(), "1.5 s".into(), "a|b".into()],
                vec![
                    "finetune[model=ple,seed=1]".into(),
                    "12 s".into(),
                    "with.lr: 0.1 -> 0.2".into(),
                ],
            ],
        }
    }

    #[test]
    fn columns_are_aligned() {
        insta::assert_snapshot!(table().render(Layout::Terminal { width: 100 }), @r"
        stage                        time  why
        prepare                     1.5 s  a|b
        finetune[model=ple,seed=1]   12 s  with.lr: 0.1 -> 0.2
        ");
    }

    #[test]
    fn narrow_terminals_cut_the_widest_columns() {
        let text = table().render(Layout::Terminal { width: 36 });
        assert!(
            text.lines().all(|line| line.chars().count() <= 36),
            "{text}"
        );
        insta::assert_snapshot!(text, @r"
        stage            time  why
        prepare         1.5 s  a|b
        finetune[mode…   12 s  with.lr: 0.1…
        ");
        let tiny = table().render(Layout::Terminal { width: 1 });
        assert_eq!(tiny.lines().count(), 3);
    }

    #[test]
    fn nothing_commands_the_terminal() {
        let table = TextTable {
            heads: vec![("a\u{1b}".into(), Align::Left), ("b".into(), Align::Left)],
            rows: vec![vec!["\u{1b}[2J".into(), "two\nlines\r\u{9b}".into()]],
        };
        let shown = table.render(Layout::Terminal { width: 80 });
        assert_eq!(shown, "a     b\n [2J  two lines\n");
        assert_eq!(table.render(Layout::Markdown).lines().count(), 3);
    }

    #[test]
    fn markdown_is_never_cut() {
        insta::assert_snapshot!(table().render(Layout::Markdown), @r"
        | stage | time | why |
        | --- | --: | --- |
        | prepare | 1.5 s | a\|b |
        | finetune[model=ple,seed=1] | 12 s | with.lr: 0.1 -> 0.2 |
        ");
    }
}
