//! `supermoe plugin new NAME`: a plugin that runs and passes its tests, to be filled in.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use supermoe_plugin::scaffold::{self, Language, ScaffoldError};

use crate::failure::{Failure, Problem};
use crate::output;
use crate::project::Project;
use crate::run_name::quoted;
use crate::workflow_file::catalog;

/// Makes a new plugin in the project's plugins folder
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  supermoe plugin new clean --lang python\n  supermoe plugin new gru --lang rust --to ../my-plugins"
)]
pub struct Arguments {
    /// Lower-case letters, digits, `-` and `_`; begins with a letter
    #[arg(value_name = "NAME")]
    name: String,

    /// The language that it is written in
    #[arg(long, value_enum, value_name = "LANGUAGE")]
    lang: Lang,

    /// The folder that gets it [default: plugins/ in the project]
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Lang {
    Python,
    Rust,
}

pub fn execute(arguments: &Arguments) -> Result<(), Failure> {
    let project = Project::around(&PathBuf::from("."))?;
    let parent = match &arguments.to {
        Some(folder) => folder.clone(),
        None => project.root().join("plugins"),
    };
    if let Some(taken) = catalog(project.root())?.get(&arguments.name) {
        let by = match &taken.folder {
            Some(folder) => format!("the plugin in `{}`", folder.display()),
            None => "a built-in plugin".to_owned(),
        };
        return Err(Problem::input(
            "supermoe::cli::plugin_new",
            format!("The name `{}` is taken by {by}", arguments.name),
        )
        .help("Choose another name: `supermoe plugins` lists those that are taken")
        .into());
    }
    let language = match arguments.lang {
        Lang::Python => Language::Python,
        Lang::Rust => Language::Rust,
    };
    let made = scaffold::write(&arguments.name, language, &parent).map_err(failed)?;
    let folder = quoted(&made.folder.display().to_string());
    output::to_stdout(|out| {
        writeln!(out, "{}", made.folder.display())?;
        for file in &made.files {
            writeln!(out, "  {}", file.display())?;
        }
        writeln!(out, "next:")?;
        if let Some(build) = made.build {
            writeln!(out, "  (cd {folder} && {build})")?;
        }
        writeln!(out, "  supermoe plugin test {folder}")
    })
}

fn failed(error: ScaffoldError) -> Failure {
    let message = error.to_string();
    match error {
        ScaffoldError::Write { .. } => Problem::failed("supermoe::cli::plugin_new", message).into(),
        ScaffoldError::Language(_) | ScaffoldError::Name(_) | ScaffoldError::Exists(_) => {
            Problem::input("supermoe::cli::plugin_new", message).into()
        }
    }
}
