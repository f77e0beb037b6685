//! SQL expressions of the user over one row: checked by themselves, so that a message names the param.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float64Type, Schema, TimeUnit};
use datafusion::common::DFSchema;
use datafusion::common::tree_node::TreeNode;
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::PhysicalExpr;
use datafusion::prelude::SessionContext;
use supermoe_sql::changing_function;

use crate::error::PrepareError;
use crate::session;

/// Days from the row before of the same entity, within the history.
pub const DAYS_SINCE_PREVIOUS: &str = "days_since_previous";
/// Days from the first row of the same entity in the history.
pub const DAYS_SINCE_FIRST: &str = "days_since_first";
/// Days from the row to the snapshot.
pub const DAYS_TO_SNAPSHOT: &str = "days_to_snapshot";
/// The snapshot's date, 00:00 UTC.
pub const SNAPSHOT: &str = "snapshot";
/// Names that the events must leave free.
pub const SPECIAL_COLUMNS: [&str; 5] = [
    DAYS_SINCE_PREVIOUS,
    DAYS_SINCE_FIRST,
    DAYS_TO_SNAPSHOT,
    SNAPSHOT,
    SAMPLE,
];
/// Those that have a meaning for a row that a sample looks back at.
pub const OF_A_SAMPLE: [&str; 4] = [
    DAYS_SINCE_PREVIOUS,
    DAYS_SINCE_FIRST,
    DAYS_TO_SNAPSHOT,
    SNAPSHOT,
];
/// Index of the sample within its snapshot.
pub const SAMPLE: &str = "__sample";

/// The type of [`SNAPSHOT`].
pub const SNAPSHOT_TYPE: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);

/// The special columns, in the order in which they follow the events' own.
pub fn special_fields() -> [Field; 5] {
    [
        Field::new(DAYS_SINCE_PREVIOUS, DataType::Float64, false),
        Field::new(DAYS_SINCE_FIRST, DataType::Float64, false),
        Field::new(DAYS_TO_SNAPSHOT, DataType::Float64, false),
        Field::new(SNAPSHOT, SNAPSHOT_TYPE, false),
        Field::new(SAMPLE, DataType::UInt32, false),
    ]
}

/// An expression and what it looks at.
#[derive(Debug, Clone)]
pub struct Expression {
    /// Where it stands: `with.channels.gap.expr`.
    pub param: String,
    pub sql: String,
    pub columns: BTreeSet<String>,
    logical: Expr,
}

impl Expression {
    /// Reads an expression over the events' columns and those special ones that have a meaning here.
    ///
    /// # Errors
    /// What DataFusion says of it; a special column without meaning here; `now()` and its like.
    pub fn parse(
        context: &SessionContext,
        columns: &Schema,
        param: String,
        sql: &str,
        allowed: &[&str],
    ) -> Result<Self, PrepareError> {
        let mut fields: Vec<Field> = columns
            .fields()
            .iter()
            .map(|field| field.as_ref().clone())
            .collect();
        fields.extend(special_fields());
        let error = |source| PrepareError::expression(&param, sql, source);
        let schema = DFSchema::try_from(Schema::new(fields)).map_err(error)?;
        let state = context.state();
        let dialect = state.config_options().sql_parser.dialect;
        let parsed = state.sql_to_expr_with_alias(sql, &dialect).map_err(error)?;
        if parsed.alias.is_some() {
            return Err(PrepareError::param(
                param,
                "it has its name already; leave AS out",
            ));
        }
        let logical = state
            .create_logical_expr_from_sql_expr(parsed, &schema)
            .map_err(error)?;
        let window = logical
            .exists(|expr| Ok(matches!(expr, Expr::WindowFunction(_))))
            .map_err(error)?;
        if window {
            return Err(PrepareError::param(
                param,
                "a window function has no meaning here; with.events may have one",
            ));
        }
        let columns: BTreeSet<String> = logical
            .column_refs()
            .into_iter()
            .map(|column| column.name.clone())
            .collect();
        let special = SPECIAL_COLUMNS
            .into_iter()
            .filter(|special| !allowed.contains(special));
        if let Some(name) = special
            .into_iter()
            .find(|special| columns.contains(*special))
        {
            return Err(PrepareError::param(
                param,
                format!("`{name}` has no meaning here"),
            ));
        }
        if let Some(function) = changing_function(&logical) {
            return Err(session::changing(&param, &function));
        }
        Ok(Self {
            param,
            sql: sql.to_owned(),
            columns,
            logical,
        })
    }

