//! The events of one bucket in memory, sorted by entity, time and the user's order.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::ops::Range;

use ahash::RandomState;
use arrow::array::{
    Array, ArrayRef, AsArray, DynComparator, Float64Array, RecordBatch, StringArray, UInt32Array,
    make_comparator,
};
use arrow::compute::{SortOptions, concat_batches, take};
use arrow::datatypes::{SchemaRef, TimestampMicrosecondType};

use crate::dates::DAY_MICROS;
use crate::error::PrepareError;
use crate::event_query::{keys, micros};
use crate::params::Params;

/// The rows that can reach a sample or a label.
#[derive(Debug)]
pub struct Events {
    /// The columns that something looks at.
    pub rows: RecordBatch,
    /// Microseconds from 1970-01-01 UTC, by row.
    pub time: Vec<i64>,
    /// Index of the row's time among the distinct times of its entity.
    pub visit: Vec<u32>,
    /// Days since the row before of the same entity, 0 for its first row.
    pub days_since_previous: Float64Array,
    /// By entity: its key as text, in the order of the column's own type.
    pub keys: Vec<String>,
    /// By entity: its rows; ascending and without gaps.
    pub ranges: Vec<Range<usize>>,
    /// Distinct entities, those without rows here too.
    pub all_entities: u64,
}

impl Events {
    /// Sorts rows, and keeps those with a time in `kept` (microseconds).
    ///
    /// # Errors
    /// More rows than fit.
    pub fn sorted(
        schema: &SchemaRef,
        batches: Vec<RecordBatch>,
        params: &Params,
        kept: Range<i64>,
    ) -> Result<Self, PrepareError> {
        let all =
            concat_batches(schema, &batches).map_err(PrepareError::arrow("gather the events"))?;
        drop(batches);
        if u32::try_from(all.num_rows()).is_err() {
            let problem = format!("{} rows; at most {} fit", all.num_rows(), u32::MAX);
            return Err(PrepareError::param("with.events", problem));
        }
        let column = |name: &str| {
            let index = schema.index_of(name);
            index.map_err(PrepareError::arrow("gather the events"))
        };
        let (entity, time) = (column(&params.entity)?, column(&params.time)?);
        let keys = keys(all.column(entity))?;
        let times = micros(all.column(time))?;
        let times = times.as_primitive::<TimestampMicrosecondType>().values();
        let (ranks, all_entities) = ranks(&keys, all.column(entity))?;
        let rows = (0..times.len()).filter(|&row| kept.contains(&times[row]));
        // `all` has at most u32::MAX rows.
        let mut rows: Vec<u32> = rows.map(|row| row as u32).collect();
        rows.sort_unstable_by_key(|&row| (ranks[row as usize], times[row as usize]));
        let same = |a: u32, b: u32| {
            ranks[a as usize] == ranks[b as usize] && times[a as usize] == times[b as usize]
        };
        let others = tie_breakers(&all, params, [entity, time])?;
        for ties in rows.chunk_by_mut(|&a, &b| same(a, b)) {
            if ties.len() > 1 {
                ties.sort_unstable_by(|&a, &b| compare(&others, a as usize, b as usize));
            }
        }
        drop(others);
        let mut events = Self::chain(&rows, &ranks, times, &keys);
        events.all_entities = all_entities;
        drop((ranks, keys));
        events.rows = taken(all, UInt32Array::from(rows))?;
        Ok(events)
    }

