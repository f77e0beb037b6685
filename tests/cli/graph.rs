//! `supermoe graph`: stages and what flows between them.

use crate::harness::Project;

const DIAMOND: &str = r#"name: diamond
stages:
  load:
    uses: shell
    inputs: { raw: ./raw.csv }
    with: { command: "true", outputs: { table: file } }
  left:
    uses: shell
    matrix: { seed: [1, 2, 3] }
    inputs: { table: load.table }
    with: { command: "true", outputs: { part: file } }
  right:
    uses: shell
    inputs: { table: load.table }
    with: { command: "true", outputs: { part: file } }
  join:
    uses: shell
    needs: [load]
    inputs: { lefts: "left.*.part", right: right.part }
    with: { command: "true" }
"#;

fn project() -> Project {
    Project::with(DIAMOND).file("raw.csv", "a\n")
}

#[test]
fn mermaid_is_the_default() {
    insta::assert_snapshot!(project().ok(&["graph", "workflow.yaml"]).stdout);
}

#[test]
fn dot_is_for_graphviz() {
    insta::assert_snapshot!(
        project()
            .ok(&["graph", "workflow.yaml", "--format", "dot"])
            .stdout
    );
}

#[test]
fn cells_can_be_drawn_one_by_one() {
    insta::assert_snapshot!(project().ok(&["graph", "workflow.yaml", "--cells"]).stdout);
}
