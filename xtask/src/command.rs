//! Runs a program to its end and says how long it took and how much memory it needed.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use wait4::Wait4;

#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    #[error("{program} could not be started: {source}")]
    NotStarted {
        program: String,
        source: std::io::Error,
    },
    #[error("{program} ended with {status}\n{tail}")]
    Failed {
        program: String,
        status: String,
        tail: String,
    },
    #[error("{what}: {source}")]
    Io {
        what: String,
        source: std::io::Error,
    },
    #[error("{0}")]
    Other(String),
}

impl TaskError {
    pub fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> TaskError {
        let what = what.into();
        move |source| TaskError::Io { what, source }
    }
}

/// What one run of a program cost.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    pub wall: Duration,
    /// Peak resident size of the program and the children it waited for.
    pub peak_bytes: u64,
}

/// Runs `program` in `folder`; a failure carries the end of its error output.
pub fn measure<I, S>(program: &Path, args: I, folder: &Path) -> Result<Cost, TaskError>
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    measure_into(program, args, folder, Stdio::null())
}

/// As [`measure`], and what the program printed.
pub fn measure_printed<I, S>(
    program: &Path,
    args: I,
    folder: &Path,
) -> Result<(Cost, String), TaskError>
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    let mut printed = tempfile::tempfile().map_err(TaskError::io("a temporary file"))?;
    let for_child = printed
        .try_clone()
        .map_err(TaskError::io("a temporary file"))?;
    let cost = measure_into(program, args, folder, for_child.into())?;
    Ok((cost, text_of(&mut printed)?))
}

fn measure_into<I, S>(
    program: &Path,
    args: I,
    folder: &Path,
    output: Stdio,
) -> Result<Cost, TaskError>
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    let name = program.display().to_string();
    let mut errors = tempfile::tempfile().map_err(TaskError::io("a temporary file"))?;
    let for_child = errors
        .try_clone()
        .map_err(TaskError::io("a temporary file"))?;
    let started = Instant::now();
    let child = Command::new(program)
        .args(args)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(for_child)
        .spawn()
        .map_err(|source| TaskError::NotStarted {
            program: name.clone(),
            source,
        })?;
    let used = child
        .wait4()
        .map_err(TaskError::io(format!("wait for {name}")))?;
    let wall = started.elapsed();
    if !used.status.success() {
        return Err(TaskError::Failed {
            program: name,
            status: used.status.to_string(),
            tail: last_lines(&text_of(&mut errors)?),
        });
    }
    Ok(Cost {
        wall,
        peak_bytes: used.rusage.maxrss,
    })
}

fn text_of(file: &mut std::fs::File) -> Result<String, TaskError> {
    use std::io::{Read, Seek, SeekFrom};
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))
        .and_then(|_| file.read_to_end(&mut bytes))
        .map_err(TaskError::io("the output of a program"))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

/// Runs a program with its output shown; for installing and building.
pub fn run_shown<I, S>(program: &str, args: I, folder: &Path) -> Result<(), TaskError>
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    let mut command = Command::new(program);
    // Cargo describes xtask itself to it; a build script that watches such a variable would run
    // again, and with it half of the tree would be built anew.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"]
            .iter()
            .any(|prefix| text.starts_with(prefix))
        {
            command.env_remove(&name);
        }
    }
    let status = command
        .args(args)
        .current_dir(folder)
        .status()
        .map_err(|source| TaskError::NotStarted {
            program: program.to_owned(),
            source,
        })?;
    if status.success() {
        return Ok(());
    }
    Err(TaskError::Failed {
        program: program.to_owned(),
        status: status.to_string(),
        tail: String::new(),
    })
}

/// The root of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask stands in a folder of the repository")
}

/// Builds the release binary and gives its path.
pub fn release_binary() -> Result<std::path::PathBuf, TaskError> {
    built(&["build", "--release", "--package", "supermoe"], "release")
}

/// Builds an example of a package for measuring, and gives its path.
pub fn release_example(package: &str, name: &str) -> Result<std::path::PathBuf, TaskError> {
    let cargo = [
        "build",
        "--release",
        "--package",
        package,
        "--example",
        name,
    ];
    run_shown("cargo", cargo, root())?;
    Ok(target_folder().join("release/examples").join(name))
}

/// Builds the binary as tests do, and gives its path.
pub fn debug_binary() -> Result<std::path::PathBuf, TaskError> {
    built(&["build", "--package", "supermoe"], "debug")
}

fn built(cargo: &[&str], profile: &str) -> Result<std::path::PathBuf, TaskError> {
    run_shown("cargo", cargo, root())?;
    Ok(target_folder().join(profile).join("supermoe"))
}

fn target_folder() -> std::path::PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR");
    let target = target.map(std::path::PathBuf::from);
    root().join(target.unwrap_or_else(|| "target".into()))
}

/// A virtual environment under `target/` with the named Python packages.
pub fn python_environment(name: &str, packages: &[&str]) -> Result<std::path::PathBuf, TaskError> {
    let folder = root().join("target").join(name);
    let bin = folder.join("bin");
    if !bin.join("pip").exists() {
        let place = folder.display().to_string();
        run_shown("python3", ["-m", "venv", &place], root())?;
    }
    let pip = bin.join("pip").display().to_string();
    let mut args = vec!["install", "--quiet", "--disable-pip-version-check"];
    args.extend_from_slice(packages);
    run_shown(&pip, args, root())?;
    Ok(bin)
}
