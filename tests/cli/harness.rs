//! A project in a temporary folder, and the program as its user runs it there.

use std::fs;
use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// Longer than anything a test waits for; reached only when the test fails.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Project {
    /// Kept for its `Drop`.
    _temp: TempDir,
    root: PathBuf,
    variables: Vec<(String, String)>,
}

/// What a command left behind.
#[derive(Debug)]
pub struct Outcome {
    /// None: ended by a signal.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    root: PathBuf,
}

impl Project {
    pub fn new() -> Project {
        let temp = tempfile::Builder::new()
            .prefix("supermoe-")
            .tempdir()
            .expect("a temporary folder");
        let root = fs::canonicalize(temp.path()).expect("it exists");
        let project = Project {
            _temp: temp,
            root,
            variables: Vec::new(),
        };
        project.file("supermoe.toml", "")
    }

    /// A project with one workflow, `workflow.yaml`.
    pub fn with(workflow: &str) -> Project {
        Project::new().file("workflow.yaml", workflow)
    }

    /// Writes a file, and the folders that it needs.
    pub fn file(self, path: &str, text: &str) -> Project {
        self.write(path, text);
        self
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.root.join(path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).expect("a folder");
        }
        fs::write(path, text).expect("a file");
    }

    /// Replaces text in a file; it must be there.
    pub fn change(&self, path: &str, from: &str, to: &str) {
        let text = self.read(path);
        assert!(text.contains(from), "{path} has no {from:?}:\n{text}");
        self.write(path, &text.replacen(from, to, 1));
    }

    pub fn read(&self, path: &str) -> String {
        let path = self.root.join(path);
        fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("{} cannot be read: {error}", path.display()))
    }

    pub fn exists(&self, path: &str) -> bool {
        self.root.join(path).exists()
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    pub fn variable(mut self, name: &str, value: &str) -> Project {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn without_variable(mut self, name: &str) -> Project {
        self.variables.retain(|(known, _)| known != name);
        self
    }

    /// Runs to the end.
    pub fn supermoe(&self, arguments: &[&str]) -> Outcome {
        self.start(arguments).wait()
    }

    /// Runs to the end and must end well.
    pub fn ok(&self, arguments: &[&str]) -> Outcome {
        let outcome = self.supermoe(arguments);
        assert_eq!(outcome.code, Some(0), "{arguments:?}\n{outcome}");
        outcome
    }

    /// Starts the program in a process group of its own.
    pub fn start(&self, arguments: &[&str]) -> Running {
        let mut command = Command::new(env!("CARGO_BIN_EXE_supermoe"));
        command
            .args(arguments)
            .current_dir(&self.root)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.root.join("home"))
            .env("LC_ALL", "C")
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let child = command.spawn().expect("supermoe starts");
        Running {
            child,
            root: self.root.clone(),
        }
    }

    /// The document that `show latest --json` prints.
    pub fn latest(&self) -> Value {
        self.ok(&["show", "latest", "--json"]).json()
    }

    /// `name: state` of each stage of the last run, in order.
    pub fn states(&self) -> Vec<String> {
        states(&self.latest())
    }

    /// Every file below a folder.
    pub fn files_below(&self, folder: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        collect(&self.root.join(folder), &mut found);
        found
    }

    /// Waits until a file exists that a stage writes.
    pub fn wait_for(&self, path: &str) {
        let path = self.root.join(path);
        eventually(&format!("{} appears", path.display()), || path.exists());
    }
}

/// `name[axis=value]: state` of each stage in a document of `show --json`.
pub fn states(document: &Value) -> Vec<String> {
    document["stages"]
        .as_array()
        .expect("stages")
        .iter()
        .map(|stage| {
            let axes: Vec<String> = stage["matrix"]
                .as_object()
                .expect("a matrix")
                .iter()
                .map(|(axis, value)| format!("{axis}={}", plain(value)))
                .collect();
            let name = plain(&stage["name"]);
            let state = plain(&stage["state"]);
            if axes.is_empty() {
                format!("{name}: {state}")
            } else {
                format!("{name}[{}]: {state}", axes.join(","))
            }
        })
        .collect()
}

