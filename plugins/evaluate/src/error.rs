//! Why predictions could not be evaluated.

use std::io;
use std::path::PathBuf;

use supermoe_channels::DatasetError;

#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    #[error(
        "there is nothing to evaluate: give the stage `predictions`, or `embeddings` with their `dataset`"
    )]
    NoInputs,
    #[error("`tasks`: no input has the task `{task}`; the tasks of the inputs are {known}")]
    UnknownTask { task: String, known: String },
    #[error("`reference`: no row has {wanted}; {known}")]
    NoReference { wanted: String, known: String },
    #[error(
        "`reference`: {count} rows have {wanted}; name more matrix values, so that it is one: {known}"
    )]
    ManyReferences {
        wanted: String,
        count: usize,
        known: String,
    },
    #[error(transparent)]
    Uncertainty(supermoe_metrics::MetricError),
    /// `segment`: its name among the params.
    #[error("`segments.{segment}`: {problem}")]
    Segment { segment: String, problem: String },
    #[error(
        "embeddings are evaluated by a probe, which needs labels: give the stage the input `dataset` that they \
         were exported from"
    )]
    NoDataset,
    #[error(
        "`segments` are made of the samples' columns: give the stage the input `dataset` that the predictions were \
         made of"
    )]
    NoDatasetForSegments,
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// The embeddings are not those of the dataset, or not enough for a probe.
    #[error("{cell}: {problem}")]
    Embeddings { cell: String, problem: String },
    /// A worker thread could not be started.
    #[error("cannot start threads: {0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
    /// Asked to leave.
    #[error("stopped, as asked")]
    Stopped,
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

impl EvaluateError {
    /// What is wrong with a table of predictions or embeddings: their files are no part of a dataset.
    pub fn of_table(error: DatasetError) -> EvaluateError {
        match error {
            DatasetError::Io {
                action,
                path,
                source,
            } => EvaluateError::Io {
                action,
                path,
                source,
            },
            DatasetError::Malformed { path, problem } => EvaluateError::Malformed { path, problem },
            other => EvaluateError::Dataset(other),
        }
    }
}
