//! What a plugin tells by events, in its stage's log, among what it printed.

use std::fs::OpenOptions;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use supermoe_plugin::event::LogLevel;

/// Appends `warn: message`; what is below info is for the moment only. A log that cannot be
/// written is no reason to fail a stage.
pub(crate) fn note_in_log(log: &Path, level: LogLevel, message: &str) {
    let word = match level {
        LogLevel::Debug => return,
        LogLevel::Info => "info",
        LogLevel::Warn => "warn",
        LogLevel::Error => "error",
    };
    if let Err(error) = append(log, &format!("{word}: {message}\n")) {
        tracing::debug!(%error, "a message could not be put into the log");
    }
}

fn append(log: &Path, line: &str) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .create(true)
        .read(true)
        .append(true)
        .open(log)?;
    let mut last = [b'\n'];
    if file.metadata()?.len() > 0 {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
    }
    let begin = if last == [b'\n'] { "" } else { "\n" };
    file.write_all(format!("{begin}{line}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_stand_on_lines_of_their_own() {
        let folder = tempfile::tempdir().expect("a folder");
        let log = folder.path().join("log");
        note_in_log(&log, LogLevel::Debug, "nothing");
        assert!(!log.exists());
        note_in_log(&log, LogLevel::Info, "first");
        std::fs::write(&log, "info: first\nhalf a line").expect("a log");
        note_in_log(&log, LogLevel::Warn, "second");
        let text = std::fs::read_to_string(&log).expect("a log");
        assert_eq!(text, "info: first\nhalf a line\nwarn: second\n");
    }
}
