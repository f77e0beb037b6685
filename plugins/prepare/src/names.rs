//! The names that the user gives: they become columns, files and parts of metric names.

use std::collections::HashMap;

use crate::error::PrepareError;
use crate::params::Params;

/// Longest name.
const MOST_BYTES: usize = 100;
/// What `evaluate` and `compare` write for the mean over tasks.
const MEAN: &str = "mean";

/// # Errors
/// A name of other characters than letters, digits and `_`, or one that stands twice among channels,
/// totals and aggregates, which share the columns of a batch; a task with the name of the mean over tasks.
pub fn check(params: &Params) -> Result<(), PrepareError> {
    let mut seen: HashMap<&str, &str> = HashMap::new();
    let channels = params.channels.keys().map(|name| ("channels", name));
    let totals = params.totals.keys().map(|name| ("totals", name));
    let aggregates = params.aggregates.keys().map(|name| ("aggregates", name));
    for (kind, name) in channels.chain(totals).chain(aggregates) {
        check_name(kind, name)?;
        if let Some(other) = seen.insert(name, kind) {
            let problem = format!(
                "`with.{other}` has this name too; channels, totals and aggregates share names"
            );
            return Err(PrepareError::param(format!("with.{kind}.{name}"), problem));
        }
    }
    for name in params.tasks.keys() {
        check_name("tasks", name)?;
        if name == MEAN {
            let problem = format!("`{MEAN}` stands for the mean over tasks in metrics and tables");
            return Err(PrepareError::param(format!("with.tasks.{name}"), problem));
        }
    }
    Ok(())
}

fn check_name(kind: &str, name: &str) -> Result<(), PrepareError> {
    let starts = name
        .bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    let rest = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if starts && rest && name.len() <= MOST_BYTES {
        return Ok(());
    }
    let problem = format!("`{name}` is no name: expected letters, digits and _, not a digit first");
    Err(PrepareError::param(format!("with.{kind}"), problem))
}
