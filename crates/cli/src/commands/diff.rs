//! `supermoe diff RUN RUN`: what differs between two runs: params, inputs, metrics, outputs.

use std::io::Write;

use clap::Args;
use indexmap::{IndexMap, IndexSet};
use serde::Serialize;
use serde_json::{Map, Value};
use supermoe_engine::{RunRecord, StageRecord};
use supermoe_store::{RunId, Store};

use crate::commands::block_on;
use crate::commands::show::record_failed;
use crate::failure::Failure;
use crate::output;
use crate::project::{StoreArguments, store_failed};
use crate::run_name::find_run;
use crate::screen::Screen;
use crate::table;

/// Tells what differs between two runs: params, inputs, metrics, outputs
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  supermoe diff 01JDH7Z0 latest\n  supermoe diff 01JDH7Z0 latest --json"
)]
pub struct Arguments {
    /// The earlier run
    #[arg(value_name = "RUN")]
    old: String,

    /// The later run
    #[arg(value_name = "RUN")]
    new: String,

    #[command(flatten)]
    store: StoreArguments,

    /// Prints one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Difference {
    old: RunId,
    new: RunId,
    /// The workflows' own params.
    params: Vec<Change>,
    /// Cells in the order of the newer run, those without a difference left out.
    stages: Vec<StageDifference>,
}

#[derive(Debug, Serialize)]
struct StageDifference {
    stage: String,
    presence: Presence,
    params: Vec<Change>,
    inputs: Vec<Change>,
    metrics: Vec<Change>,
    outputs: Vec<Change>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Presence {
    Both,
    OnlyOld,
    OnlyNew,
}

#[derive(Debug, PartialEq, Serialize)]
struct Change {
    name: String,
    old: Option<Value>,
    new: Option<Value>,
}

/// What can differ in a cell, by name.
#[derive(Debug, Default)]
struct Facts {
    params: IndexMap<String, Value>,
    inputs: IndexMap<String, Value>,
    metrics: IndexMap<String, Value>,
    outputs: IndexMap<String, Value>,
}

pub fn execute(arguments: &Arguments) -> Result<(), Failure> {
    let difference = block_on(async {
        let (_, store) = arguments.store.open().await?;
        let old = find_run(&store, &arguments.old).await?;
        let new = find_run(&store, &arguments.new).await?;
        let old = RunRecord::read(&store, old).await.map_err(record_failed)?;
        let new = RunRecord::read(&store, new).await.map_err(record_failed)?;
        compare(&store, &old, &new).await
    })?;
    if arguments.json {
        return output::json(&difference);
    }
    let text = text(&difference, &Screen::stdout());
    output::to_stdout(|out| out.write_all(text.as_bytes()))
}

async fn compare(store: &Store, old: &RunRecord, new: &RunRecord) -> Result<Difference, Failure> {
    let by_label = |record: &RunRecord| -> IndexMap<String, StageRecord> {
        record
            .stages
            .iter()
            .map(|stage| (stage.label.to_string(), stage.clone()))
            .collect()
    };
    let old_stages = by_label(old);
    let new_stages = by_label(new);
    let labels: IndexSet<&String> = new_stages.keys().chain(old_stages.keys()).collect();
    let mut stages = Vec::new();
    for label in labels {
        let (before, after) = (old_stages.get(label), new_stages.get(label));
        let presence = match (before, after) {
            (Some(_), None) => Presence::OnlyOld,
            (None, _) => Presence::OnlyNew,
            (Some(_), Some(_)) => Presence::Both,
        };
        let mut difference = StageDifference {
            stage: label.clone(),
            presence,
            params: Vec::new(),
            inputs: Vec::new(),
            metrics: Vec::new(),
            outputs: Vec::new(),
        };
        if let (Some(before), Some(after)) = (before, after) {
            let before = facts(store, before).await?;
            let after = facts(store, after).await?;
            difference.params = changes(&before.params, &after.params);
            difference.inputs = changes(&before.inputs, &after.inputs);
            difference.metrics = changes(&before.metrics, &after.metrics);
            difference.outputs = changes(&before.outputs, &after.outputs);
        }
        if difference.says_something() {
            stages.push(difference);
        }
    }
    Ok(Difference {
        old: old.run,
        new: new.run,
        params: changes(&flat_map(&old.params), &flat_map(&new.params)),
        stages,
    })
}

impl StageDifference {
    fn says_something(&self) -> bool {
        self.presence != Presence::Both
            || [&self.params, &self.inputs, &self.metrics, &self.outputs]
                .iter()
                .any(|changes| !changes.is_empty())
    }
}

/// Inputs are compared by the digests in the key manifest of the result, where there is one.
async fn facts(store: &Store, stage: &StageRecord) -> Result<Facts, Failure> {
    let mut facts = Facts {
        params: flat_map(&stage.params),
        ..Facts::default()
    };
    for (name, value) in &stage.metrics {
        facts.metrics.insert(name.clone(), Value::from(*value));
    }
    for (port, digest) in &stage.outputs {
        facts
            .outputs
            .insert(port.clone(), Value::from(digest.to_string()));
    }
    if let Some(key) = &stage.key
        && let Some(result) = store.result(key).await.map_err(store_failed)?
        && let Some(inputs) = result.manifest.value().get("inputs")
    {
        flatten("", inputs, &mut facts.inputs);
    } else {
        for (port, sources) in &stage.inputs {
            facts
                .inputs
                .insert(port.clone(), Value::from(sources.join(", ")));
        }
    }
    Ok(facts)
}

fn flat_map(map: &Map<String, Value>) -> IndexMap<String, Value> {
    let mut flat = IndexMap::new();
    for (name, value) in map {
        flatten(name, value, &mut flat);
    }
    flat
}

/// `{a: {b: 1}}` becomes `a.b: 1`; empty maps and lists stay as they are.
fn flatten(prefix: &str, value: &Value, flat: &mut IndexMap<String, Value>) {
    let name = |inner: &str| match prefix {
        "" => inner.to_owned(),
        prefix => format!("{prefix}.{inner}"),
    };
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                flatten(&name(key), value, flat);
            }
        }
        Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => {
            for (index, item) in items.iter().enumerate() {
                flatten(&name(&index.to_string()), item, flat);
            }
        }
        other => {
            flat.insert(prefix.to_owned(), other.clone());
        }
    }
}

