//! `supermoe plugins`: as a person reads them.

use crate::harness::Project;

#[test]
fn the_built_in_ones_are_listed() {
    let text = Project::new().ok(&["plugins"]).stdout;
    for name in ["evaluate", "finetune", "prepare", "pretrain", "shell"] {
        assert!(
            text.lines()
                .any(|line| line.starts_with(name) && line.contains("built in")),
            "{name}:\n{text}"
        );
    }
}

#[test]
fn one_tells_its_ports_and_params() {
    insta::assert_snapshot!(Project::new().ok(&["plugins", "shell"]).stdout);
}

#[test]
fn those_of_the_project_are_found() {
    let project = Project::new()
        .file(
            "plugins/gru/plugin.json",
            r#"{ "protocol": 1, "name": "gru", "version": "0.3.0", "description": "A recurrent model.",
                 "launch": { "command": ["./gru"] },
                 "variant": { "of": "finetune", "param": "model", "value": "gru" },
                 "inputs": { "dataset": { "type": "dataset", "description": "What it learns from." } },
                 "outputs": { "model": { "type": "model" } },
                 "params": { "type": "object", "properties": {
                    "units": { "type": "integer", "minimum": 1, "default": 32, "description": "Width of the state." } } },
                 "checkpoints": true, "resources": { "cpus": 2, "memory": 1073741824 } }"#,
        );
    let list = project.ok(&["plugins"]).stdout;
    assert!(list.contains("gru") && list.contains("project"), "{list}");
    insta::assert_snapshot!(project.ok(&["plugins", "gru"]).steady_stdout());
    let document = project.ok(&["plugins", "gru", "--json"]).json();
    assert_eq!(document["manifest"]["version"], "0.3.0");
}

#[test]
fn a_broken_manifest_is_told_and_the_others_still_work() {
    let project = Project::new().file("plugins/broken/plugin.json", "{ \"name\": \"broken\"");
    let outcome = project.ok(&["plugins"]);
    assert!(
        outcome.stderr.contains("plugins/broken/plugin.json"),
        "{outcome}"
    );
    assert!(outcome.stdout.contains("shell"), "{outcome}");
}
