//! Running totals: what each adds up, over the steps of an entity or over the history of each sample.

use arrow::datatypes::{DataType, Field, Schema};
use datafusion::prelude::SessionContext;
use indexmap::IndexMap;

use crate::channel::PlannedChannel;
use crate::error::PrepareError;
use crate::expression::{Expression, OF_A_SAMPLE, SPECIAL_COLUMNS};
use crate::params::{Counted, Params, TotalParams};

/// A total and what it is made of.
#[derive(Debug, Clone)]
pub struct PlannedTotal {
    pub name: String,
    pub adds: Added,
    /// Whether a model is given it; else it only serves SQL that names it.
    pub is_channel: bool,
    /// Channels that it betrays, those of the totals that it is made of included.
    pub source: Vec<String>,
}

/// What a total adds up, row by row.
#[derive(Debug, Clone)]
pub enum Added {
    /// One for each row.
    Rows,
    /// One for each distinct time.
    Times,
    Sum(Expression),
}

/// The totals of a run.
#[derive(Debug, Clone, Default)]
pub struct Totals {
    /// What they add hangs on the event alone: one sum over the entity's steps serves every sample.
    /// Those that are channels come first.
    pub by_step: Vec<PlannedTotal>,
    /// What they add hangs on the sample too: on another total, its snapshot, its first row. None is
    /// made of a later one.
    pub by_sample: Vec<PlannedTotal>,
}

impl PlannedTotal {
    pub fn expression(&self) -> Option<&Expression> {
        match &self.adds {
            Added::Sum(expression) => Some(expression),
            Added::Rows | Added::Times => None,
        }
    }
}

impl Totals {
    /// Reads the totals' params.
    ///
    /// # Errors
    /// A wrong expression, neither `count` nor `sum`, or both; a total that is made of itself.
    pub fn plan(
        context: &SessionContext,
        events: &Schema,
        params: &Params,
    ) -> Result<Self, PrepareError> {
        let schema = with_totals(events, params);
        let mut planned = IndexMap::with_capacity(params.totals.len());
        for (name, total) in &params.totals {
            planned.insert(name.as_str(), plan_total(context, &schema, name, total)?);
        }
        let reads = |total: &PlannedTotal| match total.expression() {
            Some(expression) => totals_read(expression, events, params),
            None => Vec::new(),
        };
        let reads: IndexMap<&str, Vec<String>> = planned
            .iter()
            .map(|(name, total)| (*name, reads(total)))
            .collect();
        let mut order = Vec::with_capacity(planned.len());
        for name in reads.keys() {
            put_in_order(name, &reads, &mut Vec::new(), &mut order)?;
        }
        let mut totals = Self::default();
        for name in order {
            let Some(mut total) = planned.get(name).cloned() else {
                continue;
            };
            total.source = totals.betrayed(&total.source, &reads[name]);
            let of_a_sample = |expression: &Expression| {
                OF_A_SAMPLE.iter().any(|special| expression.uses(special))
            };
            match !reads[name].is_empty() || total.expression().is_some_and(of_a_sample) {
                true => totals.by_sample.push(total),
                false => totals.by_step.push(total),
            }
        }
        let place =
            |total: &PlannedTotal| (!total.is_channel, params.totals.get_index_of(&total.name));
        totals.by_step.sort_by_key(place);
        Ok(totals)
    }

    /// Those sums over an entity's steps that are channels.
    pub fn step_channels(&self) -> impl Iterator<Item = &PlannedTotal> {
        self.by_step.iter().filter(|total| total.is_channel)
    }

    pub fn all(&self) -> impl Iterator<Item = &PlannedTotal> {
        self.by_step.iter().chain(&self.by_sample)
    }

    /// The channels of `own`, and those that the named totals betray.
    pub fn betrayed(&self, own: &[String], totals: &[String]) -> Vec<String> {
        let mut all = own.to_vec();
        let read = self.all().filter(|total| totals.contains(&total.name));
        for source in read.flat_map(|total| &total.source) {
            if !all.contains(source) {
                all.push(source.clone());
            }
        }
        all
    }

    /// # Errors
    /// A source that is no channel, or one that is made of totals itself.
    pub fn check_sources(
        &self,
        params: &Params,
        channels: &[PlannedChannel],
    ) -> Result<(), PrepareError> {
        for (name, total) in &params.totals {
            let param = format!("with.totals.{name}.source");
            for source in &total.source {
                let problem = match channels.iter().find(|channel| channel.name == *source) {
                    None => format!("there is no channel `{source}`"),
                    Some(channel) if channel.betrays.is_some() => format!(
                        "`{source}` is made of totals; name the channels of the events that they add up"
                    ),
                    Some(_) => continue,
                };
                return Err(PrepareError::param(param, problem));
            }
        }
        Ok(())
    }
}

fn plan_total(
    context: &SessionContext,
    schema: &Schema,
    name: &str,
    total: &TotalParams,
) -> Result<PlannedTotal, PrepareError> {
    let adds = match (total.count, &total.sum) {
        (Some(Counted::Rows), None) => Added::Rows,
        (Some(Counted::Times), None) => Added::Times,
        (None, Some(sql)) => {
            let param = format!("with.totals.{name}.sum");
            Added::Sum(Expression::parse(
                context,
                schema,
                param,
                sql,
                &OF_A_SAMPLE,
            )?)
        }
        _ => {
            return Err(PrepareError::param(
                format!("with.totals.{name}"),
                "expected either `count` or `sum`",
            ));
        }
    };
    Ok(PlannedTotal {
        name: name.to_owned(),
        adds,
        is_channel: total.channel,
        source: total.source.clone(),
    })
}

/// The totals that SQL over the events may name: where the events have a column of a total's name,
/// it is the column that is meant.
fn nameable<'a>(events: &'a Schema, params: &'a Params) -> impl Iterator<Item = &'a String> {
    params
        .totals
        .keys()
        .filter(|name| events.index_of(name).is_err() && !SPECIAL_COLUMNS.contains(&name.as_str()))
}

/// The columns of the events, and the totals as columns.
pub fn with_totals(events: &Schema, params: &Params) -> Schema {
    let of_events = events.fields().iter().map(|field| field.as_ref().clone());
    let totals = nameable(events, params).map(|name| Field::new(name, DataType::Float64, false));
    Schema::new(of_events.chain(totals).collect::<Vec<_>>())
}

/// The totals that an expression names.
pub fn totals_read(expression: &Expression, events: &Schema, params: &Params) -> Vec<String> {
    nameable(events, params)
        .filter(|name| expression.uses(name))
        .cloned()
        .collect()
}

/// Appends a total after those that it is made of. `path`: the totals that are made of this one.
fn put_in_order<'a>(
    name: &'a str,
    reads: &'a IndexMap<&str, Vec<String>>,
    path: &mut Vec<&'a str>,
    order: &mut Vec<&'a str>,
) -> Result<(), PrepareError> {
    if order.contains(&name) {
        return Ok(());
    }
    if let Some(start) = path.iter().position(|of_path| *of_path == name) {
        let circle = [&path[start..], &[name]].concat().join(" of ");
        return Err(PrepareError::param(
            format!("with.totals.{name}.sum"),
            format!("it is made of itself: {circle}"),
        ));
    }
    path.push(name);
    for read in &reads[name] {
        put_in_order(read, reads, path, order)?;
    }
    path.pop();
    order.push(name);
    Ok(())
}
