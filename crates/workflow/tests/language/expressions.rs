//! Expressions at their places: what they reach, keep and refuse.

use jiff::civil::date;
use serde_json::json;
use supermoe_workflow::{CommandValue, Overrides, RunFacts};

use crate::fixture::{Fixture, cell, codes, project, with_stages, workflow};

fn command_values(command: &str) -> (String, Vec<String>) {
    let text = format!(
        "name: w\nparams: {{ v: 1.10, t: \"a; rm -rf / $(x) 'q'\", n: null, l: [1, two] }}\nstages:\n  a:\n    uses: shell\n    with: {{ command: {}, outputs: {{ o-1: file, o_1: file }} }}\n",
        json!(command)
    );
    let workflow = workflow(&text);
    let cell = cell(&workflow, "a");
    let values = cell.command_values.iter().map(|(name, value)| match value {
        CommandValue::Value { value, .. } => format!("{name}={value}"),
        other => format!("{name}={other:?}"),
    });
    (
        cell.params["command"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
        values.collect(),
    )
}

#[test]
fn a_value_is_never_part_of_the_command() {
    let (command, values) = command_values(
        "echo \"${{ params.t }}\" ${{ params.v }} ${{ params.t }} ${{ params.l }} ${{ params.n }}$HOME ${X}",
    );
    assert_eq!(
        command,
        "echo \"${SUPERMOE_VALUE_1}\" ${SUPERMOE_VALUE_2} ${SUPERMOE_VALUE_1} ${SUPERMOE_VALUE_3} ${SUPERMOE_VALUE_4}$HOME ${X}"
    );
    assert_eq!(values[0], r#"SUPERMOE_VALUE_1="a; rm -rf / $(x) 'q'""#);
    assert_eq!(
        values[1..],
        [
            r#"SUPERMOE_VALUE_2="1.10""#,
            r#"SUPERMOE_VALUE_3=[1,"two"]"#,
            r#"SUPERMOE_VALUE_4="""#
        ]
    );
}

#[test]
fn ports_that_read_alike_get_variables_of_their_own() {
    let (command, _) = command_values("${{ outputs.o-1 }} ${{ outputs.o_1 }}");
    assert_eq!(command, "${SUPERMOE_OUTPUT_o_1} ${SUPERMOE_OUTPUT_o_1_2}");
}

#[test]
fn one_whole_expression_keeps_its_type() {
    let (_folder, fixture) = project(&["t"]);
    let workflow = fixture.workflow(
        "\
name: w
params: { n: 5, name: 1.10, channels: [{ name: a }] }
stages:
  p:
    uses: prepare
    inputs: { transactions: ./t }
    with: { length: \"${{ params.n }}\", entity: \"v${{ params.name }}-${{ params.n }}\", channels: \"${{ params.channels }}\" }
",
    );
    let params = &cell(&workflow, "p").params;
    assert_eq!(params["length"], json!(5));
    assert_eq!(params["entity"], json!("v1.10-5"));
    assert_eq!(params["channels"], json!([{ "name": "a" }]));
}

#[test]
fn nothing_leaves_a_key_out() {
    let (_folder, fixture) = project(&["t"]);
    let workflow = fixture.workflow("name: w\nparams: { n: null }\nstages:\n  p: { uses: prepare, inputs: { transactions: ./t }, with: { length: \"${{ params.n }}\" } }\n");
    let p = cell(&workflow, "p");
    assert_eq!(p.params["length"], json!(64));
    assert!(p.explicit_params.is_empty());
}

#[test]
fn facts_of_the_run_need_a_stage_without_cache() {
    let stage = |cache: bool, with: &str| {
        with_stages(&format!(
            "  a: {{ uses: shell, cache: {cache}, with: {{ {with} }} }}\n"
        ))
    };
    let command = "command: \"echo ${{ run.id }}\"";
    assert_eq!(codes(&stage(true, command)), ["run_needs_no_cache"]);
    let compiled = workflow(&stage(false, command));
    assert!(matches!(
        cell(&compiled, "a").command_values["SUPERMOE_FACT_id"],
        CommandValue::Run(_)
    ));
    assert_eq!(
        codes(&stage(false, "command: \"echo ${{ run.id == 'x' }}\"")),
        ["expression_not_allowed"]
    );
    assert_eq!(
        codes(&stage(false, "command: \"echo ${{ run.idd }}\"")),
        ["unknown_name"]
    );
}

#[test]
fn facts_of_the_run_are_filled_in_when_it_starts() {
    let (_folder, fixture) = project(&["t"]);
    let workflow = fixture.workflow(&with_stages("  p: { uses: prepare, cache: false, inputs: { transactions: ./t }, with: { entity: \"run-${{ run.id }}\", channels: [{ name: \"${{ run.workflow }}\" }] } }\n"));
    let p = cell(&workflow, "p");
    let facts = RunFacts {
        id: "01H".to_owned(),
        started: "2024-01-01T00:00:00Z".to_owned(),
        workflow: "w".to_owned(),
    };
    let params = p.params_for(&facts);
    assert_eq!(params["entity"], json!("run-01H"));
    assert_eq!(params["channels"], json!([{ "name": "w" }]));
    assert_eq!(p.params["entity"], json!("run-${{ run.id }}"));
}

#[test]
fn the_date_of_a_schedule_is_a_value_like_others() {
    let text = "name: w\non: { schedule: { cron: \"0 3 1 * *\" } }\nstages: { a: { uses: shell, with: { command: \"echo ${{ schedule.date }} ${{ schedule.previous }}\" } } }\n";
    assert_eq!(codes(text), ["date_missing", "date_missing"]);
    let fixture = Fixture {
        overrides: Overrides {
            date: Some(date(2024, 3, 1)),
            ..Overrides::default()
        },
        ..Fixture::default()
    };
    let workflow = fixture.workflow(text);
    let values: Vec<_> = cell(&workflow, "a")
        .command_values
        .values()
        .cloned()
        .collect();
    let value = |expression: &str, value: &str| CommandValue::Value {
        expression: expression.to_owned(),
        value: json!(value),
    };
    assert_eq!(
        values,
        [
            value("schedule.date", "2024-03-01"),
            value("schedule.previous", "2024-02-01")
        ]
    );
}

#[test]
fn names_that_nothing_hangs_on_are_checked_too() {
    assert_eq!(
        codes(
            "name: w\nparams: { a: 1 }\nstages: { a: { uses: shell, with: { command: \"${{ params.a || params.typo }}\" } } }\n"
        ),
        ["unknown_param"]
    );
}

#[test]
fn an_expression_in_single_quotes_is_warned_of() {
    let compiled = Fixture::default().compile(&with_stages("  a:\n    uses: shell\n    matrix: { x: [1, 2] }\n    with:\n      command: echo '${{ matrix.x }}' \"${{ matrix.x }}\"\n")).expect("right");
    insta::assert_snapshot!(compiled.warnings.render(100, false));
}

#[test]
fn variables_of_the_process_are_read_within_env_alone() {
    let text = |env: &str| {
        with_stages(&format!(
            "  a: {{ uses: shell, env: {{ {env} }}, with: {{ command: \"echo ${{{{ env.DATA }}}}\" }} }}\n"
        ))
    };
    let compiled = workflow(&text("HOME: , DATA: \"${{ env.HOME }}/data\""));
    assert_eq!(cell(&compiled, "a").env["DATA"], "/home/u/data");
    let compiled = workflow(&text("DATA: \"${{ env.DATA || '/default' }}\""));
    assert_eq!(cell(&compiled, "a").env["DATA"], "/default");
    assert_eq!(
        codes(&text("DATA: \"${{ env.HOME }}/data\"")),
        ["unknown_variable"]
    );
    assert_eq!(codes(&text("HOME: x")), ["unknown_variable"]);
    assert_eq!(codes(&text("SUPERMOE_X: x, DATA: y")), ["invalid_variable"]);
}

#[test]
fn mistakes_are_marked_in_texts_of_all_kinds() {
    insta::assert_snapshot!(crate::fixture::errors(
        "\
name: w
stages:
  block:
    uses: shell
    with:
      command: |
        echo é
        cat ${{ params.a }} \"${{ matrix.b }}\"
  folded:
    uses: shell
    with:
      command: >-
        echo
        ${{ true &&
        params.c }}
  quoted:
    uses: shell
    with: { command: \"\\techo \\\"${{ 'a' == 5 }}\\\" \\x24{{ ${{ d }}\" }
  open: { uses: shell, with: { command: 'echo ${{ params.x' } }
"
    ));
}
