//! Channels: what they look at, how they are coded, and their values batch by batch.

use std::collections::BTreeSet;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::Schema;
use datafusion::prelude::SessionContext;
use supermoe_channels::{ChannelKind, Per, UNKNOWN_CODE, hashed_code};

use crate::dictionary::{Dictionary, NULL};
use crate::error::PrepareError;
use crate::expression::{
    DAYS_SINCE_PREVIOUS, DAYS_TO_SNAPSHOT, Expression, ReadyExpression, SNAPSHOT, numbers, texts,
};
use crate::params::{ChannelParams, ChannelSource, Params};

#[derive(Debug, Clone)]
pub struct PlannedChannel {
    pub name: String,
    pub kind: ChannelKind,
    pub per: Per,
    pub coding: Coding,
    pub expression: Expression,
}

/// How values become what a model takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    Number,
    Vocabulary {
        min_count: u64,
        /// None: as many as there are.
        max_size: Option<u32>,
    },
    /// By a hash into so many buckets.
    Hash(u32),
}

/// The values of a channel within one bucket.
#[derive(Debug, Clone, PartialEq)]
pub enum RawColumn {
    /// Numbers of a [`Dictionary`]; codes of a hashed channel.
    Codes(Vec<u32>),
    /// NaN for NULL.
    Numbers(Vec<f32>),
}

/// The columns that channels may look at.
pub struct ChannelTables<'a> {
    pub events: &'a Schema,
    /// None without `with.profile`.
    pub profile: Option<&'a Schema>,
}

/// Reads the channels' params.
///
/// # Errors
/// No channel, a wrong expression, `min_count` and its like where they mean nothing.
pub fn plan(
    context: &SessionContext,
    tables: &ChannelTables<'_>,
    params: &Params,
) -> Result<Vec<PlannedChannel>, PrepareError> {
    if params.channels.is_empty() {
        return Err(PrepareError::param(
            "with.channels",
            "it is empty; a step needs at least one channel",
        ));
    }
    params
        .channels
        .iter()
        .map(|(name, channel)| plan_channel(context, tables, name, channel))
        .collect()
}

fn plan_channel(
    context: &SessionContext,
    tables: &ChannelTables<'_>,
    name: &str,
    params: &ChannelParams,
) -> Result<PlannedChannel, PrepareError> {
    let coding = coding(name, params)?;
    let (param, sql) = match &params.expr {
        Some(sql) => (format!("with.channels.{name}.expr"), sql.clone()),
        None => (format!("with.channels.{name}"), format!("\"{name}\"")),
    };
    let (expression, per) = match params.from {
        ChannelSource::Event => {
            let allowed = [DAYS_SINCE_PREVIOUS, DAYS_TO_SNAPSHOT, SNAPSHOT];
            let expression = Expression::parse(context, tables.events, param, &sql, &allowed)?;
            let per = per(&expression);
            (expression, per)
        }
        ChannelSource::Profile => {
            let Some(profile) = tables.profile else {
                let problem = "there is no `with.profile`, the query with one row per entity";
                return Err(PrepareError::param(
                    format!("with.channels.{name}.from"),
                    problem,
                ));
            };
            let expression = Expression::parse(context, profile, param, &sql, &[])?;
            (expression, Per::Entity)
        }
    };
    Ok(PlannedChannel {
        name: name.to_owned(),
        kind: params.kind,
        per,
        coding,
        expression,
    })
}

fn per(expression: &Expression) -> Per {
    let sees_snapshot = expression.uses(SNAPSHOT) || expression.uses(DAYS_TO_SNAPSHOT);
    match (
        sees_snapshot,
        expression.columns.iter().all(|column| column == SNAPSHOT),
    ) {
        (false, _) => Per::Step,
        (true, true) => Per::Snapshot,
        (true, false) => Per::SampleStep,
    }
}

