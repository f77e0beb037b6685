//! Why predictions could not be evaluated.

use std::io;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    #[error("no predictions were given")]
    NoPredictions,
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot read {}: {problem}", path.display())]
    Malformed { path: PathBuf, problem: String },
    /// Test sets differ: a table of both would compare nothing.
    #[error("{second} cannot stand in one table with {first}: {difference}")]
    NotComparable {
        first: String,
        second: String,
        difference: String,
    },
    #[error(
        "{cell}: there are no predictions of the test split; give it snapshots in `with.splits.test` of the \
         `prepare` stage"
    )]
    NoTest { cell: String },
    #[error("{cell}: task `{task}`: {problem}")]
    Metric {
        cell: String,
        task: String,
        problem: String,
    },
}