/// A string without its quotes, anything else as JSON.
pub fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.filter_map(Result::ok) {
        let path = entry.path();
        if path.is_dir() && !path.is_symlink() {
            collect(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// Polls until it holds; a test that waits in vain fails.
pub fn eventually(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "in vain waited until {what}");
        std::thread::yield_now();
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// A program that goes on.
pub struct Running {
    child: Child,
    root: PathBuf,
}

impl Running {
    /// Sends a signal to the program alone, not to its group.
    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        let id = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).expect("a process id"));
        nix::sys::signal::kill(id, signal).expect("the program is still there");
    }

    /// Takes its stdout, to read while it runs; the outcome then has none.
    pub fn stdout(&mut self) -> impl Read + use<> {
        self.child.stdout.take().expect("it was not taken")
    }

    pub fn wait(mut self) -> Outcome {
        let stdout = self.child.stdout.take();
        let stderr = self.child.stderr.take().expect("a pipe");
        // Both pipes are read at once, so that neither fills up.
        let reader = std::thread::spawn(move || text_of(stderr));
        let stdout = stdout.map(text_of).unwrap_or_default();
        let stderr = reader.join().expect("the reader ends");
        let status = self.child.wait().expect("the program ends");
        assert!(
            !stderr.contains("panicked at"),
            "the program panicked:\n{stderr}"
        );
        Outcome {
            code: status
                .code()
                .or_else(|| status.signal().map(|number| -number)),
            stdout,
            stderr,
            root: self.root,
        }
    }
}

fn text_of(mut pipe: impl Read) -> String {
    let mut bytes = Vec::new();
    pipe.read_to_end(&mut bytes).expect("the pipe is readable");
    String::from_utf8(bytes).expect("output is UTF-8")
}

impl Outcome {
    /// Stdout as one JSON document.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("stdout is no JSON document: {error}\n{self}"))
    }

    /// Stdout as NDJSON.
    pub fn events(&self) -> Vec<Value> {
        self.stdout
            .lines()
            .map(|line| {
                serde_json::from_str(line)
                    .unwrap_or_else(|error| panic!("{line:?} is no JSON: {error}"))
            })
            .collect()
    }

    /// Stdout with all that differs from run to run replaced.
    pub fn steady_stdout(&self) -> String {
        steady(&self.stdout, &self.root)
    }

    pub fn steady_stderr(&self) -> String {
        steady(&self.stderr, &self.root)
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "exit code {:?}\n--- stdout\n{}\n--- stderr\n{}",
            self.code, self.stdout, self.stderr
        )
    }
}

/// Replaces paths, run ids, digests, times and sizes by their kind.
fn steady(text: &str, root: &Path) -> String {
    let text = text.replace(&root.display().to_string(), "[PROJECT]");
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let word_length = rest
            .find(|c: char| !c.is_ascii_alphanumeric())
            .unwrap_or(rest.len());
        let word = &rest[..word_length];
        if let Some(kind) = kind_of(word) {
            out.push_str(kind);
        } else {
            out.push_str(word);
        }
        rest = &rest[word_length..];
        if let Some(next) = rest.chars().next() {
            out.push(next);
            rest = &rest[next.len_utf8()..];
        }
    }
    replace_durations(&out)
}

fn kind_of(word: &str) -> Option<&'static str> {
    let is_hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    if word.len() == 26
        && word.starts_with("01")
        && word
            .chars()
            .all(|c| c.is_ascii_digit() || c.is_ascii_uppercase())
    {
        Some("[RUN]")
    } else if word.len() >= 8
        && word.chars().all(is_hex)
        && word.chars().any(|c| c.is_ascii_digit())
        && word.chars().any(|c| c.is_ascii_lowercase())
    {
        Some("[DIGEST]")
    } else {
        None
    }
}

/// `0.42 s` and `12.3 s` become `[TIME]`.
fn replace_durations(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (index, part) in text.split(" s").enumerate() {
        if index > 0 {
            let number = out
                .char_indices()
                .rev()
                .take_while(|(_, c)| c.is_ascii_digit() || *c == '.')
                .last()
                .map_or(out.len(), |(at, _)| at);
            let ends_word = !part.starts_with(|c: char| c.is_ascii_alphanumeric());
            let is_number = out[number..].contains('.') && out[number..].parse::<f64>().is_ok();
            if ends_word && is_number {
                out.truncate(number);
                out.push_str("[TIME]");
            } else {
                out.push_str(" s");
            }
        }
        out.push_str(part);
    }
    out
}
