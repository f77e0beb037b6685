//! The checks themselves, each a run or two of the plugin.

use std::fs;
use std::io;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::attempt::{Attempt, How, Meanwhile, Sign};
use super::bench::Bench;
use super::examples::{self, Case};
use super::outputs::{self, Content};
use super::{CHECKS, Check, CheckOutcome, ConformanceOptions, EXAMPLES_FILE, ORPHANS_CHECK};
use crate::catalog::PluginEntry;
use crate::event::Event;
use crate::host::{WorkerExit, end_marked};
use crate::params::ParamsSchema;
use crate::request::RUN_VARIABLE;

/// Outputs of this size are large enough to show that size is no trouble.
const LARGE_BYTES: u64 = 16 << 20;

/// Written to both streams before the plugin starts: much, not UTF-8, and like an event.
const NOISE: &str = r#"noise() { head -c 300000 /dev/zero | tr '\0' 'x'; printf '\n\377\376\n{"event":"error","message":"noise","retry":true}\n'; }
noise; noise >&2; exec "$0" "$@""#;

pub async fn run_all(entry: &PluginEntry, options: &ConformanceOptions) -> Vec<Check> {
    let mut outcomes = vec![manifest(entry, options)];
    let bench = examples::read(entry)
        .map_err(|error| CheckOutcome::failed(error.why, error.what_to_do))
        .and_then(|examples| Bench::set_up(entry, options, examples).map_err(|error| kit(&error)));
    match bench {
        Err(outcome) => outcomes.push(outcome),
        Ok(bench) => {
            let started = run_with(&bench, &mut outcomes).await;
            outcomes.resize(
                CHECKS.len(),
                CheckOutcome::skipped("the example run did not succeed"),
            );
            outcomes.push(match started {
                true => orphans(&bench),
                false => CheckOutcome::skipped("the program could not be started"),
            });
            bench.watcher.clone().finish();
        }
    }
    outcomes.resize(
        CHECKS.len() + 1,
        CheckOutcome::skipped("there is nothing to run it with"),
    );
    CHECKS
        .into_iter()
        .chain([ORPHANS_CHECK])
        .zip(outcomes)
        .map(|(name, outcome)| Check { name, outcome })
        .collect()
}

/// Says whether the program could be started at all.
async fn run_with(bench: &Bench<'_>, outcomes: &mut Vec<CheckOutcome>) -> bool {
    let inputs_before = input_contents(&bench.examples.example);
    let example = match bench
        .attempt(&bench.examples.example, named("example run"))
        .await
    {
        Ok(attempt) => attempt,
        Err(error) => {
            outcomes.push(kit(&error));
            return false;
        }
    };
    let started = !matches!(example.outcome.exit, WorkerExit::NotStarted(_));
    let outcome = example_run(bench, &example, &inputs_before);
    let good = outcome == CheckOutcome::Passed;
    outcomes.push(outcome);
    if !good {
        return started;
    }
    outcomes.push(settled(again(bench, &example).await));
    outcomes.push(settled(bad_params(bench).await));
    outcomes.push(progress(&example));
    outcomes.push(settled(stop(bench).await));
    outcomes.push(settled(large(bench, &example).await));
    outcomes.push(settled(noise(bench, &example).await));
    outcomes.push(settled(crash(bench).await));
    outcomes.push(settled(hang(bench).await));
    started
}

fn settled(outcome: io::Result<CheckOutcome>) -> CheckOutcome {
    outcome.unwrap_or_else(|error| kit(&error))
}

fn kit(error: &io::Error) -> CheckOutcome {
    CheckOutcome::failed(
        format!("the check could not be made: {error}"),
        "see that the temporary folder can be written",
    )
}

fn named(name: &'static str) -> How {
    How {
        name,
        ..How::default()
    }
}

