//! The plugin contract, protocol 1: what a stage's program declares, is told and tells.
//!
//! `manifest` and `ports` are data that `check` and `plan` read without running anything,
//! `request` and `event` cross the border to a worker process, `sdk` is for plugin authors,
//! `host` starts workers and ends them, `conformance` holds a plugin to all of it.

pub mod event;
pub mod manifest;
pub mod ports;
pub mod request;
