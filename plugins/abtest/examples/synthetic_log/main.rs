//! Writes a made-up log of an experiment as CSV to standard output: `cargo run -p supermoe-abtest --example
//! synthetic_log > examples/data/experiment-synthetic.csv`.

mod made_up;

use std::io::{Write, stdout};

fn main() -> std::io::Result<()> {
    stdout().write_all(made_up::csv(&made_up::EXAMPLE).as_bytes())
}
