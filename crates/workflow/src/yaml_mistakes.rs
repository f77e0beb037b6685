//! What can be wrong with YAML before anything is known of workflows.

use std::borrow::Cow;

use serde_saphyr::granit_parser::ScanError;

use crate::codes::Code;
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::map_builder::Key;
use crate::node::{Kind, Node, has_expression, quoted};
use crate::parse::{MAX_ALIAS_NODES, MAX_DEPTH};
use crate::source::{Source, Span};

/// Reports mistakes of one file.
pub(crate) struct YamlMistakes<'s, 'd> {
    source: &'s Source,
    errors: &'d mut Diagnostics,
    /// A key or a value was passed over: what is missing in the tree may stand in the file.
    pub something_is_left_out: bool,
}

impl<'s, 'd> YamlMistakes<'s, 'd> {
    pub fn new(source: &'s Source, errors: &'d mut Diagnostics) -> Self {
        YamlMistakes {
            source,
            errors,
            something_is_left_out: false,
        }
    }

    /// A node that stands where a key has to.
    pub fn key(&mut self, node: Node<'s>) -> Key<'s> {
        let plain = self.source.slice(node.span) == "<<";
        match node.kind {
            Kind::Text(text) if plain && text == "<<" => {
                self.error(
                    Code::MergeKey,
                    node.span,
                    "`<<` is no key: YAML 1.2 has no merge keys",
                    "merge key",
                    "Write the keys out, or put what stages share under `defaults`.",
                );
                self.left_out()
            }
            Kind::Text(text) => Key::Good(text, node.span),
            Kind::Number(number) => Key::Good(number.text, node.span),
            Kind::Bool(value) => Key::Good(
                Cow::Borrowed(if value { "true" } else { "false" }),
                node.span,
            ),
            Kind::Null => {
                let written = self.source.slice(node.span);
                if written.is_empty() {
                    self.error(
                        Code::InvalidKey,
                        node.span,
                        "a key is missing before `:`",
                        "no key",
                        "Write a name before the colon.",
                    );
                    self.left_out()
                } else {
                    Key::Good(Cow::Borrowed(written), node.span)
                }
            }
            Kind::List(_) | Kind::Map(_) => {
                let found = Node {
                    span: node.span,
                    kind: node.kind,
                }
                .describe();
                let help = "A key is a plain name. Inside { } and [ ] an expression stands in quotes: \"${{ … }}\".";
                self.error(
                    Code::InvalidKey,
                    node.span,
                    format!("a key has to be a text, found {found}"),
                    "no key",
                    help,
                );
                self.left_out()
            }
        }
    }

    fn left_out(&mut self) -> Key<'s> {
        self.something_is_left_out = true;
        Key::Bad
    }

    pub fn duplicate_key(&mut self, key: &str, first: Span, second: Span) {
        let message = format!("the key `{key}` stands twice in one map");
        let diagnostic =
            Diagnostic::new(Code::DuplicateKey, self.source, second, message, "second")
                .label(first, "first")
                .help("Remove one of the two, or rename it.");
        self.errors.push(diagnostic);
    }

    pub fn second_document(&mut self, span: Span) {
        let message = "a second document begins here; a file holds one";
        let help = "Put each workflow into a file of its own.";
        self.error(
            Code::SeveralDocuments,
            span,
            message,
            "second document",
            help,
        );
    }

    pub fn alias_to_itself(&mut self, span: Span) {
        self.something_is_left_out = true;
        let name = self.source.slice(span).trim_start_matches('*');
        let message = format!("the alias `*{name}` stands inside of what it names");
        self.error(
            Code::UnknownAlias,
            span,
            message,
            "names itself",
            "Write the value out.",
        );
    }

    pub fn unknown_alias(&mut self, name: &str, span: Span) {
        self.something_is_left_out = true;
        let message = format!("the alias `*{name}` names an anchor that does not stand before it");
        let help = format!(
            "Put `&{name}` before the value that is meant, or quote the text if it is no alias."
        );
        self.error(Code::UnknownAlias, span, message, "no such anchor", help);
    }

    pub fn too_many_aliases(&mut self, span: Span) {
        let message =
            format!("the aliases of this file unfold to more than {MAX_ALIAS_NODES} values");
        let help = "Use fewer aliases, or a matrix.";
        self.error(
            Code::TooManyAliases,
            span,
            message,
            "one alias too many",
            help,
        );
    }

    pub fn unsupported_tag(&mut self, tag: &str, span: Span) {
        let message = format!("the tag `{tag}` has no meaning here");
        self.error(
            Code::UnsupportedTag,
            span,
            message,
            "tagged value",
            "Leave the tag out.",
        );
    }

    pub fn wrong_tag(&mut self, tag: &str, text: &str, span: Span) {
        let message = format!(
            "the tag !!{tag} stands before the text {}, which is none",
            quoted(text)
        );
        self.error(
            Code::UnsupportedTag,
            span,
            message,
            "tagged value",
            "Leave the tag out.",
        );
    }

    /// The text is no YAML from the byte `at` on.
    pub fn syntax(&mut self, error: &ScanError, at: usize) {
        let text = self.source.text();
        let end = text[at..]
            .chars()
            .next()
            .map_or(at, |next| at + next.len_utf8());
        let what = error.info();
        let what = if what.is_empty() {
            "the text breaks off here or does not fit".to_owned()
        } else {
            what
        };
        let line_start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let line = text[line_start..].lines().next().unwrap_or("");
        let help = if has_expression(line) {
            "Inside { } and [ ], and before `: `, an expression stands in quotes: \"${{ … }}\"."
        } else if line.trim_start_matches(' ').starts_with('\t') {
            "Indent with spaces: YAML takes no tabs."
        } else {
            "Check indentation, quotes and brackets on this line and the one before."
        };
        self.error(
            Code::YamlSyntax,
            Span::new(at, end),
            format!("this is not YAML: {what}"),
            "here",
            help,
        );
    }

    pub fn too_deep(&mut self, span: Span) {
        let message = format!("maps and lists are nested more than {MAX_DEPTH} deep");
        self.error(
            Code::TooDeep,
            Span::new(span.start, span.start),
            message,
            "too deep",
            "Nest less.",
        );
    }

    fn error(
        &mut self,
        code: Code,
        span: Span,
        message: impl Into<String>,
        label: &str,
        help: impl Into<String>,
    ) {
        self.errors
            .push(Diagnostic::new(code, self.source, span, message, label).help(help));
    }
}
