//! `runs`, `show`, `logs`, `get`, `diff`, `gc`: what is known of runs that ended.

use serde_json::json;

use crate::harness::Project;
use crate::run::CHAIN;

fn two_runs() -> Project {
    let project = Project::with(CHAIN);
    project.ok(&["run", "workflow.yaml"]);
    project.change("workflow.yaml", "times: 2", "times: 3");
    project.ok(&["run", "workflow.yaml"]);
    project
}

fn run_ids(project: &Project) -> Vec<String> {
    let document = project.ok(&["runs", "--json"]).json();
    document["runs"]
        .as_array()
        .expect("runs")
        .iter()
        .map(|run| run["run"].as_str().expect("an id").to_owned())
        .collect()
}

#[test]
fn runs_are_listed_from_the_newest() {
    let project = two_runs();
    let ids = run_ids(&project);
    assert_eq!(ids.len(), 2);
    assert!(ids[0] > ids[1]);
    let text = project.ok(&["runs", "--limit", "1"]).stdout;
    assert!(text.contains(&ids[0]) && !text.contains(&ids[1]), "{text}");
    assert!(text.contains("1 older"), "{text}");
}

#[test]
fn a_project_without_runs_says_so() {
    let project = Project::new();
    assert_eq!(project.ok(&["runs"]).stdout, "no runs yet\n");
    assert!(!project.exists(".supermoe"));
}

#[test]
fn show_has_the_promised_names() {
    let project = two_runs();
    let document = project.latest();
    for name in ["run", "workflow", "outcome", "stages"] {
        assert!(!document[name].is_null(), "{name}: {document}");
    }
    let stage = &document["stages"][1];
    for name in [
        "name",
        "matrix",
        "state",
        "reason",
        "key",
        "seconds",
        "peak_memory_bytes",
        "metrics",
        "outputs",
    ] {
        assert!(stage.get(name).is_some(), "{name}: {stage}");
    }
    assert_eq!(document["outcome"], "succeeded");
    assert_eq!(stage["outputs"]["all"].as_str().map(str::len), Some(64));
    assert_eq!(stage["key"].as_str().map(str::len), Some(64));
    assert_eq!(stage["metrics"], json!({}));
}

#[test]
fn a_run_is_found_by_its_id_and_by_the_beginning_of_it() {
    let project = two_runs();
    for id in run_ids(&project) {
        let by_id = project.ok(&["show", &id, "--json"]).json();
        assert_eq!(by_id["run"], id.as_str());
        let by_prefix = project.ok(&["show", &id[..25].to_lowercase(), "--json"]);
        assert_eq!(by_prefix.json()["run"], id.as_str());
    }
}

#[test]
fn show_reads_like_this() {
    let project = two_runs();
    let text = project.ok(&["show", "latest"]).steady_stdout();
    // Times of day and memory differ from run to run.
    let steady: Vec<&str> = text
        .lines()
        .filter(|line| !line.contains("UTC"))
        .map(|line| line.split("MiB").last().unwrap_or(line))
        .collect();
    assert!(
        text.contains("cached") && text.contains("params.times"),
        "{text}"
    );
    assert!(steady.len() >= 3, "{text}");
}

#[test]
fn logs_are_kept_stage_by_stage() {
    let project = Project::with(
        r#"name: talks
stages:
  one:
    uses: shell
    with: { command: "echo out of one; echo error of one >&2" }
  two:
    uses: shell
    needs: [one]
    with: { command: "seq 1 10" }
"#,
    );
    project.ok(&["run", "workflow.yaml"]);
    let one = project.ok(&["logs", "latest", "one"]).stdout;
    assert!(
        one.contains("out of one\n") && one.contains("error of one\n"),
        "{one}"
    );
    let tail = project.ok(&["logs", "latest", "two", "--tail", "2"]).stdout;
    assert_eq!(tail, "9\n10\n");
    let all = project.ok(&["logs", "latest"]).stdout;
    assert!(
        all.contains("── one\n") && all.contains("── two\n"),
        "{all}"
    );
    project.ok(&["run", "workflow.yaml"]);
    let cached = project.supermoe(&["logs", "latest", "one"]);
    assert_eq!(cached.code, Some(2), "{cached}");
    assert!(cached.stderr.contains("cached"), "{cached}");
}

#[test]
fn get_refuses_to_overwrite() {
    let project = two_runs();
    project.ok(&["get", "latest", "first.text", "--to", "out"]);
    let again = project.supermoe(&["get", "latest", "first.text", "--to", "out"]);
    assert_eq!(again.code, Some(2), "{again}");
    project.write("a_file", "mine");
    let file = project.supermoe(&["get", "latest", "first.text", "--to", "a_file"]);
    assert_eq!(file.code, Some(2), "{file}");
    assert_eq!(project.read("a_file"), "mine");
}

#[test]
fn diff_tells_params_and_digests() {
    let project = two_runs();
    let ids = run_ids(&project);
    let document = project.ok(&["diff", &ids[1], &ids[0], "--json"]).json();
    assert_eq!(
        document["params"],
        json!([{ "name": "times", "old": 2, "new": 3 }])
    );
    let stages = document["stages"].as_array().expect("stages");
    assert_eq!(stages.len(), 1, "{document}");
    assert_eq!(stages[0]["stage"], "second");
    assert_eq!(stages[0]["outputs"][0]["name"], "all");
    let text = project.ok(&["diff", &ids[1], "latest"]).stdout;
    assert!(text.contains("times") && text.contains("2 -> 3"), "{text}");
    let same = project.ok(&["diff", "latest", "latest"]).stdout;
    assert!(same.contains("no difference"), "{same}");
}

