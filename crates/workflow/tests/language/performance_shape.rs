//! Large workflows compile to what they should, in bounded space and without deep recursion.

use std::fmt::Write;

use crate::fixture::{codes, workflow};

/// `count` shell stages, each appending to the output of the one ten before it.
pub fn layers(count: usize) -> String {
    let mut text = "name: bench\nstages:\n".to_owned();
    for at in 0..count {
        let _ = write!(text, "  s{at}:\n    uses: shell\n");
        if at >= 10 {
            let _ = writeln!(text, "    inputs: {{ a: s{}.out }}", at - 10);
        }
        let command = if at >= 10 {
            "cat \\\"${{ inputs.a }}\\\" > \\\"${{ outputs.out }}\\\"; echo x >> \\\"${{ outputs.out }}\\\""
        } else {
            "echo x > \\\"${{ outputs.out }}\\\""
        };
        let _ = writeln!(
            text,
            "    with: {{ command: \"{command}\", outputs: {{ out: file }} }} # é"
        );
    }
    text
}

#[test]
fn thousands_of_stages_compile() {
    let workflow = workflow(&layers(3000));
    assert_eq!(
        (workflow.cells.len(), workflow.graph.edge_count()),
        (3000, 2990)
    );
}

#[test]
fn a_chain_of_thousands_needs_no_deep_stack() {
    let mut text = "name: w\nstages:\n".to_owned();
    for at in 0..5000 {
        let _ = writeln!(
            text,
            "  s{at}: {{ uses: shell, needs: s{}, with: {{ command: x }} }}",
            if at == 0 { 4999 } else { at - 1 }
        );
    }
    assert_eq!(codes(&text), ["cycle"]);
}

#[test]
fn too_many_wires_are_refused() {
    let seeds: Vec<String> = (0..2000).map(|seed| seed.to_string()).collect();
    let seeds = seeds.join(",");
    let text = format!(
        "name: w\nstages:\n  a: {{ uses: shell, matrix: {{ s: [{seeds}] }}, with: {{ command: x, outputs: {{ out: file }} }} }}\n  b: {{ uses: shell, matrix: {{ t: [{seeds}] }}, inputs: {{ x: a.*.out }}, with: {{ command: x }} }}\n"
    );
    assert_eq!(codes(&text), ["too_many_wires"]);
}

#[test]
fn thousands_of_mistakes_take_no_thousands_of_seconds() {
    let mut text = "name: w\nstages:\n".to_owned();
    for at in 0..5000 {
        let _ = writeln!(
            text,
            "  stage{at}: {{ uses: shell, needs: stge{at}, with: {{ command: x }} }}"
        );
    }
    assert!(codes(&text).len() >= 200);
    let seeds: Vec<String> = (0..5000).map(|seed| seed.to_string()).collect();
    let _ = writeln!(
        text,
        "  m: {{ uses: shell, matrix: {{ s: [{}] }}, needs: stgee, with: {{ command: \"${{{{ matrix.t }}}}\" }} }}",
        seeds.join(",")
    );
    assert!(codes(&text).len() >= 200);
}
