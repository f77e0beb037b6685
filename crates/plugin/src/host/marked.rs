//! Finds processes by a marker in their environment, wherever they have gone: a process that
//! left its group and session still carries what it was started with.

use std::collections::HashSet;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Set in a watcher's environment, so that no scan ends another run's watcher.
pub const WATCHER_VARIABLE: &str = "SUPERMOE_WATCHER";

/// How long killed processes may take to be gone.
const GONE_LIMIT: Duration = Duration::from_secs(5);

/// One line of the process table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    pub pid: i32,
    pub parent: i32,
    pub group: i32,
    pub state: u8,
}

impl Process {
    /// Neither a zombie nor dead.
    pub fn is_alive(&self) -> bool {
        !matches!(self.state, b'Z' | b'X')
    }
}

/// All processes that can be seen; none where there is no /proc.
pub fn processes() -> Vec<Process> {
    let Ok(listing) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    listing
        .filter_map(|item| item.ok()?.file_name().to_str()?.parse::<i32>().ok())
        .filter_map(|pid| parse_stat(pid, &fs::read(format!("/proc/{pid}/stat")).ok()?))
        .collect()
}

/// `pid (name) state parent group …`; the name may hold anything, brackets too.
fn parse_stat(pid: i32, stat: &[u8]) -> Option<Process> {
    let end_of_name = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(&stat[end_of_name + 1..]).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    Some(Process {
        pid,
        state: *fields.next()?.as_bytes().first()?,
        parent: fields.next()?.parse().ok()?,
        group: fields.next()?.parse().ok()?,
    })
}

/// Ends every process that has `variable=value` in its environment, every member of `groups`,
/// and all of their descendants, until none is left. Returns how many were found.
/// Watchers and this process itself are spared.
pub fn end_marked(variable: &str, value: &str, groups: &[i32]) -> usize {
    let marker = format!("{variable}={value}");
    let deadline = Instant::now() + GONE_LIMIT;
    let mut pause = Duration::from_micros(200);
    let mut ended = HashSet::new();
    loop {
        let victims = victims(marker.as_bytes(), groups);
        if victims.is_empty() || Instant::now() > deadline {
            return ended.len();
        }
        for pid in victims {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            ended.insert(pid);
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// Signals every process that has `variable=value` in its environment, and their descendants.
/// Returns how many there are.
pub fn signal_marked(variable: &str, value: &str, signal: Signal) -> usize {
    let found = victims(format!("{variable}={value}").as_bytes(), &[]);
    for pid in &found {
        let _ = kill(Pid::from_raw(*pid), signal);
    }
    found.len()
}

fn victims(marker: &[u8], groups: &[i32]) -> Vec<i32> {
    let own = std::process::id() as i32;
    let mut candidates: Vec<Process> = processes()
        .into_iter()
        .filter(|process| process.pid > 1 && process.pid != own && process.is_alive())
        .collect();
    let mut chosen: HashSet<i32> = HashSet::new();
    candidates.retain(|process| {
        let environment = fs::read(format!("/proc/{}/environ", process.pid)).unwrap_or_default();
        let mut entries = environment.split(|byte| *byte == 0);
        let is_watcher = entries.clone().any(|entry| {
            entry
                .strip_prefix(WATCHER_VARIABLE.as_bytes())
                .is_some_and(|rest| rest.starts_with(b"="))
        });
        if !is_watcher && (groups.contains(&process.group) || entries.any(|entry| entry == marker))
        {
            chosen.insert(process.pid);
        }
        !is_watcher
    });
    // Descendants that have neither group nor marker any more, as far as their parents live.
    loop {
        let before = chosen.len();
        for process in &candidates {
            if chosen.contains(&process.parent) {
                chosen.insert(process.pid);
            }
        }
        if chosen.len() == before {
            return chosen.into_iter().collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_confuse() {
        let process = parse_stat(7, b"7 (a) b) c) S 3 5 5 0 -1").expect("a line of stat");
        assert_eq!(
            process,
            Process {
                pid: 7,
                parent: 3,
                group: 5,
                state: b'S'
            }
        );
        assert!(process.is_alive());
        assert_eq!(parse_stat(7, b"7 (a"), None);
    }

    #[test]
    fn this_process_is_in_the_table() {
        let own = std::process::id() as i32;
        assert!(processes().iter().any(|process| process.pid == own));
    }
}