fn coding(name: &str, params: &ChannelParams) -> Result<Coding, PrepareError> {
    let refuse = |key: &str, problem: &str| {
        Err(PrepareError::param(
            format!("with.channels.{name}.{key}"),
            problem,
        ))
    };
    let given = [
        ("min_count", params.min_count.is_some()),
        ("max_size", params.max_size.is_some()),
        ("hash", params.hash.is_some()),
    ];
    let first = given.iter().find(|(_, given)| *given);
    if params.kind == ChannelKind::Dense {
        return match first {
            Some((key, _)) => refuse(
                key,
                "it is for id and category channels; a dense channel has no vocabulary",
            ),
            None => Ok(Coding::Number),
        };
    }
    match (params.hash, first) {
        (Some(0), _) => refuse("hash", "expected at least one bucket"),
        (Some(_), Some((key, _))) if *key != "hash" => refuse(
            key,
            "a hashed channel has no vocabulary; leave it or `hash` out",
        ),
        (Some(buckets), _) if buckets > 1_000_000_000 => {
            refuse("hash", "expected at most 1000000000 buckets")
        }
        (Some(buckets), _) => Ok(Coding::Hash(buckets)),
        (None, _) => Ok(Coding::Vocabulary {
            min_count: params.min_count.unwrap_or(1),
            max_size: params.max_size,
        }),
    }
}

/// The columns of the events that channels name, special ones included.
pub fn columns<'a>(channels: impl Iterator<Item = &'a PlannedChannel>) -> BTreeSet<&'a str> {
    let columns = channels.flat_map(|channel| &channel.expression.columns);
    columns.map(String::as_str).collect()
}

/// A channel while the rows of one bucket pass by.
pub struct ChannelReader<'a> {
    channel: &'a PlannedChannel,
    expression: ReadyExpression,
    pub values: RawColumn,
}

impl<'a> ChannelReader<'a> {
    /// # Errors
    /// An expression that has no value by row.
    pub fn new(
        context: &SessionContext,
        channel: &'a PlannedChannel,
        schema: &Schema,
    ) -> Result<Self, PrepareError> {
        Ok(Self {
            channel,
            expression: channel.expression.ready(context, schema)?,
            values: match channel.coding {
                Coding::Number => RawColumn::Numbers(Vec::new()),
                Coding::Vocabulary { .. } | Coding::Hash(_) => RawColumn::Codes(Vec::new()),
            },
        })
    }

    /// Appends the values of a batch; `place` names one of its rows in a message.
    ///
    /// # Errors
    /// A failure while computing, a value of the wrong type, NaN or infinity in a dense channel.
    pub fn read(
        &mut self,
        batch: &RecordBatch,
        dictionary: &mut Dictionary,
        place: impl Fn(usize) -> String,
    ) -> Result<(), PrepareError> {
        let values = self.expression.evaluate(batch)?;
        let param = self.channel.expression.param.as_str();
        match (&mut self.values, self.channel.coding) {
            (RawColumn::Numbers(all), _) => {
                all.extend(finite(param, numbers(param, &values)?, place)?);
            }
            (RawColumn::Codes(all), Coding::Hash(buckets)) => {
                append_hashed(param, &values, buckets, all)?;
            }
            (RawColumn::Codes(all), _) => dictionary.append(param, &values, all)?,
        }
        Ok(())
    }
}

fn append_hashed(
    param: &str,
    values: &ArrayRef,
    buckets: u32,
    codes: &mut Vec<u32>,
) -> Result<(), PrepareError> {
    let texts = texts(param, values)?;
    codes.extend(texts.iter().map(|text| match text {
        Some(text) => hashed_code(text, buckets),
        None => UNKNOWN_CODE,
    }));
    Ok(())
}

impl PlannedChannel {
    /// The value of a row that is not there.
    pub fn missing_code(&self) -> u32 {
        match self.coding {
            Coding::Hash(_) => UNKNOWN_CODE,
            Coding::Number | Coding::Vocabulary { .. } => NULL,
        }
    }
}

/// As f32, NaN for NULL.
///
/// # Errors
/// NaN, infinity, or a number beyond f32, with their count and the first place.
pub fn finite(
    param: &str,
    values: Vec<Option<f64>>,
    place: impl Fn(usize) -> String,
) -> Result<Vec<f32>, PrepareError> {
    let wrong = |value: &Option<f64>| value.is_some_and(|x| !(x as f32).is_finite());
    if let Some(first) = values.iter().position(wrong) {
        let at = place(first);
        let value = values[first].unwrap_or(f64::NAN);
        return Err(PrepareError::param(
            param,
            format!(
                "its value is {value} {at}: NaN, infinite or too large; guard the expression, or let it be NULL \
                 (a missing value)"
            ),
        ));
    }
    Ok(values
        .into_iter()
        .map(|value| value.map_or(f32::NAN, |x| x as f32))
        .collect())
}
