//! `with.profile`: one row per entity, which channels of the entity look at.

use std::collections::HashMap;
use std::path::Path;

use arrow::array::{Array, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch, is_not_null};
use arrow::datatypes::Schema;
use datafusion::dataframe::DataFrame;
use datafusion::prelude::SessionContext;
use futures::StreamExt;
use supermoe_channels::Per;

use crate::channel::{ChannelReader, PlannedChannel, RawColumn};
use crate::dictionary::Dictionary;
use crate::error::PrepareError;
use crate::event_query::keys;
use crate::events::Events;
use crate::params::Params;
use crate::partitions::{Bucket, Partitioned, Partitions};
use crate::session;

const PARAM: &str = "with.profile";

/// A query that has been planned, not run.
pub struct ProfileQuery {
    frame: DataFrame,
    pub schema: Schema,
}

impl ProfileQuery {
    /// None without `with.profile`.
    ///
    /// # Errors
    /// A query that is wrong, or lacks the column of the entity.
    pub async fn plan(
        context: &SessionContext,
        params: &Params,
    ) -> Result<Option<Self>, PrepareError> {
        let Some(sql) = &params.profile else {
            return Ok(None);
        };
        let frame = session::query(context, PARAM, sql).await?;
        let schema = frame.schema().as_arrow().clone();
        let mut names: Vec<&str> = schema
            .fields()
            .iter()
            .map(|field| field.name().as_str())
            .collect();
        let all = names.join(", ");
        if !names.contains(&params.entity.as_str()) {
            let problem = format!(
                "its rows have no column `{}`, by which they belong to an entity; they have {all}",
                params.entity
            );
            return Err(PrepareError::param(PARAM, problem));
        }
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            let problem = format!(
                "two columns are called `{}`; give one another name with AS",
                pair[0]
            );
            return Err(PrepareError::param(PARAM, problem));
        }
        Ok(Some(Self { frame, schema }))
    }

    /// Rows without entity are left out.
    ///
    /// # Errors
    /// A query that fails, a work folder that cannot be written to.
    pub async fn run(self, params: &Params, work: &Path) -> Result<Partitioned, PrepareError> {
        let error = |error| PrepareError::sql(PARAM, error);
        let mut partitions = Partitions::new(work, "profile", &self.schema);
        let mut rows = self.frame.execute_stream().await.map_err(error)?;
        let gather = PrepareError::arrow("read the profile");
        while let Some(batch) = rows.next().await {
            let batch = batch.map_err(error)?;
            let index = batch.schema().index_of(&params.entity).map_err(&gather)?;
            let known = is_not_null(batch.column(index)).map_err(&gather)?;
            let batch = filter_record_batch(&batch, &known).map_err(&gather)?;
            let keys = keys(batch.column(index))?;
            partitions.add(batch.columns(), &keys)?;
        }
        partitions.finish()
    }
}

/// The values of the channels of the entity, by channel, then by entity of the bucket.
///
/// # Errors
/// Two rows for one entity; an expression that fails.
pub fn entity_columns(
    context: &SessionContext,
    profile: &Partitioned,
    bucket: &Bucket,
    params: &Params,
    channels: &[PlannedChannel],
    events: &Events,
    dictionaries: &mut [Dictionary],
) -> Result<Vec<Option<RawColumn>>, PrepareError> {
    let batches = profile.read(bucket)?;
    let gather = PrepareError::arrow("read the profile");
    let rows = concat_batches(profile.schema(), &batches).map_err(&gather)?;
    let keys = keys(rows.column(rows.schema().index_of(&params.entity).map_err(&gather)?))?;
    let mut row_of: HashMap<&str, usize> = HashMap::with_capacity(keys.len());
    let mut twice: Option<&str> = None;
    for row in 0..keys.len() {
        let key = keys.value(row);
        if row_of.insert(key, row).is_some() && twice.is_none_or(|first| key < first) {
            twice = Some(key);
        }
    }
    if let Some(key) = twice {
        let problem = format!(
            "it has more than one row for entity {key}; choose one with a condition, or GROUP BY \"{}\"",
            params.entity
        );
        return Err(PrepareError::param(PARAM, problem));
    }
    let of_entity: Vec<Option<usize>> = events
        .keys
        .iter()
        .map(|key| row_of.get(key.as_str()).copied())
        .collect();
    let columns = channels
        .iter()
        .zip(dictionaries)
        .map(|(channel, dictionary)| {
            (channel.per == Per::Entity)
                .then(|| column(context, channel, &rows, &keys, &of_entity, dictionary))
                .transpose()
        });
    columns.collect()
}

fn column(
    context: &SessionContext,
    channel: &PlannedChannel,
    rows: &RecordBatch,
    keys: &arrow::array::StringArray,
    of_entity: &[Option<usize>],
    dictionary: &mut Dictionary,
) -> Result<RawColumn, PrepareError> {
    let mut reader = ChannelReader::new(context, channel, rows.schema().as_ref())?;
    let place = |row: usize| format!("for entity {}", keys.value(row));
    reader.read(rows, dictionary, place)?;
    let missing = channel.missing_code();
    Ok(match reader.values {
        RawColumn::Codes(codes) => {
            let of_entity = of_entity.iter();
            RawColumn::Codes(
                of_entity
                    .map(|row| row.map_or(missing, |row| codes[row]))
                    .collect(),
            )
        }
        RawColumn::Numbers(numbers) => {
            let of_entity = of_entity.iter();
            RawColumn::Numbers(
                of_entity
                    .map(|row| row.map_or(f32::NAN, |row| numbers[row]))
                    .collect(),
            )
        }
    })
}
