//! Why a dataset could not be prepared.

use datafusion::error::DataFusionError;
use supermoe_channels::DatasetError;

#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    #[error("{param}: {problem}")]
    Param { param: String, problem: String },
    /// Its cause stands in the message, in other words, and so is no source.
    #[error("{param}: {}{}", crate::sql_error::message(.error), .sql.as_deref().map(within).unwrap_or_default())]
    Sql {
        param: String,
        /// The expression, where one alone has failed.
        sql: Option<String>,
        error: Box<DataFusionError>,
    },
    /// `place`: which of the port's files, such as ` (file 2 of 3)`; empty where there is one.
    #[error("input `{port}`{place}: {problem}")]
    Input {
        port: String,
        place: String,
        problem: String,
    },
    #[error("{0}")]
    Data(String),
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    #[error("cannot {action}: {source}")]
    Arrow {
        action: &'static str,
        #[source]
        source: arrow::error::ArrowError,
    },
    #[error("cannot start threads: {0}")]
    Threads(#[source] std::io::Error),
    #[error("stopped")]
    Stopped,
}

impl PrepareError {
    pub fn param(param: impl Into<String>, problem: impl Into<String>) -> Self {
        PrepareError::Param {
            param: param.into(),
            problem: problem.into(),
        }
    }

    pub fn sql(param: impl Into<String>, error: DataFusionError) -> Self {
        PrepareError::Sql {
            param: param.into(),
            sql: None,
            error: Box::new(error),
        }
    }

    /// Of an expression that is known to have failed.
    pub fn expression(param: &str, sql: &str, error: DataFusionError) -> Self {
        PrepareError::Sql {
            param: param.to_owned(),
            sql: Some(sql.to_owned()),
            error: Box::new(error),
        }
    }

    pub fn arrow(action: &'static str) -> impl Fn(arrow::error::ArrowError) -> Self {
        move |source| PrepareError::Arrow { action, source }
    }
}

/// `` (in `ln(amount)`)``
fn within(sql: &str) -> String {
    format!(" (in `{}`)", supermoe_sql::excerpt(sql))
}
