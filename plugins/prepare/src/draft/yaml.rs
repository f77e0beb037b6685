//! A small writer of YAML with comments, whose texts are escaped for YAML and for `${{ }}`.

/// Longest line of a comment.
const COMMENT_WIDTH: usize = 100;
const INDENT: usize = 2;

/// A value on one line.
#[derive(Debug, Clone)]
pub enum Flow {
    /// Any text at all, the user's too.
    Text(String),
    /// What YAML reads as it is: a number, a date, a list of them.
    Raw(String),
    /// `${{ expression }}`.
    Expression(&'static str),
    Map(Vec<(String, Flow)>),
    List(Vec<Flow>),
}

impl Flow {
    pub fn text(text: impl Into<String>) -> Flow {
        Flow::Text(text.into())
    }

    pub fn raw(value: impl ToString) -> Flow {
        Flow::Raw(value.to_string())
    }

    pub fn map<'a>(entries: impl IntoIterator<Item = (&'a str, Flow)>) -> Flow {
        let entries = entries.into_iter();
        Flow::Map(
            entries
                .map(|(key, value)| (key.to_owned(), value))
                .collect(),
        )
    }

    fn written(&self, inside: Inside) -> String {
        match self {
            Flow::Text(text) => scalar(text),
            Flow::Raw(raw) => raw.clone(),
            Flow::Expression(expression) if inside == Inside::Block => {
                format!("${{{{ {expression} }}}}")
            }
            Flow::Expression(expression) => format!("\"${{{{ {expression} }}}}\""),
            Flow::Map(entries) if entries.is_empty() => "{}".to_owned(),
            Flow::Map(entries) => {
                let entries = entries.iter().map(|(key, value)| {
                    format!("{}: {}", scalar(key), value.written(Inside::Flow))
                });
                format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
            }
            Flow::List(items) => {
                let items = items.iter().map(|item| item.written(Inside::Flow));
                format!("[{}]", items.collect::<Vec<_>>().join(", "))
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inside {
    Block,
    Flow,
}

/// A document in the making.
#[derive(Debug, Default)]
pub struct Yaml {
    text: String,
    depth: usize,
}

impl Yaml {
    pub fn new() -> Yaml {
        Yaml::default()
    }

    pub fn finish(self) -> String {
        self.text
    }

    pub fn blank(&mut self) {
        self.text.push('\n');
    }

    /// A comment on lines of its own.
    pub fn comment(&mut self, text: &str) {
        let width = COMMENT_WIDTH.saturating_sub(self.depth * INDENT + 2);
        for line in wrapped(&one_line(text), width.max(20)) {
            self.line(&format!("# {line}"));
        }
    }

    pub fn entry(&mut self, key: &str, value: &Flow) {
        self.line(&format!(
            "{}: {}",
            scalar(key),
            value.written(Inside::Block)
        ));
    }

    /// An entry with a comment behind it.
    pub fn noted(&mut self, key: &str, value: &Flow, note: &str) {
        let entry = format!("{}: {}", scalar(key), value.written(Inside::Block));
        match note.is_empty() {
            true => self.line(&entry),
            false => self.line(&format!("{entry}  # {}", one_line(note))),
        }
    }

    /// A text of several lines, as it is where YAML can hold it so.
    pub fn block(&mut self, key: &str, text: &str) {
        let text = without_expressions(text);
        let lines: Vec<&str> = text.split('\n').collect();
        let plain = text.chars().all(|c| c == '\n' || is_printable(c))
            && !lines[0].starts_with([' ', '\t'])
            && !text.starts_with('\n')
            && !text.ends_with('\n');
        if !plain {
            let key = scalar(key);
            return self.line(&format!("{key}: {}", double_quoted(&text)));
        }
        self.line(&format!("{}: |-", scalar(key)));
        self.depth += 1;
        for line in lines {
            match line.is_empty() {
                true => self.blank(),
                false => self.line(line),
            }
        }
        self.depth -= 1;
    }

    /// A map under a key: what `inside` writes.
    pub fn map(&mut self, key: &str, inside: impl FnOnce(&mut Yaml)) {
        self.map_noted(key, "", inside);
    }

    pub fn map_noted(&mut self, key: &str, note: &str, inside: impl FnOnce(&mut Yaml)) {
        match note.is_empty() {
            true => self.line(&format!("{}:", scalar(key))),
            false => self.line(&format!("{}:  # {}", scalar(key), one_line(note))),
        }
        self.depth += 1;
        inside(self);
        self.depth -= 1;
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(&" ".repeat(self.depth * INDENT));
        self.text.push_str(line);
        self.text.push('\n');
    }
}

/// A text as one scalar, in block and in flow alike.
fn scalar(text: &str) -> String {
    let text = without_expressions(text);
    if is_plain(&text) {
        return text;
    }
    if text.chars().all(is_printable) {
        return match text.contains(['"', '\\']) {
            true => format!("'{}'", text.replace('\'', "''")),
            false => format!("\"{text}\""),
        };
    }
    double_quoted(&text)
}

/// The same text where `${{ }}` is read as an expression.
fn without_expressions(text: &str) -> String {
    text.replace("${{", "${{ '${{' }}")
}

fn is_plain(text: &str) -> bool {
    let words = [
        "true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf",
    ];
    let path = text.trim_start_matches("../").trim_start_matches("./");
    let first = path.bytes().next();
    first.is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        && path
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-./".contains(&byte))
        && !words.contains(&path.to_ascii_lowercase().as_str())
}

/// Printable by YAML 1.2, and visible: no control characters, no byte order mark.
fn is_printable(c: char) -> bool {
    matches!(c, ' '..='~' | '\u{A0}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
        && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{FEFF}')
}

fn double_quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c if is_printable(c) => quoted.push(c),
            c => match u32::from(c) {
                code @ ..=0xFF => quoted.push_str(&format!("\\x{code:02X}")),
                code @ ..=0xFFFF => quoted.push_str(&format!("\\u{code:04X}")),
                code => quoted.push_str(&format!("\\U{code:08X}")),
            },
        }
    }
    quoted.push('"');
    quoted
}

/// What may stand behind `#`: line ends and control characters would end the comment or the file.
fn one_line(text: &str) -> String {
    let visible = text.chars().map(|c| if is_printable(c) { c } else { ' ' });
    visible.collect::<String>().trim().to_owned()
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        // There is always a last line.
        let Some(line) = lines.last_mut() else { break };
        if !line.is_empty() && line.chars().count() + word.chars().count() + 1 > width {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_plain_and_all_else_is_quoted() {
        for (text, written) in [
            ("user_id", "user_id"),
            ("./a/b-1.csv", "./a/b-1.csv"),
            ("no", "\"no\""),
            ("Null", "\"Null\""),
            ("12", "\"12\""),
            ("", "\"\""),
            ("a: b", "\"a: b\""),
            ("- x", "\"- x\""),
            ("say \"hi\" 'you'", "'say \"hi\" ''you'''"),
            ("a\nb\u{7}", "\"a\\nb\\x07\""),
            ("\u{FEFF}x", "\"\\uFEFFx\""),
            ("a ${{ params.x }}", "\"a ${{ '${{' }} params.x }}\""),
        ] {
            assert_eq!(scalar(text), written);
        }
    }

    #[test]
    fn maps_comments_and_blocks_are_laid_out() {
        let mut yaml = Yaml::new();
        yaml.comment("what this is\nand more");
        yaml.map_noted("with", "all of it", |yaml| {
            yaml.block("events", "SELECT \"a b\"\n  FROM data");
            yaml.block("odd", "SELECT \"a\u{1}\"");
            let kind = Flow::map([("kind", Flow::text("id")), ("min_count", Flow::raw(2))]);
            yaml.noted("item", &kind, "often");
            yaml.entry("seed", &Flow::Expression("params.seed"));
            yaml.entry("seeds", &Flow::List(vec![Flow::Expression("params.seed")]));
        });
        let expected = "# what this is and more\nwith:  # all of it\n  events: |-\n    SELECT \"a b\"\n      FROM data\n  \
                        odd: \"SELECT \\\"a\\x01\\\"\"\n  item: { kind: id, min_count: 2 }  # often\n  \
                        seed: ${{ params.seed }}\n  seeds: [\"${{ params.seed }}\"]\n";
        assert_eq!(yaml.finish(), expected);
    }

    #[test]
    fn comments_are_wrapped() {
        let lines = wrapped("one two three four", 9);
        assert_eq!(lines, ["one two", "three", "four"]);
    }
}