#[test]
fn gc_says_first_what_it_would_remove() {
    let project = two_runs();
    let before = project.files_below(".supermoe/store").len();
    let dry = project
        .ok(&["gc", "--keep", "1", "--young", "0", "--json"])
        .json();
    assert_eq!(dry["removed"], false);
    assert_eq!(dry["runs"], 1, "{dry}");
    assert_eq!(project.files_below(".supermoe/store").len(), before);
    let swept = project
        .ok(&["gc", "--keep", "1", "--young", "0", "--yes", "--json"])
        .json();
    assert_eq!(swept["removed"], true);
    assert_eq!(swept["runs"], dry["runs"]);
    assert_eq!(swept["removed_bytes"], dry["removed_bytes"]);
    assert!(project.files_below(".supermoe/store").len() < before);
    assert_eq!(run_ids(&project).len(), 1);
    // What the kept run reaches is whole.
    project.ok(&["get", "latest", "first.text", "--to", "out"]);
    project.ok(&["run", "workflow.yaml"]);
    assert_eq!(project.states(), ["first: cached", "second: cached"]);
}

#[test]
fn gc_spares_what_is_young() {
    let project = two_runs();
    let text = project.ok(&["gc", "--keep", "1", "--yes"]).stdout;
    assert!(text.starts_with("nothing to remove"), "{text}");
    assert!(text.contains("spared 1 run more: younger"), "{text}");
}

#[test]
fn cells_with_any_value_on_an_axis_are_read_back() {
    let project = Project::with(
        r#"name: odd
stages:
  a:
    uses: shell
    matrix: { m: [{ n: p, k: 5 }, a/b, "x y", "ü", 1.10] }
    with:
      command: printf '%s' "<${{ matrix.m }}>"; echo said > "${{ outputs.o }}"
      outputs: { o: file }
"#,
    );
    project.ok(&["run", "workflow.yaml"]);
    let all = project.ok(&["logs", "latest"]).stdout;
    let shown = project.ok(&["show", "latest"]).stdout;
    for (label, json_spelling) in [
        ("a[m={n:p,k:5}]", r#"a[m={"n":"p","k":5}]"#),
        ("a[m=a/b]", "a[m=a/b]"),
        (r#"a[m="x y"]"#, "a[m=x y]"),
        ("a[m=ü]", "a[m=ü]"),
        ("a[m=1.10]", "a[m=1.1]"),
    ] {
        assert!(all.contains(&format!("── {label}\n")), "{label}: {all}");
        assert!(shown.contains(label), "{label}: {shown}");
        for name in [label, json_spelling] {
            let log = project.ok(&["logs", "latest", name]).stdout;
            assert!(
                log.starts_with('<') && log.ends_with(">\n"),
                "{name}: {log}"
            );
            let to = format!("out/{}", all.len() + name.len());
            let _ = std::fs::remove_dir_all(project.path(&to));
            project.ok(&["get", "latest", &format!("{name}.o"), "--to", &to]);
            project.ok(&["plan", "workflow.yaml", "--only", name]);
        }
    }
    let labels: Vec<String> = project.latest()["stages"]
        .as_array()
        .expect("stages")
        .iter()
        .map(|stage| stage["label"].as_str().expect("a label").to_owned())
        .collect();
    assert_eq!(labels[4], "a[m=1.10]");
}

#[test]
fn a_stage_that_printed_nothing_says_so() {
    let project = Project::with(
        "name: quiet\nstages:\n  a:\n    uses: shell\n    with: { command: \"true\" }\n  b:\n    uses: shell\n    with: { command: \"exit 3\" }\n",
    );
    let run = project.supermoe(&["run", "workflow.yaml", "--keep-going"]);
    assert_eq!(run.code, Some(1), "{run}");
    assert!(!run.stderr.contains("all of its log"), "{run}");
    for stage in ["a", "b"] {
        let logs = project.ok(&["logs", "latest", stage]);
        assert_eq!(logs.stdout, "");
        assert_eq!(logs.stderr, format!("`{stage}` printed nothing\n"));
    }
}

#[test]
fn messages_of_plugins_are_kept_in_the_log() {
    let project = Project::with(
        r#"name: warns
stages:
  a:
    uses: shell
    with:
      command: |
        printf 'half'
        echo '{"event":"log","level":"warn","message":"mind this"}' >> "$SUPERMOE_EVENTS"
        echo '{"event":"log","level":"debug","message":"not this"}' >> "$SUPERMOE_EVENTS"
"#,
    );
    project.ok(&["run", "workflow.yaml"]);
    let log = project.ok(&["logs", "latest", "a"]).stdout;
    assert_eq!(log, "half\nwarn: mind this\n");
}

#[test]
fn a_store_that_is_not_there_is_told() {
    let project = two_runs();
    let runs = project.supermoe(&["runs", "--store", "nope"]);
    assert_eq!(runs.code, Some(2), "{runs}");
    assert!(runs.stderr.contains("no store in"), "{runs}");
    project.change("workflow.yaml", "name:", "store: /proc/nope\nname:");
    let run = project.supermoe(&["run", "workflow.yaml"]);
    assert_eq!(run.code, Some(1), "{run}");
    assert_eq!(run_ids(&project).len(), 2);
}
