//! SQL aggregates by sample: `SELECT (expr) FROM rows GROUP BY sample`, each one answerable for itself.

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Field, Schema, UInt32Type};
use datafusion::error::DataFusionError;
use datafusion::prelude::SessionContext;

use crate::error::PrepareError;
use crate::expression::{Expression, SAMPLE, numbers, special_fields};
use crate::session;

/// The table that an aggregate runs over.
const ROWS: &str = "rows";

/// Aggregates over the rows of samples.
#[derive(Debug)]
pub struct Aggregates {
    expressions: Vec<Expression>,
    /// By expression: its value over no rows at all.
    empty: Vec<Option<f64>>,
}

impl Aggregates {
    /// Tries each expression over no rows.
    ///
    /// # Errors
    /// An expression that is no aggregate, or whose value is no number.
    pub async fn new(expressions: Vec<Expression>, events: &Schema) -> Result<Self, PrepareError> {
        let mut fields: Vec<Field> = events
            .fields()
            .iter()
            .map(|field| field.as_ref().clone())
            .collect();
        fields.extend(special_fields());
        let nothing = RecordBatch::new_empty(Arc::new(Schema::new(fields)));
        let mut empty = Vec::with_capacity(expressions.len());
        for expression in &expressions {
            let context = session::new();
            let error = |source| PrepareError::sql(expression.param.as_str(), source);
            session::add_table(&context, ROWS, nothing.clone()).map_err(error)?;
            // Grouped too, since that is what it is run as: a bare column has no value by group.
            let grouped = format!(
                "SELECT {} FROM {ROWS} GROUP BY \"{SAMPLE}\"",
                clause(expression, 0)
            );
            collect(&context, &grouped)
                .await
                .map_err(|source| ungrouped(expression, source))?;
            let whole = format!("SELECT {} FROM {ROWS}", clause(expression, 0));
            let batches = collect(&context, &whole).await.map_err(error)?;
            let first = batches.iter().find(|batch| batch.num_rows() > 0);
            let value = first
                .map(|batch| numbers(&expression.param, batch.column(0)))
                .transpose()?;
            empty.push(value.and_then(|values| values.first().copied().flatten()));
        }
        Ok(Self { expressions, empty })
    }

    pub fn is_empty(&self) -> bool {
        self.expressions.is_empty()
    }

    pub fn expressions(&self) -> &[Expression] {
        &self.expressions
    }

    /// Columns that some expression names, once each.
    pub fn columns(&self) -> Vec<&str> {
        let mut columns: Vec<&str> = self
            .expressions
            .iter()
            .flat_map(|expression| &expression.columns)
            .map(String::as_str)
            .collect();
        columns.sort_unstable();
        columns.dedup();
        columns
    }

    /// By expression, then by sample; a sample without rows has the value over no rows.
    ///
    /// # Errors
    /// A failure while computing, by the expression that fails.
    pub async fn compute(
        &self,
        rows: RecordBatch,
        samples: usize,
    ) -> Result<Vec<Vec<Option<f64>>>, PrepareError> {
        if self.expressions.is_empty() {
            return Ok(Vec::new());
        }
        let context = session::new();
        let internal = |source| PrepareError::sql(self.expressions[0].param.as_str(), source);
        session::add_table(&context, ROWS, rows).map_err(internal)?;
        let clauses: Vec<String> = self
            .expressions
            .iter()
            .enumerate()
            .map(|(i, expression)| clause(expression, i))
            .collect();
        let sql = format!(
            "SELECT \"{SAMPLE}\", {} FROM {ROWS} GROUP BY \"{SAMPLE}\"",
            clauses.join(", ")
        );
        let batches = match collect(&context, &sql).await {
            Ok(batches) => batches,
            Err(error) => return Err(self.culprit(&context, error).await),
        };
        let mut values: Vec<Vec<Option<f64>>> = self
            .empty
            .iter()
            .map(|&empty| vec![empty; samples])
            .collect();
        for batch in &batches {
            let of_sample = batch.column(0).as_primitive::<UInt32Type>();
            for (i, expression) in self.expressions.iter().enumerate() {
                let found = numbers(&expression.param, batch.column(i + 1))?;
                for (&sample, value) in of_sample.values().iter().zip(found) {
                    values[i][sample as usize] = value;
                }
            }
        }
        Ok(values)
    }

    /// Runs each expression alone to find the one that failed.
    async fn culprit(&self, context: &SessionContext, error: DataFusionError) -> PrepareError {
        for expression in &self.expressions {
            let sql = format!(
                "SELECT {} FROM {ROWS} GROUP BY \"{SAMPLE}\"",
                clause(expression, 0)
            );
            if let Err(error) = collect(context, &sql).await {
                return PrepareError::sql(expression.param.as_str(), error);
            }
        }
        PrepareError::sql("with.aggregates, with.tasks", error)
    }
}

/// DataFusion speaks of a GROUP BY that the user has not written.
fn ungrouped(expression: &Expression, source: DataFusionError) -> PrepareError {
    if source.find_root().strip_backtrace().contains("GROUP BY") {
        let problem = "this is evaluated once per sample, over the sample's rows: use an aggregate such as \
                       count(*) or sum(x) around every column";
        return PrepareError::param(expression.param.as_str(), problem);
    }
    PrepareError::sql(expression.param.as_str(), source)
}

/// The line break ends a comment that the user's SQL may end with.
fn clause(expression: &Expression, index: usize) -> String {
    format!("({}\n) AS value_{index}", expression.sql)
}

async fn collect(context: &SessionContext, sql: &str) -> Result<Vec<RecordBatch>, DataFusionError> {
    context.sql(sql).await?.collect().await
}
