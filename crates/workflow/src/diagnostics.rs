//! Mistakes and doubts, each with a code, a place in a file and what to do about it.
//!
//! All codes are listed and explained in [`codes`](crate::codes).

use std::collections::HashSet;
use std::fmt;

use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, Severity};
use textwrap::{WordSeparator, WordSplitter};

use crate::codes::Code;
use crate::excerpt::excerpt;
use crate::source::{Place, Source, Span};

/// The most diagnostics that [`Diagnostics::render`] prints in full.
const MAX_RENDERED: usize = 100;

/// One mistake (or doubt) in a workflow.
#[derive(Debug, Clone)]
pub struct Diagnostic {
    pub code: Code,
    /// Names the thing, what was expected and what was found.
    pub message: String,
    /// Where, and what is there; the first one is the place of the mistake.
    pub labels: Vec<(Span, String)>,
    /// What to do.
    pub help: Option<String>,
    pub source: Option<Source>,
    /// Tells apart mistakes of one code at one place.
    subject: String,
}

impl Diagnostic {
    pub(crate) fn new(
        code: Code,
        source: &Source,
        span: Span,
        message: impl Into<String>,
        label: impl Into<String>,
    ) -> Self {
        Diagnostic {
            code,
            message: message.into(),
            labels: vec![(first_line(source, span), label.into())],
            help: None,
            source: Some(source.clone()),
            subject: String::new(),
        }
    }

    /// One that points at no file: a mistake on the command line.
    pub(crate) fn without_source(code: Code, message: impl Into<String>) -> Self {
        Diagnostic {
            code,
            message: message.into(),
            labels: Vec::new(),
            help: None,
            source: None,
            subject: String::new(),
        }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(crate) fn label(mut self, span: Span, text: impl Into<String>) -> Self {
        let span = self
            .source
            .as_ref()
            .map_or(span, |source| first_line(source, span));
        self.labels.push((span, text.into()));
        self
    }

    /// What it is about, where several of one code may stand at one place.
    pub(crate) fn about(mut self, subject: impl Into<String>) -> Self {
        self.subject = subject.into();
        self
    }

    /// The place of the mistake.
    pub fn place(&self) -> Option<Place> {
        let (span, _) = self.labels.first()?;
        Some(self.source.as_ref()?.place(span.start))
    }

    fn start(&self) -> usize {
        self.labels.first().map_or(0, |(span, _)| span.start)
    }
}

/// The part of a span that stands on its first line: marks over several lines are hard to read.
fn first_line(source: &Source, span: Span) -> Span {
    let length = source.slice(span).find(['\n', '\r']).unwrap_or(span.len());
    Span::new(span.start, span.start + length)
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = self.place() {
            write!(f, "{place}: ")?;
        }
        f.write_str(&self.message)
    }
}

/// A list of mistakes, or of doubts, sorted by place; at most one of a code at one place.
#[derive(Debug, Clone, Default)]
pub struct Diagnostics {
    items: Vec<Diagnostic>,
    seen: HashSet<(Code, usize, usize, String)>,
    severity: DiagnosticSeverity,
    /// How many were pushed, those that stood there already too.
    pushed: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum DiagnosticSeverity {
    #[default]
    Error,
    Warning,
}

impl Diagnostics {
    pub(crate) fn errors() -> Self {
        Diagnostics::default()
    }

    pub(crate) fn warnings() -> Self {
        Diagnostics {
            severity: DiagnosticSeverity::Warning,
            ..Diagnostics::default()
        }
    }

    /// Keeps a diagnostic unless one with the same code stands at the same place already, as
    /// happens when all cells of a matrix share a mistake.
    pub(crate) fn push(&mut self, diagnostic: Diagnostic) {
        self.pushed += 1;
        if let (Some(source), Some((span, _))) = (&diagnostic.source, diagnostic.labels.first()) {
            let place = source.text().as_ptr() as usize;
            let key = (
                diagnostic.code,
                place.wrapping_add(span.start),
                span.len(),
                diagnostic.subject.clone(),
            );
            if !self.seen.insert(key) {
                return;
            }
        }
        self.items.push(diagnostic);
    }

    /// How many were reported, repetitions included: a measure of work.
    pub(crate) fn pushed(&self) -> usize {
        self.pushed
    }

    pub(crate) fn sorted(mut self) -> Self {
        self.items.sort_by(|a, b| {
            let path =
                |item: &Diagnostic| item.source.as_ref().map(|source| source.path().to_owned());
            // Mistakes on the command line first, then file by file.
            path(a).cmp(&path(b)).then(a.start().cmp(&b.start()))
        });
        self
    }

    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub fn len(&self) -> usize {
        self.items.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.items.iter()
    }

