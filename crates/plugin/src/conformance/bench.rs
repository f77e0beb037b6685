//! Where a plugin is tried: a temporary folder, its command, and one way to run it.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;
use tempfile::TempDir;

use super::ConformanceOptions;
use super::examples::Examples;
use crate::catalog::PluginEntry;
use crate::host::Watcher;
use crate::manifest::Launch;

pub struct Bench<'a> {
    pub entry: &'a PluginEntry,
    pub options: &'a ConformanceOptions,
    pub examples: Examples,
    pub watcher: Watcher,
    /// The id of all of this bench's runs.
    pub run: String,
    folder: TempDir,
    attempts: AtomicU32,
    /// In which attempts processes outlived the plugin.
    orphans: Mutex<Vec<String>>,
}

impl<'a> Bench<'a> {
    pub fn set_up(
        entry: &'a PluginEntry,
        options: &'a ConformanceOptions,
        examples: Examples,
    ) -> io::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("supermoe-conformance-")
            .tempdir()?;
        let name = folder.path().file_name().unwrap_or_default();
        let run = format!("{}-{}", name.display(), std::process::id());
        let watcher = match &options.watcher_program {
            Some(program) => Watcher::start(program, &run)?,
            None => Watcher::none(),
        };
        watcher.remove_at_end(folder.path());
        Ok(Bench {
            entry,
            options,
            examples,
            watcher,
            run,
            folder,
            attempts: AtomicU32::new(0),
            orphans: Mutex::new(Vec::new()),
        })
    }

    /// A new empty folder for an attempt or a checkpoint.
    pub fn new_folder(&self, name: &str) -> io::Result<PathBuf> {
        let number = self.attempts.fetch_add(1, Ordering::Relaxed);
        let path = self.folder.path().join(format!("{number}-{name}"));
        std::fs::create_dir(&path)?;
        Ok(path)
    }

    /// Notes that processes outlived the plugin in this attempt.
    pub fn note_orphans(&self, attempt: &str) {
        self.lock_orphans().push(attempt.to_owned());
    }

    /// The first attempt in which processes outlived the plugin.
    pub fn first_orphans(&self) -> Option<String> {
        self.lock_orphans().first().cloned()
    }

    fn lock_orphans(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        // A list of names is whole at any time.
        self.orphans
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The worker's program and arguments for these params.
    pub fn command(&self, params: &serde_json::Map<String, Value>) -> Vec<OsString> {
        if let Some(command) = &self.options.command {
            return command.clone();
        }
        let own = self
            .options
            .watcher_program
            .as_deref()
            .unwrap_or(Path::new("supermoe"));
        let shell_command = match &self.entry.manifest.launch {
            Launch::Shell { param } => params
                .get(param)
                .and_then(Value::as_str)
                .unwrap_or_default(),
            _ => "",
        };
        self.entry.command(own, shell_command)
    }
}