    fn has_aggregate(&self) -> bool {
        let aggregate = |expr: &Expr| Ok(matches!(expr, Expr::AggregateFunction(_)));
        // The closure never fails.
        self.logical.exists(aggregate).unwrap_or(false)
    }

    pub fn uses(&self, column: &str) -> bool {
        self.columns.contains(column)
    }

    /// Makes it ready for batches of a schema, which has the columns that the expression names.
    ///
    /// # Errors
    /// An aggregate or a query, which have no value by row.
    pub fn ready(
        &self,
        context: &SessionContext,
        schema: &Schema,
    ) -> Result<ReadyExpression, PrepareError> {
        if self.has_aggregate() {
            let problem = "an aggregate has no value by row: leave it out here, or write it in with.aggregates";
            return Err(PrepareError::param(self.param.as_str(), problem));
        }
        let error = |source| PrepareError::expression(&self.param, &self.sql, source);
        let schema = DFSchema::try_from(schema.clone()).map_err(error)?;
        let physical = context
            .create_physical_expr(self.logical.clone(), &schema)
            .map_err(error)?;
        Ok(ReadyExpression {
            param: self.param.clone(),
            sql: self.sql.clone(),
            physical,
        })
    }
}

/// An expression over batches of one schema.
pub struct ReadyExpression {
    param: String,
    sql: String,
    physical: Arc<dyn PhysicalExpr>,
}

impl ReadyExpression {
    /// One value per row of the batch.
    ///
    /// # Errors
    /// A failure while computing.
    pub fn evaluate(&self, batch: &RecordBatch) -> Result<ArrayRef, PrepareError> {
        let error = |source| PrepareError::expression(&self.param, &self.sql, source);
        let value = self.physical.evaluate(batch).map_err(error)?;
        value.into_array(batch.num_rows()).map_err(error)
    }
}

/// Numbers and truth values as f64, NULL as NULL.
///
/// # Errors
/// Another type.
pub fn numbers(param: &str, values: &ArrayRef) -> Result<Vec<Option<f64>>, PrepareError> {
    let data_type = values.data_type();
    let numeric = data_type.is_numeric() || matches!(data_type, DataType::Boolean | DataType::Null);
    if !numeric {
        let advice = match data_type {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                "; TRY_CAST(x AS DOUBLE) reads text as numbers, and what is none as NULL"
            }
            _ => "",
        };
        return Err(PrepareError::param(
            param,
            format!("its value is {data_type}; expected a number{advice}"),
        ));
    }
    let values =
        cast(values, &DataType::Float64).map_err(PrepareError::arrow("convert numbers"))?;
    Ok(values.as_primitive::<Float64Type>().iter().collect())
}

/// Values as text, NULL as NULL.
///
/// # Errors
/// A type that has no text: a list, a struct, bytes.
pub fn texts(param: &str, values: &ArrayRef) -> Result<StringArray, PrepareError> {
    let data_type = values.data_type();
    let nested = data_type.is_nested()
        || matches!(
            data_type,
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView
        );
    if nested {
        return Err(PrepareError::param(
            param,
            format!("its value is {data_type}; expected text or a number"),
        ));
    }
    let values = cast(values, &DataType::Utf8).map_err(PrepareError::arrow("convert text"))?;
    Ok(values.as_string::<i32>().clone())
}

/// A batch that has the snapshots alone, one a row.
pub fn snapshot_rows(micros: Vec<i64>) -> Result<RecordBatch, PrepareError> {
    let snapshot = arrow::array::TimestampMicrosecondArray::from(micros);
    RecordBatch::try_from_iter([(SNAPSHOT, Arc::new(snapshot) as ArrayRef)])
        .map_err(PrepareError::arrow("make the snapshots' rows"))
}
