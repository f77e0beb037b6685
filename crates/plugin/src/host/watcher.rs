//! The run's hold on its watcher: a process that outlives a killed runner and ends what the
//! runner left. It is told over a pipe; that the pipe closes is how it learns of the end.

use std::collections::BTreeSet;
use std::env;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};

use super::marked::WATCHER_VARIABLE;

/// One per run. Clones are the same watcher.
#[derive(Debug, Clone)]
pub struct Watcher(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    program: PathBuf,
    run: String,
    groups: BTreeSet<i32>,
    folders: BTreeSet<PathBuf>,
    /// `None` once finished, or where nothing is watched.
    process: Option<(Child, ChildStdin)>,
}

/// What a watcher is told: a record is a letter, a value and a NUL.
pub mod record {
    pub const RUN: u8 = b'R';
    pub const GROUP: u8 = b'G';
    pub const FORGET_GROUP: u8 = b'g';
    pub const FOLDER: u8 = b'F';
    pub const FORGET_FOLDER: u8 = b'f';
    /// The run ended by itself: the end of the pipe is no accident.
    pub const FINISHED: u8 = b'E';
}

impl Watcher {
    /// Starts `program watcher` for the run with this id, in a process group of its own, so that
    /// a Ctrl-C in the terminal does not reach it.
    pub fn start(program: &Path, run: &str) -> io::Result<Watcher> {
        let mut state = State {
            program: program.to_owned(),
            run: run.to_owned(),
            groups: BTreeSet::new(),
            folders: BTreeSet::new(),
            process: None,
        };
        state.start_process()?;
        Ok(Watcher(Arc::new(Mutex::new(state))))
    }

    /// Watches nothing: for tests, and for programs whose workers may outlive a kill -9.
    pub fn none() -> Watcher {
        Watcher(Arc::new(Mutex::new(State {
            program: PathBuf::new(),
            run: String::new(),
            groups: BTreeSet::new(),
            folders: BTreeSet::new(),
            process: None,
        })))
    }

    /// Ends this process group should the run die.
    pub fn watch_group(&self, group: i32) {
        let mut state = self.lock();
        state.groups.insert(group);
        state.tell(record::GROUP, group.to_string().as_bytes());
    }

    /// The group has ended; its number may go to a stranger.
    pub fn forget_group(&self, group: i32) {
        let mut state = self.lock();
        state.groups.remove(&group);
        state.tell(record::FORGET_GROUP, group.to_string().as_bytes());
    }

    /// Removes this folder at the end of the run, however it ends. The path is absolute.
    pub fn remove_at_end(&self, path: &Path) {
        let mut state = self.lock();
        state.folders.insert(path.to_owned());
        state.tell(record::FOLDER, path.as_os_str().as_bytes());
    }

    /// The folder stays, or is removed already.
    pub fn keep(&self, path: &Path) {
        let mut state = self.lock();
        state.folders.remove(path);
        state.tell(record::FORGET_FOLDER, path.as_os_str().as_bytes());
    }

    /// The run is over. Waits until the watcher has ended what still carries the run's marker
    /// and has removed the folders that it was told of.
    pub fn finish(self) {
        let mut state = self.lock();
        state.tell(record::FINISHED, b"");
        if let Some((mut child, pipe)) = state.process.take() {
            drop(pipe);
            if let Err(error) = child.wait() {
                tracing::warn!("the watcher cannot be waited for: {error}");
            }
        }
    }

    /// The watcher's process id.
    pub fn id(&self) -> Option<u32> {
        self.lock().process.as_ref().map(|(child, _)| child.id())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // Nothing panics while it is held; the state is whole in any case.
        self.0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl State {
    fn start_process(&mut self) -> io::Result<()> {
        let mut command = Command::new(&self.program);
        command
            .arg("watcher")
            .env_clear()
            .env(WATCHER_VARIABLE, &self.run)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
        if let Some(libraries) = env::var_os("LD_LIBRARY_PATH") {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        let mut child = command.spawn().map_err(|error| {
            io::Error::new(
                error.kind(),
                format!(
                    "the watcher {} cannot be started: {error}",
                    self.program.display()
                ),
            )
        })?;
        let Some(mut pipe) = child.stdin.take() else {
            return Err(io::Error::other("the watcher has no pipe"));
        };
        pipe.write_all(&self.all_records())?;
        self.process = Some((child, pipe));
        Ok(())
    }

    fn all_records(&self) -> Vec<u8> {
        let mut records = Vec::new();
        put(&mut records, record::RUN, self.run.as_bytes());
        for group in &self.groups {
            put(&mut records, record::GROUP, group.to_string().as_bytes());
        }
        for folder in &self.folders {
            put(&mut records, record::FOLDER, folder.as_os_str().as_bytes());
        }
        records
    }

    /// A watcher that has died is started anew, and told everything.
    fn tell(&mut self, kind: u8, value: &[u8]) {
        let Some((child, pipe)) = &mut self.process else {
            return;
        };
        let mut bytes = Vec::with_capacity(value.len() + 2);
        put(&mut bytes, kind, value);
        if pipe.write_all(&bytes).is_ok() {
            return;
        }
        let _ = child.kill();
        let _ = child.wait();
        self.process = None;
        if let Err(error) = self.start_process() {
            tracing::error!("{error}; processes may outlive this run should it be killed");
        } else {
            tracing::warn!("the watcher had ended and was started anew");
        }
    }
}

fn put(records: &mut Vec<u8>, kind: u8, value: &[u8]) {
    records.push(kind);
    records.extend_from_slice(value);
    records.push(0);
}
