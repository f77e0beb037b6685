//! Commands and examples of docs/data.md are run on a table as the page describes it.

use std::fs;
use std::path::Path;

use crate::harness::Project;
use crate::init_data::{purchases, users};

/// What a block that shows one part of `with` leaves out.
const REST: [(&str, &str); 12] = [
    ("sources", "{}"),
    ("events", "SELECT * FROM purchases"),
    ("profile", "null"),
    ("entity", "user"),
    ("time", "time"),
    ("order", "[]"),
    ("history", "90d"),
    ("length", "16"),
    (
        "channels",
        "{ item: { kind: category }, price: { kind: dense } }",
    ),
    ("totals", "{}"),
    ("aggregates", "{}"),
    (
        "splits",
        "{ by: time, train: [2023-06-01, 2023-07-01], valid: [2023-08-01], test: [2023-10-01] }",
    ),
];
const TASKS: &str = "{ buys: { kind: binary, within: 30d, label: count(*) > 0 } }";

struct Block {
    /// Of the page, where it begins.
    line: usize,
    language: String,
    text: String,
}

fn blocks() -> Vec<Block> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/data.md");
    let page = fs::read_to_string(file).expect("docs/data.md");
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (line, number) in page.lines().zip(1..) {
        match (line.strip_prefix("```"), &mut open) {
            (Some(language), None) => {
                open = Some(Block {
                    line: number,
                    language: language.to_owned(),
                    text: String::new(),
                });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some(block)) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    blocks
}

/// The blocks of YAML that begin with this mark.
fn marked(mark: &str) -> Vec<(usize, String)> {
    let marked = blocks().into_iter().filter_map(|block| {
        let text = block.text.strip_prefix(&format!("# {mark}\n"))?;
        Some((block.line, text.to_owned()))
    });
    marked.collect()
}

fn project() -> Project {
    Project::new()
        .file("purchases.csv", &purchases())
        .file("users.csv", &users())
}

/// A workflow of one `prepare` with what the block says, and the rest as usual.
fn prepare(part: &str) -> String {
    let says = |key: &str| {
        part.lines()
            .any(|line| line.starts_with(&format!("{key}:")))
    };
    let mut with = part.to_owned();
    for (key, usual) in REST.into_iter().chain([("tasks", TASKS)]) {
        if !says(key) {
            with.push_str(&format!("{key}: {usual}\n"));
        }
    }
    let with: String = with.lines().map(|line| format!("      {line}\n")).collect();
    format!(
        "name: page\nstages:\n  prepare:\n    uses: prepare\n    \
         inputs: {{ purchases: ./purchases.csv, users: ./users.csv }}\n    with:\n{with}"
    )
}

#[test]
fn each_part_of_prepare_runs() {
    let parts = marked("with");
    assert!(parts.len() > 12, "docs/data.md shows {} parts", parts.len());
    let project = project();
    for (line, part) in parts {
        project.write("workflow.yaml", &prepare(&part));
        let outcome = project.supermoe(&["run", "workflow.yaml"]);
        assert_eq!(outcome.code, Some(0), "docs/data.md:{line}\n{outcome}");
    }
}

#[test]
fn whole_workflows_run() {
    let workflows = marked("whole");
    assert!(
        !workflows.is_empty(),
        "docs/data.md shows no whole workflow"
    );
    let project = project();
    for (line, workflow) in workflows {
        project.write("workflow.yaml", &workflow);
        let outcome = project.supermoe(&["run", "workflow.yaml"]);
        assert_eq!(outcome.code, Some(0), "docs/data.md:{line}\n{outcome}");
    }
}

/// Words, so that the width of columns does not matter.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_commands_do_what_the_page_shows() {
    let project = project();
    let consoles = blocks()
        .into_iter()
        .filter(|block| block.language == "console");
    let mut ran = 0;
    for block in consoles {
        let commands = block.text.split("$ supermoe ").skip(1);
        for command in commands {
            let (command, shown) = command.split_once('\n').unwrap_or((command, ""));
            let arguments: Vec<&str> = command.split(' ').collect();
            let printed = project.ok(&arguments).stdout;
            for line in shown.lines() {
                assert!(
                    words(&printed).contains(&words(line)),
                    "docs/data.md:{}: `supermoe {command}` prints no {line:?}\n{printed}",
                    block.line
                );
            }
            ran += 1;
        }
    }
    assert!(ran > 3, "docs/data.md shows {ran} commands");
}

#[test]
fn each_mistake_has_the_message_that_the_page_shows() {
    let project = project();
    let mut blocks = blocks().into_iter();
    let mut mistakes = 0;
    while let Some(block) = blocks.next() {
        let Some(part) = block.text.strip_prefix("# wrong\n") else {
            continue;
        };
        let message = blocks
            .next()
            .expect("the message stands behind the mistake");
        project.write("workflow.yaml", &prepare(part));
        let outcome = project.supermoe(&["run", "workflow.yaml"]);
        assert_ne!(
            outcome.code,
            Some(0),
            "docs/data.md:{}\n{outcome}",
            block.line
        );
        assert!(
            words(&outcome.stderr).contains(&words(&message.text)),
            "docs/data.md:{}: expected\n{}\nfound\n{outcome}",
            message.line,
            message.text
        );
        mistakes += 1;
    }
    assert!(mistakes > 4, "docs/data.md shows {mistakes} mistakes");
}