fn manifest(entry: &PluginEntry, options: &ConformanceOptions) -> CheckOutcome {
    if options.command.is_some() {
        return CheckOutcome::Passed;
    }
    match entry.missing_program() {
        None => CheckOutcome::Passed,
        Some(path) => CheckOutcome::failed(
            format!("its program {} is not there", path.display()),
            "build it, or correct `launch` in plugin.json",
        ),
    }
}

fn input_contents(case: &Case) -> Vec<Result<Content, String>> {
    case.inputs
        .values()
        .flatten()
        .map(|artifact| outputs::digest(&artifact.path))
        .collect()
}

fn example_run(
    bench: &Bench<'_>,
    example: &Attempt,
    inputs_before: &[Result<Content, String>],
) -> CheckOutcome {
    if let Some(trouble) = example.trouble() {
        return CheckOutcome::failed(
            trouble,
            format!("it has to succeed with its example params; {EXAMPLES_FILE} may give others"),
        );
    }
    if let Some(error) = &example.outcome.error {
        return CheckOutcome::failed(
            format!(
                "it sent the error `{}` and ended with code 0",
                error.message
            ),
            "leave with a code other than 0 after an error",
        );
    }
    let warning = example.events.iter().find_map(|event| match event {
        Event::Log { message, .. } if message.contains("of the events file is") => Some(message),
        _ => None,
    });
    if let Some(warning) = warning {
        return CheckOutcome::failed(
            warning.clone(),
            "write one JSON object a line to SUPERMOE_EVENTS, and nothing else",
        );
    }
    if input_contents(&bench.examples.example) != inputs_before {
        return CheckOutcome::failed(
            "it changed its inputs",
            "inputs are shared: copy what has to change into the work folder",
        );
    }
    CheckOutcome::Passed
}

/// With another number of threads, as the same key may be made elsewhere.
async fn again(bench: &Bench<'_>, example: &Attempt) -> io::Result<CheckOutcome> {
    let how = How {
        threads: Some(2),
        ..named("same outputs again")
    };
    let attempt = bench.attempt(&bench.examples.example, how).await?;
    Ok(same_as(example, &attempt, "a second run with 2 threads"))
}

fn same_as(expected: &Attempt, attempt: &Attempt, what: &str) -> CheckOutcome {
    if let Some(trouble) = attempt.trouble() {
        return CheckOutcome::failed(
            format!("{what}: {trouble}"),
            "it has to succeed as the example run does",
        );
    }
    match expected.difference(attempt) {
        None => CheckOutcome::Passed,
        Some(port) => CheckOutcome::failed(
            format!("{what} wrote another `{port}`"),
            "outputs must follow from params, inputs and seed: no times, no paths, no order of threads",
        ),
    }
}

/// A host refuses wrong params before a worker starts; a plugin that meets one all the same has
/// to say so, and neither hang nor crash.
async fn bad_params(bench: &Bench<'_>) -> io::Result<CheckOutcome> {
    let schema = match bench.entry.params_schema() {
        Ok(schema) => schema,
        Err(error) => {
            return Ok(CheckOutcome::failed(
                error.to_string(),
                "correct the schema of its params",
            ));
        }
    };
    let Some((name, params)) = spoilt(schema, &bench.examples.example.params) else {
        return Ok(CheckOutcome::skipped(
            "its schema refuses no value of any param",
        ));
    };
    let case = Case {
        params,
        ..bench.examples.example.clone()
    };
    let attempt = bench.attempt(&case, named("bad params")).await?;
    Ok(match attempt.outcome.exit {
        WorkerExit::Success => CheckOutcome::Passed,
        WorkerExit::Code(_) if attempt.outcome.error.is_some() => CheckOutcome::Passed,
        WorkerExit::Code(_) => CheckOutcome::failed(
            format!(
                "with a wrong `{name}` {}, without an error event",
                attempt.describe()
            ),
            "write {\"event\":\"error\",\"message\":…} before leaving with a code other than 0",
        ),
        _ => CheckOutcome::failed(
            format!("with a wrong `{name}` {}", attempt.describe()),
            "check params first, and leave with an error event",
        ),
    })
}

