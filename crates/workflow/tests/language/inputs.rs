//! Inputs: outputs of stages, paths, URLs, refs; types and cycles.

use supermoe_plugin::ports::PortType;
use supermoe_workflow::InputSource;

use crate::fixture::{cell, codes, errors, project, with_stages};

fn shell(inputs: &str) -> String {
    with_stages(&format!(
        "  a: {{ uses: shell, inputs: {inputs}, with: {{ command: x }} }}\n"
    ))
}

#[test]
fn data_comes_from_paths_and_refs() {
    let (folder, fixture) = project(&["data/x.csv", "dir/"]);
    let workflow = fixture.workflow(&shell(
        "{ a: ./data/x.csv, b: [./dir], c: \"ref:models/champion\" }",
    ));
    let inputs = &cell(&workflow, "a").inputs;
    assert_eq!(
        inputs["a"][0].source,
        InputSource::Path(folder.path().join("data/x.csv"))
    );
    assert_eq!(
        (inputs["a"][0].port_type, inputs["b"][0].port_type),
        (PortType::File, PortType::Folder)
    );
    assert_eq!(
        inputs["c"][0].source,
        InputSource::Ref("models/champion".to_owned())
    );
}

#[test]
fn urls_are_taken_by_their_form() {
    let (_folder, fixture) = project(&[]);
    let workflow = fixture.workflow(&shell(
        "{ a: s3://bucket/x.csv, b: [gs://bucket/dir/, https://host/y.csv] }",
    ));
    let inputs = &cell(&workflow, "a").inputs;
    let urls: Vec<(String, PortType)> = inputs
        .values()
        .flatten()
        .map(|input| match &input.source {
            InputSource::Url(url) => (url.to_string(), input.port_type),
            other => panic!("{other:?}"),
        })
        .collect();
    let file = |url: &str| (url.to_owned(), PortType::File);
    assert_eq!(
        urls,
        [
            file("s3://bucket/x.csv"),
            ("gs://bucket/dir/".to_owned(), PortType::Folder),
            file("https://host/y.csv"),
        ]
    );
    let typed = |input: &str| {
        fixture.codes(&with_stages(&format!(
            "  f: {{ uses: finetune, inputs: {{ dataset: {input} }} }}\n"
        )))
    };
    assert_eq!(typed("s3://bucket/dataset/"), [""; 0]);
    assert_eq!(typed("s3://bucket/dataset"), ["path_kind"]);
}

#[test]
fn wrong_inputs_are_refused() {
    let (_folder, fixture) = project(&["data.csv", "dir/"]);
    for (inputs, code) in [
        ("{ a: data.csv }", "bare_path"),
        ("{ a: dir/x }", "bare_path"),
        ("{ a: ~/x }", "bare_path"),
        ("{ a: other.csv }", "bare_path"),
        ("{ a: prepare.dataset }", "unknown_stage"),
        ("{ a: ./missing }", "path_not_found"),
        ("{ a: ftp://x/y }", "url_input"),
        ("{ a: s3://b }", "url_input"),
        ("{ a: \"s3:/b/k\" }", "bare_path"),
        ("{ a: \"ref:a b\" }", "invalid_input"),
        ("{ a: \"\" }", "invalid_input"),
        ("{ a: 5 }", "wrong_kind"),
        ("{ a: { b: c } }", "wrong_kind"),
        ("{ a: /dev/null }", "path_kind"),
        ("{ a.b: ./dir }", "invalid_name"),
        ("[./dir]", "wrong_kind"),
    ] {
        assert_eq!(fixture.codes(&shell(inputs)), [code], "{inputs}");
    }
}

#[test]
fn ports_and_types_are_checked() {
    let (_folder, fixture) = project(&["t", "d/"]);
    let stages = |prepare: &str, finetune: &str| {
        with_stages(&format!(
            "  p: {{ uses: prepare, inputs: {prepare} }}\n  f: {{ uses: finetune, inputs: {finetune} }}\n"
        ))
    };
    let right = ("{ transactions: ./t }", "{ dataset: p.dataset }");
    assert_eq!(fixture.codes(&stages(right.0, right.1)), [""; 0]);
    for (prepare, finetune, expected) in [
        ("{ transactions: ./d }", right.1, vec!["path_kind"]),
        ("{ transaction: ./t }", right.1, vec!["unknown_port"]),
        ("{}", right.1, vec!["missing_input"]),
        (right.0, "{ dataset: p.card }", vec!["port_type"]),
        (right.0, "{ dataset: p.datset }", vec!["unknown_port"]),
        (
            right.0,
            "{ dataset: [p.dataset, p.dataset] }",
            vec!["one_artifact"],
        ),
        (right.0, "{ dataset: p }", vec!["invalid_input"]),
        (right.0, "{ dataset: q.dataset }", vec!["unknown_stage"]),
        (
            "{ transactions: ./t, extra: p.dataset }",
            right.1,
            vec!["cycle"],
        ),
    ] {
        assert_eq!(
            fixture.codes(&stages(prepare, finetune)),
            expected,
            "{prepare} {finetune}"
        );
    }
}

#[test]
fn a_cycle_is_printed() {
    insta::assert_snapshot!(errors(&with_stages(
        "  a: { uses: shell, inputs: { x: b.out }, with: { command: x, outputs: { out: file } } }\n  b: { uses: shell, inputs: { x: c.out }, with: { command: x, outputs: { out: file } } }\n  c: { uses: shell, needs: a, with: { command: x, outputs: { out: file } } }\n",
    )));
}

#[test]
fn a_cycle_of_a_matrix_is_reported_once() {
    assert_eq!(
        codes(&with_stages(
            "  a: { uses: shell, matrix: { s: [1, 2] }, inputs: { x: b.out }, with: { command: x, outputs: { out: file } } }\n  b: { uses: shell, matrix: { s: [1, 2] }, inputs: { x: a.out }, with: { command: x, outputs: { out: file } } }\n",
        )),
        ["cycle"]
    );
}
