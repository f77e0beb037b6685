//! Bars at the bottom of a terminal, drawn by indicatif; what is worth keeping scrolls above them.

use std::sync::Mutex;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use supermoe_engine::{RunEvent, StageState};
use supermoe_plugin::event::LogLevel;
use supermoe_store::RunId;

use crate::failure::Failure;
use crate::progress::failure_text::{FULL_FAILURES, Failed};
use crate::progress::fetching_line::fetching_line;
use crate::progress::frame::frame;
use crate::progress::stage_line::one_line;
use crate::progress::tally::{Ended, Tally};
use crate::progress::{Clock, Display, LogHint};
use crate::quantity;
use crate::screen::Screen;

/// The bars that are on the screen now, so that log lines can go above them.
static BARS: Mutex<Option<MultiProgress>> = Mutex::new(None);

/// Runs `write`, which writes to stderr, while no bar is drawn.
pub fn above_bars(write: impl FnOnce()) {
    let bars = BARS.lock().ok().and_then(|bars| bars.clone());
    match bars {
        Some(bars) => bars.suspend(write),
        None => write(),
    }
}

fn set_bars(bars: Option<MultiProgress>) {
    if let Ok(mut current) = BARS.lock() {
        *current = bars;
    }
}

/// A finished stage gets a line of its own when the run is small or the stage took this long.
const SMALL_RUN: usize = 60;
const LONG_STAGE_SECONDS: f64 = 1.0;

/// Bars take at most so many lines of a tall terminal.
const MOST_LINES: usize = 24;

pub struct Fancy {
    bars: MultiProgress,
    /// One line each; the last is the total.
    lines: Vec<ProgressBar>,
    screen: Screen,
    hint: LogHint,
    clock: Clock,
    tally: Tally,
    run: Option<RunId>,
    /// What will scroll above the bars at the next tick.
    pending: Vec<String>,
}

impl Fancy {
    pub fn new(screen: Screen, hint: LogHint) -> Fancy {
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(16));
        set_bars(Some(bars.clone()));
        Fancy {
            bars,
            lines: Vec::new(),
            screen,
            hint,
            clock: Clock::start(),
            tally: Tally::default(),
            run: None,
            pending: Vec::new(),
        }
    }

    fn handle(&mut self, event: &RunEvent, now: Duration) {
        match event {
            RunEvent::RunStarted { run, stages, .. } => {
                self.run = Some(*run);
                self.tally = Tally::of(*stages);
            }
            RunEvent::StageCached { .. } => self.tally.cached += 1,
            RunEvent::StageStarted {
                cell,
                attempt,
                expected_seconds,
                ..
            } => self
                .tally
                .started(&cell.to_string(), *attempt, *expected_seconds, now),
            RunEvent::StageProgress { cell, progress } => {
                self.tally.progress(&cell.to_string(), progress, now);
            }
            RunEvent::InputFetching {
                path,
                objects,
                bytes,
            } => self.pending.push(fetching_line(path, *objects, *bytes)),
            RunEvent::StageMetric { .. }
            | RunEvent::InputRead { .. }
            | RunEvent::RunFinished { .. } => {}
            RunEvent::StageLog {
                cell,
                level,
                message,
            } => {
                if *level >= LogLevel::Warn {
                    let text = format!("{} {cell}  {}", self.screen.yellow("!"), one_line(message));
                    self.pending.push(text);
                }
            }
            RunEvent::StageRetry {
                cell,
                attempt,
                error,
                delay_seconds,
            } => {
                self.tally.waits(&cell.to_string());
                self.pending.push(format!(
                    "{} {cell}  attempt {attempt} failed: {}; the next one in {}",
                    self.screen.yellow("↻"),
                    one_line(error),
                    quantity::seconds(*delay_seconds)
                ));
            }
            RunEvent::StageFinished {
                cell,
                state,
                seconds,
                error,
                ..
            } => {
                let name = cell.to_string();
                match state {
                    StageState::Ran => {
                        self.tally.ended(&name, Ended::Ran);
                        let seconds = seconds.unwrap_or_default();
                        if self.tally.stages <= SMALL_RUN || seconds >= LONG_STAGE_SECONDS {
                            self.pending.push(format!(
                                "{} {name}  {}",
                                self.screen.green("✓"),
                                self.screen.dim(&quantity::seconds(seconds))
                            ));
                        }
                    }
                    StageState::Failed => {
                        self.tally.ended(&name, Ended::Failed);
                        let failed = Failed {
                            cell,
                            failure: error.as_ref(),
                            seconds: *seconds,
                            run: self.run,
                        };
                        self.pending.push(if self.tally.failed <= FULL_FAILURES {
                            failed.text(&self.screen, &self.hint).trim_end().to_owned()
                        } else {
                            failed.head(&self.screen)
                        });
                    }
                    StageState::Skipped => self.tally.ended(&name, Ended::Skipped),
                    StageState::Cancelled => self.tally.ended(&name, Ended::Cancelled),
                    StageState::Cached => {
                        self.tally.waits(&name);
                        self.tally.cached += 1;
                    }
                }
            }
        }
    }

    fn print_pending(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let text = std::mem::take(&mut self.pending).join("\n");
        self.bars.suspend(|| crate::output::to_stderr(&text));
    }

    fn draw(&mut self) {
        // The terminal may have been resized.
        self.screen.width = Screen::stderr().width;
        let height = console::Term::stderr()
            .size_checked()
            .map_or(MOST_LINES, |(rows, _)| usize::from(rows))
            .min(MOST_LINES);
        let lines = frame(&self.tally, self.clock.now(), &self.screen, height);
        // Lines go and come at the top, so that the total stays at the bottom.
        while self.lines.len() > lines.len() {
            let bar = self.lines.remove(0);
            bar.finish_and_clear();
            self.bars.remove(&bar);
        }
        while self.lines.len() < lines.len() {
            // The template is a constant that is right.
            let style = ProgressStyle::with_template("{msg}")
                .unwrap_or_else(|_| ProgressStyle::default_spinner());
            let bar = ProgressBar::no_length().with_style(style);
            self.lines.insert(0, self.bars.insert(0, bar));
        }
        for (bar, line) in self.lines.iter().zip(lines) {
            bar.set_message(line);
            bar.tick();
        }
    }
}

impl Display for Fancy {
    fn event(&mut self, event: &RunEvent) {
        let now = self.clock.now();
        self.handle(event, now);
    }

    fn tick(&mut self) {
        self.print_pending();
        self.draw();
    }

    fn finish(&mut self) -> Result<(), Failure> {
        for bar in self.lines.drain(..) {
            bar.finish_and_clear();
        }
        // A terminal that has gone needs no clearing.
        let _ = self.bars.clear();
        self.print_pending();
        set_bars(None);
        Ok(())
    }
}

impl Drop for Fancy {
    fn drop(&mut self) {
        set_bars(None);
    }
}
