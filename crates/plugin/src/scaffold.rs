//! Writes the folder of a new plugin that runs and passes the conformance kit as it is.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use thiserror::Error;

use crate::manifest_check::is_name;

/// What stands for the name in the templates.
const NAME: &str = "plugin-name";
/// What stands for the dependency on this crate.
const SDK: &str = "{ sdk = \"here\" }";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    Rust,
    Python,
}

impl FromStr for Language {
    type Err = ScaffoldError;

    fn from_str(text: &str) -> Result<Self, ScaffoldError> {
        match text {
            "rust" => Ok(Language::Rust),
            "python" => Ok(Language::Python),
            other => Err(ScaffoldError::Language(other.to_owned())),
        }
    }
}

#[derive(Debug, Error)]
pub enum ScaffoldError {
    #[error("`{0}` is no language for a plugin here: expected rust or python")]
    Language(String),
    #[error(
        "`{0}` is not a plugin's name: use lower-case letters, digits, `-` and `_`, and begin with a letter"
    )]
    Name(String),
    #[error("{} is there already: choose another name, or remove it", .0.display())]
    Exists(PathBuf),
    #[error("{} cannot be written: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
}

/// One file of a template: its path in the new folder and its text.
type File = (&'static str, &'static str);

const PYTHON: &[File] = &[
    ("plugin.json", include_str!("scaffold/python/plugin.json")),
    ("plugin.py", include_str!("scaffold/python/plugin.py")),
    (
        "supermoe_sdk.py",
        include_str!("../../../examples/plugin-python/supermoe_sdk.py"),
    ),
    (
        "conformance.json",
        include_str!("scaffold/conformance.json"),
    ),
    ("examples/text.txt", include_str!("scaffold/text.txt")),
];

const RUST: &[File] = &[
    ("plugin.json", include_str!("scaffold/rust/plugin.json")),
    ("Cargo.toml", include_str!("scaffold/rust/Cargo.toml.txt")),
    ("src/main.rs", include_str!("scaffold/rust/main.rs")),
    (".gitignore", "/target\n"),
    (
        "conformance.json",
        include_str!("scaffold/conformance.json"),
    ),
    ("examples/text.txt", include_str!("scaffold/text.txt")),
];

/// A plugin that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scaffold {
    pub folder: PathBuf,
    /// Relative to the folder.
    pub files: Vec<PathBuf>,
    /// What has to be run before the plugin can be, from within the folder.
    pub build: Option<&'static str>,
}

/// Writes a new plugin into `parent`/`name`. Nothing that exists is touched.
pub fn write(name: &str, language: Language, parent: &Path) -> Result<Scaffold, ScaffoldError> {
    if !is_name(name) {
        return Err(ScaffoldError::Name(name.to_owned()));
    }
    let folder = parent.join(name);
    let failed = |path: &Path, source| ScaffoldError::Write {
        path: path.to_owned(),
        source,
    };
    fs::create_dir_all(parent).map_err(|error| failed(parent, error))?;
    match fs::create_dir(&folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(ScaffoldError::Exists(folder));
        }
        Err(error) => return Err(failed(&folder, error)),
        Ok(()) => {}
    }
    let (template, build) = match language {
        Language::Python => (PYTHON, None),
        Language::Rust => (RUST, Some("cargo build --release")),
    };
    for (path, text) in template {
        let path = folder.join(path);
        if let Err(error) = write_file(&path, &filled(text, name)) {
            // The folder is ours: it was made above.
            let _ = fs::remove_dir_all(&folder);
            return Err(failed(&path, error));
        }
    }
    Ok(Scaffold {
        folder,
        files: template
            .iter()
            .map(|(path, _)| PathBuf::from(path))
            .collect(),
        build,
    })
}

fn write_file(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, text)
}

fn filled(text: &str, name: &str) -> String {
    text.replace(NAME, name).replace(SDK, &sdk_dependency())
}

/// The SDK's source where supermoe was built on this machine, else its version.
fn sdk_dependency() -> String {
    let source = Path::new(env!("CARGO_MANIFEST_DIR"));
    if source.join("Cargo.toml").is_file() {
        let path = serde_json::Value::from(source.display().to_string());
        format!("{{ path = {path}, default-features = false }}")
    } else {
        format!(
            "{{ version = \"{}\", default-features = false }}",
            env!("CARGO_PKG_VERSION")
        )
    }
}