fn changes(old: &IndexMap<String, Value>, new: &IndexMap<String, Value>) -> Vec<Change> {
    let names: IndexSet<&String> = new.keys().chain(old.keys()).collect();
    names
        .into_iter()
        .filter(|name| old.get(*name) != new.get(*name))
        .map(|name| Change {
            name: name.clone(),
            old: old.get(name).cloned(),
            new: new.get(name).cloned(),
        })
        .collect()
}

fn text(difference: &Difference, screen: &Screen) -> String {
    let mut text = format!("{} -> {}\n", difference.old, difference.new);
    if difference.params.is_empty() && difference.stages.is_empty() {
        text.push_str("no difference\n");
        return text;
    }
    if !difference.params.is_empty() {
        text.push_str(&format!("\n{}\n", screen.bold("params of the workflow")));
        text.push_str(&change_table("", &difference.params, screen));
    }
    for stage in &difference.stages {
        let note = match stage.presence {
            Presence::Both => String::new(),
            Presence::OnlyOld => format!("  {}", screen.red("only in the first")),
            Presence::OnlyNew => format!("  {}", screen.green("only in the second")),
        };
        text.push_str(&format!("\n{}{note}\n", screen.bold(&stage.stage)));
        text.push_str(&change_table("with", &stage.params, screen));
        text.push_str(&change_table("input", &stage.inputs, screen));
        text.push_str(&change_table("metric", &stage.metrics, screen));
        text.push_str(&change_table("output", &stage.outputs, screen));
    }
    text
}

