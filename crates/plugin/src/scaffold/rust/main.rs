//! Counts the words of a text.
//!
//! `cargo build --release` builds it; `target/release/plugin-name --manifest > plugin.json` writes its
//! manifest after a change here.

use std::collections::BTreeMap;
use std::fs;
use std::process::ExitCode;

use schemars::JsonSchema;
use serde::Deserialize;
use supermoe_plugin::event::Progress;
use supermoe_plugin::manifest::Manifest;
use supermoe_plugin::ports::PortType;
use supermoe_plugin::sdk::{BuiltIn, Context, PluginError, manifest, serve};

/// What stands in `with`.
#[derive(Deserialize, JsonSchema)]
struct Params {
    /// Words that occur less often are left out.
    #[serde(default = "one")]
    #[schemars(range(min = 1))]
    least: u64,
}

fn one() -> u64 {
    1
}

fn described() -> Manifest {
    manifest("plugin-name")
        .version(env!("CARGO_PKG_VERSION"))
        .description("Counts the words of a text.")
        .command(["./target/release/plugin-name"])
        .code(["target/release/plugin-name"])
        .input("text", PortType::File)
        .output("counts", PortType::File)
        .params::<Params>()
        .build()
}

fn count_words(context: &mut Context) -> Result<(), PluginError> {
    let params: Params = context.params()?;
    let text = fs::read_to_string(context.input("text")?)?;
    let total = text.lines().count() as u64;
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for (number, line) in text.lines().enumerate() {
        for word in line.split_whitespace() {
            *counts.entry(word).or_default() += 1;
        }
        context.progress(Progress {
            done: number as u64 + 1,
            total: Some(total),
            unit: Some("line".into()),
            ..Progress::default()
        });
    }
    counts.retain(|_, count| *count >= params.least);
    fs::write(
        context.output("counts")?,
        serde_json::to_vec_pretty(&counts)?,
    )?;
    context.metric("words", counts.len() as f64, None);
    Ok(())
}

fn main() -> ExitCode {
    serve(&BuiltIn::new(described(), count_words))
}
