//! Matrices and how cells are joined.

use serde_json::json;
use supermoe_workflow::{CellId, InputSource, SkipReason, Workflow};

use crate::fixture::{cell, codes, project, with_stages, workflow};

fn labels(workflow: &Workflow) -> Vec<String> {
    workflow.cells.iter().map(ToString::to_string).collect()
}

fn matrix(matrix: &str) -> Vec<String> {
    labels(&workflow(&with_stages(&format!(
        "  a: {{ uses: shell, matrix: {matrix}, with: {{ command: x }} }}\n"
    ))))
}

#[test]
fn cells_are_named_by_their_values() {
    assert_eq!(
        matrix("{ m: [b, a], seed: [1, 2] }"),
        [
            "a[m=b,seed=1]",
            "a[m=b,seed=2]",
            "a[m=a,seed=1]",
            "a[m=a,seed=2]"
        ]
    );
    assert_eq!(
        matrix("{ v: [1.10, '1', true, 'a b', { n: x, lr: 0.1 }] }"),
        [
            "a[v=1.10]",
            "a[v=\"1\"]",
            "a[v=true]",
            "a[v=\"a b\"]",
            "a[v={n:x,lr:0.1}]"
        ]
    );
}

#[test]
fn include_extends_and_exclude_takes_away() {
    assert_eq!(
        matrix(
            "{ m: [a, b], seed: [1, 2], exclude: [{ m: a, seed: 2 }], include: [{ m: b, lr: 0.1 }, { m: c, seed: 9 }] }"
        ),
        [
            "a[m=a,seed=1]",
            "a[m=b,seed=1,lr=0.1]",
            "a[m=b,seed=2,lr=0.1]",
            "a[m=c,seed=9]"
        ]
    );
    assert_eq!(
        matrix("{ include: [{ m: a }, { m: b }] }"),
        ["a[m=a]", "a[m=b]"]
    );
}

#[test]
fn wrong_matrices_are_refused() {
    let code = |matrix: &str| {
        codes(&with_stages(&format!(
            "  a: {{ uses: shell, matrix: {matrix}, with: {{ command: x }} }}\n"
        )))
    };
    for (matrix, expected) in [
        ("{ a: [] }", "empty_axis"),
        ("{ a: x }", "wrong_kind"),
        ("{ a: [[1]] }", "wrong_kind"),
        ("{ a: [1, 1.0] }", "duplicate_axis_value"),
        ("{ 1a: [1] }", "invalid_name"),
        ("{ a: [1], exclude: [{ b: 1 }] }", "unknown_axis"),
        ("{ a: [1], exclude: [{ a: 1 }] }", "empty_axis"),
        (
            "{ a: [1], include: [{ a: 2 }, { a: 2 }] }",
            "duplicate_axis_value",
        ),
        ("{ a: [1], max_parallel: 0 }", "out_of_range"),
        ("{ a: [1], include: { a: 2 } }", "wrong_kind"),
        ("{}", "empty_axis"),
    ] {
        assert_eq!(code(matrix), [expected], "{matrix}");
    }
    let numbers: Vec<String> = (0..101).map(|number| number.to_string()).collect();
    let axis = numbers.join(", ");
    assert_eq!(
        code(&format!("{{ a: [{axis}], b: [{axis}] }}")),
        ["too_many_cells"]
    );
}

#[test]
fn lists_and_limits_come_from_params() {
    let workflow = workflow(
        "name: w\nparams: { seeds: [1, 2, 3] }\nstages:\n  a: { uses: shell, matrix: { seed: \"${{ params.seeds }}\", max_parallel: 2 }, with: { command: x } }\n",
    );
    assert_eq!(workflow.cells.len(), 3);
    assert_eq!(workflow.cells[0].max_parallel, Some(2));
}

