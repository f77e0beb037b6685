//! The watcher's own process, `supermoe watcher`: waits for the end of its pipe, then cleans up.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal, killpg};
use nix::unistd::Pid;

use super::marked::end_marked;
use super::watcher::record;
use crate::request::RUN_VARIABLE;

/// A process between its start and its own environment is seen in a later look.
const LOOKS_AFTER_AN_ACCIDENT: u32 = 3;
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// Reads records from standard input until it ends. Then ends the process groups and every
/// process with the run's marker in its environment, and removes the folders.
pub fn watcher_main() -> ExitCode {
    ignore_signals();
    let mut told = Told::default();
    told.read(&mut io::stdin().lock());
    told.end_processes();
    for folder in &told.folders {
        remove(folder);
    }
    ExitCode::SUCCESS
}

/// Signals meant for the run must not end the one who cleans up after it.
fn ignore_signals() {
    let mut set = SigSet::empty();
    for signal in [
        Signal::SIGINT,
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGQUIT,
    ] {
        set.add(signal);
    }
    let _ = set.thread_block();
}

#[derive(Debug, Default)]
struct Told {
    run: String,
    groups: BTreeSet<i32>,
    folders: BTreeSet<PathBuf>,
    finished: bool,
}

impl Told {
    fn read(&mut self, pipe: &mut dyn Read) {
        let mut waiting = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            match pipe.read(&mut buffer) {
                Ok(0) => return,
                Ok(length) => waiting.extend_from_slice(&buffer[..length]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return,
            }
            // A record that was cut off by the runner's end stays unread.
            while let Some(end) = waiting.iter().position(|byte| *byte == 0) {
                let record: Vec<u8> = waiting.drain(..=end).collect();
                self.take(record[0], &record[1..record.len().max(2) - 1]);
            }
        }
    }

    fn take(&mut self, kind: u8, value: &[u8]) {
        let text = String::from_utf8_lossy(value);
        let path = || PathBuf::from(OsStr::from_bytes(value));
        match kind {
            record::RUN => self.run = text.into_owned(),
            record::GROUP => self
                .groups
                .extend(text.parse::<i32>().ok().filter(|id| *id > 1)),
            record::FORGET_GROUP => {
                if let Ok(group) = text.parse::<i32>() {
                    self.groups.remove(&group);
                }
            }
            record::FOLDER => {
                self.folders.insert(path());
            }
            record::FORGET_FOLDER => {
                self.folders.remove(&path());
            }
            record::FINISHED => self.finished = true,
            _ => {}
        }
    }

    fn end_processes(&self) {
        let groups: Vec<i32> = self.groups.iter().copied().collect();
        if self.run.is_empty() {
            return;
        }
        // First the table, then the groups: a descendant is known by a parent that still lives.
        end_marked(RUN_VARIABLE, &self.run, &groups);
        for group in &groups {
            let _ = killpg(Pid::from_raw(*group), Signal::SIGKILL);
        }
        if self.finished {
            return;
        }
        for _ in 1..LOOKS_AFTER_AN_ACCIDENT {
            thread::sleep(BETWEEN_LOOKS);
            end_marked(RUN_VARIABLE, &self.run, &groups);
        }
    }
}

/// Only an absolute path below the root is a folder of a run.
fn remove(folder: &Path) {
    if !folder.is_absolute() || folder.parent().is_none() {
        return;
    }
    // A process that was just killed may have added a file in between.
    for _ in 0..5 {
        make_writable(folder);
        match fs::remove_dir_all(folder) {
            Ok(()) => return,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(_) => thread::sleep(BETWEEN_LOOKS),
        }
    }
}

/// Folders without the right to write in them cannot be emptied.
fn make_writable(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    // Without following links: their targets are not ours.
    for item in walkdir::WalkDir::new(folder).into_iter().flatten() {
        if item.file_type().is_dir()
            && let Ok(metadata) = item.metadata()
            && metadata.permissions().mode() & 0o700 != 0o700
        {
            let _ = fs::set_permissions(item.path(), fs::Permissions::from_mode(0o700));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_whole_and_a_torn_one_is_not() {
        let mut told = Told::default();
        told.read(&mut &b"Rrun-1\0G12\0G13\0g12\0F/tmp/a b\nc\0F/tmp/d\0f/tmp/d\0E\0G14"[..]);
        assert_eq!(told.run, "run-1");
        assert_eq!(told.groups, BTreeSet::from([13]));
        assert_eq!(told.folders, BTreeSet::from([PathBuf::from("/tmp/a b\nc")]));
        assert!(told.finished);
    }

    #[test]
    fn nonsense_is_passed_over() {
        let mut told = Told::default();
        told.read(&mut &b"\0\0G-5\0G0\0Gx\0Zq\0"[..]);
        assert!(told.groups.is_empty());
        assert!(!told.finished);
    }
}
