//! Why no workflow could be drafted from a file, and what to do.

use std::path::Path;

#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct DraftError {
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

impl DraftError {
    pub fn new(message: impl Into<String>) -> DraftError {
        DraftError {
            message: message.into(),
            help: None,
        }
    }

    pub fn of_file(file: &Path, problem: impl std::fmt::Display) -> DraftError {
        DraftError::new(format!("`{}` {problem}", file.display()))
    }

    pub fn help(mut self, help: impl Into<String>) -> DraftError {
        self.help = Some(help.into());
        self
    }
}
