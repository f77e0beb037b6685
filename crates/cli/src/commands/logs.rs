//! `supermoe logs RUN [STAGE]`: what the stages of a run printed.

use std::io::Write;

use clap::Args;
use supermoe_engine::{RunRecord, StageRecord, StageState};

use crate::commands::block_on;
use crate::commands::show::record_failed;
use crate::failure::{Failure, Problem};
use crate::output;
use crate::project::{StoreArguments, store_failed};
use crate::run_name::{KnownCell, choose_cells, find_run};
use crate::screen::Screen;

/// Prints what the stages of a run wrote to stdout and stderr
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  supermoe logs latest\n  supermoe logs latest 'finetune[model=ple,seed=1]'\n  supermoe logs latest prepare --tail 50"
)]
pub struct Arguments {
    /// A run: `latest`, its id, or the beginning of one
    #[arg(value_name = "RUN")]
    run: String,

    /// A stage or a cell of it; without one, all stages that ran
    #[arg(value_name = "STAGE")]
    stage: Option<String>,

    /// Only the last lines of each
    #[arg(long, value_name = "N")]
    tail: Option<usize>,

    #[command(flatten)]
    store: StoreArguments,
}

pub fn execute(arguments: &Arguments) -> Result<(), Failure> {
    let found = block_on(async {
        let (_, store) = arguments.store.open().await?;
        let run = find_run(&store, &arguments.run).await?;
        let record = RunRecord::read(&store, run).await.map_err(record_failed)?;
        let cells = KnownCell::of_run(&record);
        let chosen = match &arguments.stage {
            Some(stage) => choose_cells(&cells, stage)?,
            None => (0..cells.len()).collect(),
        };
        let mut logs = Vec::new();
        for index in &chosen {
            let label = &cells[*index].label;
            if let Some(log) = store.log(&run, label).await.map_err(store_failed)? {
                logs.push((label.clone(), log.into()));
            }
        }
        if !logs.is_empty() {
            return Ok(Found::Logs(logs));
        }
        let Some(stage) = &arguments.stage else {
            return Ok(Found::Nothing(
                "no stage of the run printed anything".into(),
            ));
        };
        let ended = chosen.iter().filter_map(|index| record.stages.get(*index));
        match ended.clone().find(|stage| is_silent(stage)) {
            Some(silent) if chosen.len() == 1 => Ok(Found::Nothing(format!(
                "`{}` printed nothing",
                silent.label
            ))),
            Some(_) => Ok(Found::Nothing(format!(
                "no cell of `{stage}` printed anything"
            ))),
            None => {
                let cached = ended.clone().any(|s| s.state == StageState::Cached);
                let running = chosen.iter().any(|index| *index >= record.stages.len());
                Err(no_log(&record, stage, cached, running).into())
            }
        }
    })?;
    let logs = match found {
        Found::Logs(logs) => logs,
        Found::Nothing(why) => {
            output::to_stderr(&format!("{why}\n"));
            return Ok(());
        }
    };
    let screen = Screen::stdout();
    let one = logs.len() == 1 && arguments.stage.is_some();
    output::to_stdout(|out| {
        for (label, log) in &logs {
            if !one {
                writeln!(out, "{}", screen.bold(&format!("── {label}")))?;
            }
            let log = match arguments.tail {
                Some(lines) => last_lines(log, lines),
                None => log,
            };
            out.write_all(log)?;
            if !log.is_empty() && !log.ends_with(b"\n") {
                writeln!(out)?;
            }
        }
        Ok(())
    })
}

enum Found {
    /// By label.
    Logs(Vec<(String, Vec<u8>)>),
    /// What is said instead.
    Nothing(String),
}

/// It started, ended and left no log.
fn is_silent(stage: &StageRecord) -> bool {
    match stage.state {
        StageState::Ran => true,
        StageState::Failed | StageState::Cancelled => stage.seconds.is_some(),
        StageState::Cached | StageState::Skipped => false,
    }
}

fn no_log(record: &RunRecord, stage: &str, cached: bool, running: bool) -> Problem {
    let help = if cached {
        "It was cached: its log is with the run that made its result"
    } else if running {
        "It runs, and its log is not stored yet"
    } else {
        "It did not start"
    };
    Problem::input(
        "supermoe::cli::logs",
        format!("`{stage}` has no log in run {}", record.run),
    )
    .help(help)
}

fn last_lines(text: &[u8], lines: usize) -> &[u8] {
    if lines == 0 {
        return &[];
    }
    let body = text.strip_suffix(b"\n").unwrap_or(text);
    let mut left = lines;
    for (at, byte) in body.iter().enumerate().rev() {
        if *byte == b'\n' {
            left -= 1;
            if left == 0 {
                return &text[at + 1..];
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::last_lines;

    #[test]
    fn the_last_lines_are_whole_lines() {
        assert_eq!(last_lines(b"a\nb\nc\n", 2), b"b\nc\n");
        assert_eq!(last_lines(b"a\nb\nc", 1), b"c");
        assert_eq!(last_lines(b"a\nb\n", 9), b"a\nb\n");
        assert_eq!(last_lines(b"a\nb\n", 0), b"");
        assert_eq!(last_lines(b"", 3), b"");
    }
}
