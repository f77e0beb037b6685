//! The command line: a configuration's name, then flags; the same for the peer's program.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Parser;
use serde_json::{Map, Value};

const CONFIGURATIONS: &str = include_str!("../../../../xtask/peers/train/configurations.json");

/// Sizes of a training step.
#[derive(Debug, Parser)]
#[command(name = "step_time", args_override_self = true)]
pub struct Options {
    /// Sequences of a batch.
    #[arg(long, default_value_t = 64)]
    pub batch: usize,
    /// Steps of a sequence.
    #[arg(long, default_value_t = 64)]
    pub seq: usize,
    /// Width of the model.
    #[arg(long, default_value_t = 64)]
    pub d_model: usize,
    #[arg(long, default_value_t = 4)]
    pub heads: usize,
    /// Blocks.
    #[arg(long, default_value_t = 2)]
    pub layers: usize,
    /// Inner width of an expert.
    #[arg(long, default_value_t = 256)]
    pub d_ff: usize,
    #[arg(long, default_value_t = 8)]
    pub experts: usize,
    /// Experts of each of the projections to q, k and v.
    #[arg(long, default_value_t = 1)]
    pub attention_experts: usize,
    /// Width of an embedding.
    #[arg(long, default_value_t = 16)]
    pub emb: usize,
    /// Category channels, as COUNTxROWS.
    #[arg(long, default_value = "6x100")]
    pub cat: Tables,
    /// Id channels, as COUNTxROWS.
    #[arg(long, default_value = "2x5000")]
    pub id: Tables,
    /// Dense channels.
    #[arg(long, default_value_t = 3)]
    pub dense: usize,
    /// Heads of masked channel prediction, for the first category channels.
    #[arg(long, default_value_t = 3)]
    pub mcp: usize,
    #[arg(long, default_value_t = 0.0)]
    pub dropout: f32,
    /// Multiply numbers rounded to bfloat16.
    #[arg(long)]
    pub bf16: bool,
    /// Update only the rows of the id tables that a step uses.
    #[arg(long)]
    pub sparse: bool,
    /// Parts of each such table.
    #[arg(long, default_value = "1")]
    pub shards: NonZeroUsize,
    /// Update the rows of such tables so many steps late, on a thread of their own; 0: before the next step.
    #[arg(long, default_value_t = 0)]
    pub staleness: usize,
    /// Keep such tables in files of this folder.
    #[arg(long)]
    pub table_folder: Option<PathBuf>,
    /// Lengths as in the retail data, in batches of like lengths; `--seq` is the longest.
    #[arg(long)]
    pub ragged: bool,
    /// Time the encoder and the maximum over steps, without a tape, in place of training.
    #[arg(long)]
    pub inference: bool,
    /// Measure the machine's rate of matrix products and nothing else.
    #[arg(long)]
    pub sgemm: bool,
    #[arg(long, default_value_t = 2)]
    pub threads: usize,
    /// Steps that are timed; with `--ragged` as many more as make whole pools of batches.
    #[arg(long, default_value_t = 20)]
    pub steps: usize,
    /// Steps before them.
    #[arg(long, default_value_t = 3)]
    pub warmup: usize,
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
}

/// Some tables of one size.
#[derive(Clone, Copy, Debug)]
pub struct Tables {
    pub count: usize,
    pub rows: usize,
}

impl std::str::FromStr for Tables {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text
            .split_once('x')
            .and_then(|(count, rows)| Some((count.parse().ok()?, rows.parse().ok()?)));
        let (count, rows) =
            parsed.ok_or_else(|| format!("expected COUNTxROWS, as in 2x5000, found {text:?}"))?;
        Ok(Self { count, rows })
    }
}

impl Options {
    /// Reads the command line; help and mistakes of flags end the program there.
    pub fn from_command_line() -> Result<Self, Box<dyn std::error::Error>> {
        let mut arguments: Vec<String> = std::env::args().collect();
        if arguments
            .get(1)
            .is_some_and(|first| !first.starts_with('-'))
        {
            let name = arguments.remove(1);
            arguments.splice(1..1, flags_of(&name)?);
        }
        let options = Self::parse_from(arguments);
        if options.mcp > options.cat.count {
            return Err(format!(
                "--mcp: expected at most one head for each of the {} category channels, found {}",
                options.cat.count, options.mcp
            )
            .into());
        }
        Ok(options)
    }

    /// Whether the id tables are in host memory with a sparse optimizer, or parameters like the categories'.
    pub fn host_tables(&self) -> Tables {
        if self.sparse {
            self.id
        } else {
            Tables { count: 0, rows: 0 }
        }
    }

    /// Rows of each table that is a parameter.
    pub fn parameter_tables(&self) -> Vec<usize> {
        let mut rows = vec![self.cat.rows; self.cat.count];
        if !self.sparse {
            rows.extend(vec![self.id.rows; self.id.count]);
        }
        rows
    }
}

/// `{"d_model": 128, "sparse": true}` as `--d-model 128 --sparse`.
fn flags_of(name: &str) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let all: Map<String, Value> = serde_json::from_str(CONFIGURATIONS)?;
    let Some(Value::Object(sizes)) = all.get(name) else {
        let known: Vec<_> = all.keys().map(String::as_str).collect();
        return Err(format!(
            "there is no configuration {name:?}; there are: {}",
            known.join(", ")
        )
        .into());
    };
    let mut flags = Vec::new();
    for (key, value) in sizes {
        flags.push(format!("--{}", key.replace('_', "-")));
        match value {
            Value::Bool(true) => {}
            Value::String(text) => flags.push(text.clone()),
            other => flags.push(other.to_string()),
        }
    }
    Ok(flags)
}
