//! The events, sorted by entity, time and the user's order, in memory.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, AsArray, Float64Array, RecordBatch, StringArray, UInt64Array};
use arrow::compute::{cast, concat_batches, take_record_batch};
use arrow::datatypes::{DataType, Schema, TimeUnit, TimestampMicrosecondType};
use datafusion::common::Column;
use datafusion::dataframe::DataFrame;
use datafusion::logical_expr::{Expr, LogicalPlan, SortExpr};
use datafusion::prelude::SessionContext;

use crate::calendar::DAY_MICROS;
use crate::error::PrepareError;
use crate::expression::SPECIAL_COLUMNS;
use crate::params::Params;
use crate::session;
use crate::tables::Input;

/// The rows that can reach a sample or a label.
#[derive(Debug)]
pub struct Events {
    /// All columns of the events.
    pub rows: RecordBatch,
    /// Microseconds from 1970-01-01 UTC, by row.
    pub time: Vec<i64>,
    /// By row: index of the entity in `keys`; ascending.
    pub entity: Vec<u32>,
    /// Index of the row's time among the distinct times of its entity.
    pub visit: Vec<u32>,
    /// Days since the row before of the same entity, 0 for its first row.
    pub days_since_previous: Float64Array,
    /// By entity: its key as text, in the order of the column's own type.
    pub keys: Vec<String>,
    /// By entity: its rows; ascending and without gaps.
    pub ranges: Vec<Range<usize>>,
}

/// What stands in the data card about all events, those that reach no sample too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    pub rows: u64,
    pub entities: u64,
    pub first_micros: i64,
    pub last_micros: i64,
    /// The end of the day of the last event: of label windows that end later, the end is not known.
    pub end_micros: i64,
    pub warnings: Vec<String>,
}

/// Runs the query of the events and keeps the rows of `kept` (microseconds).
///
/// # Errors
/// A query that fails, a missing column or one of the wrong type, NULLs in entity or time, no rows.
pub async fn read(
    context: &SessionContext,
    params: &Params,
    inputs: &[Input],
    kept: Range<i64>,
) -> Result<(Events, Facts), PrepareError> {
    let sql = match (&params.events, inputs) {
        (Some(sql), _) => sql.clone(),
        (None, [only]) => format!("SELECT * FROM \"{}\"", only.port.replace('"', "\"\"")),
        (None, _) => {
            let problem =
                "it is missing, and there is more than one input; write a query that joins them";
            return Err(PrepareError::param("with.events", problem));
        }
    };
    let frame = session::query(context, "with.events", &sql).await?;
    let warnings = look_ahead(frame.logical_plan());
    let schema = Arc::new(frame.schema().as_arrow().clone());
    check_columns(params, &schema)?;
    let order = total_order(params, &frame);
    let sql_error = |error| PrepareError::sql("with.events", error);
    let batches = frame
        .sort(order)
        .map_err(sql_error)?
        .collect()
        .await
        .map_err(sql_error)?;
    // A query may promise fewer NULLs than it gives, so the batches' own schema counts.
    let schema = batches.first().map_or(schema, RecordBatch::schema);
    let all =
        concat_batches(&schema, &batches).map_err(PrepareError::arrow("gather the events"))?;
    drop(batches);
    if all.num_rows() == 0 {
        return Err(PrepareError::param(
            "with.events",
            "the events have no rows",
        ));
    }
    if u32::try_from(all.num_rows()).is_err() {
        let problem = format!("{} rows; at most {} fit", all.num_rows(), u32::MAX);
        return Err(PrepareError::param("with.events", problem));
    }
    let times = times(params, &all)?;
    let keys = keys(params, &all)?;
    let facts = facts(&times, &keys, warnings);
    let rows = (0..times.len()).filter(|&row| kept.contains(&times[row]));
    let rows = UInt64Array::from_iter_values(rows.map(|row| row as u64));
    let events = Events::new(&all, &times, &keys, &rows)?;
    Ok((events, facts))
}