/// The first param that can be made wrong, and the params with it.
fn spoilt(
    schema: &ParamsSchema,
    params: &Map<String, Value>,
) -> Option<(String, Map<String, Value>)> {
    let wrong = [json!("wrong"), json!(-1.5), json!([null]), Value::Null];
    schema.names().into_iter().find_map(|name| {
        wrong.iter().find_map(|value| {
            let mut spoilt = params.clone();
            spoilt.insert(name.to_owned(), value.clone());
            (!schema.validate(&spoilt).is_empty()).then(|| (name.to_owned(), spoilt))
        })
    })
}

fn progress(example: &Attempt) -> CheckOutcome {
    let mut steps = example.events.iter().filter_map(|event| match event {
        Event::Progress(progress) => Some(progress),
        _ => None,
    });
    let beyond = steps
        .clone()
        .find(|step| step.total.is_some_and(|total| step.done > total));
    match (steps.next(), beyond) {
        (None, _) => CheckOutcome::skipped("it tells no progress"),
        (_, Some(step)) => CheckOutcome::failed(
            format!(
                "it told of {} done of {}",
                step.done,
                step.total.unwrap_or(0)
            ),
            "`done` goes from 0 to `total`",
        ),
        _ => CheckOutcome::Passed,
    }
}

fn slow<'a>(bench: &'a Bench<'_>) -> &'a Case {
    bench
        .examples
        .slow
        .as_ref()
        .unwrap_or(&bench.examples.example)
}

fn too_fast() -> CheckOutcome {
    CheckOutcome::skipped(format!(
        "it ended before anything could be done to it; give params of a longer run under `slow` in {EXAMPLES_FILE}"
    ))
}

fn sign(bench: &Bench<'_>) -> Sign {
    match bench.entry.manifest.checkpoints {
        true => Sign::Checkpoint,
        false => Sign::AnyEvent,
    }
}

async fn stop(bench: &Bench<'_>) -> io::Result<CheckOutcome> {
    let checkpoint = bench.new_folder("checkpoint")?;
    let how = How {
        checkpoint: Some(checkpoint.clone()),
        meanwhile: Meanwhile::Stop(sign(bench)),
        ..named("SIGTERM")
    };
    let stopped = bench.attempt(slow(bench), how).await?;
    let Some(after) = stopped.after_meanwhile else {
        return Ok(never_met(bench, &stopped));
    };
    if after >= bench.options.grace {
        return Ok(CheckOutcome::failed(
            format!(
                "it was still there {} s after SIGTERM",
                bench.options.grace.as_secs()
            ),
            "save a checkpoint and leave when SIGTERM comes",
        ));
    }
    if !bench.entry.manifest.checkpoints {
        return Ok(CheckOutcome::Passed);
    }
    if fs::read_dir(&checkpoint)?.next().is_none() {
        return Ok(CheckOutcome::failed(
            "it told of a checkpoint, and its checkpoint folder is empty",
            "write the state before the event",
        ));
    }
    let resumed = How {
        checkpoint: Some(checkpoint),
        ..named("after SIGTERM")
    };
    let whole = bench.attempt(slow(bench), named("uninterrupted")).await?;
    let resumed = bench.attempt(slow(bench), resumed).await?;
    Ok(same_as(
        &whole,
        &resumed,
        "the run that went on from a checkpoint",
    ))
}

/// It ended by itself before the sign that was waited for.
fn never_met(bench: &Bench<'_>, attempt: &Attempt) -> CheckOutcome {
    let told = attempt
        .events
        .iter()
        .any(|event| matches!(event, Event::Checkpoint { .. }));
    if !attempt.succeeded() {
        return CheckOutcome::failed(
            attempt.describe(),
            format!("the run under `slow` in {EXAMPLES_FILE} has to succeed"),
        );
    }
    match bench.entry.manifest.checkpoints && !told && bench.examples.slow.is_some() {
        true => CheckOutcome::failed(
            "its manifest promises checkpoints, and it told of none",
            "save state every few seconds and write {\"event\":\"checkpoint\"}",
        ),
        false => too_fast(),
    }
}

