//! The log of a worker: its standard streams, in a file.

use std::fs::{File, OpenOptions};
use std::io::{self, PipeReader, Read, Write};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc as threads;
use std::thread;
use std::time::Duration;

use super::redact::Redactor;

/// Where stdout and stderr go: straight into the file, or past a redactor where there are secrets.
pub struct Log {
    file: Option<File>,
    redactor: Option<Redactor>,
    closed: Option<threads::Receiver<()>>,
}

impl Log {
    /// Opens the file to be appended to.
    pub fn open(path: &Path, secrets: &[String]) -> io::Result<Self> {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .map_err(|error| {
                let place = path.display();
                io::Error::new(
                    error.kind(),
                    format!("the log {place} cannot be written: {error}"),
                )
            })?;
        Ok(Log {
            file: Some(file),
            redactor: Redactor::new(secrets),
            closed: None,
        })
    }

    /// Makes it the standard output and error of a command.
    pub fn attach(&mut self, command: &mut Command) -> io::Result<()> {
        let Some(file) = self.file.take() else {
            return Ok(());
        };
        match self.redactor.take() {
            None => {
                command.stderr(file.try_clone()?).stdout(file);
            }
            Some(redactor) => {
                let (reader, writer) = io::pipe()?;
                command.stderr(writer.try_clone()?).stdout(writer);
                let (done, closed) = threads::channel();
                thread::Builder::new()
                    .name("redact".to_owned())
                    .spawn(move || {
                        copy_redacted(reader, file, redactor);
                        let _ = done.send(());
                    })?;
                self.closed = Some(closed);
            }
        }
        Ok(())
    }

    /// Whether all that was written to the log is in it.
    pub fn closed_within(&self, patience: Duration) -> bool {
        self.closed.as_ref().is_none_or(|closed| {
            closed.recv_timeout(patience) != Err(threads::RecvTimeoutError::Timeout)
        })
    }
}

fn copy_redacted(mut from: PipeReader, mut to: File, mut redactor: Redactor) {
    let mut buffer = vec![0; 64 << 10];
    let mut out = Vec::new();
    loop {
        out.clear();
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => redactor.push(&buffer[..length], &mut out),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => break,
        }
        // A full disk must not make the worker hang on a full pipe: go on reading.
        let _ = to.write_all(&out);
    }
    out.clear();
    redactor.finish(&mut out);
    let _ = to.write_all(&out);
}
