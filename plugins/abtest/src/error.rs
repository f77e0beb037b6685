//! Why an experiment could not be analysed.

use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum AbtestError {
    #[error("`{param}`: {problem}")]
    Param { param: String, problem: String },
    /// `place`: which file, such as `the log` or `file 2 of 3 of the log`, and where it can be told the row.
    #[error("{place}: {problem}")]
    Log { place: String, problem: String },
    /// What the log as a whole lets nobody know.
    #[error("{0}")]
    Experiment(String),
    #[error("cannot write {}: {source}", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("stopped, as asked")]
    Stopped,
}

impl AbtestError {
    pub(crate) fn param(param: impl Into<String>, problem: impl Into<String>) -> AbtestError {
        AbtestError::Param {
            param: param.into(),
            problem: problem.into(),
        }
    }

    pub(crate) fn log(place: impl Into<String>, problem: impl Into<String>) -> AbtestError {
        AbtestError::Log {
            place: place.into(),
            problem: problem.into(),
        }
    }
}
