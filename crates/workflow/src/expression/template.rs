//! A text cut into what is literal and what stands in `${{ }}`.

use crate::codes::Code;
use crate::expression::Mistake;
use crate::expression::grammar::{self, Expression};
use crate::node::expression_start;

/// The most expressions in one text.
const MAX_EXPRESSIONS: usize = 1000;

/// A text with expressions in it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Template<'t> {
    pub parts: Vec<Part<'t>>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Part<'t> {
    Text(&'t str),
    Expression {
        /// Bytes of the text, with `${{` and `}}`.
        start: usize,
        end: usize,
        expression: Expression<'t>,
    },
}

impl<'t> Template<'t> {
    /// Reads a text; all mistakes in it are given.
    pub fn read(text: &'t str) -> Result<Self, Vec<Mistake>> {
        let mut parts = Vec::new();
        let mut mistakes = Vec::new();
        let mut at = 0;
        let mut expressions = 0;
        while let Some(start) = expression_start(&text[at..]).map(|found| at + found) {
            if start > at {
                parts.push(Part::Text(&text[at..start]));
            }
            expressions += 1;
            if expressions > MAX_EXPRESSIONS {
                mistakes.push(Mistake {
                    start,
                    end: start + 3,
                    code: Code::ExpressionSyntax,
                    message: format!("one text holds more than {MAX_EXPRESSIONS} expressions"),
                    help: "Give long values as an input, or split the text.".to_owned(),
                });
                at = text.len();
                break;
            }
            let Some(inner_end) = closing(text, start + 3) else {
                let end = text[start..]
                    .find('\n')
                    .map_or(text.len(), |found| start + found);
                mistakes.push(Mistake {
                    start,
                    end,
                    code: Code::UnclosedExpression,
                    message: "`${{` has no `}}`".to_owned(),
                    help: "Write `}}` where the expression ends. A literal `${{` is written `${{ '${{' }}`.".to_owned(),
                });
                at = text.len();
                break;
            };
            let end = inner_end + 2;
            match grammar::read(&text[start + 3..inner_end], start + 3) {
                Ok(expression) => parts.push(Part::Expression {
                    start,
                    end,
                    expression,
                }),
                Err(mistake) => mistakes.push(mistake),
            }
            at = end;
        }
        if at < text.len() {
            parts.push(Part::Text(&text[at..]));
        }
        if mistakes.is_empty() {
            Ok(Template { parts })
        } else {
            Err(mistakes)
        }
    }

    /// The expression, if the text is nothing but one (white space around it aside).
    pub fn whole(&self) -> Option<(usize, usize, &Expression<'t>)> {
        let mut found = None;
        for part in &self.parts {
            match part {
                Part::Text(text) if text.trim().is_empty() => {}
                Part::Expression {
                    start,
                    end,
                    expression,
                } if found.is_none() => found = Some((*start, *end, expression)),
                _ => return None,
            }
        }
        found
    }
}

/// Where the `}}` stands that ends the expression from `from` on; one in quotes ends nothing.
fn closing(text: &str, from: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut quoted = false;
    for at in from..bytes.len() {
        match bytes[at] {
            b'\'' => quoted = !quoted,
            b'}' if !quoted && bytes.get(at + 1) == Some(&b'}') => return Some(at),
            _ => {}
        }
    }
    // A quote that is never closed: the first `}}` is what was meant, and the quote is reported.
    if quoted {
        text[from..].find("}}").map(|found| from + found)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn shell_variables_are_text() {
        let template =
            Template::read("$HOME ${HOME} $(ls) $$ {{ }} ${ {x} }").expect("no expression");
        assert_eq!(
            template.parts,
            [Part::Text("$HOME ${HOME} $(ls) $$ {{ }} ${ {x} }")]
        );
    }

    #[test]
    fn text_and_expressions_alternate() {
        let template = Template::read("a ${{ params.b }}-${{ '}}' }} c").expect("right");
        let kinds: Vec<_> = template
            .parts
            .iter()
            .map(|part| matches!(part, Part::Text(_)))
            .collect();
        assert_eq!(kinds, [true, false, true, false, true]);
        assert!(template.whole().is_none());
        assert!(
            Template::read(" ${{ params.b }} ")
                .expect("right")
                .whole()
                .is_some()
        );
    }

    #[test]
    fn an_open_expression_is_a_mistake() {
        let mistakes = Template::read("a ${{ params.b").expect_err("open");
        assert_eq!(
            (mistakes[0].code, mistakes[0].start),
            (Code::UnclosedExpression, 2)
        );
        let mistakes = Template::read("${{ 'abc }}").expect_err("open quote");
        assert_eq!(mistakes[0].code, Code::ExpressionSyntax);
    }

    #[test]
    fn expressions_of_one_text_are_bounded() {
        assert!(Template::read(&"${{ params.a }}".repeat(MAX_EXPRESSIONS)).is_ok());
        let mistakes =
            Template::read(&"${{ params.a }}".repeat(MAX_EXPRESSIONS + 1)).expect_err("too many");
        assert_eq!(mistakes.len(), 1);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "([a-z.'!=&|() }{$]|\\PC|\\$\\{\\{|\\}\\}|params\\.a){0,40}") {
            let _ = Template::read(&text);
        }

        #[test]
        fn text_without_expressions_stays(text in "[^{]*") {
            let template = Template::read(&text).expect("no expression");
            let joined: String = template.parts.iter().map(|part| match part {
                Part::Text(text) => *text,
                Part::Expression { .. } => "",
            }).collect();
            prop_assert_eq!(joined, text);
        }
    }
}
