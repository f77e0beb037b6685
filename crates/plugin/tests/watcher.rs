//! Nothing outlives a run, however the run dies.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use supermoe_plugin::host::Watcher;

const PROGRAMS: &str = env!("CARGO_BIN_EXE_supermoe-plugin-test-programs");
const PATIENCE: Duration = Duration::from_secs(30);

fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "it did not come: {what}");
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

fn pid_in(path: &Path) -> i32 {
    until("a process id", || {
        fs::read_to_string(path).ok()?.trim().parse().ok()
    })
}

/// Every kind of process that a worker can start: its own, a child, a grandchild in a session of
/// its own, one that in addition has forgotten its environment.
const FAMILY: &str = r#"
echo $$ > leader
sleep 1000 & echo $! > child
setsid sh -c 'echo $$ > ../daemon; exec sleep 1000' &
setsid env -i PATH="$PATH" sh -c 'echo $$ > ../nameless; sleep 1000; :' &
mv leader child ..
touch file-of-the-run
wait
"#;

const FAMILY_NAMES: [&str; 4] = ["leader", "child", "daemon", "nameless"];

struct Runner {
    process: Child,
    folder: tempfile::TempDir,
}

impl Runner {
    fn start(run: &str, command: &str) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        fs::create_dir(folder.path().join("work")).expect("folder");
        let process = Command::new(PROGRAMS)
            .args(["runner", run])
            .arg(folder.path())
            .arg(command)
            .stdout(Stdio::null())
            .spawn()
            .expect("the runner starts");
        Runner { process, folder }
    }

    fn family(&self) -> Vec<i32> {
        FAMILY_NAMES
            .iter()
            .map(|name| pid_in(&self.folder.path().join(name)))
            .collect()
    }

    fn expect_all_gone(mut self, family: &[i32]) {
        self.process.wait().expect("the runner can be waited for");
        for (name, pid) in FAMILY_NAMES.iter().zip(family) {
            until(name, || (!is_alive(*pid)).then_some(()));
        }
        let work = self.folder.path().join("work");
        until("the work folder is removed", || {
            (!work.exists()).then_some(())
        });
    }
}

#[test]
fn kill_9_of_the_runner_leaves_nothing() {
    let runner = Runner::start("watcher-kill", FAMILY);
    let family = runner.family();
    let pid = Pid::from_raw(runner.process.id() as i32);
    kill(pid, Signal::SIGKILL).expect("it can be killed");
    runner.expect_all_gone(&family);
}

#[test]
fn sigterm_of_the_runner_leaves_nothing() {
    let runner = Runner::start("watcher-term", FAMILY);
    let family = runner.family();
    let pid = Pid::from_raw(runner.process.id() as i32);
    kill(pid, Signal::SIGTERM).expect("it can be signalled");
    runner.expect_all_gone(&family);
}

#[test]
fn a_daemon_of_a_short_stage_is_ended_with_the_run() {
    let command =
        "setsid sh -c 'echo $$ > ../daemon; exec sleep 1000' & until [ -s ../daemon ]; do :; done";
    let mut runner = Runner::start("watcher-daemon", command);
    let status = runner.process.wait().expect("the runner ends by itself");
    assert!(status.success());
    assert!(!is_alive(pid_in(&runner.folder.path().join("daemon"))));
    assert!(!runner.folder.path().join("work").exists());
}

#[test]
fn the_watcher_is_out_of_reach_of_the_terminals_signals() {
    let watcher = Watcher::start(Path::new(PROGRAMS), "watcher-signals").expect("it starts");
    let pid = watcher.id().expect("it runs") as i32;
    let group = |pid: i32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
        let fields = stat.rsplit(')').next().expect("fields").to_owned();
        fields
            .split_whitespace()
            .nth(2)
            .expect("a group")
            .to_owned()
    };
    assert_eq!(group(pid), pid.to_string());
    watcher.finish();
}

#[test]
fn a_watcher_that_was_killed_is_replaced_and_knows_what_its_predecessor_knew() {
    let folder = tempfile::tempdir().expect("folder");
    let kept = folder.path().join("removed-at-the-end");
    fs::create_dir(&kept).expect("folder");
    let watcher = Watcher::start(Path::new(PROGRAMS), "watcher-replaced").expect("it starts");
    watcher.remove_at_end(&kept);
    let first = watcher.id().expect("it runs");
    killpg(Pid::from_raw(first as i32), Signal::SIGKILL).expect("it can be killed");
    until("another watcher", || {
        watcher.watch_group(i32::MAX);
        watcher.forget_group(i32::MAX);
        (watcher.id() != Some(first)).then_some(())
    });
    watcher.finish();
    assert!(!kept.exists());
}

#[test]
fn what_is_kept_stays() {
    let folder = tempfile::tempdir().expect("folder");
    let (kept, removed) = (folder.path().join("kept"), folder.path().join("removed"));
    for path in [&kept, &removed] {
        fs::create_dir_all(path.join("sub")).expect("folder");
    }
    let watcher = Watcher::start(Path::new(PROGRAMS), "watcher-keep").expect("it starts");
    watcher.remove_at_end(&kept);
    watcher.remove_at_end(&removed);
    watcher.keep(&kept);
    watcher.finish();
    assert!(kept.exists());
    assert!(!removed.exists());
}