impl Events {
    fn new(
        all: &RecordBatch,
        times: &[i64],
        keys: &StringArray,
        kept: &UInt64Array,
    ) -> Result<Self, PrepareError> {
        let rows =
            take_record_batch(all, kept).map_err(PrepareError::arrow("gather the events"))?;
        let count = kept.len();
        let mut events = Self {
            rows,
            time: Vec::with_capacity(count),
            entity: Vec::with_capacity(count),
            visit: Vec::with_capacity(count),
            days_since_previous: Float64Array::from(Vec::<f64>::new()),
            keys: Vec::new(),
            ranges: Vec::new(),
        };
        let mut since_previous = Vec::with_capacity(count);
        for (i, &row) in kept.values().iter().enumerate() {
            let (key, time) = (keys.value(row as usize), times[row as usize]);
            let same_entity = events.keys.last().is_some_and(|last| last == key);
            if same_entity {
                let elapsed = time - events.time[i - 1];
                since_previous.push(elapsed as f64 / DAY_MICROS as f64);
                events
                    .visit
                    .push(events.visit[i - 1] + u32::from(elapsed > 0));
                // An entity has a range since its first row.
                if let Some(range) = events.ranges.last_mut() {
                    range.end = i + 1;
                }
            } else {
                since_previous.push(0.0);
                events.visit.push(0);
                events.keys.push(key.to_owned());
                events.ranges.push(i..i + 1);
            }
            events.time.push(time);
            events.entity.push(events.keys.len() as u32 - 1);
        }
        events.days_since_previous = Float64Array::from(since_previous);
        Ok(events)
    }
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

/// Entity, time, the user's order, then every other column that can be compared: rows that are still
/// equal are equal in all.
fn total_order(params: &Params, frame: &DataFrame) -> Vec<SortExpr> {
    let mut names: Vec<&str> = vec![&params.entity, &params.time];
    names.extend(params.order.iter().map(String::as_str));
    let fields = frame.schema().fields();
    let comparable = fields.iter().filter(|field| !field.data_type().is_nested());
    names.extend(comparable.map(|field| field.name().as_str()));
    let mut order: Vec<SortExpr> = Vec::with_capacity(names.len());
    let columns = frame.schema().columns();
    for (i, name) in names.iter().enumerate() {
        if names[..i].contains(name) {
            continue;
        }
        // `check_columns` has found each name once; qualifiers are the query's own.
        let column = columns.iter().find(|column| column.name == *name).cloned();
        let column = column.unwrap_or_else(|| Column::from_name(*name));
        order.push(Expr::Column(column).sort(true, true));
    }
    order
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

fn times(params: &Params, all: &RecordBatch) -> Result<Vec<i64>, PrepareError> {
    let column = column(all, &params.time, "with.time")?;
    // The zone is kept: values with one are instants in UTC already.
    let zone = match column.data_type() {
        DataType::Timestamp(_, zone) => zone.clone(),
        _ => None,
    };
    let micros = cast(column, &DataType::Timestamp(TimeUnit::Microsecond, zone));
    let micros = micros.map_err(PrepareError::arrow("read the times"))?;
    refuse_nulls("with.time", &params.time, micros.null_count())?;
    Ok(micros
        .as_primitive::<TimestampMicrosecondType>()
        .values()
        .to_vec())
}

fn keys(params: &Params, all: &RecordBatch) -> Result<StringArray, PrepareError> {
    let keys = cast(column(all, &params.entity, "with.entity")?, &DataType::Utf8);
    let keys = keys.map_err(PrepareError::arrow("read the entities"))?;
    refuse_nulls("with.entity", &params.entity, keys.null_count())?;
    Ok(keys.as_string::<i32>().clone())
}

fn column<'a>(
    all: &'a RecordBatch,
    name: &str,
    param: &str,
) -> Result<&'a arrow::array::ArrayRef, PrepareError> {
    let missing = || PrepareError::param(param, format!("the events have no column `{name}`"));
    all.column_by_name(name).ok_or_else(missing)
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

fn facts(times: &[i64], keys: &StringArray, warnings: Vec<String>) -> Facts {
    let changes = (1..keys.len())
        .filter(|&row| keys.value(row) != keys.value(row - 1))
        .count();
    // The caller has seen that there are rows.
    let first_micros = times.iter().copied().min().unwrap_or(0);
    let last_micros = times.iter().copied().max().unwrap_or(0);
    Facts {
        rows: times.len() as u64,
        entities: changes as u64 + 1,
        first_micros,
        last_micros,
        end_micros: (last_micros.div_euclid(DAY_MICROS) + 1) * DAY_MICROS,
        warnings,
    }
}