const CHAIN: &str = "\
name: w
stages:
  prepare: { uses: prepare, inputs: { transactions: ./t } }
  pretrain:
    uses: pretrain
    matrix: { model: [supermoe, bert], seed: [1, 2] }
    inputs: { dataset: prepare.dataset }
    with: { model: \"${{ matrix.model }}\", seed: \"${{ matrix.seed }}\", models: { supermoe: { experts: 8 } } }
  finetune:
    uses: finetune
    matrix: { model: [supermoe, bert, ple], seed: [1, 2] }
    inputs: { dataset: prepare.dataset, encoder: pretrain.encoder }
    with: { model: \"${{ matrix.model }}\", seed: \"${{ matrix.seed }}\" }
  compare:
    uses: evaluate
    inputs: { predictions: finetune.*.predictions }
";

#[test]
fn cells_are_joined_on_shared_axes() {
    let (_folder, fixture) = project(&["t"]);
    let workflow = fixture.workflow(CHAIN);
    let fine = cell(&workflow, "finetune[model=bert,seed=2]");
    let pre = cell(&workflow, "pretrain[model=bert,seed=2]");
    assert_eq!(
        fine.inputs["encoder"][0].source,
        InputSource::Output {
            cell: pre.id,
            port: "encoder".to_owned()
        }
    );
    assert!(
        !cell(&workflow, "finetune[model=ple,seed=1]")
            .inputs
            .contains_key("encoder")
    );
    let compare = cell(&workflow, "compare");
    assert_eq!(compare.inputs["predictions"].len(), 6);
    assert_eq!(
        json!(compare.inputs["predictions"][5].matrix),
        json!({ "model": "ple", "seed": 2 })
    );
    for (at, cell) in workflow.cells.iter().enumerate() {
        assert_eq!(cell.id, CellId(at));
    }
}

#[test]
fn an_axis_that_only_upstream_has_is_a_mistake() {
    let (_folder, fixture) = project(&["t"]);
    assert_eq!(
        fixture.codes(&CHAIN.replace("finetune.*.predictions", "finetune.predictions")),
        ["axis_only_upstream"]
    );
    assert_eq!(
        fixture.codes(&CHAIN.replace("encoder: pretrain.encoder", "encoder: pretrain.*.encoder")),
        ["one_artifact"]
    );
}

#[test]
fn what_is_switched_off_is_absent() {
    let (_folder, fixture) = project(&["t"]);
    let off = CHAIN.replace(
        "    uses: finetune\n",
        "    uses: finetune\n    when: ${{ matrix.model != 'ple' }}\n",
    );
    let workflow = fixture.workflow(&off);
    assert_eq!(
        cell(&workflow, "finetune[model=ple,seed=1]").skip,
        Some(SkipReason::When)
    );
    assert_eq!(cell(&workflow, "compare").inputs["predictions"].len(), 4);
    let off = CHAIN.replace("  prepare: {", "  prepare: { when: false,");
    assert_eq!(fixture.codes(&off), ["absent_input", "absent_input"]);
    let all_off = off
        .replace(
            "    uses: pretrain\n",
            "    uses: pretrain\n    when: false\n",
        )
        .replace(
            "    uses: finetune\n",
            "    uses: finetune\n    when: false\n",
        )
        .replace(
            "    uses: evaluate\n",
            "    uses: evaluate\n    when: false\n",
        );
    assert!(
        fixture
            .workflow(&all_off)
            .cells
            .iter()
            .all(|cell| cell.skip.is_some())
    );
}

#[test]
fn needs_waits_for_the_cells_of_shared_axes() {
    let workflow = workflow(&with_stages(
        "  a: { uses: shell, matrix: { seed: [1, 2] }, with: { command: x } }\n  b: { uses: shell, needs: a, matrix: { seed: [1, 2] }, with: { command: x } }\n  c: { uses: shell, needs: [a, b], with: { command: x } }\n",
    ));
    assert_eq!(cell(&workflow, "b[seed=2]").needs, [CellId(1)]);
    assert_eq!(cell(&workflow, "c").needs, [0, 1, 2, 3].map(CellId));
}
