//! One worker from start to end: what it says, what it costs, how it ends, and that nothing of
//! it stays behind.

use std::collections::BTreeMap;
use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::Signal;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval_at, sleep_until};

use super::event_reader::EventReader;
use super::log::Log;
use super::marked::end_marked;
use super::process_group::{Leftovers, ProcessGroup, pid_of, wait_until_empty};
use super::redact::Redactor;
use super::stop::{StopLevel, StopSignal};
use super::watcher::Watcher;
use crate::event::{Event, LogLevel};
use crate::request::{EVENTS_VARIABLE, RUN_VARIABLE};

/// Marks every process of one worker.
pub const STAGE_VARIABLE: &str = "SUPERMOE_STAGE";

const LISTEN_INTERVAL: Duration = Duration::from_millis(100);
/// A worker that lived longer than this is searched for processes that left its group. The
/// others' are found at the end of the run, since looking costs as much as a short stage.
const SEARCH_AFTER: Duration = Duration::from_secs(1);
/// How long the log's pipe may stay open after the worker and its group have ended.
const LOG_PATIENCE: Duration = Duration::from_millis(200);

/// How to start one worker.
#[derive(Debug, Clone)]
pub struct WorkerSpec {
    /// A path, or a name that is looked for in the `PATH` of `env`.
    pub program: OsString,
    pub args: Vec<OsString>,
    /// The whole environment, but for `SUPERMOE_EVENTS`, `SUPERMOE_RUN` and `SUPERMOE_STAGE`,
    /// which are added.
    pub env: BTreeMap<OsString, OsString>,
    /// The working directory; exists.
    pub work: PathBuf,
    /// Where the worker writes events; a new path for each attempt.
    pub events: PathBuf,
    /// stdout and stderr are appended here.
    pub log: PathBuf,
    /// Values that become `***` in the log and in events.
    pub redact: Vec<String>,
    pub timeout: Option<Duration>,
    /// Between SIGTERM and SIGKILL.
    pub grace: Duration,
    /// The run's id, which marks all of its processes.
    pub run: String,
}

/// How it went.
#[derive(Debug)]
pub struct WorkerOutcome {
    pub exit: WorkerExit,
    /// From start to end, seconds.
    pub seconds: f64,
    /// The largest resident memory of one process of the worker. The kernel counts the starting
    /// process in, so that for a worker of less than [`LISTEN_INTERVAL`] it is an upper bound.
    pub peak_memory_bytes: Option<u64>,
    /// The worker's last error event.
    pub error: Option<ReportedError>,
    /// Whether processes that the worker had started outlived it, and were ended; false for a
    /// worker that was ended itself.
    pub left_processes: bool,
}

/// What a worker says of its own failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportedError {
    pub message: String,
    /// Whether another attempt may succeed.
    pub retry: bool,
}

#[derive(Debug)]
pub enum WorkerExit {
    /// Code 0.
    Success,
    Code(i32),
    Signal(i32),
    TimedOut,
    /// Ended because the run was told to stop.
    Stopped,
    NotStarted(io::Error),
}

/// `PATH`, `HOME` and the like of this process, which a worker needs to find programs, and a
/// locale and time zone that are the same everywhere.
pub fn base_environment() -> BTreeMap<OsString, OsString> {
    let kept = [
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "LD_LIBRARY_PATH",
        "CUDA_VISIBLE_DEVICES",
    ];
    let fixed = [("LANG", "C.UTF-8"), ("LC_ALL", "C.UTF-8"), ("TZ", "UTC")];
    kept.iter()
        .filter_map(|name| Some((OsString::from(name), env::var_os(name)?)))
        .chain(fixed.map(|(name, value)| (name.into(), value.into())))
        .collect()
}

