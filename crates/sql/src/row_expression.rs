//! An expression that gives a value for each row of a table.

use arrow::array::{ArrayRef, RecordBatch};
use datafusion::common::DFSchema;
use datafusion::common::tree_node::TreeNode;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::Expr;
use datafusion::prelude::{SessionConfig, SessionContext};

use crate::changing::changing_function;
use crate::message::message;

/// Why an expression gives no value for each row.
#[derive(Debug, thiserror::Error)]
pub enum ExpressionError {
    #[error("{}", message(.0))]
    Sql(#[from] DataFusionError),
    #[error("it has its name already; leave AS out")]
    Named,
    #[error("an aggregate or window function has no value by row; leave it out")]
    OfSeveralRows,
    #[error("{0}() has another value in every run; a result must follow from its inputs alone")]
    Changing(String),
}

/// See [`RowExpression::evaluate`].
pub struct RowExpression;

impl RowExpression {
    /// The value of a SQL expression for each row of a batch. Names of columns are taken as they are
    /// written, capitals included.
    ///
    /// # Errors
    /// What is no SQL, names a column that is not there, is not defined row by row, has another value in
    /// every run, or fails on a row.
    pub fn evaluate(sql: &str, batch: &RecordBatch) -> Result<ArrayRef, ExpressionError> {
        let mut config = SessionConfig::new().with_target_partitions(1);
        config.options_mut().sql_parser.enable_ident_normalization = false;
        let context = SessionContext::new_with_config(config);
        let schema = DFSchema::try_from(batch.schema())?;
        let state = context.state();
        let dialect = state.config_options().sql_parser.dialect;
        let parsed = state.sql_to_expr_with_alias(sql, &dialect)?;
        if parsed.alias.is_some() {
            return Err(ExpressionError::Named);
        }
        let logical = state.create_logical_expr_from_sql_expr(parsed, &schema)?;
        if logical.exists(|expr| Ok(is_of_several_rows(expr)))? {
            return Err(ExpressionError::OfSeveralRows);
        }
        if let Some(function) = changing_function(&logical) {
            return Err(ExpressionError::Changing(function));
        }
        let physical = context.create_physical_expr(logical, &schema)?;
        Ok(physical.evaluate(batch)?.into_array(batch.num_rows())?)
    }
}

fn is_of_several_rows(expr: &Expr) -> bool {
    matches!(expr, Expr::AggregateFunction(_) | Expr::WindowFunction(_))
}
