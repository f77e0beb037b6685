//! A failed stage as its user sees it: which cell, why, the end of its log, how to see the rest.

use supermoe_engine::{CellName, StageFailure};
use supermoe_store::RunId;

use crate::progress::LogHint;
use crate::progress::stage_line::one_line;
use crate::quantity;
use crate::run_name::quoted;
use crate::screen::Screen;

/// So many failures are told in full; further ones in one line.
pub const FULL_FAILURES: usize = 10;

/// Of a long message.
const LONGEST_MESSAGE_LINES: usize = 20;

/// A failure that has happened.
pub struct Failed<'a> {
    pub cell: &'a CellName,
    pub failure: Option<&'a StageFailure>,
    pub seconds: Option<f64>,
    /// Known once the run has started.
    pub run: Option<RunId>,
}

impl Failed<'_> {
    /// The first line.
    pub fn head(&self, screen: &Screen) -> String {
        let mut head = format!(
            "{} {}",
            screen.red("failed"),
            screen.bold(&self.cell.to_string())
        );
        if let Some(seconds) = self.seconds {
            head.push_str(&format!("  after {}", quantity::seconds(seconds)));
        }
        match self.failure {
            Some(failure) if failure.attempts > 1 => {
                head.push_str(&format!(", {} attempts", failure.attempts));
            }
            _ => {}
        }
        head
    }

    /// All of it, ending with a line break.
    pub fn text(&self, screen: &Screen, hint: &LogHint) -> String {
        let mut text = self.head(screen);
        text.push('\n');
        if let Some(failure) = self.failure {
            for line in failure.message.lines().take(LONGEST_MESSAGE_LINES) {
                text.push_str(&format!("  {}\n", one_line(line)));
            }
            if !failure.log_tail.is_empty() {
                text.push_str(&screen.dim("  the last lines of its log:"));
                text.push('\n');
                for line in &failure.log_tail {
                    text.push_str(&format!("  {} {}\n", screen.dim("│"), one_line(line)));
                }
            }
        }
        if let Some(run) = self.run
            && self.failure.is_some_and(has_log)
        {
            text.push_str(&format!(
                "  all of its log: supermoe logs {run} {}{}\n",
                quoted(&self.cell.to_string()),
                hint.arguments
            ));
        }
        text
    }
}

/// A failed stage's message holds the end of its log; an attempt before may have left one too.
fn has_log(failure: &StageFailure) -> bool {
    !failure.log_tail.is_empty() || failure.attempts > 1
}
