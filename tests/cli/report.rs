//! `report RUN` and the report after a run: a page, JSON and Markdown from what a run left.

use serde_json::{Value, json};

use crate::evaluated::{card, evaluation, history, project};
use crate::harness::Project;
use crate::run::CHAIN;

const SCRIPT: &str = "<script>alert(1)</script>";

/// The page of the last run, made anew.
fn page(project: &Project) -> String {
    let place = project.ok(&["report", "latest"]).stdout;
    std::fs::read_to_string(place.trim_end()).expect("the page that it names")
}

fn section<'a>(page: &'a str, id: &str) -> &'a str {
    let from = page
        .find(&format!("<section id=\"{id}\""))
        .unwrap_or_else(|| panic!("no section {id}"));
    let length = page[from..].find("</section>").expect("it ends");
    &page[from..from + length]
}

#[track_caller]
fn assert_holds(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
}

#[test]
fn a_run_that_evaluates_leaves_a_report() {
    let project = project();
    let run = project.ok(&["run", "workflow.yaml"]);
    let id = project.latest()["run"].as_str().expect("an id").to_owned();
    let folder = format!(".supermoe/reports/{id}");
    let place = project.path(&folder).join("report.html");
    assert_holds(
        &run.stdout,
        &[&format!("report is in {}\n", place.display())],
    );
    let written = project.read(&format!("{folder}/report.html"));
    assert_eq!(page(&project), written);

    let results = section(&written, "results");
    assert_holds(
        results,
        &[
            "<strong>0.7200 ± 0.0100</strong>",
            "model=moe",
            "Test sets",
            "kind, class by class",
            "All 4 cells",
            "model=moe, seed=2",
        ],
    );
    // Lower is better.
    assert_holds(results, &["<strong>0.2800 ± 0.0100</strong>"]);
    assert_holds(
        section(&written, "curves"),
        &[
            "ROC",
            "Precision and recall",
            "Calibration",
            "<svg",
            "model=ple",
        ],
    );
    assert_holds(
        section(&written, "training"),
        &["Loss", "Validation AUC", "Gradient norm", "one by one"],
    );
    assert_holds(section(&written, "experts"), &["2 experts", "<svg"]);
    assert_holds(
        section(&written, "data"),
        &[
            "123\u{202f}456",
            "2009-12-01 – 2011-12-09",
            "20.0\u{a0}%",
            "4\u{202f}005",
        ],
    );
    assert_holds(section(&written, "params"), &["note", "as written"]);
    assert_holds(section(&written, "stages"), &["judge", "first run"]);
    assert_holds(section(&written, "machine"), &["Cores", "1\u{202f}234"]);
    let stage = &project.latest()["stages"][0];
    let digest = stage["outputs"]["report"].as_str().expect("a digest");
    assert_holds(
        section(&written, "lineage"),
        &[digest, stage["key"].as_str().expect("a key")],
    );

    let document: Value =
        serde_json::from_str(&project.read(&format!("{folder}/report.json"))).expect("JSON");
    assert_eq!(document["version"], 1);
    assert_eq!(document["run"]["id"], id.as_str());
    assert_eq!(
        document["evaluations"][0]["groups"][0]["tasks"]["buy"]["auc"]["mean"],
        0.72
    );
    assert_eq!(
        document["training"][0]["series"]["train/loss"]["points"][0],
        json!([10.0, 0.1])
    );
    assert_eq!(document["data"][0]["rows"], 123_456);
    assert_eq!(document["problems"], json!([]));
    let markdown = project.read(&format!("{folder}/report.md"));
    assert_holds(
        &markdown,
        &[
            "# retail",
            "| model=moe (2 cells) | 0.7200 ± 0.0100 | 0.7200 ± 0.0100 | 0.7200 ± 0.0100 |",
        ],
    );
}

#[test]
fn the_page_needs_nothing_but_itself() {
    let project = project();
    project.ok(&["run", "workflow.yaml"]);
    let page = page(&project);
    for foreign in [
        "://",
        "<script",
        "src=",
        "@import",
        "@font-face",
        "url(h",
        "<iframe",
        "<img",
    ] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    assert_holds(
        &page,
        &[
            "default-src 'none'",
            "<html lang=\"en\">",
            "prefers-color-scheme: dark",
            "@media print",
        ],
    );
    // Every picture says in words what it shows, and every head what it heads.
    for tag in page.split("<svg ").skip(1) {
        let tag = tag.split('>').next().expect("it has an end");
        assert!(
            tag.contains("aria-label=") || tag.contains("aria-hidden="),
            "{tag}"
        );
    }
    assert!(
        page.split("<th ")
            .skip(1)
            .all(|head| head.starts_with("scope="))
    );
}