    /// All of them as text for people, with excerpts, `width` columns wide.
    pub fn render(&self, width: usize, color: bool) -> String {
        let theme = if color {
            GraphicalTheme::unicode()
        } else {
            GraphicalTheme::unicode_nocolor()
        };
        let handler = GraphicalReportHandler::new_themed(theme)
            .with_width(width.max(20))
            .with_links(false)
            // Paths such as ./data/x.csv stay in one piece.
            .with_word_separator(WordSeparator::AsciiSpace)
            .with_word_splitter(WordSplitter::NoHyphenation)
            .with_context_lines(1)
            .without_cause_chain();
        let mut text = String::new();
        for (at, item) in self.items.iter().take(MAX_RENDERED).enumerate() {
            if at > 0 {
                text.push('\n');
            }
            let report = Report::new(item, self.severity);
            // Writing to a String does not fail; a label outside of the text would.
            if handler.render_report(&mut text, &report).is_err() {
                text.push_str(&format!("{item}\n"));
            }
        }
        if self.items.len() > MAX_RENDERED {
            text.push_str(&format!("… and {} more\n", self.items.len() - MAX_RENDERED));
        }
        text
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, item) in self.items.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{item}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.iter()
    }
}

/// A diagnostic as miette wants it.
#[derive(Debug)]
struct Report<'a> {
    item: &'a Diagnostic,
    severity: DiagnosticSeverity,
    named: Option<NamedSource<String>>,
    /// Where the labels stand in what is shown of the source.
    spans: Vec<Span>,
}

impl<'a> Report<'a> {
    fn new(item: &'a Diagnostic, severity: DiagnosticSeverity) -> Self {
        let spans: Vec<Span> = item.labels.iter().map(|(span, _)| *span).collect();
        let (named, spans) = match &item.source {
            Some(source) => {
                let (text, spans) = excerpt(source.text(), &spans);
                let name = plain(&source.path().display().to_string());
                (Some(NamedSource::new(name, plain_source(&text))), spans)
            }
            None => (None, spans),
        };
        Report {
            item,
            severity,
            named,
            spans,
        }
    }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&plain(&self.item.message))
    }
}

/// Text without what would command the terminal.
fn plain(text: &str) -> String {
    let commands = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    text.replace(commands, " ")
}

/// The same for a file's text, in which every place stays where it is.
fn plain_source(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        plain.push(match c {
            '\n' | '\t' => c,
            '\r' if rest.peek() == Some(&'\n') => c,
            c if c.is_ascii_control() => ' ',
            // As long as what it stands for.
            c if c.is_control() => '·',
            c => c,
        });
    }
    plain
}

impl std::error::Error for Report<'_> {}

impl miette::Diagnostic for Report<'_> {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.item.code))
    }

    fn severity(&self) -> Option<Severity> {
        Some(match self.severity {
            DiagnosticSeverity::Error => Severity::Error,
            DiagnosticSeverity::Warning => Severity::Warning,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.item
            .help
            .as_ref()
            .map(|help| Box::new(plain(help)) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        self.named
            .as_ref()
            .map(|named| named as &dyn miette::SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(
            self.item
                .labels
                .iter()
                .zip(&self.spans)
                .enumerate()
                .map(|(at, ((_, text), span))| {
                    let text = (!text.is_empty()).then(|| plain(text));
                    let range = span.start..span.end;
                    if at == 0 {
                        LabeledSpan::new_primary_with_span(text, range)
                    } else {
                        LabeledSpan::new_with_span(text, range)
                    }
                }),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_commands_the_terminal() {
        let source = Source::new("w\u{1b}.yaml", "a: \u{1b}[2Jx\u{9b}2J\r\n\rb: 1\n");
        let mut list = Diagnostics::errors();
        let all = Span::new(0, 9);
        list.push(
            Diagnostic::new(
                crate::codes::Code::UnknownPlugin,
                &source,
                all,
                "no \u{1b}[2J",
                "\u{7}",
            )
            .help("\u{1b}c"),
        );
        let text = list.render(80, false);
        let found: Vec<char> = text
            .chars()
            .filter(|c| c.is_control() && *c != '\n')
            .collect();
        assert!(found.is_empty(), "{found:?} in {text}");
        assert!(text.contains("no  [2J"), "{text}");
    }
}
