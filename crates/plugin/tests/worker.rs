//! Workers as real processes: how they end, what they leave, what their log holds.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use supermoe_plugin::event::{Event, LogLevel};
use supermoe_plugin::host::{
    StopLevel, StopSignal, Watcher, WorkerExit, WorkerOutcome, WorkerSpec, base_environment,
    run_worker, stop_channel,
};
use tempfile::TempDir;
use tokio::sync::mpsc;

/// Long enough for the slowest machine; nothing waits for it where all is well.
const PATIENCE: Duration = Duration::from_secs(30);

struct Room {
    folder: TempDir,
}

impl Room {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("folder");
        fs::create_dir(folder.path().join("work")).expect("folder");
        Room { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn shell(&self, command: &str) -> WorkerSpec {
        let mut env = base_environment();
        env.insert("ROOM".into(), self.folder.path().into());
        WorkerSpec {
            program: "sh".into(),
            args: vec!["-euc".into(), command.into()],
            env,
            work: self.path("work"),
            events: self.path("events"),
            log: self.path("log"),
            redact: Vec::new(),
            timeout: Some(PATIENCE),
            grace: Duration::from_secs(20),
            run: format!("test-{}", self.folder.path().display()),
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).expect("a log")
    }

    /// The process id that a command wrote to this file.
    async fn pid(&self, name: &str) -> i32 {
        let path = self.path(name);
        until(|| fs::read_to_string(&path).ok()?.trim().parse().ok()).await
    }
}

/// Looks until there is something, with a deadline.
async fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "it did not come");
        tokio::task::yield_now().await;
        std::thread::yield_now();
    }
}

fn is_alive(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .trim()
        .chars()
        .next();
    !matches!(state, None | Some('Z' | 'X'))
}

async fn run(spec: WorkerSpec) -> (WorkerOutcome, Vec<Event>) {
    run_with(spec, StopSignal::never()).await
}

async fn run_with(spec: WorkerSpec, stop: StopSignal) -> (WorkerOutcome, Vec<Event>) {
    let (events, mut received) = mpsc::unbounded_channel();
    let outcome = run_worker(spec, stop, events, &Watcher::none()).await;
    let mut all = Vec::new();
    while let Ok(event) = received.try_recv() {
        all.push(event);
    }
    (outcome, all)
}

