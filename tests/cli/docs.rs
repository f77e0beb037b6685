//! The workflows in the documentation are right.

use std::fs;
use std::path::Path;

use crate::harness::Project;

/// Each ```yaml block of docs/workflow.md that begins with `# check`, with its line.
fn checked_blocks(text: &str) -> Vec<(usize, String)> {
    let mut blocks = Vec::new();
    let mut block: Option<(usize, String)> = None;
    for (index, line) in text.lines().enumerate() {
        let fence = line.trim_start().starts_with("```");
        match &mut block {
            Some(open) if fence => {
                if open.1.trim_start().starts_with("# check") {
                    blocks.push(open.clone());
                }
                block = None;
            }
            Some((_, body)) => {
                body.push_str(line);
                body.push('\n');
            }
            None if fence && line.trim() == "```yaml" => block = Some((index + 2, String::new())),
            // A block of another language: its end must not look like a beginning.
            None if fence => block = Some((index + 2, "# skip\n".to_owned())),
            None => {}
        }
    }
    blocks
}

/// Names of files that a block reads: `./…` in it.
fn paths_in(block: &str) -> Vec<String> {
    block
        .split(|c: char| c.is_whitespace() || ",[]{}\"'".contains(c))
        .filter(|word| word.starts_with("./") && word.len() > 2)
        .map(str::to_owned)
        .collect()
}

#[test]
fn each_block_marked_to_be_checked_is_a_right_workflow() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/workflow.md");
    let text = fs::read_to_string(&file).expect("docs/workflow.md");
    let blocks = checked_blocks(&text);
    assert!(
        !blocks.is_empty(),
        "docs/workflow.md has no block that begins with `# check`"
    );
    for (line, block) in blocks {
        let project = Project::with(&block);
        for path in paths_in(&block) {
            if Path::new(&path).extension().is_some() {
                project.write(&path, "");
            } else {
                project.write(&format!("{path}/file"), "");
            }
        }
        let mut arguments = vec!["check", "workflow.yaml"];
        if block.contains("schedule.") {
            arguments.extend(["--date", "2024-02-01"]);
        }
        let outcome = project.supermoe(&arguments);
        assert_eq!(outcome.code, Some(0), "docs/workflow.md:{line}\n{outcome}");
    }
}

#[test]
fn blocks_are_found_between_their_fences() {
    let text = "a\n```yaml\n# check\nname: x\n```\n```sh\nls\n```\n```yaml\nname: no\n```\n";
    assert_eq!(checked_blocks(text), [(3, "# check\nname: x\n".to_owned())]);
}
