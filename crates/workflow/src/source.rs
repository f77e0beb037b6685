//! A text with a name, and places in it. Byte offsets become lines only when somebody asks.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use crate::codes::Code;
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::name::StageName;
use crate::node::{Kind, Node};
use crate::parse;

/// A half-open range of bytes in a [`Source`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Span {
    pub start: usize,
    pub end: usize,
}

impl Span {
    pub fn new(start: usize, end: usize) -> Self {
        Span {
            start,
            end: end.max(start),
        }
    }

    pub fn len(self) -> usize {
        self.end - self.start
    }

    pub fn is_empty(self) -> bool {
        self.start == self.end
    }
}

/// A text file as read, with the path that people are shown.
#[derive(Debug, Clone)]
pub struct Source {
    path: Arc<Path>,
    text: Arc<str>,
    line_starts: Arc<OnceLock<Vec<usize>>>,
}

impl Source {
    /// `path` is shown to people as it is given; relative input paths start from its folder.
    pub fn new(path: impl Into<PathBuf>, text: impl Into<Arc<str>>) -> Self {
        Source {
            path: Arc::from(path.into()),
            text: text.into(),
            line_starts: Arc::new(OnceLock::new()),
        }
    }

    /// Reads a file. Errors: it cannot be read, is too large, or is not UTF-8.
    pub fn read(path: impl Into<PathBuf>) -> Result<Self, Diagnostics> {
        let path = path.into();
        let shown = path.display();
        let failed = |code, message: String, help: &str| {
            let mut errors = Diagnostics::errors();
            errors.push(Diagnostic::without_source(code, message).help(help));
            errors
        };
        let unreadable = |error: std::io::Error| {
            let message = format!("{shown} cannot be read: {error}");
            failed(
                Code::UnreadableFile,
                message,
                "Check the path and who may read it.",
            )
        };
        let size = std::fs::metadata(&path).map_err(unreadable)?.len();
        if size > parse::MAX_BYTES as u64 {
            let message = format!(
                "{shown} has {size} bytes; at most {} are read",
                parse::MAX_BYTES
            );
            let help = "Data does not belong into a workflow: give it as an input.";
            return Err(failed(Code::FileTooLarge, message, help));
        }
        let bytes = std::fs::read(&path).map_err(unreadable)?;
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Source::new(path, text)),
            Err(error) => {
                let at = error.utf8_error().valid_up_to();
                let bytes = error.as_bytes();
                let line = 1 + bytes[..at].iter().filter(|byte| **byte == b'\n').count();
                let message = format!(
                    "{shown} is not UTF-8: byte {:#04x} in line {line}",
                    bytes[at]
                );
                Err(failed(Code::NotUtf8, message, "Save the file as UTF-8."))
            }
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text in `span`; empty where the span does not lie on character borders.
    pub fn slice(&self, span: Span) -> &str {
        self.text.get(span.start..span.end).unwrap_or("")
    }

    /// Line and column of a byte, both from 1; columns count characters.
    pub fn place(&self, offset: usize) -> Place {
        let starts = self.line_starts.get_or_init(|| {
            let mut starts = vec![0];
            starts.extend(
                self.text
                    .bytes()
                    .enumerate()
                    .filter(|(_, byte)| *byte == b'\n')
                    .map(|(at, _)| at + 1),
            );
            starts
        });
        let line = starts.partition_point(|start| *start <= offset).max(1);
        let start = starts[line - 1];
        let column = self
            .text
            .get(start..offset.min(self.text.len()))
            .map_or(0, |before| before.chars().count());
        Place {
            file: self.path.clone(),
            line,
            column: column + 1,
        }
    }
}

/// A place in a file, for people: line and column count from 1.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    pub file: Arc<Path>,
    pub line: usize,
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file.display(), self.line, self.column)
    }
}

/// Where each field of a stage stands, by its dotted name: `with.lr`, `inputs.dataset`, `env.X`.
/// The file is searched when the first place is asked for.
#[derive(Debug, Clone)]
pub struct Places {
    index: Arc<PlaceIndex>,
    stage: StageName,
}

/// Byte offsets of all fields of a workflow file.
#[derive(Debug)]
pub(crate) struct PlaceIndex {
    source: Source,
    offsets: OnceLock<HashMap<String, usize>>,
}

impl PlaceIndex {
    pub fn new(source: Source) -> Arc<Self> {
        Arc::new(PlaceIndex {
            source,
            offsets: OnceLock::new(),
        })
    }

    fn offset(&self, field: &str) -> Option<usize> {
        let offsets = self.offsets.get_or_init(|| {
            let mut offsets = HashMap::new();
            if let Some(root) = parse::parse(&self.source, &mut Diagnostics::errors()) {
                collect("", &root, &mut offsets);
            }
            offsets
        });
        offsets.get(field).copied()
    }
}

fn collect(name: &str, node: &Node<'_>, offsets: &mut HashMap<String, usize>) {
    let mut add = |step: &str, offset: usize, value: &Node<'_>| {
        let inner = if name.is_empty() {
            step.to_owned()
        } else {
            format!("{name}.{step}")
        };
        collect(&inner, value, offsets);
        offsets.insert(inner, offset);
    };
    match &node.kind {
        Kind::Map(entries) => entries
            .iter()
            .for_each(|entry| add(&entry.key, entry.key_span.start, &entry.value)),
        Kind::List(items) => items
            .iter()
            .enumerate()
            .for_each(|(at, item)| add(&at.to_string(), item.span.start, item)),
        _ => {}
    }
}

impl Places {
    pub(crate) fn new(index: Arc<PlaceIndex>, stage: StageName) -> Self {
        Places { index, stage }
    }

    /// The place of a field's name in the stage, else in `defaults`, else of the nearest field
    /// around it: at last of the stage itself.
    pub fn get(&self, field: &str) -> Option<Place> {
        let exact = self
            .offset(field)
            .or_else(|| self.index.offset(&format!("defaults.{field}")));
        let mut around = field;
        let offset = exact.or_else(|| {
            while let Some((outer, _)) = around.rsplit_once('.') {
                if let Some(offset) = self.offset(outer) {
                    return Some(offset);
                }
                around = outer;
            }
            self.index.offset(&format!("stages.{}", self.stage))
        })?;
        Some(self.index.source.place(offset))
    }

    fn offset(&self, field: &str) -> Option<usize> {
        self.index.offset(&format!("stages.{}.{field}", self.stage))
    }
}