#[test]
fn a_cached_run_has_a_report_too() {
    let project = project();
    project.ok(&["run", "workflow.yaml"]);
    let run = project.ok(&["run", "workflow.yaml", "--json"]);
    let events = run.events();
    assert_eq!(
        events.last().map(|last| &last["event"]),
        Some(&json!("run_finished"))
    );
    let id = events[0]["run"].as_str().expect("an id");
    let page = project.read(&format!(".supermoe/reports/{id}/report.html"));
    assert_holds(section(&page, "stages"), &["cached"]);
    assert_holds(section(&page, "results"), &["0.7200 ± 0.0100"]);
}

#[test]
fn a_run_without_an_evaluation_has_a_page_when_it_is_asked_for() {
    let project = Project::with(CHAIN);
    let run = project.ok(&["run", "workflow.yaml"]);
    assert!(!run.stdout.contains("report is in"), "{run}");
    assert!(!project.exists(".supermoe/reports"));
    let page = page(&project);
    assert_holds(
        section(&page, "results"),
        &["No stage of this run gave a report"],
    );
    assert_holds(
        section(&page, "data"),
        &["No stage of this run gave a dataset"],
    );
    assert_holds(
        section(&page, "training"),
        &["No stage of this run gave a metric stream"],
    );
    assert_holds(section(&page, "stages"), &["first", "second"]);
    assert_holds(
        section(&page, "lineage"),
        &["text ← first.text", "class=\"graph\""],
    );
}

#[test]
fn what_users_name_is_text_in_the_page() {
    let project = project();
    project.change(
        "workflow.yaml",
        "    uses: give\n",
        &format!("    uses: give\n    matrix: {{ note: [\"{SCRIPT}\"] }}\n"),
    );
    project.change("workflow.yaml", "as written", &format!("\"{SCRIPT}\""));
    project.write(
        "plugins/give/report/report.json",
        &evaluation(SCRIPT).to_string(),
    );
    project.write("plugins/give/dataset/card.json", &card(SCRIPT).to_string());
    project.write("plugins/give/history", &history(SCRIPT));
    project.ok(&["run", "workflow.yaml"]);
    let page = page(&project);
    assert!(!page.contains("<script"), "{page}");
    let escaped = "&lt;script&gt;alert(1)&lt;/";
    for id in ["results", "curves", "training", "experts", "data", "params"] {
        assert_holds(section(&page, id), &[escaped]);
    }
    // The cell's own name.
    assert_holds(section(&page, "lineage"), &[escaped]);
    project.ok(&["report", "latest", "--to", "out"]);
    assert!(!project.read("out/report.md").contains("<script"));
}

#[test]
fn what_cannot_be_read_is_told_and_the_rest_stands() {
    let project = project();
    project.write("plugins/give/report/report.json", "{ \"tasks\": 7 }");
    project.write(
        "plugins/give/history",
        &("no record\n".to_owned() + &history("buy")),
    );
    project.ok(&["run", "workflow.yaml"]);
    let page = page(&project);
    assert_holds(
        &page,
        &[
            "Could not be read",
            "judge.report: its report.json cannot be read: invalid type: integer `7`",
            "judge.history: line 1 is no record",
        ],
    );
    assert_holds(
        section(&page, "results"),
        &["No stage of this run gave a report of an evaluation that could be read"],
    );
    assert_holds(section(&page, "training"), &["Loss"]);
    assert_holds(section(&page, "data"), &["123\u{202f}456"]);
}

