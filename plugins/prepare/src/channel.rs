//! Channels: their expressions, and their values by step, by sample and step, or by snapshot.

use arrow::array::{RecordBatch, StringArray};
use arrow::datatypes::Schema;
use datafusion::prelude::SessionContext;
use supermoe_channels::{ChannelKind, Per};

use crate::error::PrepareError;
use crate::expression::{
    DAYS_SINCE_PREVIOUS, DAYS_TO_SNAPSHOT, Expression, SNAPSHOT, numbers, texts,
};
use crate::params::{ChannelParams, Params};

#[derive(Debug, Clone)]
pub struct PlannedChannel {
    pub name: String,
    pub kind: ChannelKind,
    pub per: Per,
    pub min_count: u64,
    pub expression: Expression,
}

/// Values before codes are known.
#[derive(Debug, Clone)]
pub enum RawValues {
    Texts(StringArray),
    /// NaN for NULL.
    Numbers(Vec<f32>),
}

/// Reads the channels' params.
///
/// # Errors
/// No channel, a name that cannot be used, a wrong expression, `min_count` where it means nothing.
pub fn plan(
    context: &SessionContext,
    events: &Schema,
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
        .map(|(name, channel)| plan_channel(context, events, name, channel))
        .collect()
}

fn plan_channel(
    context: &SessionContext,
    events: &Schema,
    name: &str,
    params: &ChannelParams,
) -> Result<PlannedChannel, PrepareError> {
    if params.kind == ChannelKind::Dense && params.min_count.is_some() {
        let problem = "it is for id and category channels; a dense channel has no vocabulary";
        return Err(PrepareError::param(
            format!("with.channels.{name}.min_count"),
            problem,
        ));
    }
    let (param, sql) = match &params.expr {
        Some(sql) => (format!("with.channels.{name}.expr"), sql.clone()),
        None => (format!("with.channels.{name}"), format!("\"{name}\"")),
    };
    let allowed = [DAYS_SINCE_PREVIOUS, DAYS_TO_SNAPSHOT, SNAPSHOT];
    let expression = Expression::parse(context, events, param, &sql, &allowed)?;
    let sees_snapshot = expression.uses(SNAPSHOT) || expression.uses(DAYS_TO_SNAPSHOT);
    let per = match (
        sees_snapshot,
        expression.columns.iter().all(|column| column == SNAPSHOT),
    ) {
        (false, _) => Per::Step,
        (true, true) => Per::Snapshot,
        (true, false) => Per::SampleStep,
    };
    let min_count = params.min_count.unwrap_or(1);
    Ok(PlannedChannel {
        name: name.to_owned(),
        kind: params.kind,
        per,
        min_count,
        expression,
    })
}

impl PlannedChannel {
    /// Values by row of the batch; `place` names a row in a message.
    ///
    /// # Errors
    /// A failure while computing, a value of the wrong type, NaN or infinity in a dense channel.
    pub fn values(
        &self,
        context: &SessionContext,
        batch: &RecordBatch,
        place: impl Fn(usize) -> String,
    ) -> Result<RawValues, PrepareError> {
        let values = self.expression.evaluate(context, batch)?;
        let param = &self.expression.param;
        if self.kind == ChannelKind::Dense {
            return Ok(RawValues::Numbers(finite(
                param,
                numbers(param, &values)?,
                place,
            )?));
        }
        Ok(RawValues::Texts(texts(param, &values)?))
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
        let count = values.iter().filter(|value| wrong(value)).count();
        let (all, at) = (values.len(), place(first));
        let value = values[first].unwrap_or(f64::NAN);
        return Err(PrepareError::param(
            param,
            format!(
                "its value is {value} {at} ({count} of {all} are NaN, infinite or too large); guard the \
                 expression, or let it be NULL (a missing value)"
            ),
        ));
    }
    Ok(values
        .into_iter()
        .map(|value| value.map_or(f32::NAN, |x| x as f32))
        .collect())
}
