//! One run of the plugin under test, and what is done to it meanwhile.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use indexmap::IndexMap;
use tokio::sync::mpsc;

use super::bench::Bench;
use super::examples::Case;
use super::outputs::{self, Content};
use crate::event::Event;
use crate::host::{
    StopLevel, StopSender, WorkerExit, WorkerOutcome, WorkerSpec, base_environment, run_worker,
    signal_marked, stop_channel,
};
use crate::manifest::PROTOCOL;
use crate::request::{REQUEST_VARIABLE, RUN_VARIABLE, Request};

/// A plugin that says nothing is met after this long.
const SILENT_FOR: Duration = Duration::from_millis(300);
/// How much of the log a message shows.
const SHOWN_LOG_LINES: usize = 5;

/// How to run it.
#[derive(Debug, Clone, Default)]
pub struct How {
    pub name: &'static str,
    pub threads: Option<u32>,
    pub checkpoint: Option<PathBuf>,
    /// Put before the plugin's command.
    pub wrapper: Vec<OsString>,
    pub meanwhile: Meanwhile,
    pub timeout: Option<Duration>,
}

/// What happens to it on the way, at its first sign of life.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Meanwhile {
    #[default]
    Nothing,
    /// SIGTERM.
    Stop(Sign),
    /// SIGKILL.
    Kill(Sign),
    /// SIGSTOP: it hangs.
    Suspend,
}

/// What to wait for before something is done to it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sign {
    AnyEvent,
    Checkpoint,
}

/// What came of it.
#[derive(Debug)]
pub struct Attempt {
    pub outcome: WorkerOutcome,
    pub events: Vec<Event>,
    /// Contents by port; the optional ones that were not written are absent.
    pub outputs: IndexMap<String, Content>,
    /// Why outputs could not be collected.
    pub output_problems: Vec<String>,
    /// From what was done to it to its end; `None` when it ended before.
    pub after_meanwhile: Option<Duration>,
    log: PathBuf,
}

impl Attempt {
    pub fn succeeded(&self) -> bool {
        matches!(self.outcome.exit, WorkerExit::Success)
    }

    /// How it ended, with its own words and the end of its log.
    pub fn describe(&self) -> String {
        let mut text = match &self.outcome.exit {
            WorkerExit::Success => "it succeeded".to_owned(),
            WorkerExit::Code(code) => format!("it ended with code {code}"),
            WorkerExit::Signal(signal) => format!("it was ended by signal {signal}"),
            WorkerExit::TimedOut => "it did not end in time".to_owned(),
            WorkerExit::Stopped => "it was stopped".to_owned(),
            WorkerExit::NotStarted(error) => format!("it could not be started: {error}"),
        };
        if let Some(error) = &self.outcome.error {
            text.push_str(&format!(", saying: {}", error.message));
        }
        let log = fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log[log.len().saturating_sub(4096)..]).into_owned();
        let lines: Vec<&str> = log.lines().filter(|line| !line.trim().is_empty()).collect();
        let last = &lines[lines.len().saturating_sub(SHOWN_LOG_LINES)..];
        if !last.is_empty() && !self.succeeded() {
            text.push_str(&format!("; the end of its log: {}", last.join(" | ")));
        }
        text
    }

    /// What keeps this from being a good run, if anything.
    pub fn trouble(&self) -> Option<String> {
        if !self.succeeded() {
            return Some(self.describe());
        }
        self.output_problems.first().cloned()
    }

    pub fn bytes(&self) -> u64 {
        self.outputs.values().map(|content| content.bytes).sum()
    }

    /// The first output that differs from another run's.
    pub fn difference(&self, other: &Attempt) -> Option<String> {
        let names = self.outputs.keys().chain(other.outputs.keys());
        names
            .into_iter()
            .find(|name| self.outputs.get(*name) != other.outputs.get(*name))
            .cloned()
    }
}

