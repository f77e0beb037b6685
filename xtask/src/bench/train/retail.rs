//! An epoch of fine-tuning on the retail data, loading included: the stage as users run it, and the peer.

use std::path::PathBuf;

use serde_json::Value;

use super::contender::Contender;
use super::figures::{Figures, last_object, number};
use crate::command::{self, TaskError, measure_printed};

const WORKFLOW: &str = "workflows/pretrain_finetune.yaml";
const DATA: &str = "examples/data";
/// Sequences of a batch, in the workflow and in the peer.
const BATCH: f64 = 64.0;

/// A copy of the workflow and its data, with a store of its own, so that nothing stands ready.
pub struct Project {
    folder: tempfile::TempDir,
    program: PathBuf,
}

impl Project {
    pub fn new() -> Result<Self, TaskError> {
        let program = command::release_binary()?;
        let folder = tempfile::tempdir().map_err(TaskError::io("a temporary folder"))?;
        let data = command::root().join(DATA);
        let place = data.display().to_string();
        let mut files = vec![PathBuf::from(WORKFLOW)];
        for entry in std::fs::read_dir(&data).map_err(TaskError::io(&place))? {
            files.push(PathBuf::from(DATA).join(entry.map_err(TaskError::io(&place))?.file_name()));
        }
        for file in files {
            let (from, to) = (command::root().join(&file), folder.path().join(&file));
            to.parent()
                .map_or(Ok(()), std::fs::create_dir_all)
                .and_then(|()| std::fs::copy(&from, &to))
                .map_err(TaskError::io(from.display().to_string()))?;
        }
        std::fs::write(folder.path().join("supermoe.toml"), "")
            .map_err(TaskError::io("supermoe.toml"))?;
        Ok(Self { folder, program })
    }

    /// An epoch from random weights. `round` is the seed: no two rounds are the same work.
    pub fn measure(
        &self,
        contender: &Contender,
        round: usize,
        threads: usize,
    ) -> Result<Figures, TaskError> {
        let Some(script) = &contender.retail else {
            return self.finetune(round, threads);
        };
        let arguments = [
            "--finetune=1".to_owned(),
            format!("--seed={round}"),
            format!("--threads={threads}"),
        ];
        let (cost, printed) = contender.run_script(script, &arguments)?;
        let name = contender.kind.name();
        let rate = number(name, &last_object(name, &printed)?, "sequences_per_second")?;
        Ok(figures(rate, cost.peak_bytes as f64))
    }

    fn finetune(&self, round: usize, threads: usize) -> Result<Figures, TaskError> {
        let arguments = [
            "run",
            WORKFLOW,
            "--json",
            "--jobs",
            &threads.to_string(),
            "--set",
            "epochs=1",
            "--set",
            "labelled=[1.0]", // one cell of finetune: it has the machine for itself
            "--set",
            &format!("cpus={threads}"),
            "--set",
            &format!("seeds=[{round}]"),
            "--until",
            &format!("finetune[encoder=random,seed={round}]"),
        ];
        let (_, printed) = measure_printed(&self.program, arguments, self.folder.path())?;
        let events = printed
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let finished =
            |event: &Value| event["event"] == "stage_finished" && event["stage"] == "finetune";
        let event = events.into_iter().find(finished).unwrap_or_default();
        let rate = number("finetune", &event["metrics"], "sequences_per_second")?;
        let bytes = number("finetune", &event, "peak_memory_bytes")?;
        Ok(figures(rate, bytes))
    }
}

fn figures(sequences_per_second: f64, peak_bytes: f64) -> Figures {
    Figures {
        step_ms: BATCH / sequences_per_second * 1e3,
        sequences_per_second,
        peak_mb: peak_bytes / f64::from(1 << 20),
        gflop: None,
    }
}
