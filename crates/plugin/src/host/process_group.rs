//! The process group of one worker: signalled while its leader is not reaped yet, so that its
//! number cannot have gone to a stranger, and emptied when the leader has ended.

use std::io;
use std::process::Child;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use wait4::{ResUse, Wait4};

use super::marked;

/// How long killed processes may take to be gone.
const GONE_LIMIT: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
pub struct ProcessGroup(Mutex<State>);

#[derive(Debug, Default)]
enum State {
    #[default]
    NotStarted,
    /// A signal came before the start; it is sent right after.
    SignalledEarly(Signal),
    Running(Pid),
    Ended,
}

impl ProcessGroup {
    /// The worker has started, as the leader of its group.
    pub fn started(&self, leader: Pid) {
        let mut state = self.lock();
        if let State::SignalledEarly(signal) = *state {
            let _ = killpg(leader, signal);
        }
        *state = State::Running(leader);
    }

    /// Signals the whole group; nothing happens once the leader is reaped.
    pub fn signal(&self, signal: Signal) {
        let mut state = self.lock();
        match *state {
            State::Running(leader) => {
                let _ = killpg(leader, signal);
                // A stopped process would see nothing but SIGKILL.
                let _ = killpg(leader, Signal::SIGCONT);
            }
            State::NotStarted => *state = State::SignalledEarly(signal),
            State::SignalledEarly(Signal::SIGKILL) | State::Ended => {}
            State::SignalledEarly(_) => *state = State::SignalledEarly(signal),
        }
    }

    /// The largest resident memory of the leader so far, in bytes; `None` once it has ended.
    pub fn peak_memory_bytes(&self) -> Option<u64> {
        let state = self.lock();
        let State::Running(leader) = *state else {
            return None;
        };
        let status = std::fs::read_to_string(format!("/proc/{leader}/status")).ok()?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kibibytes * 1024)
    }

    /// Waits for the leader to end, ends what is left of the group, and reaps the leader.
    pub fn wait(&self, leader: Child) -> io::Result<ResUse> {
        let pid = pid_of(&leader);
        loop {
            match waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT) {
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
                Ok(_) => break,
            }
        }
        let mut state = self.lock();
        let _ = killpg(pid, Signal::SIGKILL);
        let usage = leader.wait4();
        *state = State::Ended;
        usage
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // Nothing panics while it is held; the state is whole in any case.
        self.0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

pub fn pid_of(child: &Child) -> Pid {
    // Process ids are positive and fit: the kernel's are i32.
    Pid::from_raw(child.id() as i32)
}

/// What became of a group after its leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leftovers {
    None,
    /// There were processes, and they are gone.
    Ended,
}

/// Waits until the killed members of a group, whose leader is reaped, are gone.
pub fn wait_until_empty(group: Pid) -> Leftovers {
    if killpg(group, None).is_err() {
        return Leftovers::None;
    }
    let deadline = Instant::now() + GONE_LIMIT;
    let mut pause = Duration::from_micros(200);
    // Zombies that nobody reaps stay in their group; they run no more.
    while killpg(group, None).is_ok()
        && marked::processes()
            .iter()
            .any(|process| process.group == group.as_raw() && process.is_alive())
        && Instant::now() < deadline
    {
        let _ = killpg(group, Signal::SIGKILL);
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
    Leftovers::Ended
}
