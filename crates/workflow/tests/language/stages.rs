//! Stages: settings, defaults, environment, secrets, publish, places.

use std::time::Duration;

use petgraph::graph::NodeIndex;
use serde_json::json;
use supermoe_workflow::{CellId, CommandValue, Edge, InputSource, Retry};

use crate::fixture::{Fixture, cell, codes, with_stages, workflow};

const CHAIN: &str = "\
name: 1.10
stages:
  a:
    uses: shell
    with: { command: \"echo 1 > ${{ outputs.out }}\", outputs: { out: file } }
  b:
    uses: shell
    inputs: { from: a.out }
    needs: [a]
    with:
      command: |
        cat \"${{ inputs.from }}\" > \"${{ outputs.out }}\"
      outputs: { out: file }
";

#[test]
fn a_chain_of_stages_becomes_a_graph() {
    let workflow = workflow(CHAIN);
    assert_eq!(workflow.name, "1.10");
    let b = cell(&workflow, "b");
    assert_eq!(
        b.inputs["from"][0].source,
        InputSource::Output {
            cell: CellId(0),
            port: "out".to_owned()
        }
    );
    assert_eq!(b.needs, [CellId(0)]);
    assert_eq!(
        b.params["command"],
        json!("cat \"${SUPERMOE_INPUT_from}\" > \"${SUPERMOE_OUTPUT_out}\"\n")
    );
    assert_eq!(
        b.command_values["SUPERMOE_INPUT_from"],
        CommandValue::Input {
            port: "from".to_owned()
        }
    );
    let edge = workflow
        .graph
        .find_edge(NodeIndex::new(0), NodeIndex::new(1))
        .expect("an edge");
    assert_eq!(
        (workflow.graph.edge_count(), workflow.graph[edge]),
        (1, Edge::Input)
    );
}

#[test]
fn places_lead_to_lines() {
    let workflow = workflow(CHAIN);
    let places = &cell(&workflow, "b").places;
    let line = |field| places.get(field).map(|place| (place.line, place.column));
    assert_eq!(line("inputs.from"), Some((8, 15)));
    assert_eq!(line("with.command"), Some((11, 7)));
    assert_eq!(line("with.outputs.missing"), Some((13, 7)));
    assert_eq!(line("env.X"), Some((6, 3)));
}

#[test]
fn settings_of_a_stage_stand_over_the_defaults() {
    let workflow = workflow(
        "\
name: w
params: { cpus: 3 }
defaults: { retry: { attempts: 3, backoff: 5s..1m }, timeout: 2h, cache: false, env: { A: 1.10, B: b } }
stages:
  a:
    uses: shell
    with: { command: x }
    retry: { attempts: 5 }
    env: { B: c, HOME: }
    cache: true
    resources: { cpus: \"${{ params.cpus }}\", memory: 512MiB }
  b: { uses: shell, with: { command: x }, timeout: 30s }
",
    );
    let (a, b) = (cell(&workflow, "a"), cell(&workflow, "b"));
    let retry = |attempts| Retry {
        attempts,
        first_delay: Duration::from_secs(5),
        max_delay: Duration::from_secs(60),
    };
    assert_eq!((a.retry, b.retry), (retry(5), retry(3)));
    assert_eq!(
        (a.timeout, b.timeout),
        (
            Some(Duration::from_secs(7200)),
            Some(Duration::from_secs(30))
        )
    );
    assert_eq!((a.cache, b.cache), (true, false));
    assert_eq!((a.resources.cpus, a.resources.memory), (3, 512 << 20));
    let env: Vec<_> = a
        .env
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    assert_eq!(env, ["A=1.10", "B=c", "HOME=/home/u"]);
    assert_eq!(a.places.get("env.A").map(|place| place.line), Some(3));
}

#[test]
fn a_plugin_names_what_it_takes() {
    let (_folder, fixture) = crate::fixture::project(&["t.parquet"]);
    let workflow = fixture.workflow(&with_stages(
        "  p: { uses: prepare, inputs: { transactions: ./t.parquet } }\n  t: { uses: pretrain, inputs: { dataset: p.dataset }, with: { model: bert } }\n",
    ));
    assert_eq!(cell(&workflow, "t").resources.cpus, 2);
    assert_eq!(cell(&workflow, "p").resources.cpus, 1);
}

#[test]
fn variables_that_are_not_there_are_not_set() {
    let workflow = workflow(&with_stages(
        "  a:\n    uses: shell\n    env: [HOME, NOWHERE]\n    with: { command: \"echo ${{ env.NOWHERE || 'none' }} ${{ env.HOME }}\" }\n",
    ));
    let a = cell(&workflow, "a");
    assert_eq!(a.env.keys().collect::<Vec<_>>(), ["HOME"]);
    let values: Vec<_> = a
        .command_values
        .values()
        .filter_map(|value| match value {
            CommandValue::Value { value, .. } => value.as_str(),
            _ => None,
        })
        .collect();
    assert_eq!(values, ["none", "/home/u"]);
}

#[test]
fn secrets_are_declared_and_stay_out_of_env() {
    let text = "name: w\nsecrets: [TOKEN]\nstages:\n  a: { uses: shell, secrets: [TOKEN], with: { command: x } }\n";
    assert_eq!(cell(&workflow(text), "a").secrets, ["TOKEN"]);
    assert_eq!(
        codes(&text.replace(
            "secrets: [TOKEN], with",
            "secrets: [TOKEN], env: { TOKEN: x }, with"
        )),
        ["secret_is_env"]
    );
    assert_eq!(
        codes(&text.replace(
            "uses: shell, secrets: [TOKEN]",
            "uses: shell, secrets: [TOKNE]"
        )),
        ["unknown_secret"]
    );
    assert_eq!(
        codes(&text.replace("command: x", "command: \"${{ secrets.TOKEN }}\"")),
        ["unknown_name"]
    );
}

#[test]
fn two_outputs_are_not_published_to_one_place() {
    let stage = |path: &str| {
        with_stages(&format!(
            "  a:\n    uses: shell\n    matrix: {{ seed: [1, 2] }}\n    with: {{ command: x, outputs: {{ out: file }} }}\n    publish: {{ out: \"{path}\" }}\n"
        ))
    };
    assert_eq!(codes(&stage("results/${{ matrix.seed }}")), [""; 0]);
    assert_eq!(codes(&stage("results")), ["publish_conflict"]);
    assert_eq!(
        codes(&stage("../${{ matrix.seed }}")),
        ["invalid_publish_path"]
    );
}

#[test]
fn the_store_may_name_any_variable() {
    let text = "name: w\nstore: ${{ env.NOWHERE || 's3://bucket/prefix' }}\nstages: { a: { uses: shell, with: { command: x } } }\n";
    assert_eq!(workflow(text).store.as_deref(), Some("s3://bucket/prefix"));
    let fixture = Fixture {
        environment: [("NOWHERE", "local")].into(),
        ..Fixture::default()
    };
    assert_eq!(fixture.workflow(text).store.as_deref(), Some("local"));
}

#[test]
fn a_schedule_is_checked_now() {
    let text = |schedule: &str| {
        format!(
            "name: w\non: {{ schedule: {{ {schedule} }} }}\nstages: {{ a: {{ uses: shell, with: {{ command: x }} }} }}\n"
        )
    };
    let schedule = workflow(&text(
        "cron: \"0 3 1 * *\", timezone: Europe/London, catch_up: all, overlap: queue",
    ))
    .schedule
    .expect("a schedule");
    assert_eq!(
        (schedule.cron.as_str(), schedule.timezone.as_str()),
        ("0 3 1 * *", "Europe/London")
    );
    assert_eq!(
        schedule.previous(jiff::civil::date(2024, 3, 1)),
        Some(jiff::civil::date(2024, 2, 1))
    );
    assert_eq!(codes(&text("cron: \"0 3 30 2 *\"")), ["invalid_cron"]);
    assert_eq!(codes(&text("cron: \"* * * * * *\"")), ["invalid_cron"]);
    assert_eq!(
        codes(&text("cron: \"0 3 1 * *\", timezone: london")),
        ["unknown_timezone"]
    );
    assert_eq!(
        codes(&text("cron: \"0 3 1 * *\", catch_up: latst")),
        ["unknown_choice"]
    );
}

#[test]
fn yes_and_on_are_texts() {
    let workflow = workflow(
        "name: on\nparams: { a: yes, b: no }\nstages: { on: { uses: shell, with: { command: yes } } }\n",
    );
    assert_eq!(workflow.params["a"], json!("yes"));
    assert_eq!(cell(&workflow, "on").params["command"], json!("yes"));
}
