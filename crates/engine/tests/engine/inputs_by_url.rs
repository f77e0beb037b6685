//! Inputs by URL: what happens to the copy while the run goes on.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::PathBuf;

use supermoe_engine::{Outcome, PlannedState, RunEvent};
use supermoe_plugin::host::StopSignal;

use crate::project::Project;

/// Done to the copy on this machine.
type Harm = fn(PathBuf);

/// Serves one file until the test's process ends. Gives its URL.
fn serve(body: &'static str) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for mut socket in listener.incoming().flatten() {
            let mut request = String::new();
            let mut reader = BufReader::new(socket.try_clone().expect("a socket"));
            while reader.read_line(&mut request).is_ok_and(|bytes| bytes > 2) {}
            let body = if request.starts_with("GET") { body } else { "" };
            let head = "HTTP/1.1 200 OK\r\nconnection: close\r\netag: \"1\"\r\ncontent-length: 4";
            // A client that hangs up is no failure of the test.
            let _ = write!(socket, "{head}\r\n\r\n{body}");
        }
    });
    format!("http://{address}/data/x.csv")
}

fn workflow(url: &str) -> String {
    format!(
        r#"
  a:
    uses: shell
    inputs: {{ data: "{url}" }}
    with: {{ command: "cat ${{{{ inputs.data }}}} > ${{{{ outputs.o }}}}", outputs: {{ o: file }} }}
"#
    )
}

fn copy(project: &Project) -> PathBuf {
    let folders = fs::read_dir(project.path("local/fetched")).expect("a folder");
    let files = folders
        .flatten()
        .flat_map(|folder| fs::read_dir(folder.path()).expect("a folder").flatten());
    let mut copies = files.filter(|file| file.file_name() != "known.json");
    copies.next().expect("a copy").path()
}

#[test]
fn a_copy_that_changes_or_goes_while_the_run_goes_on_is_noticed() {
    let url = serve("one\n");
    let yaml = workflow(&url);
    let harms: [(&str, Harm); 2] = [
        ("changed", |copy| fs::write(copy, "two\n").expect("writes")),
        ("went away", |copy| fs::remove_file(copy).expect("removes")),
    ];
    for (word, harm) in harms {
        let project = Project::new();
        let ran = project.run_until(&yaml, StopSignal::never(), |event| {
            if let RunEvent::InputRead { path, .. } = event {
                assert_eq!(path.to_str(), Some(url.as_str()));
                harm(copy(&project));
            }
        });
        assert_eq!(ran.outcome(), Outcome::Failed);
        let error = ran.error("a");
        assert!(error.contains(word) && error.contains(&url), "{error}");
        assert_eq!(project.run(&yaml).ran(), ["a"]);
        assert_eq!(project.run(&yaml).states(), ["a cached"]);
    }
}

#[test]
fn a_plan_fetches_and_says_what_it_could_not() {
    let project = Project::new();
    let yaml = workflow(&serve("one\n"));
    let plan = project.plan(&yaml);
    assert_eq!(plan.count(PlannedState::Run), 1);
    assert_eq!(plan.cells[0].problem, None);
    assert_eq!(
        fs::read_to_string(copy(&project)).ok().as_deref(),
        Some("one\n")
    );
    assert!(
        !project.path("store").exists(),
        "a plan writes nothing to the store"
    );

    // It announces four bytes.
    let url = serve("on");
    let plan = project.plan(&workflow(&url));
    let problem = plan.cells[0].problem.as_deref().expect("a problem");
    assert!(
        problem.contains(&url) && problem.contains("2 of 4 bytes"),
        "{problem}"
    );
}
