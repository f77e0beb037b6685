//! Rows of one or several runs side by side: means over seeds, the best, paired differences from a
//! chosen row and their significance.
//!
//! What was evaluated becomes [`Observations`], values with a place on every axis; [`compare`] lays
//! them out as a [`Comparison`], and refuses rows of different test sets.

mod against;
mod axes;
mod comparable;
mod error;
mod evaluated_run;
mod grid;
mod level;
mod observation;
mod render;
mod request;
mod table;
mod test_set;
mod written_level;

pub use error::ComparisonError;
pub use evaluated_run::{EvaluatedRun, EvaluatedStage, SourcedEvaluation};
pub use level::Level;
pub use observation::Observations;
pub use request::{ComparisonRequest, PairedTest};
pub use table::{
    Against, Comparison, ComparisonCell, ComparisonRow, PairedDifference, Repeated, compare,
};
pub use written_level::{written_parts, written_value};
