//! Expressions: `${{ params.lr || 0.1 }}`. What stands outside of `${{ }}` is text; `$` and `${X}`
//! mean nothing here.
//!
//! An expression has names (`params.a.b`, `matrix.seed`, `params.list.0`), texts in single quotes
//! (`''` stands for one quote), numbers, `true`, `false`, `null`, `( )`, `!`, `==`, `!=`, `&&` and
//! `||`. Nothing, `false` and the empty text count as false, all else as true; `a || b` and
//! `a && b` give one of their two values.

pub(crate) mod evaluate;
pub(crate) mod grammar;
pub(crate) mod lexer;
pub(crate) mod template;

pub(crate) use evaluate::{Resolved, evaluate};
pub(crate) use grammar::{Expression, Path};
pub(crate) use template::{Part, Template};

use crate::codes::Code;

/// A mistake in an expression; `start..end` are bytes of the text that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mistake {
    pub start: usize,
    pub end: usize,
    pub code: Code,
    pub message: String,
    pub help: String,
}