#[tokio::test]
async fn codes_signals_and_missing_programs_are_told_apart() {
    let room = Room::new();
    let (outcome, _) = run(room.shell("echo out; echo err >&2")).await;
    assert!(matches!(outcome.exit, WorkerExit::Success), "{outcome:?}");
    assert!(
        outcome
            .peak_memory_bytes
            .is_some_and(|bytes| bytes > 100_000)
    );
    assert!(!outcome.left_processes);
    assert_eq!(room.log(), "out\nerr\n");
    let (outcome, _) = run(room.shell("exit 7")).await;
    assert!(matches!(outcome.exit, WorkerExit::Code(7)), "{outcome:?}");
    let (outcome, _) = run(room.shell("kill -SEGV $$")).await;
    assert!(
        matches!(outcome.exit, WorkerExit::Signal(11)),
        "{outcome:?}"
    );
    let spec = WorkerSpec {
        program: "no-such-program".into(),
        ..room.shell("")
    };
    let (outcome, _) = run(spec).await;
    let WorkerExit::NotStarted(error) = outcome.exit else {
        panic!("{outcome:?}");
    };
    assert!(
        error
            .to_string()
            .starts_with("the program `no-such-program` is not on PATH"),
        "{error}"
    );
    let spec = WorkerSpec {
        work: room.path("nowhere"),
        ..room.shell("")
    };
    let (outcome, _) = run(spec).await;
    assert!(
        matches!(outcome.exit, WorkerExit::NotStarted(_)),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn the_environment_is_what_was_given_and_the_markers() {
    let room = Room::new();
    let mut spec = room.shell("env | sed 's/=.*//' | sort | tr '\\n' ' '");
    spec.env.retain(|name, _| name == "PATH");
    run(spec).await;
    assert_eq!(
        room.log(),
        "PATH PWD SUPERMOE_EVENTS SUPERMOE_RUN SUPERMOE_STAGE "
    );
}

#[tokio::test]
async fn a_child_that_outlives_its_stage_is_ended() {
    let room = Room::new();
    let command = "sleep 1000 & echo $! > $ROOM/child";
    let (outcome, events) = run(room.shell(command)).await;
    assert!(matches!(outcome.exit, WorkerExit::Success), "{outcome:?}");
    assert!(outcome.left_processes);
    assert!(!is_alive(room.pid("child").await));
    assert!(events.iter().any(|event| matches!(
        event,
        Event::Log {
            level: LogLevel::Warn,
            ..
        }
    )));
}

#[tokio::test]
async fn a_stage_that_ignores_sigterm_is_killed_after_the_grace_period() {
    let room = Room::new();
    let (sender, stop) = stop_channel();
    let spec = WorkerSpec {
        grace: Duration::from_millis(50),
        ..room
            .shell("trap '' TERM; sleep 1000 & echo $! > $ROOM/child; while :; do wait || :; done")
    };
    let ((outcome, _), child) = tokio::join!(run_with(spec, stop), async {
        let child = room.pid("child").await;
        sender.raise(StopLevel::Stop);
        child
    });
    assert!(matches!(outcome.exit, WorkerExit::Stopped), "{outcome:?}");
    assert!(!is_alive(child));
}

#[tokio::test]
async fn sigterm_gives_time_to_leave_and_now_does_not() {
    let room = Room::new();
    let command =
        "trap 'echo saved; exit 1' TERM; echo $$ > $ROOM/ready; while :; do sleep 0.01; done";
    let (sender, stop) = stop_channel();
    let ((outcome, _), _) = tokio::join!(run_with(room.shell(command), stop), async {
        room.pid("ready").await;
        sender.raise(StopLevel::Stop);
    });
    assert!(matches!(outcome.exit, WorkerExit::Stopped), "{outcome:?}");
    // The shell itself may say that its `sleep` was terminated.
    assert!(room.log().ends_with("saved\n"), "{}", room.log());

    let room = Room::new();
    let (sender, stop) = stop_channel();
    let ((outcome, _), _) = tokio::join!(run_with(room.shell(command), stop), async {
        room.pid("ready").await;
        sender.raise(StopLevel::Now);
    });
    assert!(matches!(outcome.exit, WorkerExit::Stopped), "{outcome:?}");
    assert_eq!(room.log(), "");
}

#[tokio::test]
async fn a_run_that_is_stopping_starts_nothing() {
    let room = Room::new();
    let (sender, stop) = stop_channel();
    sender.raise(StopLevel::Stop);
    let (outcome, _) = run_with(room.shell("echo started"), stop).await;
    assert!(matches!(outcome.exit, WorkerExit::Stopped), "{outcome:?}");
    assert!(!room.path("log").exists());
}

#[tokio::test]
async fn a_timeout_ends_the_whole_group() {
    let room = Room::new();
    let spec = WorkerSpec {
        timeout: Some(Duration::from_millis(200)),
        ..room.shell("sh -c 'echo $$ > $ROOM/child; exec sleep 1000' & wait")
    };
    let (outcome, _) = run(spec).await;
    assert!(matches!(outcome.exit, WorkerExit::TimedOut), "{outcome:?}");
    if room.path("child").exists() {
        assert!(!is_alive(room.pid("child").await));
    }
}

#[tokio::test]
async fn dropping_the_future_kills_the_worker() {
    let room = Room::new();
    let spec = room.shell("echo $$ > $ROOM/leader; sleep 1000");
    let worker = tokio::spawn(async move { run(spec).await });
    let leader = room.pid("leader").await;
    worker.abort();
    until(|| (!is_alive(leader)).then_some(())).await;
}

#[tokio::test]
async fn a_daemon_of_a_longer_stage_is_found_by_its_marker() {
    let room = Room::new();
    // Longer than a second, so that the process table is searched.
    let command = "setsid sh -c 'echo $$ > $ROOM/daemon; exec sleep 1000' & sleep 1.1";
    let (outcome, _) = run(room.shell(command)).await;
    assert!(outcome.left_processes);
    assert!(!is_alive(room.pid("daemon").await));
}

#[tokio::test]
async fn secrets_are_taken_out_of_the_log_and_of_events() {
    let room = Room::new();
    let mut spec = room.shell(
        r#"printf 'a hunt'; printf 'er22 b\n'; echo "$SECRET" >&2
        echo "{\"event\":\"error\",\"message\":\"bad $SECRET\"}" >> $SUPERMOE_EVENTS
        echo "torn $SECRET" >> $SUPERMOE_EVENTS; exit 1"#,
    );
    spec.env.insert("SECRET".into(), "hunter22".into());
    spec.redact = vec!["hunter22".to_owned()];
    let (outcome, events) = run(spec).await;
    assert_eq!(room.log(), "a *** b\n***\n");
    assert_eq!(outcome.error.expect("an error").message, "bad ***");
    assert!(!format!("{events:?}").contains("hunter22"), "{events:?}");
}

#[tokio::test]
async fn a_daemon_that_holds_the_redacted_log_open_delays_nothing() {
    let room = Room::new();
    let mut spec = room.shell("setsid sh -c 'echo $$ > $ROOM/daemon; exec sleep 1000' & while ! [ -s $ROOM/daemon ]; do :; done; echo hunter22");
    spec.redact = vec!["hunter22".to_owned()];
    let (outcome, _) = run(spec).await;
    assert!(matches!(outcome.exit, WorkerExit::Success), "{outcome:?}");
    assert!(!is_alive(room.pid("daemon").await));
    assert_eq!(room.log(), "***\n");
}

#[tokio::test]
async fn much_noise_on_stdout_is_only_a_log() {
    let room = Room::new();
    let command = "head -c 3000000 /dev/zero | tr '\\0' x; printf '\\n{\"event\":\"error\",\"message\":\"noise\"}\\n'";
    let (outcome, events) = run(room.shell(command)).await;
    assert!(matches!(outcome.exit, WorkerExit::Success), "{outcome:?}");
    assert_eq!(outcome.error, None);
    assert_eq!(events, []);
    assert_eq!(
        fs::metadata(room.path("log")).expect("a log").len(),
        3_000_000 + 37
    );
}

#[tokio::test]
async fn events_arrive_while_the_worker_runs() {
    let room = Room::new();
    let command = "echo '{\"event\":\"checkpoint\",\"step\":1}' >> $SUPERMOE_EVENTS; until [ -e $ROOM/go ]; do sleep 0.01; done";
    let (events, mut received) = mpsc::unbounded_channel();
    let watcher = Watcher::none();
    let worker = run_worker(room.shell(command), StopSignal::never(), events, &watcher);
    let (outcome, event) = tokio::join!(worker, async {
        let event = received.recv().await;
        fs::write(room.path("go"), "").expect("a file");
        event
    });
    assert!(matches!(outcome.exit, WorkerExit::Success), "{outcome:?}");
    assert_eq!(event, Some(Event::Checkpoint { step: Some(1) }));
}

#[tokio::test]
async fn children_of_a_worker_that_timed_out_are_no_leftovers() {
    let room = Room::new();
    let spec = WorkerSpec {
        timeout: Some(std::time::Duration::from_millis(50)),
        ..room.shell("sleep 1000; true")
    };
    let (outcome, events) = run(spec).await;
    assert!(matches!(outcome.exit, WorkerExit::TimedOut), "{outcome:?}");
    assert!(!outcome.left_processes);
    assert!(events.is_empty(), "{events:?}");
}
