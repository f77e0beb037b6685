//! Plugin `prepare`: events to a dataset of channels, samples and labels.
//!
//! `events` reads and sorts, `windows` draws the border between past and future, `snapshot` makes the
//! samples of one date, `steps` and `channel` what the steps carry, `assemble` codes and vocabularies.

mod aggregate;
mod assemble;
mod calendar;
mod card;
mod channel;
mod error;
mod events;
mod expression;
mod leak;
mod names;
mod params;
mod plugin;
mod prepare;
mod reporter;
mod session;
mod snapshot;
mod sql_error;
mod steps;
mod tables;
mod windows;

pub use error::PrepareError;
pub use params::Params;
pub use plugin::plugin;
pub use prepare::prepare;
pub use reporter::Reporter;
pub use tables::Input;
