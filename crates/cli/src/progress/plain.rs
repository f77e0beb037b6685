//! A line for each thing that happens, for pipes, files and CI.

use std::collections::HashMap;
use std::io::Write;
use std::time::Duration;

use supermoe_engine::{RunEvent, StageState};
use supermoe_plugin::event::LogLevel;
use supermoe_store::RunId;

use crate::progress::failure_text::{FULL_FAILURES, Failed};
use crate::progress::fetching_line::fetching_line;
use crate::progress::stage_line::{StageLine, one_line, whole_seconds};
use crate::progress::tally::{Ended, Tally};
use crate::progress::{Clock, Display, LogHint};
use crate::quantity;
use crate::screen::Screen;

/// A running stage says how far it is at most so often.
const PROGRESS_EVERY: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    Everything,
    Failures,
}

pub struct Plain<W: Write> {
    out: W,
    screen: Screen,
    hint: LogHint,
    detail: Detail,
    clock: Clock,
    tally: Tally,
    run: Option<RunId>,
    /// Cached stages that no line has counted yet.
    cached_untold: usize,
    /// When a stage last said how far it is.
    told: HashMap<String, Duration>,
}

impl<W: Write> Plain<W> {
    pub fn new(out: W, screen: Screen, hint: LogHint, detail: Detail) -> Plain<W> {
        Plain {
            out,
            screen,
            hint,
            detail,
            clock: Clock::start(),
            tally: Tally::default(),
            run: None,
            cached_untold: 0,
            told: HashMap::new(),
        }
    }

    fn say(&mut self, text: &str) {
        if self.detail == Detail::Everything {
            self.tell_cached();
            self.write(text);
        }
    }

    /// A closed or full stderr must not stop the run.
    fn write(&mut self, text: &str) {
        let _ = self.out.write_all(format!("{text}\n").as_bytes());
    }

    fn tell_cached(&mut self) {
        let count = std::mem::take(&mut self.cached_untold);
        if count > 0 && self.detail == Detail::Everything {
            let text = format!("{count} cached");
            self.write(&self.screen.dim(&text));
        }
    }

