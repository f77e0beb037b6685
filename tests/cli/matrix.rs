//! Stages with a matrix: cells, their names, their wiring.

use crate::harness::Project;

const MATRIX: &str = r#"name: matrix
stages:
  make:
    uses: shell
    matrix: { model: [a, b], seed: [1, 2] }
    with:
      command: printf '%s' "${{ matrix.model }}${{ matrix.seed }}" > "${{ outputs.text }}"
      outputs: { text: file }
  use:
    uses: shell
    matrix: { model: [a, b], seed: [1, 2] }
    inputs: { text: make.text }
    with:
      command: cat "${{ inputs.text }}" > "${{ outputs.copy }}"
      outputs: { copy: file }
  join:
    uses: shell
    inputs: { all: "use.*.copy" }
    with:
      command: printf '%s\n' "${{ inputs.all }}" | while read -r f; do cat "$f"; echo; done > "${{ outputs.joined }}"
      outputs: { joined: file }
"#;

#[test]
fn cells_are_joined_on_shared_axes_and_gathered_by_a_star() {
    let project = Project::with(MATRIX);
    project.ok(&["run", "workflow.yaml"]);
    assert_eq!(project.states().len(), 9);
    project.ok(&["get", "latest", "use[model=b,seed=1].copy", "--to", "one"]);
    assert_eq!(project.read("one/copy"), "b1");
    project.ok(&["get", "latest", "join.joined", "--to", "all"]);
    assert_eq!(project.read("all/joined"), "a1\na2\nb1\nb2\n");
}

#[test]
fn a_new_axis_value_runs_only_its_cells() {
    let project = Project::with(MATRIX);
    project.ok(&["run", "workflow.yaml"]);
    let text = project
        .read("workflow.yaml")
        .replace("seed: [1, 2]", "seed: [1, 2, 3]");
    project.write("workflow.yaml", &text);
    project.ok(&["run", "workflow.yaml"]);
    let ran: Vec<String> = project
        .states()
        .into_iter()
        .filter(|state| state.ends_with(": ran"))
        .collect();
    assert_eq!(
        ran,
        [
            "make[model=a,seed=3]: ran",
            "make[model=b,seed=3]: ran",
            "use[model=a,seed=3]: ran",
            "use[model=b,seed=3]: ran",
            "join: ran"
        ]
    );
}

#[test]
fn one_cell_can_be_selected() {
    let project = Project::with(MATRIX);
    project.ok(&["run", "workflow.yaml", "--until", "use[model=a,seed=2]"]);
    let ran: Vec<String> = project
        .states()
        .into_iter()
        .filter(|state| state.ends_with(": ran"))
        .collect();
    assert_eq!(
        ran,
        ["make[model=a,seed=2]: ran", "use[model=a,seed=2]: ran"]
    );
}

#[test]
fn a_port_of_many_cells_asks_which_one() {
    let project = Project::with(MATRIX);
    project.ok(&["run", "workflow.yaml"]);
    let outcome = project.supermoe(&["get", "latest", "use.copy", "--to", "x"]);
    assert_eq!(outcome.code, Some(2));
    insta::assert_snapshot!(outcome.steady_stderr());
}
