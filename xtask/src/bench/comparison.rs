//! The table of one thing done by several tools, ours first.

use std::fmt::Write as _;

use super::sample::{Sample, readable};

pub struct Comparison {
    what: String,
    /// Tool, seconds, its median as text, peak memory in bytes.
    rows: Vec<(String, f64, String, u64)>,
}

impl Comparison {
    pub fn new(what: String) -> Self {
        Self {
            what,
            rows: Vec::new(),
        }
    }

    /// Adds a tool; one that was not measured is left out.
    pub fn row(&mut self, tool: &str, sample: &Sample) {
        if let Some(median) = sample.median() {
            let (seconds, text) = (median.as_secs_f64(), readable(median));
            let row = (tool.to_owned(), seconds, text, sample.peak_bytes());
            self.rows.push(row);
        }
    }

    /// Times and peaks of each, and how many times as much as the first they are.
    pub fn markdown(&self) -> String {
        let mut text = format!(
            "| {} | time | of ours | peak memory | of ours |\n| --- | --- | --- | --- | --- |\n",
            self.what
        );
        let Some((_, own_seconds, _, own_bytes)) = self.rows.first() else {
            return text;
        };
        for (tool, seconds, readable, bytes) in &self.rows {
            let (time, memory) = (seconds / own_seconds, *bytes as f64 / *own_bytes as f64);
            let mebibytes = bytes >> 20;
            let _ = writeln!(
                text,
                "| {tool} | {readable} | {time:.2} | {mebibytes} MiB | {memory:.2} |"
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::command::Cost;

    #[test]
    fn ratios_are_to_the_first_row() {
        let sample = |seconds, mebibytes: u64| {
            let mut sample = Sample::default();
            sample.add(Cost {
                wall: Duration::from_secs(seconds),
                peak_bytes: mebibytes << 20,
            });
            sample
        };
        let mut table = Comparison::new("sorting".to_owned());
        table.row("ours", &sample(2, 100));
        table.row("other", &sample(7, 50));
        table.row("absent", &Sample::default());
        assert_eq!(
            table.markdown(),
            "| sorting | time | of ours | peak memory | of ours |\n| --- | --- | --- | --- | --- |\n\
             | ours | 2.00 s | 1.00 | 100 MiB | 1.00 |\n| other | 7.00 s | 3.50 | 50 MiB | 0.50 |\n"
        );
    }
}
