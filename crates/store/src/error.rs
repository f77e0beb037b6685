//! What can go wrong with a store, told apart by what a person would do about it.

use std::path::PathBuf;

pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Every message names the store (never its credentials), the object, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error(
        "`{url}` is not a store: {why}. Expected a folder, s3://bucket/prefix, gs://bucket/prefix or az://container/prefix"
    )]
    BadUrl { url: String, why: String },

    #[error("the store {store} cannot be set up: {why}")]
    Misconfigured { store: String, why: String },

    #[error(
        "the store {store} cannot be reached{endpoint}: {cause}. Check the endpoint and the network, then run the same command again"
    )]
    Unreachable {
        store: String,
        /* ` at http://…`, or nothing */ endpoint: String,
        cause: String,
    },

    #[error(
        "the store {store} refuses access to {object}: {cause}. Check the credentials and their rights on the bucket or folder"
    )]
    Denied {
        store: String,
        object: String,
        cause: String,
    },

    #[error("the bucket of {store} does not exist. Create it, or correct its name")]
    NoBucket { store: String },

    #[error(
        "the store {store} is read-only: {object} could not be written ({cause}). Make it writable, or choose another store"
    )]
    ReadOnly {
        store: String,
        object: String,
        cause: String,
    },

    #[error(
        "the disk of {store} is full: {object} could not be written ({cause}). Free some space (`supermoe gc` removes what no kept run needs), then run the same command again"
    )]
    Full {
        store: String,
        object: String,
        cause: String,
    },

    #[error("{object} in {store} is damaged: {what}. The stage that made it has to run again")]
    Damaged {
        store: String,
        object: String,
        what: String,
    },

    #[error("{object} is not in {store}")]
    Missing { store: String, object: String },

    #[error(
        "the store {store} has format {found}, this program knows {known}. Use a newer supermoe"
    )]
    NewerFormat {
        store: String,
        found: u32,
        known: u32,
    },

    #[error("`{path}` cannot be stored: {why}")]
    NotStorable { path: PathBuf, why: String },

    #[error("`{path}` already exists. Choose a path that does not, or an empty folder")]
    Exists { path: PathBuf },

    #[error("`{name}` is not the name of a ref: {why}")]
    BadRef { name: String, why: String },

    #[error("`{path}` could not be {action}: {source}")]
    Local {
        path: PathBuf,
        action: &'static str,
        source: std::io::Error,
    },

    #[error("the store {store} failed at {object}: {cause}")]
    Failed {
        store: String,
        object: String,
        cause: String,
    },
}
