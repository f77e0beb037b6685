//! Reads a worker's events file as it grows. Whatever else stands in it is passed over, and said.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use nix::fcntl::OFlag;
use serde_json::Value;

use super::redact::Redactor;
use super::worker::ReportedError;
use crate::event::{Event, LogLevel, Progress};

/// A longer line is not read.
const LINE_LIMIT_BYTES: usize = 1 << 20;
/// What is read at once while the worker runs.
const POLL_LIMIT_BYTES: u64 = 4 << 20;
/// What is read of one events file altogether.
const FILE_LIMIT_BYTES: u64 = 256 << 20;
/// So many wrong lines are reported one by one.
const WARNINGS_SHOWN: u64 = 3;

pub struct EventReader {
    path: PathBuf,
    file: Option<File>,
    read_bytes: u64,
    line: Vec<u8>,
    /// Whether the line at hand is over-long and is read to its end only.
    skipping: bool,
    wrong_lines: u64,
    redactor: Option<Redactor>,
    error: Option<ReportedError>,
    /// Progress of one reading: only the newest is worth telling.
    progress: Option<Progress>,
}

impl EventReader {
    pub fn new(path: PathBuf, redactor: Option<Redactor>) -> Self {
        EventReader {
            path,
            file: None,
            read_bytes: 0,
            line: Vec::new(),
            skipping: false,
            wrong_lines: 0,
            redactor,
            error: None,
            progress: None,
        }
    }

    /// Tells what was written since the last time.
    pub fn poll(&mut self, tell: &mut dyn FnMut(Event)) {
        self.read_up_to(POLL_LIMIT_BYTES, tell);
        self.tell_progress(tell);
    }

    /// Tells the rest, and returns the error event, if there was one.
    pub fn finish(mut self, tell: &mut dyn FnMut(Event)) -> Option<ReportedError> {
        self.read_up_to(FILE_LIMIT_BYTES, tell);
        if !self.line.is_empty() || self.skipping {
            self.end_line(tell);
        }
        self.tell_progress(tell);
        if self.wrong_lines > WARNINGS_SHOWN {
            tell(warning(format!(
                "{} lines of the events file were not events",
                self.wrong_lines
            )));
        }
        if self.read_bytes >= FILE_LIMIT_BYTES {
            tell(warning(format!(
                "the events file is larger than {FILE_LIMIT_BYTES} bytes; the rest was not read"
            )));
        }
        self.error
    }

    fn read_up_to(&mut self, limit: u64, tell: &mut dyn FnMut(Event)) {
        if self.file.is_none() {
            self.file = self.open();
        }
        let Some(mut file) = self.file.take() else {
            return;
        };
        let mut buffer = vec![0; 64 << 10];
        let mut left = limit.min(FILE_LIMIT_BYTES - self.read_bytes);
        while left > 0 {
            let most = buffer
                .len()
                .min(usize::try_from(left).unwrap_or(buffer.len()));
            match file.read(&mut buffer[..most]) {
                Ok(0) => break,
                Ok(length) => {
                    left -= length as u64;
                    self.read_bytes += length as u64;
                    self.take(&buffer[..length], tell);
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        self.file = Some(file);
    }

    /// A plugin may have put anything there: opening must not wait, and only a file is read.
    fn open(&self) -> Option<File> {
        let flags = OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW;
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(flags.bits())
            .open(&self.path)
            .ok()?;
        file.metadata().ok()?.is_file().then_some(file)
    }

    fn take(&mut self, mut bytes: &[u8], tell: &mut dyn FnMut(Event)) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.add_to_line(&bytes[..end]);
            self.end_line(tell);
            bytes = &bytes[end + 1..];
        }
        self.add_to_line(bytes);
    }

    fn add_to_line(&mut self, bytes: &[u8]) {
        if self.skipping || self.line.len() + bytes.len() > LINE_LIMIT_BYTES {
            self.skipping = true;
            self.line.clear();
        } else {
            self.line.extend_from_slice(bytes);
        }
    }

    fn end_line(&mut self, tell: &mut dyn FnMut(Event)) {
        let line = std::mem::take(&mut self.line);
        if std::mem::take(&mut self.skipping) {
            self.wrong_line(
                format!("a line of the events file is longer than {LINE_LIMIT_BYTES} bytes"),
                tell,
            );
            return;
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            return;
        }
        match parse(&line) {
            Line::Event(event) => self.tell_event(event, tell),
            Line::OfAnotherVersion => {}
            Line::Wrong(why) => {
                let shown = self.redacted(&shown(&line));
                self.wrong_line(
                    format!("a line of the events file is no event ({why}): {shown}"),
                    tell,
                );
            }
        }
    }

    fn tell_event(&mut self, event: Event, tell: &mut dyn FnMut(Event)) {
        let event = self.redact(event);
        match event {
            Event::Progress(progress) => self.progress = Some(progress),
            event => {
                self.tell_progress(tell);
                if let Event::Error { message, retry } = &event {
                    self.error = Some(ReportedError {
                        message: message.clone(),
                        retry: *retry,
                    });
                }
                tell(event);
            }
        }
    }

    fn tell_progress(&mut self, tell: &mut dyn FnMut(Event)) {
        if let Some(progress) = self.progress.take() {
            tell(Event::Progress(progress));
        }
    }

    fn wrong_line(&mut self, message: String, tell: &mut dyn FnMut(Event)) {
        self.wrong_lines += 1;
        if self.wrong_lines <= WARNINGS_SHOWN {
            tell(warning(message));
        }
    }

    fn redact(&self, event: Event) -> Event {
        if self.redactor.is_none() {
            return event;
        }
        match event {
            Event::Progress(progress) => Event::Progress(Progress {
                unit: progress.unit.map(|text| self.redacted(&text)),
                message: progress.message.map(|text| self.redacted(&text)),
                ..progress
            }),
            Event::Metric { name, value, step } => Event::Metric {
                name: self.redacted(&name),
                value,
                step,
            },
            Event::Log { level, message } => Event::Log {
                level,
                message: self.redacted(&message),
            },
            Event::Error { message, retry } => Event::Error {
                message: self.redacted(&message),
                retry,
            },
            Event::Checkpoint { step } => Event::Checkpoint { step },
        }
    }

    fn redacted(&self, text: &str) -> String {
        match &self.redactor {
            Some(redactor) => redactor.redact_text(text),
            None => text.to_owned(),
        }
    }
}

enum Line {
    Event(Event),
    /// An event of a kind that this version does not know.
    OfAnotherVersion,
    Wrong(String),
}

fn parse(line: &[u8]) -> Line {
    if let Ok(event) = serde_json::from_slice::<Event>(line) {
        return Line::Event(event);
    }
    let value: Value = match serde_json::from_slice(line) {
        Ok(value) => value,
        Err(_) => return Line::Wrong("not JSON".to_owned()),
    };
    let Some(kind) = value.get("event").and_then(Value::as_str) else {
        return Line::Wrong("it has no \"event\"".to_owned());
    };
    if !["progress", "metric", "log", "checkpoint", "error"].contains(&kind) {
        return Line::OfAnotherVersion;
    }
    match serde_json::from_value::<Event>(value.clone()) {
        Ok(event) => Line::Event(event),
        Err(error) => Line::Wrong(error.to_string()),
    }
}

fn shown(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    match text.char_indices().nth(120) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into_owned(),
    }
}