impl Bench<'_> {
    /// Runs the plugin once.
    pub async fn attempt(&self, case: &Case, how: How) -> io::Result<Attempt> {
        let folder = self.new_folder(how.name)?;
        let ports = outputs::ports(&self.entry.manifest, case);
        let request = self.request(case, &how, &folder)?;
        let spec = self.spec(case, &how, &folder, &request)?;
        let (sender, stop) = stop_channel();
        let (events, received) = mpsc::unbounded_channel();
        let worker = run_worker(spec, stop, events, &self.watcher);
        let (outcome, (events, met)) =
            tokio::join!(worker, self.follow(received, &sender, how.meanwhile));
        if outcome.left_processes && how.meanwhile == Meanwhile::Nothing {
            self.note_orphans(how.name);
        }
        let mut attempt = Attempt {
            // A worker that had ended already was met too late.
            after_meanwhile: met
                .map(|met| met.elapsed())
                .filter(|_| !matches!(outcome.exit, WorkerExit::Success | WorkerExit::Code(_))),
            outcome,
            events,
            outputs: IndexMap::new(),
            output_problems: Vec::new(),
            log: folder.join("log"),
        };
        for (name, port) in &ports {
            match outputs::collect(name, port, &request.outputs[name]) {
                Ok(Some(content)) => {
                    attempt.outputs.insert(name.clone(), content);
                }
                Ok(None) => {}
                Err(problem) => attempt.output_problems.push(problem),
            }
        }
        Ok(attempt)
    }

    fn request(&self, case: &Case, how: &How, folder: &Path) -> io::Result<Request> {
        let work = folder.join("work");
        fs::create_dir(&work)?;
        let mut places = IndexMap::new();
        fs::create_dir(folder.join("outputs"))?;
        for (name, port) in outputs::ports(&self.entry.manifest, case) {
            let path = folder.join("outputs").join(&name);
            if !port.port_type.is_file() {
                fs::create_dir(&path)?;
            }
            places.insert(name, path);
        }
        let checkpoint = match (&how.checkpoint, self.entry.manifest.checkpoints) {
            (_, false) => None,
            (Some(given), true) => Some(given.clone()),
            (None, true) => Some(self.new_folder("checkpoint")?),
        };
        Ok(Request {
            protocol: PROTOCOL,
            plugin: self.entry.manifest.name.clone(),
            params: case.params.clone(),
            inputs: case.inputs.clone(),
            outputs: places,
            checkpoint,
            work,
            seed: case
                .params
                .get("seed")
                .and_then(|seed| seed.as_u64())
                .unwrap_or(7),
            threads: how.threads.unwrap_or(1),
            device: "cpu".to_owned(),
            profile: false,
        })
    }

    fn spec(
        &self,
        case: &Case,
        how: &How,
        folder: &Path,
        request: &Request,
    ) -> io::Result<WorkerSpec> {
        let request_path = folder.join("request.json");
        fs::write(&request_path, serde_json::to_vec_pretty(request)?)?;
        let mut env = base_environment();
        for (name, value) in &self.examples.env {
            env.insert(name.into(), value.into());
        }
        env.insert(REQUEST_VARIABLE.into(), request_path.into());
        let mut words = how.wrapper.clone();
        words.extend(self.command(&case.params));
        let mut words = words.into_iter();
        Ok(WorkerSpec {
            program: words.next().unwrap_or_default(),
            args: words.collect(),
            env,
            work: request.work.clone(),
            events: folder.join("events"),
            log: folder.join("log"),
            redact: Vec::new(),
            timeout: Some(how.timeout.unwrap_or(self.options.time_limit)),
            grace: self.options.grace,
            run: self.run.clone(),
        })
    }

    /// Gathers events until the worker has ended, and does to it what is asked, once.
    async fn follow(
        &self,
        mut received: mpsc::UnboundedReceiver<Event>,
        stop: &StopSender,
        meanwhile: Meanwhile,
    ) -> (Vec<Event>, Option<Instant>) {
        let mut events = Vec::new();
        let mut met = None;
        let silent_until = tokio::time::Instant::now() + SILENT_FOR;
        let sign = match meanwhile {
            Meanwhile::Nothing => None,
            Meanwhile::Stop(sign) | Meanwhile::Kill(sign) => Some(sign),
            Meanwhile::Suspend => Some(Sign::AnyEvent),
        };
        loop {
            let waiting = met.is_none() && sign == Some(Sign::AnyEvent);
            let is_sign = tokio::select! {
                event = received.recv() => match event {
                    None => return (events, met),
                    Some(event) => {
                        let is_checkpoint = matches!(event, Event::Checkpoint { .. });
                        events.push(event);
                        sign == Some(Sign::AnyEvent) || (sign == Some(Sign::Checkpoint) && is_checkpoint)
                    }
                },
                () = tokio::time::sleep_until(silent_until), if waiting => true,
            };
            if is_sign && met.is_none() {
                met = Some(Instant::now());
                match meanwhile {
                    Meanwhile::Nothing => {}
                    Meanwhile::Stop(_) => stop.raise(StopLevel::Stop),
                    Meanwhile::Kill(_) => stop.raise(StopLevel::Now),
                    Meanwhile::Suspend => {
                        signal_marked(RUN_VARIABLE, &self.run, nix::sys::signal::Signal::SIGSTOP);
                    }
                }
            }
        }
    }
}
