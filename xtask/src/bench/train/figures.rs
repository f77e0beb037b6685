//! What a program prints of itself.

use crate::command::TaskError;

/// Of one run of a contender.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    pub step_ms: f64,
    pub sequences_per_second: f64,
    /// Peak resident size, in MiB.
    pub peak_mb: f64,
    /// Matrix products of a step, in 10^9 operations; ours alone says so.
    pub gflop: Option<f64>,
}

impl Figures {
    /// From the last line that `program` printed, a JSON object.
    pub fn parse(program: &str, printed: &str) -> Result<Self, TaskError> {
        let line = last_object(program, printed)?;
        Ok(Self {
            step_ms: number(program, &line, "step_ms")?,
            sequences_per_second: number(program, &line, "seq_per_s")?,
            peak_mb: number(program, &line, "peak_mb")?,
            gflop: line["gflop"].as_f64(),
        })
    }
}

/// The last line as JSON.
pub fn last_object(program: &str, printed: &str) -> Result<serde_json::Value, TaskError> {
    let line = printed.lines().last().unwrap_or_default();
    serde_json::from_str(line).map_err(|error| {
        TaskError::Other(format!(
            "{program}: expected a JSON object as the last line, found {line:?}: {error}"
        ))
    })
}

/// A number of that object.
pub fn number(program: &str, line: &serde_json::Value, key: &str) -> Result<f64, TaskError> {
    line[key].as_f64().ok_or_else(|| {
        TaskError::Other(format!(
            "{program}: expected a number {key:?} in its last line, found {line}"
        ))
    })
}

/// The middle; of an even number, the upper middle. `None` where nothing was measured.
pub fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_in_the_last_line() {
        let printed = "compiling\n{\"step_ms\": 2.5, \"seq_per_s\": 400, \"peak_mb\": 17}\n";
        let figures = Figures::parse("peer", printed).unwrap();
        assert_eq!(
            (figures.step_ms, figures.peak_mb, figures.gflop),
            (2.5, 17.0, None)
        );
        let missing = Figures::parse("peer", "{\"step_ms\": 2.5}")
            .unwrap_err()
            .to_string();
        assert!(
            missing.contains("peer") && missing.contains("seq_per_s"),
            "{missing}"
        );
        assert!(Figures::parse("peer", "no JSON").is_err());
    }
}
