//! SQL aggregates by sample: `SELECT (expr) FROM rows GROUP BY sample`, each one answerable for itself.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{Field, Schema, UInt32Type};
use datafusion::catalog::streaming::StreamingTable;
use datafusion::common::Column;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::Expr;
use datafusion::prelude::SessionContext;

use crate::error::PrepareError;
use crate::expression::{Expression, SAMPLE, numbers, special_fields, texts};
use crate::sample_rows::SampleRows;
use crate::session;

/// The table that an aggregate runs over.
const ROWS: &str = "rows";

/// What an aggregate's values are read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    Number,
    Text,
}

/// The values of one aggregate, by sample.
#[derive(Debug, Clone, PartialEq)]
pub enum AggregateValues {
    Numbers(Vec<Option<f64>>),
    Texts(Vec<Option<String>>),
}

/// Aggregates over the rows of samples.
#[derive(Debug)]
pub struct Aggregates {
    expressions: Vec<Expression>,
    /// By expression: its value over no rows at all, one sample.
    empty: Vec<AggregateValues>,
}

impl Aggregates {
    /// Tries each expression over no rows.
    ///
    /// # Errors
    /// An expression that is no aggregate, or whose value is not what is wanted.
    pub async fn new(
        context: &SessionContext,
        expressions: Vec<(Expression, Wanted)>,
        events: &Schema,
    ) -> Result<Self, PrepareError> {
        let mut fields: Vec<Field> = events
            .fields()
            .iter()
            .map(|field| field.as_ref().clone())
            .collect();
        fields.extend(special_fields());
        let nothing = RecordBatch::new_empty(Arc::new(Schema::new(fields)));
        let mut empty = Vec::with_capacity(expressions.len());
        for (expression, wanted) in &expressions {
            let error =
                |source| PrepareError::expression(&expression.param, &expression.sql, source);
            session::replace_table(context, ROWS, nothing.clone()).map_err(error)?;
            // Grouped too, since that is what it is run as: a bare column has no value by group.
            let grouped = format!(
                "SELECT {} FROM {ROWS} GROUP BY \"{SAMPLE}\"",
                clause(expression, 0)
            );
            collect(context, &grouped)
                .await
                .map_err(|source| ungrouped(expression, source))?;
            let whole = format!("SELECT {} FROM {ROWS}", clause(expression, 0));
            let batches = collect(context, &whole).await.map_err(error)?;
            let mut value = match wanted {
                Wanted::Number => AggregateValues::Numbers(vec![None]),
                Wanted::Text => AggregateValues::Texts(vec![None]),
            };
            if let Some(batch) = batches.iter().find(|batch| batch.num_rows() > 0) {
                value.set(&expression.param, &[0], batch.column(0))?;
            }
            empty.push(value);
        }
        let expressions = expressions.into_iter().map(|(expression, _)| expression);
        Ok(Self {
            expressions: expressions.collect(),
            empty,
        })
    }

    pub fn is_empty(&self) -> bool {
        self.expressions.is_empty()
    }

    pub fn expressions(&self) -> &[Expression] {
        &self.expressions
    }

    /// Columns that some expression names.
    pub fn columns(&self) -> BTreeSet<&str> {
        let columns = self
            .expressions
            .iter()
            .flat_map(|expression| &expression.columns);
        columns.map(String::as_str).collect()
    }

    /// By expression, then by sample; a sample without rows has the value over no rows.
    ///
    /// # Errors
    /// A failure while computing, by the expression that fails.
    pub async fn compute(
        &self,
        context: &SessionContext,
        rows: SampleRows,
        samples: usize,
    ) -> Result<Vec<AggregateValues>, PrepareError> {
        let mut values: Vec<AggregateValues> = self
            .empty
            .iter()
            .map(|empty| empty.repeated(samples))
            .collect();
        if self.expressions.is_empty() || rows.len() == 0 {
            return Ok(values);
        }
        let internal = |source| PrepareError::sql(self.expressions[0].param.as_str(), source);
        let schema = rows.schema().clone();
        let table = StreamingTable::try_new(schema, vec![Arc::new(rows)]).map_err(internal)?;
        // Sample by sample, so that each is done with before the next begins.
        let by_sample = Expr::Column(Column::from_name(SAMPLE)).sort(true, true);
        let table = table.with_sort_order(vec![by_sample]);
        session::replace_provider(context, ROWS, Arc::new(table)).map_err(internal)?;
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
        let batches = match collect(context, &sql).await {
            Ok(batches) => batches,
            Err(error) => return Err(self.culprit(context, error).await),
        };
        for batch in &batches {
            let of_sample = batch.column(0).as_primitive::<UInt32Type>().values();
            let columns = values.iter_mut().zip(&batch.columns()[1..]);
            for ((values, column), expression) in columns.zip(&self.expressions) {
                values.set(&expression.param, of_sample, column)?;
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
                return PrepareError::expression(&expression.param, &expression.sql, error);
            }
        }
        PrepareError::sql("with.aggregates, with.tasks", error)
    }
}

impl AggregateValues {
    fn repeated(&self, samples: usize) -> Self {
        match self {
            AggregateValues::Numbers(values) => {
                AggregateValues::Numbers(values.iter().copied().cycle().take(samples).collect())
            }
            AggregateValues::Texts(values) => {
                AggregateValues::Texts(values.iter().cloned().cycle().take(samples).collect())
            }
        }
    }

    fn set(&mut self, param: &str, places: &[u32], found: &ArrayRef) -> Result<(), PrepareError> {
        match self {
            AggregateValues::Numbers(values) => {
                for (&place, value) in places.iter().zip(numbers(param, found)?) {
                    values[place as usize] = value;
                }
            }
            AggregateValues::Texts(values) => {
                for (&place, value) in places.iter().zip(&texts(param, found)?) {
                    values[place as usize] = value.map(str::to_owned);
                }
            }
        }
        Ok(())
    }
}

/// DataFusion speaks of a GROUP BY that the user has not written.
fn ungrouped(expression: &Expression, source: DataFusionError) -> PrepareError {
    if source.find_root().strip_backtrace().contains("GROUP BY") {
        let problem = "this is evaluated once per sample, over the sample's rows: use an aggregate such as \
                       count(*) or sum(x) around every column";
        return PrepareError::param(expression.param.as_str(), problem);
    }
    PrepareError::expression(&expression.param, &expression.sql, source)
}

/// The line break ends a comment that the user's SQL may end with.
fn clause(expression: &Expression, index: usize) -> String {
    format!("({}\n) AS value_{index}", expression.sql)
}

async fn collect(context: &SessionContext, sql: &str) -> Result<Vec<RecordBatch>, DataFusionError> {
    context.sql(sql).await?.collect().await
}