/// Runs one worker to its end. Events are sent as they come, the error event too; a receiver
/// that is gone is no fault. When the returned future is dropped, the worker is killed.
pub async fn run_worker(
    spec: WorkerSpec,
    stop: StopSignal,
    events: mpsc::UnboundedSender<Event>,
    watcher: &Watcher,
) -> WorkerOutcome {
    let started = Instant::now();
    if stop.level() > StopLevel::Running {
        return WorkerOutcome::at_once(WorkerExit::Stopped, started);
    }
    let group = Arc::new(ProcessGroup::default());
    let _ended_with_the_future = KillOnDrop(Arc::clone(&group));
    let mut tell = |event: Event| {
        let _ = events.send(event);
    };
    let mut reader = EventReader::new(spec.events.clone(), Redactor::new(&spec.redact));
    let (timeout, grace) = (spec.timeout, spec.grace);
    let life = {
        let (group, watcher) = (Arc::clone(&group), watcher.clone());
        tokio::task::spawn_blocking(move || live(&spec, &group, &watcher))
    };
    let mut listening = Listening {
        group: &group,
        reader: &mut reader,
        sampled_memory_bytes: None,
        cut_short: None,
    };
    let end = listening
        .until_end(life, stop, timeout, grace, &mut tell)
        .await;
    let (sampled, cut_short) = (listening.sampled_memory_bytes, listening.cut_short);
    let error = reader.finish(&mut tell);
    let end = match end {
        Ok(end) => end,
        Err(error) => return WorkerOutcome::at_once(WorkerExit::NotStarted(error), started),
    };
    // One that was cut short had no chance to wait for its own.
    let left_processes = end.left_processes && cut_short.is_none();
    if left_processes {
        tell(Event::Log {
            level: LogLevel::Warn,
            message: "processes that outlived their stage were ended".to_owned(),
        });
    }
    WorkerOutcome {
        exit: match cut_short {
            Some(CutShort::Stopped) => WorkerExit::Stopped,
            Some(CutShort::TimedOut) => WorkerExit::TimedOut,
            None => exit_of(end.status),
        },
        seconds: started.elapsed().as_secs_f64(),
        peak_memory_bytes: end.peak_memory_bytes(sampled),
        error,
        left_processes,
    }
}

impl WorkerOutcome {
    fn at_once(exit: WorkerExit, started: Instant) -> Self {
        WorkerOutcome {
            exit,
            seconds: started.elapsed().as_secs_f64(),
            peak_memory_bytes: None,
            error: None,
            left_processes: false,
        }
    }
}

struct KillOnDrop(Arc<ProcessGroup>);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        self.0.signal(Signal::SIGKILL);
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum CutShort {
    Stopped,
    TimedOut,
}

/// The asynchronous side of a running worker.
struct Listening<'a> {
    group: &'a ProcessGroup,
    reader: &'a mut EventReader,
    sampled_memory_bytes: Option<u64>,
    cut_short: Option<CutShort>,
}

impl Listening<'_> {
    async fn until_end(
        &mut self,
        mut life: tokio::task::JoinHandle<io::Result<End>>,
        stop: StopSignal,
        timeout: Option<Duration>,
        grace: Duration,
        tell: &mut impl FnMut(Event),
    ) -> io::Result<End> {
        let now = tokio::time::Instant::now();
        let mut ticks = interval_at(now + LISTEN_INTERVAL, LISTEN_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let far = Duration::from_secs(60 * 60 * 24 * 365);
        let timeout_at = now + timeout.unwrap_or(far).min(far);
        let mut kill_at = now + far;
        let mut killed = false;
        let (mut softly, mut at_once) = (stop.clone(), stop);
        loop {
            tokio::select! {
                biased;
                end = &mut life => return end.unwrap_or_else(|error| Err(io::Error::other(error))),
                () = at_once.reached(StopLevel::Now), if !killed => {
                    self.cut_short.get_or_insert(CutShort::Stopped);
                    self.group.signal(Signal::SIGKILL);
                    killed = true;
                }
                () = softly.reached(StopLevel::Stop), if self.cut_short.is_none() => {
                    kill_at = self.ask_to_leave(CutShort::Stopped, grace);
                }
                () = sleep_until(timeout_at), if self.cut_short.is_none() => {
                    kill_at = self.ask_to_leave(CutShort::TimedOut, grace);
                }
                () = sleep_until(kill_at), if self.cut_short.is_some() && !killed => {
                    self.group.signal(Signal::SIGKILL);
                    killed = true;
                }
                _ = ticks.tick() => {
                    self.reader.poll(tell);
                    self.sampled_memory_bytes =
                        self.sampled_memory_bytes.max(self.group.peak_memory_bytes());
                }
            }
        }
    }

    /// Returns when to stop asking.
    fn ask_to_leave(&mut self, why: CutShort, grace: Duration) -> tokio::time::Instant {
        self.cut_short = Some(why);
        self.group.signal(Signal::SIGTERM);
        tokio::time::Instant::now() + grace
    }
}

/// How the process itself ended.
#[derive(Debug)]
struct End {
    status: ExitStatus,
    peak_memory_bytes: u64,
    left_processes: bool,
}

