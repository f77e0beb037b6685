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

#[test]
fn mistakes_of_many_stages_are_told_like_those_of_few() {
    let stages = |count: usize| {
        let mut text = layers(count);
        // The last stages have a mistake, a doubt, and both.
        text.push_str("  wrong: { uses: shel, with: { command: x } }\n");
        text.push_str("  doubtful: { uses: shell, with: { command: \"echo '${{ outputs.o }}'\", outputs: { o: file } } }\n");
        text.push_str("  more: { uses: shell, with: { comand: x } }\n");
        text
    };
    let few = codes(&stages(10));
    assert!(few.len() >= 2, "{few:?}");
    for count in [80, 300, 1000] {
        assert_eq!(codes(&stages(count)), few);
    }
}

#[test]
fn two_outputs_in_one_place_are_found_across_many_stages() {
    let text = |count: usize| {
        let mut text = layers(count);
        text.insert_str(
            text.find("  s1:").expect("it has a second stage"),
            "  first: { uses: shell, with: { command: x, outputs: { o: file } }, publish: { o: out/x } }\n",
        );
        text.push_str("  last: { uses: shell, with: { command: x, outputs: { o: file } }, publish: { o: out/x } }\n");
        text
    };
    let few = codes(&text(10));
    assert_eq!(few.len(), 1, "{few:?}");
    assert_eq!(codes(&text(500)), few);
}

#[test]
fn cells_of_many_stages_are_numbered_in_order() {
    let mut text = "name: w\nstages:\n".to_owned();
    for at in 0..300 {
        let matrix = if at % 7 == 0 {
            "matrix: { x: [1, 2, 3] }, "
        } else {
            ""
        };
        let _ = writeln!(
            text,
            "  s{at}: {{ uses: shell, {matrix}with: {{ command: x }} }}"
        );
    }
    let workflow = workflow(&text);
    assert_eq!(workflow.cells.len(), 300 + 2 * 300_usize.div_ceil(7));
    let mut before = None;
    for (at, cell) in workflow.cells.iter().enumerate() {
        assert_eq!(cell.id.index(), at);
        let number: usize = cell.stage.as_str()[1..].parse().expect("a number");
        assert!(before <= Some(number));
        before = Some(number);
    }
}