    fn handle(&mut self, event: &RunEvent, now: Duration) {
        match event {
            RunEvent::RunStarted {
                run,
                workflow,
                stages,
                ..
            } => {
                self.run = Some(*run);
                self.tally = Tally::of(*stages);
                let text = format!(
                    "run {run}  {workflow}, {}",
                    quantity::counted(*stages, "stage")
                );
                self.say(&text);
            }
            RunEvent::StageCached { .. } => {
                self.tally.cached += 1;
                self.cached_untold += 1;
            }
            RunEvent::StageStarted {
                cell,
                attempt,
                reason,
                expected_seconds,
                ..
            } => {
                let name = cell.to_string();
                self.tally.started(&name, *attempt, *expected_seconds, now);
                self.told.insert(name.clone(), now);
                let mut text = format!("started {name}  {reason}");
                if let Some(expected) = expected_seconds.filter(|expected| *expected >= 1.0) {
                    text.push_str(&format!(", about {}", whole_seconds(expected)));
                }
                self.say(&text);
            }
            RunEvent::StageProgress { cell, progress } => {
                let name = cell.to_string();
                self.tally.progress(&name, progress, now);
                let due = self
                    .told
                    .get(&name)
                    .is_none_or(|told| now.saturating_sub(*told) >= PROGRESS_EVERY);
                if due && let Some(line) = self.tally.line(&name, now) {
                    self.told.insert(name, now);
                    self.say(&running_text(&line));
                }
            }
            RunEvent::InputFetching {
                path,
                objects,
                bytes,
            } => self.say(&fetching_line(path, *objects, *bytes)),
            RunEvent::StageMetric { .. } | RunEvent::InputRead { .. } => {}
            RunEvent::StageLog {
                cell,
                level,
                message,
            } => {
                if *level >= LogLevel::Warn {
                    let text = format!("{cell}: {}", one_line(message));
                    self.say(&text);
                }
            }
            RunEvent::StageRetry {
                cell,
                attempt,
                error,
                delay_seconds,
            } => {
                self.tally.waits(&cell.to_string());
                let text = format!(
                    "{} {cell}  attempt {attempt} failed: {}; the next one in {}",
                    self.screen.yellow("retry"),
                    one_line(error),
                    quantity::seconds(*delay_seconds)
                );
                self.say(&text);
            }
            RunEvent::StageFinished {
                cell,
                state,
                skipped,
                seconds,
                error,
                ..
            } => {
                let name = cell.to_string();
                self.told.remove(&name);
                match state {
                    StageState::Ran => {
                        self.tally.ended(&name, Ended::Ran);
                        let text = format!(
                            "done {name}  {}",
                            quantity::seconds(seconds.unwrap_or_default())
                        );
                        self.say(&text);
                    }
                    StageState::Failed => {
                        self.tally.ended(&name, Ended::Failed);
                        let failed = Failed {
                            cell,
                            failure: error.as_ref(),
                            seconds: *seconds,
                            run: self.run,
                        };
                        let text = if self.tally.failed <= FULL_FAILURES {
                            failed.text(&self.screen, &self.hint)
                        } else {
                            failed.head(&self.screen)
                        };
                        self.tell_cached();
                        self.write(text.trim_end());
                    }
                    StageState::Skipped => {
                        self.tally.ended(&name, Ended::Skipped);
                        // A failure above a wide matrix skips thousands: the summary counts them.
                        if self.tally.skipped <= FULL_FAILURES {
                            let why = skipped.as_ref().map(|cause| format!("  {cause}"));
                            let text = format!("skipped {name}{}", why.unwrap_or_default());
                            self.say(&text);
                        }
                    }
                    StageState::Cancelled => {
                        self.tally.ended(&name, Ended::Cancelled);
                        if self.tally.cancelled <= FULL_FAILURES {
                            self.say(&format!("cancelled {name}"));
                        }
                    }
                    StageState::Cached => {
                        self.tally.waits(&name);
                        self.tally.cached += 1;
                        self.cached_untold += 1;
                    }
                }
            }
            RunEvent::RunFinished { .. } => self.tell_cached(),
        }
    }
}

/// `train  1234/4000 steps  loss 0.2231  31/s  1m 29s left`
fn running_text(line: &StageLine) -> String {
    let mut text = format!("running {}", line.name);
    if let Some(message) = &line.message {
        text.push_str(&format!("  {}", one_line(message)));
    }
    match (line.done, line.total) {
        (Some(done), Some(total)) => text.push_str(&format!("  {done}/{total}")),
        (Some(done), None) => text.push_str(&format!("  {done}")),
        _ => {}
    }
    if let (Some(_), Some(unit)) = (line.done, &line.unit) {
        text.push_str(&format!(" {}", one_line(unit)));
    }
    if let Some(loss) = line.loss {
        text.push_str(&format!("  loss {loss:.4}"));
    }
    if let Some(rate) = line.rate {
        text.push_str(&format!("  {}/s", quantity::short_count(rate)));
    }
    if let Some(left) = line.seconds_left {
        text.push_str(&format!("  {} left", whole_seconds(left)));
    }
    text
}

