//! `with.events`: the query of the events, its columns, and its rows into partitions.

use std::collections::BTreeSet;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::compute::{cast, filter, is_not_null};
use arrow::datatypes::{DataType, Schema, TimeUnit, TimestampMicrosecondType};
use datafusion::dataframe::DataFrame;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::prelude::SessionContext;
use futures::StreamExt;
use indexmap::IndexMap;
use supermoe_channels::BadRows;

use crate::dates::DAY_MICROS;
use crate::error::PrepareError;
use crate::expression::SPECIAL_COLUMNS;
use crate::files::Input;
use crate::params::Params;
use crate::partitions::{Partitioned, Partitions};
use crate::reporter::Reporter;
use crate::session;

/// A query that has been planned, not run.
pub struct EventQuery {
    frame: DataFrame,
    pub schema: Schema,
    pub warnings: Vec<String>,
}

/// What stands in the data card about all events, those that reach no sample too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    pub rows: u64,
    pub first_micros: i64,
    pub last_micros: i64,
    /// The end of the day of the last event: of label windows that end later, the end is not known.
    pub end_micros: i64,
    /// Rows of the inputs that were left out, by port.
    pub bad_rows: IndexMap<String, BadRows>,
}

impl EventQuery {
    /// # Errors
    /// A query that is wrong, a missing column or one of the wrong type.
    pub async fn plan(
        context: &SessionContext,
        params: &Params,
        inputs: &[Input],
    ) -> Result<Self, PrepareError> {
        let sql = match (&params.events, inputs) {
            (Some(sql), _) => sql.clone(),
            (None, [only]) => format!("SELECT * FROM \"{}\"", only.port.replace('"', "\"\"")),
            (None, _) => {
                let problem = "it is missing, and there is more than one input; write a query that joins them";
                return Err(PrepareError::param("with.events", problem));
            }
        };
        let frame = session::query(context, "with.events", &sql).await?;
        let warnings = look_ahead(frame.logical_plan());
        let schema = frame.schema().as_arrow().clone();
        check_columns(params, &schema)?;
        Ok(Self {
            frame,
            schema,
            warnings,
        })
    }

    /// Runs the query and keeps the columns of `used`, besides those of the entity, the time and the
    /// order.
    ///
    /// # Errors
    /// A query that fails, NULLs in entity or time, no rows, a work folder that cannot be written to.
    pub async fn run(
        self,
        params: &Params,
        used: &BTreeSet<&str>,
        work: &std::path::Path,
        reporter: &mut dyn Reporter,
    ) -> Result<(Partitioned, Facts), PrepareError> {
        let wanted = |name: &str| {
            used.contains(name)
                || name == params.entity
                || name == params.time
                || params.order.iter().any(|column| column == name)
        };
        let columns = self.frame.schema().columns().into_iter();
        let columns = columns
            .filter(|column| wanted(&column.name))
            .map(Expr::Column);
        let error = |error| PrepareError::sql("with.events", error);
        let frame = self
            .frame
            .select(columns.collect::<Vec<_>>())
            .map_err(error)?;
        let schema = frame.schema().as_arrow().clone();
        let mut partitions = Partitions::new(work, "events", &schema);
        let mut rows = frame.execute_stream().await.map_err(error)?;
        let mut reach = Reach::default();
        while let Some(batch) = rows.next().await {
            let batch = batch.map_err(error)?;
            if reporter.stop_requested() {
                return Err(PrepareError::Stopped);
            }
            let column = |name: &str| {
                let index = schema.index_of(name);
                // `check_columns` has found it.
                index
                    .map(|index| batch.column(index))
                    .map_err(PrepareError::arrow("read the events"))
            };
            let keys = keys(column(&params.entity)?)?;
            let times = micros(column(&params.time)?)?;
            reach.add(&keys, &times);
            let mut columns = batch.columns().to_vec();
            if keys.null_count() == 0 {
                partitions.add(&columns, &keys)?;
                continue;
            }
            // The run fails with their number in the end.
            let known = is_not_null(&keys).map_err(PrepareError::arrow("read the entities"))?;
            for column in &mut columns {
                *column = filter(column, &known).map_err(PrepareError::arrow("read the events"))?;
            }
            let keys = filter(&keys, &known).map_err(PrepareError::arrow("read the entities"))?;
            partitions.add(&columns, keys.as_string::<i32>())?;
        }
        let facts = reach.facts(params)?;
        Ok((partitions.finish()?, facts))
    }
}

/// First and last time, and what is missing.
#[derive(Default)]
struct Reach {
    rows: u64,
    ends: Option<(i64, i64)>,
    nulls_of_entity: usize,
    nulls_of_time: usize,
}

impl Reach {
    fn add(&mut self, keys: &StringArray, times: &ArrayRef) {
        self.rows += keys.len() as u64;
        self.nulls_of_entity += keys.null_count();
        self.nulls_of_time += times.null_count();
        let times = times.as_primitive::<TimestampMicrosecondType>();
        let ends = (arrow::compute::min(times), arrow::compute::max(times));
        if let (Some(first), Some(last)) = ends {
            let (from, to) = self.ends.unwrap_or((first, last));
            self.ends = Some((from.min(first), to.max(last)));
        }
    }

