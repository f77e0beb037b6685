//! Running totals: what each adds up.

use arrow::datatypes::Schema;
use datafusion::prelude::SessionContext;

use crate::channel::PlannedChannel;
use crate::error::PrepareError;
use crate::expression::Expression;
use crate::params::{Counted, Params};

#[derive(Debug, Clone)]
pub enum PlannedTotal {
    Rows,
    /// Distinct times.
    Times,
    Sum(Expression),
}

impl PlannedTotal {
    pub fn expression(&self) -> Option<&Expression> {
        match self {
            PlannedTotal::Sum(expression) => Some(expression),
            PlannedTotal::Rows | PlannedTotal::Times => None,
        }
    }
}

/// Reads the totals' params.
///
/// # Errors
/// A source that is no channel, a wrong expression, neither `count` nor `sum`, or both.
pub fn plan(
    context: &SessionContext,
    events: &Schema,
    params: &Params,
    channels: &[PlannedChannel],
) -> Result<Vec<PlannedTotal>, PrepareError> {
    let mut totals = Vec::with_capacity(params.totals.len());
    for (name, total) in &params.totals {
        let known = |source: &&String| channels.iter().any(|channel| channel.name == **source);
        if let Some(source) = total.source.iter().find(|source| !known(source)) {
            return Err(PrepareError::param(
                format!("with.totals.{name}.source"),
                format!("there is no channel `{source}`"),
            ));
        }
        totals.push(match (total.count, &total.sum) {
            (Some(Counted::Rows), None) => PlannedTotal::Rows,
            (Some(Counted::Times), None) => PlannedTotal::Times,
            (None, Some(sql)) => {
                let param = format!("with.totals.{name}.sum");
                let expression = Expression::parse(context, events, param, sql, &[])?;
                PlannedTotal::Sum(expression)
            }
            _ => {
                return Err(PrepareError::param(
                    format!("with.totals.{name}"),
                    "expected either `count` or `sum`",
                ));
            }
        });
    }
    Ok(totals)
}