impl<W: Write + Send> Display for Plain<W> {
    fn event(&mut self, event: &RunEvent) {
        let now = self.clock.now();
        self.handle(event, now);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use indexmap::IndexMap;
    use supermoe_engine::{CellName, Counts, Outcome, RerunReason, StageFailure};
    use supermoe_store::{Digest, StageKey};

    fn cell(stage: &str) -> CellName {
        CellName {
            stage: Arc::from(stage),
            matrix: Arc::default(),
            label: Arc::from(stage),
        }
    }

    fn key() -> StageKey {
        StageKey::new(Digest::of(b"key"))
    }

    fn started(stages: usize) -> RunEvent {
        RunEvent::RunStarted {
            run: "01JDH7Z0000000000000000001".parse().expect("an id"),
            workflow: "retail".to_owned(),
            stages,
            at: jiff::Timestamp::UNIX_EPOCH,
        }
    }

    fn stage_started(stage: &str) -> RunEvent {
        RunEvent::StageStarted {
            cell: cell(stage),
            key: key(),
            attempt: 1,
            reason: RerunReason::FirstRun,
            expected_seconds: Some(75.0),
            at: jiff::Timestamp::UNIX_EPOCH,
        }
    }

    fn cached(stage: &str) -> RunEvent {
        RunEvent::StageCached {
            cell: cell(stage),
            key: key(),
            seconds: 1.0,
            outputs: IndexMap::new(),
            metrics: IndexMap::new(),
        }
    }

    fn finished(stage: &str, state: StageState, error: Option<StageFailure>) -> RunEvent {
        RunEvent::StageFinished {
            cell: cell(stage),
            state,
            reason: None,
            skipped: None,
            key: None,
            seconds: Some(12.34),
            peak_memory_bytes: None,
            outputs: IndexMap::new(),
            metrics: IndexMap::new(),
            error,
            at: jiff::Timestamp::UNIX_EPOCH,
        }
    }

    fn run_finished() -> RunEvent {
        RunEvent::RunFinished {
            run: "01JDH7Z0000000000000000001".parse().expect("an id"),
            outcome: Outcome::Succeeded,
            counts: Counts::default(),
            seconds: 1.0,
            not_stored: Vec::new(),
            published: Vec::new(),
            not_published: Vec::new(),
        }
    }

    /// What is printed when each event comes a second after the one before.
    fn printed(events: &[RunEvent], detail: Detail) -> String {
        let screen = Screen {
            terminal: false,
            width: 100,
            color: false,
        };
        let mut plain = Plain::new(Vec::new(), screen, LogHint::default(), detail);
        for (second, event) in (0..).zip(events) {
            plain.handle(event, Duration::from_secs(second));
        }
        String::from_utf8(plain.out).expect("text")
    }

    fn failure() -> StageFailure {
        StageFailure {
            message: "exit code 3".to_owned(),
            log_tail: vec!["reading".to_owned(), "no such \u{1b}[31mcolumn".to_owned()],
            attempts: 2,
        }
    }

    #[test]
    fn a_run_is_told_line_by_line() {
        let mut events = vec![started(5), cached("a"), cached("b"), stage_started("train")];
        for step in 0..15 {
            events.push(RunEvent::StageProgress {
                cell: cell("train"),
                progress: supermoe_plugin::event::Progress {
                    done: step * 10,
                    total: Some(500),
                    unit: Some("steps".to_owned()),
                    message: Some("epoch 1".to_owned()),
                    loss: Some(0.5),
                },
            });
        }
        events.extend([
            RunEvent::StageRetry {
                cell: cell("train"),
                attempt: 1,
                error: "the network\nwent away".to_owned(),
                delay_seconds: 5.0,
            },
            stage_started("train"),
            finished("train", StageState::Ran, None),
            stage_started("test"),
            finished("test", StageState::Failed, Some(failure())),
            finished("report", StageState::Skipped, None),
            run_finished(),
        ]);
        insta::assert_snapshot!(printed(&events, Detail::Everything));
    }

    #[test]
    fn cached_stages_take_one_line_together() {
        let mut events = vec![started(10_000)];
        events.extend((0..10_000).map(|number| cached(&format!("s{number}"))));
        events.push(run_finished());
        let text = printed(&events, Detail::Everything);
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.ends_with("10000 cached\n"), "{text}");
    }

    #[test]
    fn thousands_of_failures_and_skipped_stages_stay_short() {
        let mut events = vec![started(4_000)];
        for number in 0..2_000 {
            events.push(finished(
                &format!("f{number}"),
                StageState::Failed,
                Some(failure()),
            ));
            events.push(finished(&format!("s{number}"), StageState::Skipped, None));
        }
        let text = printed(&events, Detail::Everything);
        assert!(
            text.lines().count() < 2_000 + 100,
            "{}",
            text.lines().count()
        );
    }

    #[test]
    fn without_detail_only_failures_are_told() {
        let events = [
            started(3),
            cached("a"),
            stage_started("test"),
            finished("test", StageState::Failed, Some(failure())),
            run_finished(),
        ];
        let text = printed(&events, Detail::Failures);
        assert!(text.starts_with("failed test"), "{text}");
        assert!(!text.contains("cached"), "{text}");
    }
}