#[test]
fn a_report_without_its_tables_says_so() {
    let project = project();
    for (file, said) in [
        (
            "{}",
            "The report of this evaluation has no table of metrics",
        ),
        ("7", "its report.json cannot be read"),
        ("", "its report.json cannot be read"),
        (
            "{\"cells\":[{\"curves\":[{\"task\":\"buy\",\"roc\":[[1e999,0]]}]}]}",
            "its report.json cannot be read",
        ),
    ] {
        project.write("plugins/give/report/report.json", file);
        project.ok(&["run", "workflow.yaml"]);
        assert_holds(
            &page(&project),
            &[said, "No evaluation of this run has curves"],
        );
    }
    project.change(
        "plugins/give/main.sh",
        "cp \"$here/$port\"/*",
        "touch \"$to/nothing\"; true",
    );
    project.ok(&["run", "workflow.yaml"]);
    assert_holds(
        &page(&project),
        &[
            "judge.report: it has no report.json",
            "judge.dataset: it has no card.json",
        ],
    );
}

#[test]
fn a_damaged_store_is_told_in_the_page() {
    let project = project();
    project.ok(&["run", "workflow.yaml"]);
    let digest = project.latest()["stages"][0]["outputs"]["report"]
        .as_str()
        .expect("a digest")
        .to_owned();
    let tree = format!(".supermoe/store/trees/{digest}");
    std::fs::remove_file(project.path(&tree)).expect("the tree is there");
    let page = page(&project);
    assert_holds(
        &page,
        &["judge.report: ", &digest[..12], "Could not be read"],
    );
    assert_holds(section(&page, "data"), &["123\u{202f}456"]);
}

#[test]
fn a_report_that_cannot_be_written_fails_no_run() {
    let project = project().file(".supermoe/reports", "in the way");
    let run = project.ok(&["run", "workflow.yaml"]);
    assert_holds(
        &run.stderr,
        &["Cannot write the report", "supermoe::cli::report"],
    );
    assert!(!run.stdout.contains("report is in"), "{run}");
    let asked = project.supermoe(&["report", "latest"]);
    assert_eq!(asked.code, Some(1), "{asked}");
    assert_holds(&asked.stderr, &["Cannot write the report", "--to DIR"]);
}

#[test]
fn a_report_goes_where_it_is_asked_to_and_replaces_what_was_there() {
    let project = Project::with(CHAIN);
    project.ok(&["run", "workflow.yaml"]);
    let first = project.ok(&["report", "latest", "--to", "out/deep"]);
    assert_eq!(first.stdout, "out/deep/report.html\n");
    let written = project.read("out/deep/report.html");
    project.write("out/deep/report.html", "old");
    project.ok(&["report", "latest", "--to", "out/deep"]);
    assert_eq!(project.read("out/deep/report.html"), written);
    assert_eq!(project.files_below("out/deep").len(), 3);
    let unknown = project.supermoe(&["report", "01ARZ3ND"]);
    assert_eq!(unknown.code, Some(2), "{unknown}");
    project.write("a_file", "mine");
    let taken = project.supermoe(&["report", "latest", "--to", "a_file"]);
    assert_eq!(taken.code, Some(1), "{taken}");
    assert_eq!(project.read("a_file"), "mine");
}

#[test]
fn a_failed_stage_is_shown_with_the_end_of_its_log() {
    let project = Project::with(
        "name: fails\nstages:\n  bad:\n    uses: shell\n    with: { command: \"echo '<b>in vain</b>'; exit 3\" }\n  after:\n    uses: shell\n    needs: [bad]\n    with: { command: \"true\" }\n",
    );
    let run = project.supermoe(&["run", "workflow.yaml"]);
    assert_eq!(run.code, Some(1), "{run}");
    let page = page(&project);
    assert_holds(
        section(&page, "stages"),
        &[
            "bad failed",
            "&lt;b&gt;in vain&lt;/b&gt;",
            "skipped",
            "bad failed",
        ],
    );
    assert_holds(&page, &["✕</span> failed"]);
}

#[test]
fn the_documentation_names_each_field_of_the_document() {
    let project = project();
    project.ok(&["run", "workflow.yaml"]);
    project.ok(&["report", "latest", "--to", "out"]);
    let document: Value = serde_json::from_str(&project.read("out/report.json")).expect("JSON");
    let fields: Vec<&str> = document
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect();
    let docs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/report.md");
    let text = std::fs::read_to_string(docs).expect("docs/report.md");
    let table = text.split("## report.json").nth(1).expect("the section");
    let named: Vec<&str> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect();
    assert_eq!(named, fields);
    let stage = document["stages"][0].as_object().expect("a stage");
    for field in stage.keys() {
        assert!(table.contains(&format!("`{field}`")), "stages: {field}");
    }
}
