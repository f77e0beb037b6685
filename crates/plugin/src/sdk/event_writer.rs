//! Writes events to the host's file, one JSON object a line, each by a single write.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::event::{Event, LogLevel, Progress};

/// Progress closer together than this is kept back; the newest is written in time.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(50);

/// Can be cloned and used from any thread. Failures to write are passed over: a stage does not
/// fail because nobody listens.
#[derive(Debug, Clone)]
pub struct EventWriter(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    sink: Sink,
    last_progress: Option<Instant>,
    held_progress: Option<Progress>,
}

#[derive(Debug)]
enum Sink {
    File(File),
    Memory(Vec<Event>),
    Nothing,
}

impl EventWriter {
    /// Appends to the file at `path`, which is made where it is missing.
    pub fn to_file(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(EventWriter::new(Sink::File(file)))
    }

    /// For a plugin that is run by hand.
    pub fn discard() -> Self {
        EventWriter::new(Sink::Nothing)
    }

    /// Keeps all events, for tests of a plugin within one process; read by [`Self::written`].
    pub fn in_memory() -> Self {
        EventWriter::new(Sink::Memory(Vec::new()))
    }

    /// What was written in memory so far.
    pub fn written(&self) -> Vec<Event> {
        match &self.lock().sink {
            Sink::Memory(events) => events.clone(),
            Sink::File(_) | Sink::Nothing => Vec::new(),
        }
    }

    pub fn write(&self, event: Event) {
        let mut state = self.lock();
        match event {
            Event::Progress(progress) => state.progress(progress),
            other => {
                state.release_progress();
                state.put(other);
            }
        }
    }

    /// Writes progress that was kept back.
    pub fn flush(&self) {
        self.lock().release_progress();
    }

    fn new(sink: Sink) -> Self {
        EventWriter(Arc::new(Mutex::new(State {
            sink,
            last_progress: None,
            held_progress: None,
        })))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // A thread that panicked while writing has left the state whole.
        self.0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl State {
    fn progress(&mut self, progress: Progress) {
        let now = Instant::now();
        let finished = progress.total.is_some_and(|total| progress.done >= total);
        let due = self
            .last_progress
            .is_none_or(|last| now.duration_since(last) >= PROGRESS_INTERVAL);
        if due || finished {
            self.held_progress = None;
            self.last_progress = Some(now);
            self.put(Event::Progress(progress));
        } else {
            self.held_progress = Some(progress);
        }
    }

    fn release_progress(&mut self) {
        if let Some(progress) = self.held_progress.take() {
            self.last_progress = Some(Instant::now());
            self.put(Event::Progress(progress));
        }
    }

    fn put(&mut self, event: Event) {
        let event = finite(event);
        match &mut self.sink {
            Sink::File(file) => {
                if let Ok(mut line) = serde_json::to_vec(&event) {
                    line.push(b'\n');
                    let _ = file.write_all(&line);
                }
            }
            Sink::Memory(events) => events.push(event),
            Sink::Nothing => {}
        }
    }
}

/// JSON has no NaN and no infinity: such a metric becomes a warning, such a loss is left out.
fn finite(event: Event) -> Event {
    match event {
        Event::Metric { name, value, .. } if !value.is_finite() => Event::Log {
            level: LogLevel::Warn,
            message: format!("the metric {name} is {value} and was left out"),
        },
        Event::Progress(progress) => Event::Progress(Progress {
            loss: progress.loss.filter(|loss| loss.is_finite()),
            ..progress
        }),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(done: u64) -> Event {
        Event::Progress(Progress {
            done,
            ..Progress::default()
        })
    }

    #[test]
    fn the_first_progress_is_written_and_the_newest_is_never_lost() {
        let writer = EventWriter::in_memory();
        for done in 0..1000 {
            writer.write(progress(done));
        }
        writer.flush();
        let written = writer.written();
        assert_eq!(written.first(), Some(&progress(0)));
        assert_eq!(written.last(), Some(&progress(999)));
        assert!(written.len() < 1000, "{}", written.len());
    }

    #[test]
    fn numbers_that_json_lacks_are_not_written() {
        let writer = EventWriter::in_memory();
        writer.write(Event::Metric {
            name: "auc".into(),
            value: f64::NAN,
            step: None,
        });
        assert!(
            matches!(&writer.written()[0], Event::Log { message, .. } if message.contains("auc"))
        );
    }
}
