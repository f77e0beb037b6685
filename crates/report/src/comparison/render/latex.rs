//! LaTeX tables by booktabs, to paste into a paper.

use crate::comparison::render::sheet::{Figure, NOTHING, Sheet};
use crate::comparison::table::Comparison;

impl Comparison {
    /// Tables of their own, the best in `\textbf`; names can only ever be text.
    pub fn latex(&self) -> String {
        let mut text = String::from("% \\usepackage{booktabs}\n");
        let tables: Vec<String> = self.sheets().iter().map(Sheet::latex).collect();
        let tables = tables.join("\n");
        if !tables.is_ascii() {
            text.push_str("% Letters beyond ASCII: where pdfLaTeX lacks one, use LuaLaTeX with a font that has it.\n");
        }
        text.push_str(&tables);
        for note in &self.notes {
            text.push_str(&format!("% {}\n", note.replace(char::is_control, " ")));
        }
        text
    }
}

impl Sheet {
    fn latex(&self) -> String {
        let line = |cells: Vec<String>| format!("{} \\\\\n", cells.join(" & "));
        let heads = self.names.iter().chain(&self.heads);
        let mut text = format!(
            "\\begin{{table}}\n\\centering\n\\caption{{{}}}\n\\begin{{tabular}}{{{}{}}}\n\\toprule\n",
            escaped(&self.caption),
            "l".repeat(self.names.len()),
            "r".repeat(self.heads.len())
        );
        text.push_str(&line(heads.map(|head| escaped(head)).collect()));
        text.push_str("\\midrule\n");
        for row in &self.rows {
            let names = row.names.iter().map(|name| match name.as_str() {
                NOTHING => "--".to_owned(),
                name => escaped(name),
            });
            let figures = row.figures.iter().map(Figure::latex);
            text.push_str(&line(names.chain(figures).collect()));
        }
        text.push_str("\\bottomrule\n\\end{tabular}\n\\end{table}\n");
        text
    }
}

impl Figure {
    fn latex(&self) -> String {
        if self.text == NOTHING {
            return "--".to_owned();
        }
        let text = escaped(&self.text).replace('-', "$-$");
        let text = match self.best {
            true => format!("\\textbf{{{text}}}"),
            false => text,
        };
        match self.mark {
            "" => text,
            mark => format!("{text}$^{{{mark}}}$"),
        }
    }
}

/// Text in which nothing is a command; `[` and `*` would be taken for an argument of a row's end.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\\' => out.push_str("\\textbackslash{}"),
            '^' => out.push_str("\\textasciicircum{}"),
            '~' => out.push_str("\\textasciitilde{}"),
            '<' => out.push_str("\\textless{}"),
            '>' => out.push_str("\\textgreater{}"),
            '|' => out.push_str("\\textbar{}"),
            // Its command needs another font encoding than LaTeX begins with.
            '"' => out.push_str("''"),
            '`' => out.push_str("\\`{}"),
            // Two of them would be drawn as a dash.
            '-' if out.ends_with('-') => out.push_str("{}-"),
            '{' | '}' | '$' | '&' | '#' | '_' | '%' => out.extend(['\\', letter]),
            '[' | ']' | '*' => out.extend(['{', letter, '}']),
            '±' => out.push_str("$\\pm$"),
            '²' => out.push_str("$^2$"),
            '·' => out.push_str("$\\cdot$"),
            _ if letter.is_control() => out.push(' '),
            _ => out.push(letter),
        }
    }
    out
}
