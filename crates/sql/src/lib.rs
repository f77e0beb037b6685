//! SQL that users write in params, on DataFusion: read so that a result follows from its inputs alone,
//! and refused in words that name what stands in the params.

mod changing;
mod message;
mod row_expression;

pub use changing::changing_function;
pub use message::{excerpt, message, missing, missing_table};
pub use row_expression::{ExpressionError, RowExpression};