    /// All but the rows themselves.
    fn chain(rows: &[u32], ranks: &[u32], times: &[i64], keys: &StringArray) -> Self {
        let count = rows.len();
        let mut events = Self {
            rows: RecordBatch::new_empty(std::sync::Arc::new(arrow::datatypes::Schema::empty())),
            time: Vec::with_capacity(count),
            visit: Vec::with_capacity(count),
            days_since_previous: Float64Array::from(Vec::<f64>::new()),
            keys: Vec::new(),
            ranges: Vec::new(),
            all_entities: 0,
        };
        let mut since_previous = Vec::with_capacity(count);
        let mut last_rank = None;
        for (i, &row) in rows.iter().enumerate() {
            let (rank, time) = (ranks[row as usize], times[row as usize]);
            match events.ranges.last_mut().filter(|_| last_rank == Some(rank)) {
                Some(range) => {
                    range.end = i + 1;
                    let elapsed = time - events.time[i - 1];
                    since_previous.push(elapsed as f64 / DAY_MICROS as f64);
                    events
                        .visit
                        .push(events.visit[i - 1] + u32::from(elapsed > 0));
                }
                None => {
                    since_previous.push(0.0);
                    events.visit.push(0);
                    events.keys.push(keys.value(row as usize).to_owned());
                    events.ranges.push(i..i + 1);
                    last_rank = Some(rank);
                }
            }
            events.time.push(time);
        }
        events.days_since_previous = Float64Array::from(since_previous);
        events
    }
}

/// By row: the place of its entity among all in the order of the column's own type; and how many
/// entities there are.
fn ranks(keys: &StringArray, column: &ArrayRef) -> Result<(Vec<u32>, u64), PrepareError> {
    let mut numbers: HashMap<&str, u32, RandomState> = HashMap::default();
    let mut first_rows: Vec<usize> = Vec::new();
    let mut ranks = Vec::with_capacity(keys.len());
    for row in 0..keys.len() {
        // At most as many as rows, which are at most u32::MAX.
        let next = first_rows.len() as u32;
        let number = *numbers.entry(keys.value(row)).or_insert(next);
        if number == next {
            first_rows.push(row);
        }
        ranks.push(number);
    }
    let order = comparator(column)?;
    let mut sorted: Vec<u32> = (0..first_rows.len() as u32).collect();
    sorted.sort_unstable_by(|&a, &b| order(first_rows[a as usize], first_rows[b as usize]));
    let mut rank_of = vec![0u32; sorted.len()];
    for (&number, rank) in sorted.iter().zip(0..) {
        rank_of[number as usize] = rank;
    }
    for rank in &mut ranks {
        *rank = rank_of[*rank as usize];
    }
    Ok((ranks, first_rows.len() as u64))
}

/// The user's order, then every other column that can be compared: rows that are still equal are
/// equal in all that anything looks at.
fn tie_breakers(
    all: &RecordBatch,
    params: &Params,
    done: [usize; 2],
) -> Result<Vec<DynComparator>, PrepareError> {
    let schema = all.schema();
    let mut columns: Vec<usize> = Vec::new();
    let named = params
        .order
        .iter()
        .filter_map(|name| schema.index_of(name).ok());
    for column in named.chain(0..all.num_columns()) {
        if !done.contains(&column) && !columns.contains(&column) {
            columns.push(column);
        }
    }
    let comparable = columns
        .into_iter()
        .filter(|&column| !schema.field(column).data_type().is_nested());
    comparable
        .map(|column| comparator(all.column(column)))
        .collect()
}

fn comparator(column: &ArrayRef) -> Result<DynComparator, PrepareError> {
    make_comparator(column, column, SortOptions::default())
        .map_err(PrepareError::arrow("order the events"))
}

fn compare(columns: &[DynComparator], a: usize, b: usize) -> Ordering {
    let orders = columns.iter().map(|column| column(a, b));
    orders
        .into_iter()
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

/// Column by column, so that at no time all of them are there twice.
fn taken(all: RecordBatch, rows: UInt32Array) -> Result<RecordBatch, PrepareError> {
    let (schema, columns, _) = all.into_parts();
    let columns = columns.into_iter().map(|column| take(&column, &rows, None));
    let columns = columns
        .collect::<Result<Vec<_>, _>>()
        .map_err(PrepareError::arrow("gather the events"))?;
    RecordBatch::try_new(schema, columns).map_err(PrepareError::arrow("gather the events"))
}
