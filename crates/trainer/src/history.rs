//! The metric stream of a training run: what `history` holds. No times, no throughput, so that
//! equal runs give equal bytes.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::model::ExpertRows;

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

/// Records in the order in which they were made, and the window under way.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct History {
    /// NDJSON, one record a line, as it will be written.
    lines: String,
    window: Window,
}

/// Values of single steps, which are averaged over a window of steps before they become a record.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Window {
    /// By name: the sum of the values, and their number.
    pub values: BTreeMap<String, (f64, u64)>,
    /// By layer with experts: the rows that each expert was chosen for.
    pub expert_rows: BTreeMap<String, Vec<u64>>,
    /// By layer whose experts have a capacity: how many of those rows were over it.
    pub dropped_rows: BTreeMap<String, u64>,
}

impl History {
    pub fn new() -> History {
        History::default()
    }

    /// Goes on from a checkpoint's lines and window.
    pub fn resume(lines: String, window: Window) -> History {
        History { lines, window }
    }

    pub fn lines(&self) -> &str {
        &self.lines
    }

    pub fn window(&self) -> &Window {
        &self.window
    }

    /// Adds a value of the current step to its window.
    pub fn add(&mut self, name: &str, value: f64) {
        if let Some((sum, count)) = self.window.values.get_mut(name) {
            *sum += value;
            *count += 1;
        } else {
            self.window.values.insert(name.to_owned(), (value, 1));
        }
    }

    /// Adds what a layer with experts did with the rows of the current step.
    pub fn add_expert_rows(&mut self, rows: &ExpertRows) {
        let Window {
            expert_rows,
            dropped_rows,
            ..
        } = &mut self.window;
        let sums = expert_rows
            .entry(rows.layer.clone())
            .or_insert_with(|| vec![0; rows.counts.len()]);
        for (sum, &count) in sums.iter_mut().zip(&rows.counts) {
            *sum += u64::from(count);
        }
        if let Some(dropped) = rows.dropped {
            *dropped_rows.entry(rows.layer.clone()).or_default() += u64::from(dropped);
        }
    }

    /// Ends the window: its means, the experts' shares of the rows of their layer, and the share that was
    /// over capacity become records and are given back, sorted by name (experts by number).
    pub fn close_window(&mut self, step: u64, epoch: u64) -> Vec<HistoryRecord> {
        let window = std::mem::take(&mut self.window);
        let mut records = Vec::new();
        let mut tell = |name: String, value: f64| {
            records.push(HistoryRecord {
                step,
                epoch,
                name,
                value,
            });
        };
        for (layer, rows) in window.expert_rows {
            let all = rows.iter().sum::<u64>().max(1) as f64;
            let most = rows.iter().max().copied().unwrap_or(0);
            if let Some(dropped) = window.dropped_rows.get(&layer) {
                tell(format!("experts/{layer}/dropped"), *dropped as f64 / all);
            }
            for (expert, rows) in rows.into_iter().enumerate() {
                tell(format!("experts/{layer}/load/{expert}"), rows as f64 / all);
            }
            tell(format!("experts/{layer}/load_max"), most as f64 / all);
        }
        for (name, (sum, count)) in window.values {
            tell(name, sum / count as f64);
        }
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

    /// Whether there is a record of this name, windows under way aside.
    pub fn has(&self, name: &str) -> bool {
        self.lines.contains(&format!("\"name\":\"{name}\""))
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
        history.add("train/gradient_norm", 4.0);
        history.add("train/loss", 2.0);
        let records = history.close_window(2, 1);
        assert_eq!(
            records
                .iter()
                .map(|r| (r.name.as_str(), r.value))
                .collect::<Vec<_>>(),
            [("train/gradient_norm", 4.0), ("train/loss", 1.5)]
        );
        assert!(history.close_window(3, 1).is_empty());
        assert!(history.has("train/loss") && !history.has("loss"));
        history.record(3, 1, "valid/buy/auc", 0.75);
        assert_eq!(
            history.lines(),
            "{\"step\":2,\"epoch\":1,\"name\":\"train/gradient_norm\",\"value\":4.0}\n\
             {\"step\":2,\"epoch\":1,\"name\":\"train/loss\",\"value\":1.5}\n\
             {\"step\":3,\"epoch\":1,\"name\":\"valid/buy/auc\",\"value\":0.75}\n"
        );
    }

    #[test]
    fn experts_have_their_share_of_a_windows_rows() {
        let mut history = History::new();
        let rows = |layer: &str, counts: [u32; 2], dropped| ExpertRows {
            layer: layer.to_owned(),
            counts: counts.to_vec(),
            dropped,
        };
        history.add_expert_rows(&rows("block.0.ffn.0", [1, 3], None));
        history.add_expert_rows(&rows("block.0.ffn.0", [4, 0], None));
        history.add_expert_rows(&rows("block.0.ffn.1", [2, 2], Some(0)));
        history.add_expert_rows(&rows("block.0.ffn.1", [4, 0], Some(2)));
        let records = history.close_window(2, 1);
        let values: Vec<_> = records.iter().map(|r| (r.name.as_str(), r.value)).collect();
        assert_eq!(
            values,
            [
                ("experts/block.0.ffn.0/load/0", 0.625),
                ("experts/block.0.ffn.0/load/1", 0.375),
                ("experts/block.0.ffn.0/load_max", 0.625),
                ("experts/block.0.ffn.1/dropped", 0.25),
                ("experts/block.0.ffn.1/load/0", 0.75),
                ("experts/block.0.ffn.1/load/1", 0.25),
                ("experts/block.0.ffn.1/load_max", 0.75),
            ]
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
