//! The plugin contract, protocol 1: what a stage's program declares, is told and tells.
//!
//! `manifest` and `ports` are data that `check` and `plan` read without running anything,
//! `catalog` finds them, `params` holds `with` to their schemas, `request` and `event` cross the
//! border to a worker process, `sdk` is for plugin authors, `host` starts workers and ends them,
//! `conformance` holds a plugin to all of it, `scaffold` writes a new one.

pub mod catalog;
#[cfg(feature = "host")]
pub mod conformance;
pub mod event;
#[cfg(feature = "host")]
pub mod host;
mod json_place;
pub mod listed;
pub mod machine_memory;
pub mod manifest;
mod manifest_check;
pub mod markdown_text;
pub mod matrix_text;
pub mod params;
pub mod ports;
pub mod request;
pub mod revision;
pub mod scaffold;
pub mod sdk;
pub mod size;
