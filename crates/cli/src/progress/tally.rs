//! What a display remembers of a run: how many stages are in which state, and what the running
//! ones last said. Times are counted from the start of the run, so that tests choose them.

use std::time::Duration;

use indexmap::IndexMap;
use supermoe_plugin::event::Progress;

use crate::progress::stage_line::StageLine;

/// A rate is taken over at least this much time, so that it does not jump with each report.
const RATE_WINDOW: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    Ran,
    Failed,
    Skipped,
    Cancelled,
}

#[derive(Debug, Default)]
pub struct Tally {
    pub stages: usize,
    pub cached: usize,
    pub ran: usize,
    pub failed: usize,
    pub skipped: usize,
    pub cancelled: usize,
    running: IndexMap<String, Running>,
}

#[derive(Debug)]
struct Running {
    since: Duration,
    attempt: u32,
    expected_seconds: Option<f64>,
    progress: Progress,
    /// Where the rate is counted from: when, and how much was done.
    mark: Option<(Duration, u64)>,
    rate: Option<f64>,
}

impl Tally {
    /// A run of so many stages, of which none has ended.
    pub fn of(stages: usize) -> Tally {
        Tally {
            stages,
            ..Tally::default()
        }
    }

    pub fn started(
        &mut self,
        cell: &str,
        attempt: u32,
        expected_seconds: Option<f64>,
        now: Duration,
    ) {
        self.running.insert(
            cell.to_owned(),
            Running {
                since: now,
                attempt,
                expected_seconds,
                progress: Progress::default(),
                mark: None,
                rate: None,
            },
        );
    }

    pub fn progress(&mut self, cell: &str, progress: &Progress, now: Duration) {
        let Some(running) = self.running.get_mut(cell) else {
            return;
        };
        match running.mark {
            // A new phase counts from the beginning.
            Some((_, done)) if progress.done < done => {
                running.mark = Some((now, progress.done));
                running.rate = None;
            }
            Some((at, done)) => {
                let passed = now.saturating_sub(at);
                if passed >= RATE_WINDOW || (running.rate.is_none() && passed > Duration::ZERO) {
                    let newest = (progress.done - done) as f64 / passed.as_secs_f64();
                    running.rate = Some(match running.rate {
                        Some(before) => 0.5 * before + 0.5 * newest,
                        None => newest,
                    });
                    if passed >= RATE_WINDOW {
                        running.mark = Some((now, progress.done));
                    }
                }
            }
            None => running.mark = Some((now, progress.done)),
        }
        let loss = progress.loss.or(running.progress.loss);
        running.progress = Progress {
            loss,
            ..progress.clone()
        };
    }

    pub fn ended(&mut self, cell: &str, how: Ended) {
        self.running.shift_remove(cell);
        match how {
            Ended::Ran => self.ran += 1,
            Ended::Failed => self.failed += 1,
            Ended::Skipped => self.skipped += 1,
            Ended::Cancelled => self.cancelled += 1,
        }
    }

    /// The attempt is over; the stage waits for the next.
    pub fn waits(&mut self, cell: &str) {
        self.running.shift_remove(cell);
    }

    pub fn running(&self) -> usize {
        self.running.len()
    }

    pub fn finished(&self) -> usize {
        self.cached + self.ran + self.failed + self.skipped + self.cancelled
    }

    /// The running stages in the order in which they started.
    pub fn lines(&self, now: Duration) -> impl Iterator<Item = StageLine> + '_ {
        self.running.iter().map(move |(cell, running)| {
            let elapsed = now.saturating_sub(running.since).as_secs_f64();
            let progress = &running.progress;
            StageLine {
                name: cell.clone(),
                attempt: running.attempt,
                elapsed_seconds: elapsed,
                done: running.mark.map(|_| progress.done),
                total: progress.total,
                unit: progress.unit.clone(),
                message: progress.message.clone(),
                loss: progress.loss,
                rate: running.rate,
                seconds_left: seconds_left(running, elapsed),
            }
        })
    }

    pub fn line(&self, cell: &str, now: Duration) -> Option<StageLine> {
        self.running
            .contains_key(cell)
            .then(|| self.lines(now).find(|line| line.name == cell))
            .flatten()
    }
}

/// From the rate where there is one, else from how long the stage took before.
fn seconds_left(running: &Running, elapsed: f64) -> Option<f64> {
    let by_rate = match (running.progress.total, running.rate) {
        (Some(total), Some(rate)) if rate > 0.0 && running.mark.is_some() => {
            Some(total.saturating_sub(running.progress.done) as f64 / rate)
        }
        _ => None,
    };
    by_rate.or_else(|| {
        running
            .expected_seconds
            .map(|expected| expected - elapsed)
            .filter(|left| *left >= 1.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn done(done: u64, total: u64) -> Progress {
        Progress {
            done,
            total: Some(total),
            ..Progress::default()
        }
    }

    #[test]
    fn the_time_left_follows_from_the_rate() {
        let mut tally = Tally::default();
        tally.started("train", 1, None, at(0));
        tally.progress("train", &done(0, 100), at(1));
        tally.progress("train", &done(20, 100), at(5));
        let line = tally.line("train", at(5)).expect("it runs");
        assert_eq!(line.rate, Some(5.0));
        assert_eq!(line.seconds_left, Some(16.0));
    }

    #[test]
    fn a_new_phase_starts_a_new_rate() {
        let mut tally = Tally::default();
        tally.started("train", 1, None, at(0));
        tally.progress("train", &done(0, 100), at(0));
        tally.progress("train", &done(100, 100), at(4));
        tally.progress("train", &done(0, 50), at(5));
        assert_eq!(tally.line("train", at(5)).expect("it runs").rate, None);
    }

    #[test]
    fn history_says_how_long_a_silent_stage_takes() {
        let mut tally = Tally::default();
        tally.started("prepare", 1, Some(60.0), at(10));
        let left = |now| {
            tally
                .line("prepare", at(now))
                .expect("it runs")
                .seconds_left
        };
        assert_eq!(left(30), Some(40.0));
        assert_eq!(left(75), None);
    }

    #[test]
    fn the_last_loss_stays_while_other_reports_come() {
        let mut tally = Tally::default();
        tally.started("train", 1, None, at(0));
        tally.progress(
            "train",
            &Progress {
                loss: Some(0.5),
                ..done(1, 10)
            },
            at(1),
        );
        tally.progress("train", &done(2, 10), at(2));
        assert_eq!(tally.line("train", at(2)).expect("it runs").loss, Some(0.5));
    }

    #[test]
    fn progress_of_a_stage_that_does_not_run_is_passed_over() {
        let mut tally = Tally::default();
        tally.progress("ghost", &done(1, 2), at(1));
        assert_eq!(tally.running(), 0);
    }
}
