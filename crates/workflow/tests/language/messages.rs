//! What users read: every mistake of a file at once, each with its place and what to do.

use crate::fixture::{codes, errors, project, with_stages};

#[test]
fn all_mistakes_are_reported_in_one_go() {
    insta::assert_snapshot!(errors(
        "\
nam: retail
params: { seed: 7 }
defaults: { timeout: 5 min, retries: 3 }
on: { schedule: { cron: 0 3 * * *, timezone: Europe/Londn } }
stages:
  prepare:
    use: prepare
    inputs: { transactions: ./nowhere.parquet }
  train:
    uses: pretrian
    inputs: { dataset: prepare.datset }
  fine tune:
    uses: finetune
  compare:
    uses: evaluate
    inputs: { predictions: [finetune.predictions] }
    with: { depth: 3 }
    resources: { memory: 4, cpus: 0 }
  show:
    uses: shell
    with: { command: \"echo ${{ params.sede }} ${{ matrix.x }} ${{ inputs.a }}\" }
"
    ));
}

#[test]
fn duplicate_keys_show_both_places() {
    insta::assert_snapshot!(errors(
        "name: w\nstages:\n  a: { uses: shell, with: { command: x } }\nname: v\n"
    ));
}

#[test]
fn params_of_plugins_are_marked() {
    let (_folder, fixture) = project(&["t"]);
    let text = with_stages(
        "  p:
    uses: prepare
    inputs: { transactions: ./t }
    with:
      length: 1000
      entty: x
      channels:
        - sql: a
        - { name: 5 }
",
    );
    let errors = fixture
        .errors(&text)
        .replace(&fixture.path.display().to_string(), "w.yaml");
    insta::assert_snapshot!(errors);
}

#[test]
fn yaml_that_breaks_off_is_marked() {
    insta::assert_snapshot!(errors(
        "name: w\nstages:\n  a: { uses: shell, with: { command: ${{ params.x }} } }\n"
    ));
}

#[test]
fn wrong_types_name_the_right_wire() {
    let (_folder, fixture) = project(&["t"]);
    let text = with_stages(
        "  p: { uses: prepare, inputs: { transactions: ./t } }\n  f: { uses: finetune, inputs: { dataset: p.card, encoder: p.dataset } }\n",
    );
    insta::assert_snapshot!(
        fixture
            .errors(&text)
            .replace(&fixture.path.display().to_string(), "w.yaml")
    );
}

#[test]
fn one_mistake_has_no_followers() {
    for (text, expected) in [
        ("", vec!["empty_workflow"]),
        ("# nothing\n", vec!["empty_workflow"]),
        ("- a\n", vec!["wrong_kind"]),
        ("name: w\n", vec!["missing_key"]),
        ("nme: w\nstage: {}\n", vec!["unknown_key", "unknown_key"]),
        ("name: w\nstages: {}\n", vec!["no_stages"]),
        ("name: w\nstages: { a: }\n", vec!["wrong_kind"]),
        (
            "name: w\nstages: { a: { uses: nothing, inputs: { x: b.out } }, b: { uses: shell, inputs: { y: a.foo }, with: { command: x, outputs: { out: file } } } }\n",
            vec!["unknown_plugin"],
        ),
        (
            "name: w\nstages: { a b: { uses: shell, with: { command: x } }, c: { uses: shell, needs: a b, with: { command: x } } }\n",
            vec!["invalid_name"],
        ),
        (
            "name: w\nparams: { 1a: 1 }\nstages: { a: { uses: shell, with: { command: x } } }\n",
            vec!["invalid_name"],
        ),
        (
            "name: w\nstages: { a: { uses: shell, matrix: { x: [] }, with: { command: \"${{ matrix.x }}\", outputs: { out: file } } }, b: { uses: shell, inputs: { i: a.out }, with: { command: x } } }\n",
            vec!["empty_axis"],
        ),
        (
            "name: w\nstages: { a: { uses: shell, with: { command: \"${{ params.x }}\", outputs: { out: file } } }, b: { uses: shell, inputs: { i: a.out }, with: { command: \"cat ${{ inputs.i }}\" } } }\n",
            vec!["unknown_param"],
        ),
        (
            "name: w\nstages: { a: { uses: shell, with: { command: x, outputs: { out: fil } } }, b: { uses: shell, inputs: { i: a.out }, with: { command: x } } }\n",
            vec!["plugin_param"],
        ),
        (
            "name: w\nstages: { a: { uses: shell, cache: maybe, with: { command: \"${{ run.id }}\" } } }\n",
            vec!["wrong_kind"],
        ),
        (
            "name: w\nstages: { a: { uses: shell, with: { command: \"${{ params.x }\" } } }\n",
            vec!["unclosed_expression"],
        ),
        (
            "name: w\nparams: { p: .nan }\nstages: { a: { uses: shell, with: { command: \"${{ params.p }}\" } } }\n",
            vec!["invalid_number"],
        ),
        (
            "name: w\nsecrets: [1a]\nstages: { a: { uses: shell, secrets: [X], with: { command: x } } }\n",
            vec!["invalid_variable"],
        ),
        (
            "name: w\nstages: { a: { uses: shell, env: { X: \"${{ params.x }}\" }, with: { command: \"${{ env.X }}\" } } }\n",
            vec!["unknown_param"],
        ),
        (
            "name: w\nstages: { a: { uses: shell, with: { command: x }, matrix: { m: [1, 2] }, timeout: soon } }\n",
            vec!["invalid_duration"],
        ),
        (
            "name: w\n---\nname: v\n",
            vec!["missing_key", "several_documents"],
        ),
        ("name: w\nstages: *x\n", vec!["unknown_alias"]),
    ] {
        assert_eq!(codes(text), expected, "{text}");
    }
}

#[test]
fn yaml_is_bounded() {
    let deep = format!("name: w\nx: {}{}\n", "[".repeat(100), "]".repeat(100));
    assert_eq!(codes(&deep), ["too_deep"]);
    let mut bomb = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n".to_owned();
    for level in 1..10 {
        let before = format!("*a{}, ", level - 1).repeat(10);
        bomb.push_str(&format!(
            "a{level}: &a{level} [{}]\n",
            before.trim_end_matches(", ")
        ));
    }
    assert_eq!(codes(&bomb), ["too_many_aliases"]);
    assert_eq!(
        codes("name: w\nstages: { <<: { a: 1 }, a: { uses: shell, with: { command: x } } }\n"),
        ["merge_key"]
    );
    assert_eq!(
        codes("name: !!binary w\nstages: { a: { uses: shell, with: { command: x } } }\n"),
        ["unsupported_tag"]
    );
    assert_eq!(
        codes("name: w\nstages: { ? [a] : b, a: { uses: shell, with: { command: x } } }\n"),
        ["invalid_key"]
    );
}

#[test]
fn a_line_of_any_length_is_shown_around_its_mark() {
    for (before, after) in [(0, 0), (70_000, 70_000)] {
        let text = format!(
            "name: w\nstages: {{ a: {{ uses: shell, with: {{ command: \"{}${{{{ params.x }}}}{}\" }} }} }}\n",
            "b".repeat(before),
            "a".repeat(after)
        );
        let shown = errors(&text);
        assert!(shown.contains("params.x") && shown.len() < 2000, "{shown}");
    }
}
