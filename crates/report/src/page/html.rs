//! HTML and SVG text in which what users wrote can only ever be text: markup is `&'static str`,
//! everything else is escaped.

use std::fmt::{Display, Write};

/// What is longer is cut, in characters; whole texts stand in report.json.
const LONGEST_NAME: usize = 160;
const LONGEST_TEXT: usize = 400;
const LONGEST_PASSAGE: usize = 4000;

#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Html(String);

/// Attributes of an element, by name.
pub(crate) type Attributes<'a> = &'a [(&'static str, &'a dyn Display)];

impl Html {
    pub(crate) fn new() -> Html {
        Html::default()
    }

    /// Markup of our own.
    pub(crate) fn raw(&mut self, markup: &'static str) -> &mut Html {
        self.0.push_str(markup);
        self
    }

    /// What was made by another builder.
    pub(crate) fn append(&mut self, other: &Html) -> &mut Html {
        self.0.push_str(&other.0);
        self
    }

    /// Escaped text.
    pub(crate) fn text(&mut self, text: impl Display) -> &mut Html {
        // Writing to a String does not fail.
        let _ = write!(Escaping(&mut self.0, LONGEST_TEXT), "{text}");
        self
    }

    /// Escaped text that may break after the signs that part names: `finetune[model=ple,seed=1]`.
    pub(crate) fn name(&mut self, name: &str) -> &mut Html {
        let cut: String = name.chars().take(LONGEST_NAME).collect();
        for (place, part) in cut.split_inclusive([',', '[', '/']).enumerate() {
            // A space breaks by itself.
            if place > 0 && !part.starts_with(' ') {
                self.raw("<wbr>");
            }
            self.text(part);
        }
        if cut.len() < name.len() {
            self.raw("…");
        }
        self
    }

    /// Escaped text of many lines, such as a log.
    pub(crate) fn passage(&mut self, text: &str) -> &mut Html {
        let _ = write!(Escaping(&mut self.0, LONGEST_PASSAGE), "{text}");
        self
    }

    pub(crate) fn open(&mut self, tag: &'static str, attributes: Attributes<'_>) -> &mut Html {
        self.start(tag, attributes);
        self.0.push('>');
        self
    }

    pub(crate) fn close(&mut self, tag: &'static str) -> &mut Html {
        self.0.push_str("</");
        self.0.push_str(tag);
        self.0.push('>');
        self
    }

    /// An element that holds text alone.
    pub(crate) fn element(
        &mut self,
        tag: &'static str,
        attributes: Attributes<'_>,
        text: impl Display,
    ) -> &mut Html {
        self.open(tag, attributes).text(text).close(tag)
    }

    /// An SVG element without content.
    pub(crate) fn empty(&mut self, tag: &'static str, attributes: Attributes<'_>) -> &mut Html {
        self.start(tag, attributes);
        self.0.push_str("/>");
        self
    }

    fn start(&mut self, tag: &'static str, attributes: Attributes<'_>) {
        self.0.push('<');
        self.0.push_str(tag);
        for (name, value) in attributes {
            self.0.push(' ');
            self.0.push_str(name);
            self.0.push_str("=\"");
            let _ = write!(Escaping(&mut self.0, usize::MAX), "{value}");
            self.0.push('"');
        }
    }

    pub(crate) fn into_text(self) -> String {
        self.0
    }
}

/// Escapes on the way in, and cuts what is too long.
struct Escaping<'a>(&'a mut String, usize);

impl Write for Escaping<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        for letter in text.chars() {
            match self.1 {
                0 => break,
                1 => self.0.push('…'),
                _ => push_escaped(self.0, letter),
            }
            self.1 -= 1;
        }
        Ok(())
    }
}

fn push_escaped(out: &mut String, letter: char) {
    match letter {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        '"' => out.push_str("&quot;"),
        '\'' => out.push_str("&#39;"),
        '\n' | '\t' => out.push(letter),
        _ if letter.is_control() || turns_text_around(letter) => out.push('\u{fffd}'),
        _ => out.push(letter),
    }
}

/// Marks that make what follows read in another order than it stands.
fn turns_text_around(letter: char) -> bool {
    matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_users_wrote_stays_text() {
        let mut html = Html::new();
        html.element(
            "b",
            &[("title", &"\" onmouseover='x'")],
            "<script>&\u{1b}\u{202e}</script>",
        );
        assert_eq!(
            html.into_text(),
            "<b title=\"&quot; onmouseover=&#39;x&#39;\">\
             &lt;script&gt;&amp;\u{fffd}\u{fffd}&lt;/script&gt;</b>"
        );
    }

    #[test]
    fn names_may_break_between_their_parts() {
        let mut html = Html::new();
        html.name("train[model=<b>,seed=1]")
            .raw("\n")
            .name("a, b/c");
        assert_eq!(
            html.into_text(),
            "train[<wbr>model=&lt;b&gt;,<wbr>seed=1]\na, b/<wbr>c"
        );
        let mut html = Html::new();
        html.name(&",".repeat(LONGEST_NAME + 1));
        assert!(html.into_text().ends_with(",…"));
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        let mut html = Html::new();
        html.text("ü".repeat(LONGEST_TEXT + 5));
        let text = html.into_text();
        assert_eq!(text.chars().count(), LONGEST_TEXT);
        assert!(text.ends_with("ü…"));
    }
}
