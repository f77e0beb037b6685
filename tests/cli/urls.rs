//! Inputs by URL: fetched once, asked for each time, and honest about what goes wrong.

use std::fs;

use nix::sys::signal::Signal;

use crate::harness::{Outcome, Project, eventually};
use crate::s3::{SECRET_KEY, Server};
use crate::web_server::{Page, WebServer};

/// `table` reads a URL, `other` does not.
fn workflow(url: &str) -> String {
    format!(
        r#"name: urls
stages:
  table:
    uses: shell
    inputs: {{ data: "{url}" }}
    with: {{ command: 'cat "${{{{ inputs.data }}}}" > "${{{{ outputs.out }}}}"', outputs: {{ out: file }} }}
  other:
    uses: shell
    with: {{ command: 'echo other > "${{{{ outputs.out }}}}"', outputs: {{ out: file }} }}
"#
    )
}

const FOLDER: &str = r#"name: urls
stages:
  names:
    uses: shell
    inputs: { data: s3://bucket/tables/, more: [s3://bucket/more.csv, ./more.csv] }
    with:
      command: '(cd "${{ inputs.data }}"; find . -type f | sort; cat a.csv; echo ${{ inputs.more }} | wc -w) > "${{ outputs.out }}"'
      outputs: { out: file }
"#;

fn reason(project: &Project, stage: usize) -> String {
    project.latest()["stages"][stage]["reason"].to_string()
}

/// What lies in the folder of what was fetched, records apart.
fn fetched(project: &Project) -> Vec<String> {
    let files = project.files_below(".supermoe/local/fetched");
    let name = |path: &std::path::PathBuf| {
        path.file_name()
            .map(|name| name.to_string_lossy().into_owned())
    };
    let names = files.iter().filter_map(name);
    names.filter(|name| name != "known.json").collect()
}

fn failed(project: &Project, words: &[&str]) -> Outcome {
    let outcome = project.supermoe(&["run", "workflow.yaml"]);
    assert_eq!(outcome.code, Some(1), "{outcome}");
    let text = outcome
        .stderr
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    for word in words {
        assert!(text.contains(word), "{word:?} is not in\n{outcome}");
    }
    assert_eq!(project.states()[0], "table: failed");
    assert_eq!(fetched(project), [""; 0], "something is left behind");
    outcome
}

#[test]
fn a_file_is_fetched_once_and_a_change_is_noticed() {
    let web = WebServer::start();
    web.put("/data/table.csv", Page::file("one\n", "1"));
    let url = web.url("/data/table.csv");
    let project = Project::with(&workflow(&url));
    project.ok(&["check", "workflow.yaml"]);
    assert_eq!(web.asked(), [""; 0], "a check stays offline");

    let first = project.ok(&["run", "workflow.yaml"]);
    let line = format!("fetching {url}  1 object, 4 B");
    assert!(first.stderr.contains(&line), "{first}");
    assert_eq!(web.asked(), ["HEAD /data/table.csv", "GET /data/table.csv"]);
    project.ok(&["get", "latest", "table.out", "--to", "out"]);
    assert_eq!(project.read("out/out"), "one\n");
    let shown = project.ok(&["show", "latest", "--json"]);
    assert!(shown.stdout.contains(&url), "{shown}");

    project.ok(&["run", "workflow.yaml"]);
    assert_eq!(project.states(), ["table: cached", "other: cached"]);
    assert_eq!(web.asked(), ["HEAD /data/table.csv"]);

    web.put("/data/table.csv", Page::file("two\n", "2"));
    let plan = project.ok(&["plan", "workflow.yaml"]);
    assert!(plan.stdout.contains(&url), "{plan}");
    project.ok(&["run", "workflow.yaml"]);
    assert_eq!(project.states(), ["table: ran", "other: cached"]);
    assert!(
        reason(&project, 0).contains(&url),
        "{}",
        reason(&project, 0)
    );
    let runs = project.ok(&["runs", "--json"]).json();
    let first = runs["runs"][2]["run"]
        .as_str()
        .expect("three runs")
        .to_owned();
    let difference = project.ok(&["diff", &first, "latest"]);
    assert!(difference.stdout.contains("data"), "{difference}");

    // Another ETag, the same content.
    web.put("/data/table.csv", Page::file("two\n", "3"));
    project.ok(&["run", "workflow.yaml"]);
    assert_eq!(project.states(), ["table: cached", "other: cached"]);
}

#[test]
fn moving_a_file_costs_nothing() {
    let web = WebServer::start();
    web.put("/a/table.csv", Page::file("one\n", "1"));
    web.put(
        "/old.csv",
        Page::status("302 Found").header("location", "/a/table.csv"),
    );
    let project = Project::with(&workflow("./local.csv")).file("local.csv", "one\n");
    project.ok(&["run", "workflow.yaml"]);
    for url in [web.url("/a/table.csv"), web.url("/old.csv")] {
        project.write("workflow.yaml", &workflow(&url));
        project.ok(&["run", "workflow.yaml"]);
        assert_eq!(
            project.states(),
            ["table: cached", "other: cached"],
            "{url}"
        );
    }
}

#[test]
fn what_has_no_mark_of_its_own_is_fetched_each_time() {
    let web = WebServer::start();
    web.put("/x", Page::plain("one\n"));
    let project = Project::with(&workflow(&web.url("/x")));
    for state in ["table: ran", "table: cached"] {
        project.ok(&["run", "workflow.yaml"]);
        assert_eq!(project.states()[0], state);
        assert_eq!(web.asked(), ["HEAD /x", "GET /x"]);
    }
    // The time of its change alone is enough, once it is over.
    let page = Page::plain("one\n").header("last-modified", "Wed, 21 Oct 2015 07:28:00 GMT");
    web.put("/x", page);
    project.ok(&["run", "workflow.yaml"]);
    web.asked();
    project.ok(&["run", "workflow.yaml"]);
    assert_eq!(web.asked(), ["HEAD /x"]);
}

#[test]
fn a_damaged_copy_is_fetched_again() {
    let web = WebServer::start();
    web.put("/x", Page::file("one\n", "1"));
    let project = Project::with(&workflow(&web.url("/x")));
    project.ok(&["run", "workflow.yaml"]);
    web.asked();
    let copies = project.files_below(".supermoe/local/fetched");
    let copy = copies
        .iter()
        .find(|file| !file.ends_with("known.json"))
        .expect("a copy");
    fs::write(copy, "bad\n").expect("writes");
    project.ok(&["run", "workflow.yaml"]);
    assert_eq!(project.states(), ["table: cached", "other: cached"]);
    assert_eq!(web.asked(), ["HEAD /x", "GET /x"]);
    fs::remove_dir_all(project.path(".supermoe/local/fetched")).expect("it may be deleted");
    project.ok(&["run", "workflow.yaml"]);
    assert_eq!(project.states(), ["table: cached", "other: cached"]);
}

#[test]
fn refusals_name_the_stage_the_input_and_the_url() {
    let web = WebServer::start();
    web.put("/secret", Page::status("403 Forbidden"));
    web.put("/broken", Page::status("500 Internal Server Error"));
    web.put(
        "/loop",
        Page::status("302 Found").header("location", "/loop"),
    );
    web.put("/cut", Page::file("half\n", "1").announcing(10));
    web.put("/huge", Page::file("huge\n", "1").announcing(1 << 60));
    for (path, word) in [
        ("/missing", "does not exist"),
        ("/secret", "403 Forbidden"),
        ("/broken", "500 Internal Server Error"),
        ("/loop", "redirects more than 10 times"),
        ("/cut", "broke off after 5 of 10 bytes"),
        ("/huge", "are free at"),
    ] {
        let url = web.url(path);
        let project = Project::with(&workflow(&url));
        failed(&project, &["table", "input `data`", &url, word]);
        let plan = project.supermoe(&["plan", "workflow.yaml"]);
        assert!(format!("{plan}").contains(word), "{plan}");
    }
}

#[test]
fn a_hit_is_real_even_where_the_server_is_gone() {
    let web = WebServer::start();
    web.put("/x", Page::file("one\n", "1"));
    let url = web.url("/x");
    let project = Project::with(&workflow(&url));
    project.ok(&["run", "workflow.yaml"]);
    drop(web);
    let outcome = project.supermoe(&["run", "workflow.yaml"]);
    assert_eq!(outcome.code, Some(1), "{outcome}");
    assert!(outcome.stderr.contains("cannot be reached"), "{outcome}");
    assert_eq!(project.states(), ["table: failed", "other: cached"]);
}

#[test]
fn a_signal_ends_a_run_that_fetches() {
    let web = WebServer::start();
    web.put("/x", Page::file("part\n", "1").announcing(1000).stalling());
    let project = Project::with(&workflow(&web.url("/x")));
    let run = project.start(&["run", "workflow.yaml"]);
    eventually("the file is on its way", || {
        web.asked().contains(&"GET /x".to_owned())
    });
    run.signal(Signal::SIGINT);
    let outcome = run.wait();
    assert_eq!(outcome.code, Some(130), "{outcome}");
    assert_eq!(project.states(), ["table: skipped", "other: skipped"]);
    assert_eq!(fetched(&project), [""; 0], "something is left behind");
}

#[test]
fn objects_and_folders_come_from_a_bucket() {
    let server = Server::start();
    server.put("tables/a.csv", "a\n");
    server.put("tables/deep/b c.csv", "b\n");
    server.put("more.csv", "m\n");
    let project = Project::with(FOLDER).file("more.csv", "n\n");
    let project = server.lets_in(project, SECRET_KEY);
    project.ok(&["run", "workflow.yaml"]);
    project.ok(&["get", "latest", "names.out", "--to", "out"]);
    assert_eq!(project.read("out/out"), "./a.csv\n./deep/b c.csv\na\n2\n");
    project.ok(&["run", "workflow.yaml"]);
    assert_eq!(project.states(), ["names: cached"]);

    server.put("tables/a.csv", "changed\n");
    project.ok(&["run", "workflow.yaml"]);
    assert_eq!(project.states(), ["names: ran"]);
    let reason = reason(&project, 0);
    assert!(reason.contains("s3://bucket/tables/"), "{reason}");
    server.remove("tables/a.csv");
    server.put("tables/a.csv", "a\n");
    project.ok(&["run", "workflow.yaml"]);
    assert_eq!(project.states(), ["names: cached"]);
    for file in project.files_below(".supermoe") {
        let bytes = fs::read(&file).unwrap_or_default();
        let holds = bytes
            .windows(SECRET_KEY.len())
            .any(|window| window == SECRET_KEY.as_bytes());
        assert!(!holds, "{} holds the secret key", file.display());
    }
}

#[test]
fn a_bucket_that_does_not_let_one_in_or_has_nothing_says_so() {
    let server = Server::start();
    server.put("x.csv", "x\n");
    for (url, secret, word) in [
        (
            "s3://bucket/x.csv",
            "a-wrong-secret-4711",
            "access to s3://bucket/x.csv is refused",
        ),
        (
            "s3://bucket/y.csv",
            SECRET_KEY,
            "s3://bucket/y.csv does not exist",
        ),
        (
            "s3://bucket/none/",
            SECRET_KEY,
            "no object below s3://bucket/none/",
        ),
        ("s3://nowhere/x/", SECRET_KEY, "s3://nowhere/x/"),
    ] {
        let project = server.lets_in(Project::with(&workflow(url)), secret);
        let outcome = failed(&project, &["table", "input `data`", word]);
        assert!(!outcome.stderr.contains(secret), "{outcome}");
    }
}
