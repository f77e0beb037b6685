//! The last lines of a stage's log, for the message of a failure.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

const LINES: usize = 20;
const BYTES: u64 = 16 * 1024;

/// At most the last 20 lines and 16 KiB; empty where there is no log.
pub(crate) fn log_tail(log: &Path) -> Vec<String> {
    let Ok(bytes) = last_bytes(log) else {
        return Vec::new();
    };
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES)..]
        .iter()
        .map(|line| printable(line))
        .collect()
}

fn last_bytes(log: &Path) -> std::io::Result<Vec<u8>> {
    let mut file = File::open(log)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(BYTES)))?;
    let mut bytes = Vec::new();
    file.take(BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Without what would move a terminal's cursor: of a progress bar only its last state remains.
fn printable(line: &str) -> String {
    let last = line
        .trim_end_matches('\r')
        .rsplit('\r')
        .next()
        .unwrap_or(line);
    last.chars()
        .filter(|character| *character == '\t' || !character.is_control())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_shown_without_control_characters() {
        let folder = tempfile::tempdir().expect("a folder");
        let log = folder.path().join("log");
        assert_eq!(log_tail(&log), Vec::<String>::new());
        let lines: String = (0..30).map(|line| format!("line {line}\n")).collect();
        std::fs::write(&log, lines + "10%\r50%\r\u{1b}[1mdone\r\n").expect("a log");
        let tail = log_tail(&log);
        assert_eq!(
            (tail.len(), tail[0].as_str(), tail[19].as_str()),
            (20, "line 11", "[1mdone")
        );
    }
}
