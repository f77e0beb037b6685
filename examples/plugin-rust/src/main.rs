//! A confidence interval of the mean by bootstrap: an example of a plugin that can be stopped and
//! goes on where it was, with the same result to the last digit.

use std::fs;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use supermoe_plugin::event::Progress;
use supermoe_plugin::manifest::Manifest;
use supermoe_plugin::ports::PortType;
use supermoe_plugin::sdk::{BuiltIn, Context, PluginError, manifest, serve};

const CHECKPOINT_INTERVAL: Duration = Duration::from_millis(500);
const SAMPLES_PER_STEP: usize = 64;

/// What stands in `with`.
#[derive(Debug, Deserialize, JsonSchema)]
struct Params {
    /// How many resamples to draw.
    #[serde(default = "thousand")]
    #[schemars(range(min = 1))]
    samples: usize,
    /// The size of a resample; as many as there are values where it is absent.
    #[serde(default)]
    #[schemars(range(min = 1))]
    size: Option<usize>,
    /// The share of resamples inside the interval.
    #[serde(default = "usual")]
    #[schemars(extend("exclusiveMinimum" = 0, "exclusiveMaximum" = 1))]
    confidence: f64,
}

fn thousand() -> usize {
    1000
}

fn usual() -> f64 {
    0.95
}

/// What a later attempt goes on from.
#[derive(Debug, Serialize, Deserialize)]
struct State {
    generator: Generator,
    means: Vec<f64>,
}

fn described() -> Manifest {
    manifest("bootstrap-rust")
        .version(env!("CARGO_PKG_VERSION"))
        .description("A confidence interval of the mean by bootstrap.")
        .command(["./../../target/release/supermoe-example-plugin"])
        .code(["Cargo.toml", "src/**"])
        .input("values", PortType::File)
        .describe("values", "One number a line.")
        .output("means", PortType::File)
        .describe("means", "The mean of each resample, one a line.")
        .output("interval", PortType::File)
        .describe("interval", "JSON with low, mean and high.")
        .params::<Params>()
        .checkpoints()
        .build()
}

fn bootstrap(context: &mut Context) -> Result<(), PluginError> {
    let params: Params = context.params()?;
    let values = read_values(context.input("values")?)?;
    let checkpoint = context
        .checkpoint()
        .ok_or_else(|| PluginError::new("there is no checkpoint folder"))?
        .to_owned();
    let mut state = resume(&checkpoint)?.unwrap_or_else(|| State {
        generator: Generator(context.seed()),
        means: Vec::new(),
    });
    let size = params.size.unwrap_or(values.len());
    let mut saved: Option<Instant> = None;
    while state.means.len() < params.samples {
        for _ in 0..SAMPLES_PER_STEP.min(params.samples - state.means.len()) {
            state
                .means
                .push(resample(&values, size, &mut state.generator));
        }
        context.progress(Progress {
            done: state.means.len() as u64,
            total: Some(params.samples as u64),
            unit: Some("sample".into()),
            ..Progress::default()
        });
        let stop = context.stop_requested();
        if stop || saved.is_none_or(|saved| saved.elapsed() > CHECKPOINT_INTERVAL) {
            save(&checkpoint, &state)?;
            context.checkpoint_ready(Some(state.means.len() as u64));
            saved = Some(Instant::now());
        }
        if stop {
            return Err(PluginError::stopped());
        }
    }
    write_outputs(context, &params, &values, state.means)
}

fn read_values(path: &Path) -> Result<Vec<f64>, PluginError> {
    let values: Vec<f64> = fs::read_to_string(path)?
        .split_whitespace()
        .map(str::parse)
        .collect::<Result<_, _>>()
        .map_err(|error| PluginError::from(error).context("the input `values`"))?;
    match values.is_empty() {
        true => Err(PluginError::new("the input `values` holds no number")),
        false => Ok(values),
    }
}

fn resample(values: &[f64], size: usize, generator: &mut Generator) -> f64 {
    let sum: f64 = (0..size)
        .map(|_| values[generator.below(values.len())])
        .sum();
    sum / size as f64
}

fn resume(checkpoint: &Path) -> Result<Option<State>, PluginError> {
    match fs::read(checkpoint.join("state.json")) {
        Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Renamed into place, so that a kill leaves the old state or the new one.
fn save(checkpoint: &Path, state: &State) -> Result<(), PluginError> {
    let new = checkpoint.join("state.json.new");
    fs::write(&new, serde_json::to_vec(state)?)?;
    fs::rename(&new, checkpoint.join("state.json"))?;
    Ok(())
}

fn write_outputs(
    context: &Context,
    params: &Params,
    values: &[f64],
    mut means: Vec<f64>,
) -> Result<(), PluginError> {
    let mut file = BufWriter::new(fs::File::create(context.output("means")?)?);
    for mean in &means {
        writeln!(file, "{mean:?}")?;
    }
    file.flush()?;
    means.sort_by(f64::total_cmp);
    let outside = (1.0 - params.confidence) / 2.0;
    let at = |share: f64| means[(share * (means.len() - 1) as f64) as usize];
    let interval = [
        ("low", at(outside)),
        ("mean", values.iter().sum::<f64>() / values.len() as f64),
        ("high", at(1.0 - outside)),
    ];
    let text = serde_json::to_string(&serde_json::Map::from_iter(
        interval.map(|(name, value)| (name.to_owned(), value.into())),
    ))?;
    fs::write(context.output("interval")?, text + "\n")?;
    for (name, value) in interval {
        context.metric(name, value, None);
    }
    Ok(())
}

/// SplitMix64 (Steele, Lea, Flood 2014): small, and its whole state is one number.
#[derive(Debug, Serialize, Deserialize)]
struct Generator(u64);

impl Generator {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        ((u128::from(mixed) * bound as u128) >> 64) as usize
    }
}

fn main() -> ExitCode {
    serve(&BuiltIn::new(described(), bootstrap))
}
