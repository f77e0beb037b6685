//! `abtest` as a stage runs it, and what it finds in experiments whose lifts are known.

mod bad_input;
mod coverage;
mod example_log;
#[path = "../../examples/synthetic_log/made_up.rs"]
mod made_up;
mod results;
mod stage;
