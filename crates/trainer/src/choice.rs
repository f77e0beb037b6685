//! A choice: params that the plugin `select` found best among candidates, which a stage takes in place of
//! its own.

use std::path::Path;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::TrainError;

/// The file of the artifact.
pub const CHOICE_FILE: &str = "choice.json";
/// Version of the file's format.
const FORMAT: u32 = 1;

/// Which end of a metric is the better one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    /// An AUC.
    #[default]
    Highest,
    /// A loss.
    Lowest,
}

/// `choice.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    pub format: u32,
    /// What the candidates were compared by.
    pub metric: String,
    pub goal: Goal,
    /// The params of the best candidate, by their dotted name: `optimizer.learning_rate`.
    pub params: IndexMap<String, Value>,
    /// The best first; of equal ones the first of the workflow.
    pub candidates: Vec<Candidate>,
}

/// Cells that were trained with the same values of the params in question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    pub params: IndexMap<String, Value>,
    /// The mean over the cells.
    pub value: f64,
    pub cells: Vec<CandidateCell>,
}

/// One of them: a seed, for example.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CandidateCell {
    pub matrix: IndexMap<String, Value>,
    /// The best value of its history.
    pub value: f64,
    /// The epoch of that value, counted from 1.
    pub epoch: u64,
}

impl Choice {
    /// Of candidates that are ranked, of which there is at least one.
    pub fn of(metric: &str, goal: Goal, candidates: Vec<Candidate>) -> Choice {
        let best = candidates.first();
        Choice {
            format: FORMAT,
            metric: metric.to_owned(),
            goal,
            params: best.map(|best| best.params.clone()).unwrap_or_default(),
            candidates,
        }
    }

    /// Writes `choice.json` into an existing folder.
    pub fn write(&self, folder: &Path) -> Result<(), TrainError> {
        let path = folder.join(CHOICE_FILE);
        let mut text = serde_json::to_string_pretty(self)
            .map_err(|error| TrainError::io(&path)(error.into()))?;
        text.push('\n');
        std::fs::write(&path, text).map_err(TrainError::io(&path))
    }

    /// Reads `choice.json` of a folder.
    ///
    /// # Errors
    /// A missing or damaged file, or another format.
    pub fn read(folder: &Path) -> Result<Choice, TrainError> {
        let path = folder.join(CHOICE_FILE);
        let bytes = std::fs::read(&path).map_err(TrainError::io(&path))?;
        let choice: Choice = serde_json::from_slice(&bytes).map_err(|error| {
            TrainError::Choice(format!("{CHOICE_FILE} cannot be read: {error}"))
        })?;
        if choice.format != FORMAT {
            return Err(TrainError::Choice(format!(
                "its format is {}, and this build reads format {FORMAT}",
                choice.format
            )));
        }
        Ok(choice)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let cell = CandidateCell {
            matrix: IndexMap::from([("rate".to_owned(), json!(0.01))]),
            value: 0.75,
            epoch: 2,
        };
        let candidate = Candidate {
            params: IndexMap::from([("optimizer.learning_rate".to_owned(), json!(0.01))]),
            value: 0.75,
            cells: vec![cell],
        };
        let choice = Choice::of("valid/mean_auc", Goal::Highest, vec![candidate]);
        choice.write(folder.path()).unwrap();
        assert_eq!(Choice::read(folder.path()).unwrap(), choice);
        assert_eq!(choice.params["optimizer.learning_rate"], json!(0.01));
        std::fs::write(folder.path().join(CHOICE_FILE), "{}").unwrap();
        let error = Choice::read(folder.path()).unwrap_err().to_string();
        assert!(
            error.starts_with("choice: choice.json cannot be read"),
            "{error}"
        );
    }
}
