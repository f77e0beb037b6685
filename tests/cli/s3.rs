//! A bucket as the store: the same commands, and no credential anywhere.

pub use supermoe_s3_test_server::SECRET_KEY;
use supermoe_s3_test_server::{ACCESS_KEY, BUCKET, serve, variables};
use tokio::runtime::Runtime;

use crate::harness::Project;
use crate::run::CHAIN;

/// An S3 server in this process, on a port that the system chose; it ends with the runtime.
pub struct Server {
    _runtime: Runtime,
    endpoint: String,
    folder: tempfile::TempDir,
}

impl Server {
    pub fn start() -> Server {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let endpoint = runtime.block_on(serve(folder.path()));
        Server {
            _runtime: runtime,
            endpoint: endpoint.expect("serves a folder"),
            folder,
        }
    }

    /// The project with this server's bucket as its store.
    fn holds(&self, workflow: &str, secret_key: &str) -> Project {
        let workflow = workflow.replacen("\n", "\nstore: s3://bucket/experiments\n", 1);
        self.lets_in(Project::with(&workflow), secret_key)
    }

    /// The project with the credentials for this server.
    pub fn lets_in(&self, project: Project, secret_key: &str) -> Project {
        let variables = variables(&self.endpoint, ACCESS_KEY, secret_key);
        variables
            .into_iter()
            .fold(project, |project, (name, value)| {
                project.variable(name, value)
            })
    }

    /// Puts an object into the bucket, behind the server's back.
    pub fn put(&self, key: &str, text: &str) {
        let path = self.folder.path().join(BUCKET).join(key);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).expect("an object");
    }

    pub fn remove(&self, key: &str) {
        std::fs::remove_file(self.folder.path().join(BUCKET).join(key)).expect("an object");
    }
}

#[test]
fn a_run_is_kept_found_again_and_fetched() {
    let server = Server::start();
    let project = server.holds(CHAIN, SECRET_KEY);
    let first = project.ok(&["run", "workflow.yaml"]);
    assert!(first.stdout.contains("s3://bucket/experiments"), "{first}");
    project.ok(&["run", "workflow.yaml"]);
    assert_eq!(project.states(), ["first: cached", "second: cached"]);
    project.ok(&["get", "latest", "second.all", "--to", "out"]);
    assert_eq!(project.read("out/all"), "hello\nhello\n");
    assert!(!project.exists(".supermoe/store"));
}

#[test]
fn another_machine_takes_the_results_over() {
    let server = Server::start();
    server
        .holds(CHAIN, SECRET_KEY)
        .ok(&["run", "workflow.yaml"]);
    let other = server.holds(CHAIN, SECRET_KEY);
    other.ok(&["run", "workflow.yaml"]);
    assert_eq!(other.states(), ["first: cached", "second: cached"]);
}

#[test]
fn wrong_credentials_are_told_and_never_shown() {
    let server = Server::start();
    let project = server.holds(CHAIN, "a-wrong-secret-4711");
    let outcome = project.supermoe(&["run", "workflow.yaml", "--log", "debug"]);
    assert!(matches!(outcome.code, Some(1 | 2)), "{outcome}");
    assert!(
        outcome.stderr.contains("s3://bucket/experiments"),
        "{outcome}"
    );
    assert!(!outcome.stderr.contains("a-wrong-secret-4711"), "{outcome}");
    assert!(!outcome.stderr.contains("panicked"), "{outcome}");
}

#[test]
fn credentials_stand_in_no_file_and_no_output() {
    let server = Server::start();
    let project = server.holds(CHAIN, SECRET_KEY);
    let run = project.ok(&["run", "workflow.yaml", "--log", "debug"]);
    assert!(
        !run.stderr.contains(SECRET_KEY) && !run.stdout.contains(SECRET_KEY),
        "{run}"
    );
    let shown = project.ok(&["show", "latest", "--json"]);
    assert!(!shown.stdout.contains(SECRET_KEY), "{shown}");
    for file in project.files_below(".supermoe") {
        let bytes = std::fs::read(&file).unwrap_or_default();
        let holds = bytes
            .windows(SECRET_KEY.len())
            .any(|window| window == SECRET_KEY.as_bytes());
        assert!(!holds, "{} holds the secret key", file.display());
    }
}