    fn facts(self, params: &Params) -> Result<Facts, PrepareError> {
        if self.rows == 0 {
            return Err(PrepareError::param(
                "with.events",
                "the events have no rows",
            ));
        }
        refuse_nulls("with.entity", &params.entity, self.nulls_of_entity)?;
        refuse_nulls("with.time", &params.time, self.nulls_of_time)?;
        // There are rows, and none has no time.
        let (first_micros, last_micros) = self.ends.unwrap_or((0, 0));
        Ok(Facts {
            rows: self.rows,
            first_micros,
            last_micros,
            end_micros: (last_micros.div_euclid(DAY_MICROS) + 1) * DAY_MICROS,
            bad_rows: IndexMap::new(),
        })
    }
}

/// The entities' keys as text.
///
/// # Errors
/// A column that has no text.
pub fn keys(column: &ArrayRef) -> Result<StringArray, PrepareError> {
    let keys = cast(column, &DataType::Utf8).map_err(PrepareError::arrow("read the entities"))?;
    Ok(keys.as_string::<i32>().clone())
}

/// Microseconds from 1970-01-01 UTC.
///
/// # Errors
/// A column that is no time, or a time too far away.
pub fn micros(column: &ArrayRef) -> Result<ArrayRef, PrepareError> {
    // Values with a zone are instants in UTC already.
    let zone = match column.data_type() {
        DataType::Timestamp(_, zone) => zone.clone(),
        _ => None,
    };
    cast(column, &DataType::Timestamp(TimeUnit::Microsecond, zone))
        .map_err(PrepareError::arrow("read the times"))
}

fn refuse_nulls(param: &str, column: &str, nulls: usize) -> Result<(), PrepareError> {
    if nulls == 0 {
        return Ok(());
    }
    let problem = format!(
        "column `{column}` is NULL in {nulls} rows; leave them out in with.events (WHERE {column} IS NOT NULL)"
    );
    Err(PrepareError::param(param, problem))
}

fn check_columns(params: &Params, schema: &Schema) -> Result<(), PrepareError> {
    let mut names: Vec<&str> = schema
        .fields()
        .iter()
        .map(|field| field.name().as_str())
        .collect();
    let all = names.join(", ");
    names.sort_unstable();
    if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        let problem = format!(
            "two columns are called `{}`; give one another name with AS",
            pair[0]
        );
        return Err(PrepareError::param("with.events", problem));
    }
    if let Some(name) = SPECIAL_COLUMNS
        .into_iter()
        .find(|special| names.contains(special))
    {
        let problem = format!(
            "a column is called `{name}`, which means something else here; rename it with AS"
        );
        return Err(PrepareError::param("with.events", problem));
    }
    let column = |param: String, name: &str| {
        let field = schema.fields().iter().find(|field| field.name() == name);
        field.ok_or_else(|| {
            PrepareError::param(
                param,
                format!("the events have no column `{name}`; they have {all}"),
            )
        })
    };
    let entity = column("with.entity".to_owned(), &params.entity)?.data_type();
    // A CSV file without rows, or a column without values: the rows have their own messages.
    let text = [
        DataType::Utf8,
        DataType::LargeUtf8,
        DataType::Utf8View,
        DataType::Null,
    ];
    if !entity.is_integer() && !text.contains(entity) {
        let problem = format!(
            "column `{}` is {entity}; expected whole numbers or text: CAST it in with.events",
            params.entity
        );
        return Err(PrepareError::param("with.entity", problem));
    }
    let time = column("with.time".to_owned(), &params.time)?.data_type();
    let times = matches!(
        time,
        DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 | DataType::Null
    );
    if !times {
        let name = &params.time;
        let example = match time.is_numeric() {
            true => format!(
                "to_timestamp_seconds({name}) for seconds from 1970-01-01 UTC, to_timestamp_millis({name}) for \
                 milliseconds"
            ),
            false => format!("for example to_timestamp({name}, '%d/%m/%Y %H:%M')"),
        };
        let problem = format!(
            "column `{name}` is {time}; expected a timestamp or a date: convert it in with.events, {example}"
        );
        return Err(PrepareError::param("with.time", problem));
    }
    for (i, name) in params.order.iter().enumerate() {
        column(format!("with.order[{i}]"), name)?;
    }
    Ok(())
}

/// A window function may bring later rows into a row, which nothing below could notice.
fn look_ahead(plan: &LogicalPlan) -> Vec<String> {
    if !contains_window(plan) {
        return Vec::new();
    }
    let warning = "with.events uses a window function: make sure that it looks back only, or later events \
                   leak into the inputs";
    vec![warning.to_owned()]
}

fn contains_window(plan: &LogicalPlan) -> bool {
    matches!(plan, LogicalPlan::Window(_)) || plan.inputs().into_iter().any(contains_window)
}