async fn crash(bench: &Bench<'_>) -> io::Result<CheckOutcome> {
    let checkpoint = bench.new_folder("checkpoint")?;
    let how = How {
        checkpoint: Some(checkpoint.clone()),
        meanwhile: Meanwhile::Kill(sign(bench)),
        ..named("crash")
    };
    let killed = bench.attempt(slow(bench), how).await?;
    if killed.after_meanwhile.is_none() {
        return Ok(never_met(bench, &killed));
    }
    let how = How {
        checkpoint: Some(checkpoint),
        ..named("after a crash")
    };
    let whole = bench.attempt(slow(bench), named("uninterrupted")).await?;
    let repeated = bench.attempt(slow(bench), how).await?;
    Ok(same_as(&whole, &repeated, "the run after a kill -9"))
}

async fn hang(bench: &Bench<'_>) -> io::Result<CheckOutcome> {
    let how = How {
        meanwhile: Meanwhile::Suspend,
        timeout: Some(Duration::from_secs(1)),
        ..named("hang")
    };
    let attempt = bench.attempt(slow(bench), how).await?;
    let Some(after) = attempt.after_meanwhile else {
        return Ok(too_fast());
    };
    let limit = Duration::from_secs(5) + bench.options.grace;
    Ok(match attempt.outcome.exit {
        WorkerExit::TimedOut if after < limit => CheckOutcome::Passed,
        _ => CheckOutcome::failed(
            format!(
                "suspended, and at its timeout asked to leave: {}",
                attempt.describe()
            ),
            "start no processes outside its own process group",
        ),
    })
}

async fn large(bench: &Bench<'_>, example: &Attempt) -> io::Result<CheckOutcome> {
    let Some(case) = &bench.examples.large else {
        return Ok(match example.bytes() >= LARGE_BYTES {
            true => CheckOutcome::Passed,
            false => CheckOutcome::skipped(format!(
                "its example writes {} bytes; give params of a run that writes at least {} MiB under `large` in {EXAMPLES_FILE}",
                example.bytes(),
                LARGE_BYTES >> 20
            )),
        });
    };
    let attempt = bench.attempt(case, named("large outputs")).await?;
    Ok(match attempt.trouble() {
        Some(trouble) => {
            CheckOutcome::failed(trouble, "write outputs in pieces, to their own paths")
        }
        None if attempt.bytes() < LARGE_BYTES => CheckOutcome::failed(
            format!("the run under `large` wrote {} bytes", attempt.bytes()),
            format!("let it write at least {} MiB", LARGE_BYTES >> 20),
        ),
        None => CheckOutcome::Passed,
    })
}

async fn noise(bench: &Bench<'_>, example: &Attempt) -> io::Result<CheckOutcome> {
    let how = How {
        wrapper: ["sh", "-c", NOISE].map(Into::into).to_vec(),
        ..named("noise on stdout")
    };
    let attempt = bench.attempt(&bench.examples.example, how).await?;
    if let Some(error) = &attempt.outcome.error {
        return Ok(CheckOutcome::failed(
            format!(
                "noise on stdout was taken for the event `{}`",
                error.message
            ),
            "write events to the file SUPERMOE_EVENTS, not to a standard stream",
        ));
    }
    Ok(same_as(
        example,
        &attempt,
        "the run with noise on its streams",
    ))
}

fn orphans(bench: &Bench<'_>) -> CheckOutcome {
    let strays = end_marked(RUN_VARIABLE, &bench.run, &[]);
    let during = bench.first_orphans();
    if strays == 0 && during.is_none() {
        return CheckOutcome::Passed;
    }
    let place = match during {
        Some(name) => format!(" (check `{name}`)"),
        None => String::new(),
    };
    CheckOutcome::failed(
        format!("processes that it started were still there when it had ended{place}"),
        "wait for child processes before leaving",
    )
}
