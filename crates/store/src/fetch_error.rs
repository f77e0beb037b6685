//! Why an input could not be fetched from its URL, told apart by what a person would do about it.

use std::path::PathBuf;

use crate::error::StoreError;

/// Every message names the URL, and never a credential.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("`{url}` cannot be fetched: {why}")]
    NotAUrl { url: String, why: String },

    #[error("{url} does not exist. Correct the URL, or put the object there")]
    NotFound { url: String },

    #[error("there is no object below {url}. Correct the URL, or put objects there")]
    NoObjects { url: String },

    #[error(
        "there are more than {most} objects below {url}. Name a narrower folder, or pack them into fewer files"
    )]
    TooMany { url: String, most: usize },

    #[error("access to {url} is refused: {cause}. {advice}")]
    Denied {
        url: String,
        cause: String,
        advice: &'static str,
    },

    #[error(
        "{url} cannot be reached{endpoint}: {cause}. Check the address and the network, then run the same command again"
    )]
    Unreachable {
        url: String,
        /* ` at http://…`, or nothing */ endpoint: String,
        cause: String,
    },

    #[error("{url} leads nowhere: {cause}. Write the address that it should lead to")]
    Redirects { url: String, cause: String },

    #[error("{url} cannot be read: {cause}. Check the URL, or run the same command again later")]
    Failed { url: String, cause: String },

    #[error(
        "{url} broke off after {got_bytes} of {expected} bytes ({cause}). Run the same command again"
    )]
    BrokeOff {
        url: String,
        got_bytes: u64,
        /* a number, or `an unknown number of` */ expected: String,
        cause: String,
    },

    #[error("{url} changed while it was fetched. Run the same command again")]
    Changed { url: String },

    #[error(
        "{url} has {size_bytes} bytes, and only {free_bytes} are free at `{folder}`. Free some space, then run the same command again"
    )]
    TooLarge {
        url: String,
        size_bytes: u64,
        free_bytes: u64,
        folder: PathBuf,
    },

    #[error(
        "{url} could not be kept in `{folder}`: {cause}. Make room there, or make it writable, then run the same command again"
    )]
    NotKept {
        url: String,
        folder: PathBuf,
        cause: std::io::Error,
    },

    #[error("{url} cannot be taken as a folder: {why}")]
    NotAFolder { url: String, why: String },
}

pub(crate) const BUCKET_ADVICE: &str =
    "Check the credentials in the environment and their rights on the object";
pub(crate) const WEB_ADVICE: &str =
    "By http only what is public is read: fetch the file in a stage with `secrets`";

impl FetchError {
    /// What the client of a bucket said, in the words of an input.
    pub(crate) fn of_bucket(url: &str, error: StoreError) -> FetchError {
        let url = url.to_owned();
        match error {
            StoreError::Missing { .. } => FetchError::NotFound { url },
            StoreError::NoBucket { .. } => FetchError::Failed {
                url,
                cause: "there is no such bucket".to_owned(),
            },
            StoreError::Denied { cause, .. } => FetchError::Denied {
                url,
                cause,
                advice: BUCKET_ADVICE,
            },
            StoreError::Unreachable {
                endpoint, cause, ..
            } => FetchError::Unreachable {
                url,
                endpoint,
                cause,
            },
            StoreError::Failed { cause, .. } | StoreError::Full { cause, .. } => {
                FetchError::Failed { url, cause }
            }
            StoreError::Misconfigured { why, .. } => FetchError::NotAUrl { url, why },
            other => FetchError::Failed {
                url,
                cause: other.to_string(),
            },
        }
    }
}