impl End {
    /// A process begins its life as a copy of the one that starts it, and the kernel counts that
    /// in. What is no more than this process's own peak says nothing; then a sample is better.
    fn peak_memory_bytes(&self, sampled: Option<u64>) -> Option<u64> {
        let own = getrusage(UsageWho::RUSAGE_SELF).map_or(0, |usage| {
            u64::try_from(usage.max_rss()).unwrap_or(0) * 1024
        });
        let peak = if self.peak_memory_bytes > own {
            self.peak_memory_bytes
        } else {
            sampled.unwrap_or(self.peak_memory_bytes)
        };
        (peak > 0).then_some(peak)
    }
}

/// The blocking side: starts the process, waits for it, and ends what it leaves.
fn live(spec: &WorkerSpec, group: &ProcessGroup, watcher: &Watcher) -> io::Result<End> {
    let started = Instant::now();
    let stage = stage_marker(&spec.run);
    let mut log = Log::open(&spec.log, &spec.redact)?;
    let child = {
        let mut command = command(spec, &stage)?;
        log.attach(&mut command)?;
        command
            .spawn()
            .map_err(|error| named(error, &spec.program, "cannot be started"))?
    };
    let pid = pid_of(&child);
    group.started(pid);
    watcher.watch_group(pid.as_raw());
    let usage = group.wait(child);
    let leftovers = wait_until_empty(pid);
    watcher.forget_group(pid.as_raw());
    let mut left_processes = leftovers == Leftovers::Ended;
    let log_is_open = !log.closed_within(LOG_PATIENCE);
    if log_is_open || left_processes || started.elapsed() > SEARCH_AFTER {
        left_processes |= end_marked(STAGE_VARIABLE, &stage, &[]) > 0;
    }
    if log_is_open {
        log.closed_within(LOG_PATIENCE);
    }
    let usage = usage?;
    Ok(End {
        status: usage.status,
        peak_memory_bytes: usage.rusage.maxrss,
        left_processes,
    })
}

/// Unique for every worker on this machine.
fn stage_marker(run: &str) -> String {
    static STARTED: AtomicU64 = AtomicU64::new(0);
    let number = STARTED.fetch_add(1, Ordering::Relaxed);
    format!("{run}.{}.{number}", std::process::id())
}

fn command(spec: &WorkerSpec, stage: &str) -> io::Result<Command> {
    if !spec.work.is_dir() {
        return Err(io::Error::new(
            io::ErrorKind::NotFound,
            format!("the working directory {} is missing", spec.work.display()),
        ));
    }
    let mut command = Command::new(find_program(
        &spec.program,
        spec.env.get(OsStr::new("PATH")),
    )?);
    command
        .arg0(&spec.program)
        .args(&spec.args)
        .env_clear()
        .envs(&spec.env)
        .env(EVENTS_VARIABLE, &spec.events)
        .env(RUN_VARIABLE, &spec.run)
        .env(STAGE_VARIABLE, stage)
        .current_dir(&spec.work)
        .stdin(Stdio::null())
        .process_group(0);
    Ok(command)
}

/// A path as it is; a name by the worker's own PATH. Found here, so that the standard library
/// can use posix_spawn, and so that the message says what was looked for.
fn find_program(program: &OsStr, path: Option<&OsString>) -> io::Result<PathBuf> {
    let as_path = Path::new(program);
    if as_path.components().count() != 1 || as_path.is_absolute() {
        return Ok(as_path.to_owned());
    }
    let folders = path
        .map(OsString::as_os_str)
        .unwrap_or(OsStr::new("/usr/bin:/bin"));
    env::split_paths(folders)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(program))
        .find(|candidate| is_executable(candidate))
        .ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::NotFound,
                format!(
                    "the program `{}` is not on PATH ({})",
                    program.display(),
                    folders.display()
                ),
            )
        })
}

fn is_executable(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

fn named(error: io::Error, program: &OsStr, what: &str) -> io::Error {
    io::Error::new(
        error.kind(),
        format!("the program `{}` {what}: {error}", program.display()),
    )
}

fn exit_of(status: ExitStatus) -> WorkerExit {
    match (status.code(), status.signal()) {
        (Some(0), _) => WorkerExit::Success,
        (Some(code), _) => WorkerExit::Code(code),
        (None, signal) => WorkerExit::Signal(signal.unwrap_or(0)),
    }
}
