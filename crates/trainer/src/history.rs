//! The metric stream of a training run: what `history` holds. No times, no throughput, so that
//! equal runs give equal bytes.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// One value of one metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HistoryRecord {
    /// Steps done when it was recorded.
    pub step: u64,
    /// The epoch that it belongs to, counted from 1.
    pub epoch: u64,
    /// For example `train/loss`, `valid/buy30/auc`.
    pub name: String,
    pub value: f64,
}

/// Records in the order in which they were made, and the means under way.
///
/// Values of single steps are averaged over a window of steps before they become a record.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct History {
    /// NDJSON, one record a line, as it will be written.
    lines: String,
    window: BTreeMap<String, (f64, u64)>,
}

impl History {
    pub fn new() -> History {
        History::default()
    }

    /// Goes on from a checkpoint's lines and window.
    pub fn resume(lines: String, window: BTreeMap<String, (f64, u64)>) -> History {
        History { lines, window }
    }

    pub fn lines(&self) -> &str {
        &self.lines
    }

    pub fn window(&self) -> &BTreeMap<String, (f64, u64)> {
        &self.window
    }

    /// Adds a value of the current step to its window.
    pub fn add(&mut self, name: &str, value: f64) {
        if let Some((sum, count)) = self.window.get_mut(name) {
            *sum += value;
            *count += 1;
        } else {
            self.window.insert(name.to_owned(), (value, 1));
        }
    }

    /// Ends the window: its means become records and are given back, sorted by name.
    pub fn close_window(&mut self, step: u64, epoch: u64) -> Vec<HistoryRecord> {
        let window = std::mem::take(&mut self.window);
        let records: Vec<HistoryRecord> = window
            .into_iter()
            .map(|(name, (sum, count))| HistoryRecord {
                step,
                epoch,
                name,
                value: sum / count as f64,
            })
            .collect();
        records.iter().for_each(|record| self.push(record));
        records
    }

    /// Records a value as it is.
    pub fn record(&mut self, step: u64, epoch: u64, name: &str, value: f64) {
        self.push(&HistoryRecord {
            step,
            epoch,
            name: name.to_owned(),
            value,
        });
    }

    /// Records a value of the trained network, after the last step.
    pub fn record_last(&mut self, name: &str, value: f64) {
        let last = self
            .lines
            .lines()
            .last()
            .and_then(|line| serde_json::from_str::<HistoryRecord>(line).ok());
        let (step, epoch) = last.map_or((0, 0), |record| (record.step, record.epoch));
        self.record(step, epoch, name, value);
    }

    fn push(&mut self, record: &HistoryRecord) {
        // A record is numbers and a string: it always has a JSON form (no value is NaN here,
        // and if one were it would become null).
        if let Ok(line) = serde_json::to_string(record) {
            self.lines.push_str(&line);
            self.lines.push('\n');
        }
    }

    /// Writes the records to a new file.
    pub fn write(&self, path: &Path) -> std::io::Result<()> {
        let mut file = std::fs::File::create(path)?;
        file.write_all(self.lines.as_bytes())?;
        file.flush()
    }

    /// Reads a history file.
    pub fn read(path: &Path) -> std::io::Result<Vec<HistoryRecord>> {
        let text = std::fs::read_to_string(path)?;
        text.lines()
            .map(|line| serde_json::from_str(line).map_err(std::io::Error::from))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_becomes_means_sorted_by_name() {
        let mut history = History::new();
        history.add("train/loss", 1.0);
        history.add("gradient_norm", 4.0);
        history.add("train/loss", 2.0);
        let records = history.close_window(2, 1);
        assert_eq!(
            records
                .iter()
                .map(|r| (r.name.as_str(), r.value))
                .collect::<Vec<_>>(),
            [("gradient_norm", 4.0), ("train/loss", 1.5)]
        );
        assert!(history.close_window(3, 1).is_empty());
        history.record(3, 1, "valid/buy/auc", 0.75);
        assert_eq!(
            history.lines(),
            "{\"step\":2,\"epoch\":1,\"name\":\"gradient_norm\",\"value\":4.0}\n\
             {\"step\":2,\"epoch\":1,\"name\":\"train/loss\",\"value\":1.5}\n\
             {\"step\":3,\"epoch\":1,\"name\":\"valid/buy/auc\",\"value\":0.75}\n"
        );
    }

    #[test]
    fn what_is_written_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.ndjson");
        let mut history = History::new();
        history.record(1, 1, "train/loss", 0.1 + 0.2);
        history.write(&path).unwrap();
        let read = History::read(&path).unwrap();
        assert_eq!(
            read,
            [HistoryRecord {
                step: 1,
                epoch: 1,
                name: "train/loss".into(),
                value: 0.1 + 0.2
            }]
        );
    }
}
