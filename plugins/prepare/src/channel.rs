//! Channels: what they look at, how they are coded, and their values batch by batch.

use std::collections::BTreeSet;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::Schema;
use datafusion::prelude::SessionContext;
use supermoe_channels::{ChannelKind, Per, UNKNOWN_CODE, hashed_code};

use crate::dictionary::{Dictionary, NULL};
use crate::error::PrepareError;
use crate::expression::{
    DAYS_SINCE_FIRST, DAYS_TO_SNAPSHOT, Expression, OF_A_SAMPLE, ReadyExpression, SNAPSHOT,
    numbers, texts,
};
use crate::params::{ChannelParams, ChannelSource, Params};
use crate::totals::{PlannedTotal, Totals, totals_read, with_totals};

#[derive(Debug, Clone)]
pub struct PlannedChannel {
    pub name: String,
    pub kind: ChannelKind,
    pub per: Per,
    pub coding: Coding,
    pub expression: Expression,
    /// Of a channel that is made of totals: the channels that it betrays with them.
    pub betrays: Option<Vec<String>>,
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

/// Reads the channels' params. Totals that hang on the sample are channels too, and come last.
///
/// # Errors
/// No channel, a wrong expression, `min_count` and its like where they mean nothing, totals in a
/// channel that is not dense.
pub fn plan(
    context: &SessionContext,
    tables: &ChannelTables<'_>,
    params: &Params,
    totals: &Totals,
) -> Result<Vec<PlannedChannel>, PrepareError> {
    if params.channels.is_empty() {
        return Err(PrepareError::param(
            "with.channels",
            "it is empty; a step needs at least one channel",
        ));
    }
    let planner = Planner {
        context,
        tables,
        with_totals: with_totals(tables.events, params),
        params,
        totals,
    };
    let channels = params.channels.iter();
    let channels = channels.map(|(name, channel)| planner.channel(name, channel));
    let by_sample = totals.by_sample.iter().filter(|total| total.is_channel);
    channels
        .chain(by_sample.map(|total| planner.total(total)))
        .collect()
}

struct Planner<'a> {
    context: &'a SessionContext,
    tables: &'a ChannelTables<'a>,
    /// The columns of the events, and the totals.
    with_totals: Schema,
    params: &'a Params,
    totals: &'a Totals,
}

impl Planner<'_> {
    fn channel(&self, name: &str, params: &ChannelParams) -> Result<PlannedChannel, PrepareError> {
        let coding = coding(name, params)?;
        let (param, sql) = match &params.expr {
            Some(sql) => (format!("with.channels.{name}.expr"), sql.clone()),
            None => (format!("with.channels.{name}"), format!("\"{name}\"")),
        };
        match params.from {
            ChannelSource::Event => {
                let (expression, betrays) = self.of_events(param, &sql)?;
                if betrays.is_some() && params.kind != ChannelKind::Dense {
                    let problem = "a total stands in a dense channel only";
                    return Err(PrepareError::param(expression.param, problem));
                }
                Ok(PlannedChannel {
                    name: name.to_owned(),
                    kind: params.kind,
                    per: per(&expression, betrays.is_some()),
                    coding,
                    expression,
                    betrays,
                })
            }
            ChannelSource::Profile => Ok(PlannedChannel {
                name: name.to_owned(),
                kind: params.kind,
                per: Per::Entity,
                coding,
                expression: self.of_profile(name, param, &sql)?,
                betrays: None,
            }),
        }
    }

    /// An expression over the events, and what it betrays where it names totals.
    fn of_events(
        &self,
        param: String,
        sql: &str,
    ) -> Result<(Expression, Option<Vec<String>>), PrepareError> {
        let (context, schema) = (self.context, &self.with_totals);
        let expression = Expression::parse(context, schema, param, sql, &OF_A_SAMPLE)?;
        let totals = totals_read(&expression, self.tables.events, self.params);
        let betrays = (!totals.is_empty()).then(|| self.totals.betrayed(&[], &totals));
        Ok((expression, betrays))
    }

    fn of_profile(&self, name: &str, param: String, sql: &str) -> Result<Expression, PrepareError> {
        let Some(profile) = self.tables.profile else {
            let problem = "there is no `with.profile`, the query with one row per entity";
            return Err(PrepareError::param(
                format!("with.channels.{name}.from"),
                problem,
            ));
        };
        Expression::parse(self.context, profile, param, sql, &[])
    }

    /// sign(x) ln(1 + |x|), as of every total.
    fn total(&self, total: &PlannedTotal) -> Result<PlannedChannel, PrepareError> {
        let name = &total.name;
        let sql = format!("signum(\"{name}\") * ln(1 + abs(\"{name}\"))");
        let (expression, betrays) = self.of_events(format!("with.totals.{name}"), &sql)?;
        Ok(PlannedChannel {
            name: name.clone(),
            kind: ChannelKind::Dense,
            per: Per::SampleStep,
            coding: Coding::Number,
            expression,
            betrays,
        })
    }
}

fn per(expression: &Expression, names_totals: bool) -> Per {
    let of_sample = [SNAPSHOT, DAYS_TO_SNAPSHOT, DAYS_SINCE_FIRST];
    let sees_sample = of_sample.iter().any(|special| expression.uses(special));
    match (
        sees_sample || names_totals,
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
