//! Why a plugin could not do its work.

use std::error::Error;
use std::fmt;

/// Made from any error by `?`, or from words. Says whether another attempt may succeed.
pub struct PluginError {
    message: String,
    retry: bool,
    stopped: bool,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl PluginError {
    pub fn new(message: impl Into<String>) -> Self {
        PluginError {
            message: message.into(),
            retry: false,
            stopped: false,
            source: None,
        }
    }

    /// The work ended early because it was asked to, after its checkpoint was saved.
    pub fn stopped() -> Self {
        PluginError {
            stopped: true,
            retry: true,
            ..PluginError::new("stopped on request")
        }
    }

    /// Another attempt may succeed: a network that was away, a lock that was taken.
    pub fn worth_retrying(mut self) -> Self {
        self.retry = true;
        self
    }

    /// Puts words before the message: what was being done.
    pub fn context(mut self, doing: impl fmt::Display) -> Self {
        self.message = format!("{doing}: {}", self.message);
        self
    }

    /// Says the whole message, causes included, in other words.
    pub(super) fn reworded(self, words: impl FnOnce(&str) -> String) -> Self {
        PluginError {
            message: words(&self.message()),
            source: None,
            ..self
        }
    }

    /// The message with the causes that it does not hold yet.
    pub fn message(&self) -> String {
        let mut text = self.message.clone();
        let mut cause = self.source.as_deref().and_then(Error::source);
        while let Some(error) = cause {
            let words = error.to_string();
            if !text.contains(&words) {
                text.push_str(": ");
                text.push_str(&words);
            }
            cause = error.source();
        }
        text
    }

    pub fn is_worth_retrying(&self) -> bool {
        self.retry
    }

    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// The error it was made from.
    pub fn source(&self) -> Option<&(dyn Error + Send + Sync + 'static)> {
        self.source.as_deref()
    }
}

/// `PluginError` is no `std::error::Error` itself, so that every such error turns into one.
impl<E: Error + Send + Sync + 'static> From<E> for PluginError {
    fn from(error: E) -> Self {
        PluginError {
            source: None,
            ..PluginError::new(error.to_string())
        }
        .with_source(error)
    }
}

impl PluginError {
    fn with_source(mut self, error: impl Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(error));
        self
    }
}

impl fmt::Display for PluginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message())
    }
}

impl fmt::Debug for PluginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PluginError")
            .field("message", &self.message())
            .field("retry", &self.retry)
            .finish_non_exhaustive()
    }
}
