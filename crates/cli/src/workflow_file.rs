//! The arguments that name a workflow, and how it is read, completed with plugins and compiled.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use supermoe_plugin::catalog::Catalog;
use supermoe_workflow::{Compiled, Diagnostics, Overrides, Source};

use crate::built_ins;
use crate::early_store::EarlyStore;
use crate::failure::{Failure, Problem};
use crate::output;
use crate::project::Project;
use crate::screen::Screen;

/// Above this a file is no workflow.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

#[derive(Debug, Args)]
pub struct WorkflowArguments {
    /// The workflow file
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// Sets a param of the workflow: `--set model.layers=4`
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub sets: Vec<String>,

    /// Lays the params in a YAML file over the workflow's own
    #[arg(long = "params", value_name = "FILE")]
    pub params: Vec<PathBuf>,

    /// What `${{ schedule.date }}` stands for
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub date: Option<jiff::civil::Date>,
}

/// A workflow that is right, with the project that it belongs to.
pub struct Loaded {
    pub project: Project,
    pub compiled: Compiled,
}

impl WorkflowArguments {
    /// A file as it is, with nothing set.
    pub fn of_file(file: &Path) -> WorkflowArguments {
        WorkflowArguments {
            file: file.to_owned(),
            sets: Vec::new(),
            params: Vec::new(),
            date: None,
        }
    }

    /// Reads and checks everything; all mistakes come back in one failure.
    pub fn load(&self) -> Result<Loaded, Failure> {
        self.compile()?
            .map_err(|mistakes| Failure::Rendered(render(&mistakes)))
    }

    /// The same, for who goes on to the workflow's store.
    pub fn load_with_store(&self) -> Result<(Loaded, EarlyStore), Failure> {
        let (source, project) = self.read()?;
        let store = EarlyStore::begin(&project, source.text());
        let loaded = self
            .check(source, project)?
            .map_err(|mistakes| Failure::Rendered(render(&mistakes)))?;
        Ok((loaded, store))
    }

    /// The same as [`Self::load`], for who wants to look into the mistakes.
    pub fn compile(&self) -> Result<Result<Loaded, Diagnostics>, Failure> {
        let (source, project) = self.read()?;
        self.check(source, project)
    }

    fn read(&self) -> Result<(Source, Project), Failure> {
        let source = read_source(&self.file, "workflow")?;
        Ok((source, Project::of_workflow(&self.file)?))
    }

    fn check(
        &self,
        source: Source,
        project: Project,
    ) -> Result<Result<Loaded, Diagnostics>, Failure> {
        let overrides = self.overrides()?;
        let catalog = catalog(project.root())?;
        let compiled =
            supermoe_workflow::compile(source, &overrides, &catalog, &|name| env::var(name).ok());
        Ok(compiled.map(|compiled| Loaded { project, compiled }))
    }

    fn overrides(&self) -> Result<Overrides, Failure> {
        let sets = self
            .sets
            .iter()
            .map(|set| match set.split_once('=') {
                Some((name, value)) if !name.trim().is_empty() => {
                    Ok((name.trim().to_owned(), value.to_owned()))
                }
                _ => Err(Problem::input(
                    "supermoe::cli::set",
                    format!("`--set {set}` sets nothing"),
                )
                .help("Write the param's name, `=` and its value: --set seed=2")),
            })
            .collect::<Result<_, _>>()?;
        let params_files = self
            .params
            .iter()
            .map(|file| read_source(file, "params file"))
            .collect::<Result<_, _>>()?;
        Ok(Overrides {
            sets,
            params_files,
            date: self.date,
        })
    }
}

impl Loaded {
    /// Tells the user what is doubtful, without stopping.
    pub fn tell_warnings(&self) {
        if !self.compiled.warnings.is_empty() {
            output::to_stderr(&render(&self.compiled.warnings));
        }
    }
}

/// Mistakes or doubts as text for stderr.
pub fn render(diagnostics: &Diagnostics) -> String {
    let screen = Screen::stderr();
    diagnostics.render(screen.width, screen.color)
}

/// All plugins that a project can use: the built-in ones and those in its folders.
pub fn catalog(root: &Path) -> Result<Catalog, Failure> {
    let mut catalog = built_ins::catalog();
    let plugin_path = env::var_os("SUPERMOE_PLUGIN_PATH");
    let config = config_folder(|name| env::var_os(name));
    for problem in catalog.discover(root, plugin_path.as_deref(), config.as_deref()) {
        tracing::warn!("{problem}");
    }
    Ok(catalog)
}

/// `$XDG_CONFIG_HOME/supermoe`, else `~/.config/supermoe`.
fn config_folder(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let folder = |name: &str| {
        variable(name)
            .map(PathBuf::from)
            .filter(|folder| folder.is_absolute())
    };
    folder("XDG_CONFIG_HOME")
        .or_else(|| folder("HOME").map(|home| home.join(".config")))
        .map(|config| config.join("supermoe"))
}

fn read_source(file: &Path, what: &str) -> Result<Source, Failure> {
    let wrong = |message: String| Problem::input("supermoe::cli::file", message);
    let size = fs::metadata(file).map_err(|error| {
        wrong(format!("Cannot read the {what} `{}`", file.display())).because(error)
    })?;
    if size.is_dir() {
        return Err(wrong(format!(
            "`{}` is a folder, expected a {what}",
            file.display()
        ))
        .into());
    }
    if size.len() > MAX_BYTES {
        return Err(wrong(format!(
            "The {what} `{}` has {} bytes, expected at most {MAX_BYTES}",
            file.display(),
            size.len()
        ))
        .into());
    }
    let bytes = fs::read(file).map_err(|error| {
        wrong(format!("Cannot read the {what} `{}`", file.display())).because(error)
    })?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
        wrong(format!(
            "The {what} `{}` is not UTF-8 text: line {line} holds a byte that no character has",
            file.display()
        ))
        .help("Save the file as UTF-8")
    })?;
    Ok(Source::new(file, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_config_folder_follows_the_desktop_rules() {
        let from = |pairs: &'static [(&str, &str)]| {
            config_folder(|name| {
                pairs
                    .iter()
                    .find(|(known, _)| *known == name)
                    .map(|(_, value)| OsString::from(value))
            })
        };
        assert_eq!(
            from(&[("XDG_CONFIG_HOME", "/x"), ("HOME", "/home/a")]),
            Some(PathBuf::from("/x/supermoe"))
        );
        assert_eq!(
            from(&[("XDG_CONFIG_HOME", "relative"), ("HOME", "/home/a")]),
            Some(PathBuf::from("/home/a/.config/supermoe"))
        );
        assert_eq!(from(&[]), None);
    }
}