fn change_table(kind: &str, changes: &[Change], screen: &Screen) -> String {
    let rows: Vec<Vec<String>> = changes
        .iter()
        .map(|change| {
            let name = match kind {
                "" => format!("  {}", change.name),
                kind => format!("  {} {}", screen.dim(kind), change.name),
            };
            let mut row = vec![
                name,
                match kind {
                    "metric" => format!("{} -> {}", measured(&change.old), measured(&change.new)),
                    _ => format!("{} -> {}", side(&change.old), side(&change.new)),
                },
            ];
            if let (Some(old), Some(new)) = (number(&change.old), number(&change.new))
                && kind == "metric"
            {
                row.push(signed(new - old));
            }
            row
        })
        .collect();
    table::columns(&rows)
}

fn number(value: &Option<Value>) -> Option<f64> {
    value.as_ref().and_then(Value::as_f64)
}

/// One side of a metric's change.
fn measured(value: &Option<Value>) -> String {
    number(value).map_or_else(|| side(value), significant)
}

fn signed(difference: f64) -> String {
    let text = significant(difference);
    if text.starts_with('-') {
        text
    } else {
        format!("+{text}")
    }
}

/// With five digits that say something, however small the number; whole numbers whole.
fn significant(number: f64) -> String {
    const DIGITS: i32 = 5;
    if number == 0.0 {
        return "0".to_owned();
    }
    let size = number.abs().log10().floor() as i32;
    if !(-5..15).contains(&size) {
        return format!("{number:.4e}");
    }
    let places = usize::try_from(DIGITS - 1 - size).unwrap_or(0);
    let text = format!("{number:.places$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// One side of a change, short: digests by their beginning, long texts cut.
fn side(value: &Option<Value>) -> String {
    const LONGEST: usize = 60;
    let text = match value {
        None => return "(none)".to_owned(),
        Some(Value::String(text)) if is_digest(text) => return text[..12].to_owned(),
        Some(Value::String(text)) if !text.is_empty() && !text.contains('\n') => text.clone(),
        Some(other) => other.to_string(),
    };
    if text.chars().count() <= LONGEST {
        return text;
    }
    let mut cut: String = text.chars().take(LONGEST - 1).collect();
    cut.push('…');
    cut
}

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_compared_leaf_by_leaf() {
        let flat = |value: Value| {
            let mut flat = IndexMap::new();
            flatten("", &value, &mut flat);
            flat
        };
        let old = flat(json!({ "model": { "layers": 2, "lr": 0.1 }, "seeds": [1, 2] }));
        let new =
            flat(json!({ "model": { "layers": 4, "lr": 0.1 }, "seeds": [1, 3], "extra": {} }));
        let names: Vec<String> = changes(&old, &new)
            .into_iter()
            .map(|change| {
                format!(
                    "{}: {} -> {}",
                    change.name,
                    side(&change.old),
                    side(&change.new)
                )
            })
            .collect();
        assert_eq!(
            names,
            [
                "model.layers: 2 -> 4",
                "seeds: [1,2] -> [1,3]",
                "extra: (none) -> {}"
            ]
        );
    }

    #[test]
    fn small_numbers_keep_their_digits() {
        assert_eq!(side(&Some(json!(0.00001))), "0.00001");
        assert_eq!(side(&Some(json!(0.000123456789))), "0.000123456789");
        let shown: Vec<String> = [
            0.0,
            0.5,
            0.000123456789,
            1e-9,
            0.7312345,
            12345.678,
            1234567.0,
            -0.1,
        ]
        .map(significant)
        .to_vec();
        assert_eq!(
            shown,
            [
                "0",
                "0.5",
                "0.00012346",
                "1.0000e-9",
                "0.73123",
                "12346",
                "1234567",
                "-0.1"
            ]
        );
        assert_eq!(signed(0.00002), "+0.00002");
        assert_eq!(signed(-0.25), "-0.25");
    }

    #[test]
    fn digests_and_long_texts_are_cut() {
        assert_eq!(side(&Some(json!("ab".repeat(32)))), "ab".repeat(6));
        assert_eq!(side(&Some(json!("x".repeat(100)))).chars().count(), 60);
        assert_eq!(side(&None), "(none)");
    }
}