fn warning(message: String) -> Event {
    Event::Log {
        level: LogLevel::Warn,
        message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn read(content: &[u8]) -> (Vec<Event>, Option<ReportedError>) {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("events");
        std::fs::write(&path, content).expect("file");
        let mut told = Vec::new();
        let error = EventReader::new(path, None).finish(&mut |event| told.push(event));
        (told, error)
    }

    fn warnings(events: &[Event]) -> Vec<&str> {
        events.iter().filter_map(Event::as_warning).collect()
    }

    #[test]
    fn torn_wrong_and_unknown_lines_are_passed_over() {
        let (told, error) = read(
            b"noise\n{\"event\":\"from_the_future\"}\n\n{\"event\":\"metric\",\"name\":\"auc\",\"value\":1}\n{\"event\":\"error\",\"message\":\"disk\",\"retry\":true}\n{\"event\":\"prog",
        );
        assert_eq!(
            warnings(&told),
            [
                "a line of the events file is no event (not JSON): noise",
                "a line of the events file is no event (not JSON): {\"event\":\"prog"
            ]
        );
        assert!(
            told.iter()
                .any(|event| matches!(event, Event::Metric { .. }))
        );
        assert_eq!(
            error,
            Some(ReportedError {
                message: "disk".into(),
                retry: true
            })
        );
    }

    #[test]
    fn an_over_long_line_costs_no_memory_and_ends_at_its_end() {
        let mut content = vec![b'x'; 3 * LINE_LIMIT_BYTES];
        content.extend_from_slice(b"\n{\"event\":\"checkpoint\"}\n");
        let (told, _) = read(&content);
        assert_eq!(warnings(&told).len(), 1);
        assert!(told.contains(&Event::Checkpoint { step: None }));
    }

    #[test]
    fn a_flood_of_wrong_lines_is_counted() {
        let (told, _) = read(&b"x\n".repeat(1000));
        assert_eq!(warnings(&told).len(), 4);
        assert_eq!(
            warnings(&told)[3],
            "1000 lines of the events file were not events"
        );
    }

    #[test]
    fn a_line_written_in_two_parts_is_one_event() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("events");
        let mut file = File::create(&path).expect("file");
        let mut reader = EventReader::new(path, None);
        let mut told = Vec::new();
        file.write_all(b"{\"event\":\"check").expect("write");
        reader.poll(&mut |event| told.push(event));
        assert_eq!(told, []);
        file.write_all(b"point\",\"step\":3}\n").expect("write");
        reader.poll(&mut |event| told.push(event));
        assert_eq!(told, [Event::Checkpoint { step: Some(3) }]);
    }

    #[test]
    fn a_pipe_in_place_of_the_file_is_not_waited_for() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("events");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("fifo");
        assert_eq!(EventReader::new(path, None).finish(&mut |_| {}), None);
    }
}
