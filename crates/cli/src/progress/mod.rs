//! What a run shows while it goes on: bars in a terminal, lines elsewhere, or NDJSON.

mod failure_text;
mod fancy;
mod fetching_line;
mod frame;
mod json;
mod plain;
mod stage_line;
mod tally;

use std::io;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use supermoe_engine::RunEvent;

use crate::failure::Failure;
use crate::screen::Screen;

pub use fancy::above_bars;
pub use stage_line::one_line;

/// How a run is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Progress {
    /// Bars in a terminal, lines elsewhere
    #[default]
    Auto,
    /// A line with a bar for each running stage
    Bars,
    /// A line for each thing that happens
    Lines,
    /// Only failures
    None,
}

/// Follows a run. Writes to stderr, the JSON one to stdout.
pub trait Display: Send {
    fn event(&mut self, event: &RunEvent);
    /// Called some times a second.
    fn tick(&mut self) {}
    /// The run is over: clears what is temporary. Fails when the reader of stdout has gone or
    /// stdout is full.
    fn finish(&mut self) -> Result<(), Failure> {
        Ok(())
    }
}

/// How often `tick` is called; none: never.
pub const TICK: Duration = Duration::from_millis(125);

/// Where a user finds the logs of a run from where he stands.
#[derive(Debug, Clone, Default)]
pub struct LogHint {
    /// ` --project DIR`, or nothing.
    pub arguments: String,
}

/// The display for `progress`; `hint` completes the commands that it advises.
pub fn display(progress: Progress, hint: LogHint) -> Box<dyn Display> {
    let screen = Screen::stderr();
    let bars = match progress {
        Progress::Bars => true,
        Progress::Lines | Progress::None => false,
        Progress::Auto => screen.terminal && std::env::var_os("TERM").is_none_or(|t| t != "dumb"),
    };
    if bars && screen.terminal {
        return Box::new(fancy::Fancy::new(screen, hint));
    }
    let detail = match progress {
        Progress::None => plain::Detail::Failures,
        _ => plain::Detail::Everything,
    };
    Box::new(plain::Plain::new(io::stderr(), screen, hint, detail))
}

/// One JSON object a line on stdout.
pub fn json_display() -> Box<dyn Display> {
    Box::new(json::Json::new(io::stdout()))
}

/// The time since a display began; tests have none of it.
#[derive(Debug, Clone, Copy)]
struct Clock(Instant);

impl Clock {
    fn start() -> Clock {
        Clock(Instant::now())
    }

    fn now(self) -> Duration {
        self.0.elapsed()
    }
}
