//! `supermoe init DATA`: a workflow drafted from a table, checked before it is written.

use std::fs;
use std::io::Write;
use std::path::{Component, Path, PathBuf};

use clap::Args;
use supermoe_prepare::{Draft, DraftRequest, draft};
use supermoe_workflow::{Overrides, Source};
use textwrap::Options;

use crate::failure::{Failure, Problem};
use crate::output;
use crate::project::Project;
use crate::run_name::quoted;
use crate::screen::Screen;
use crate::workflow_file::{catalog, render};

/// Drafts a workflow from a table of events
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  supermoe init purchases.csv\n  supermoe init logs/2024-*.csv --dir churn\n  supermoe init export.csv --entity \"Customer ID\" --time \"Booked on\"\n\nGuesses delimiter, encoding, types, who (--entity), when (--time), channels, splits, tasks and sizes from\na part of the data, says why, and writes DIR/workflow.yaml, which runs as it is and is yours to change."
)]
pub struct Arguments {
    /// A CSV, JSON lines or Parquet file with one event a row, or several of the same columns
    #[arg(value_name = "DATA", required = true)]
    data: Vec<PathBuf>,

    /// The folder that gets workflow.yaml; made where it is missing
    #[arg(
        long,
        value_name = "DIR",
        default_value = ".",
        hide_default_value = true
    )]
    dir: PathBuf,

    /// The column that says who, such as a customer's id [default: guessed]
    #[arg(long, value_name = "COLUMN")]
    entity: Option<String>,

    /// The column that says when [default: guessed]
    #[arg(long, value_name = "COLUMN")]
    time: Option<String>,

    /// Replaces a workflow.yaml that is there
    #[arg(long)]
    force: bool,
}

const WORKFLOW: &str = "workflow.yaml";
const MARK: &str = "supermoe.toml";
const MARK_TEXT: &str =
    "# The root of a supermoe project: its runs are kept in .supermoe/ beside this file.\n";

pub fn execute(arguments: &Arguments) -> Result<(), Failure> {
    let folder = absolute(&arguments.dir)?;
    let target = folder.join(WORKFLOW);
    refuse_taken(arguments, &target)?;
    let paths = arguments
        .data
        .iter()
        .map(|file| path_from(&folder, file))
        .collect::<Result<Vec<_>, _>>()?;
    let catalog = catalog(nearest(&folder))?;
    let request = DraftRequest {
        files: arguments.data.clone(),
        paths,
        name: name(&arguments.data),
        entity: arguments.entity.clone(),
        time: arguments.time.clone(),
        export: catalog.get("export").is_some(),
    };
    let drafted = draft(&request).map_err(|error| {
        let problem = Problem::input("supermoe::cli::init", error.message);
        Failure::from(match error.help {
            Some(help) => problem.help(help),
            None => problem,
        })
    })?;
    fs::create_dir_all(&folder).map_err(|error| cannot_write(&folder, error))?;
    check(&drafted, &target, &folder)?;
    write(&target, &drafted.workflow, arguments.force)?;
    let marked = mark(&folder)?;
    tell(arguments, &drafted, marked)
}

fn refuse_taken(arguments: &Arguments, target: &Path) -> Result<(), Failure> {
    if arguments.force || fs::symlink_metadata(target).is_err() {
        return Ok(());
    }
    let shown = arguments.dir.join(WORKFLOW);
    Err(Problem::input(
        "supermoe::cli::init_exists",
        format!("`{}` is there already", plain(&shown)),
    )
    .help("Choose another folder with --dir, or replace it with --force")
    .into())
}

/// A folder that may not be there yet, without links and `..`.
fn absolute(folder: &Path) -> Result<PathBuf, Failure> {
    let wrong = |message: String| Problem::input("supermoe::cli::init_folder", message);
    let folder = std::path::absolute(folder).map_err(|error| {
        wrong(format!("Cannot find the folder `{}`", folder.display())).because(error)
    })?;
    let there = nearest(&folder);
    if !there.is_dir() {
        let message = format!("`{}` is no folder", there.display());
        return Err(wrong(message).help("Give a folder with --dir").into());
    }
    let rest = folder.strip_prefix(there).unwrap_or(Path::new(""));
    if rest.components().any(|part| part == Component::ParentDir) {
        let message = format!("There is no folder `{}`", folder.display());
        return Err(wrong(message).help("Give a folder with --dir").into());
    }
    let found = fs::canonicalize(there)
        .map_err(|error| wrong(format!("Cannot find `{}`", there.display())).because(error))?;
    Ok(found.join(rest))
}

/// The nearest thing upwards that is there.
fn nearest(path: &Path) -> &Path {
    let there = path.ancestors().find(|above| above.exists());
    there.unwrap_or(Path::new("/"))
}

/// The file as a workflow in that folder names it.
fn path_from(folder: &Path, file: &Path) -> Result<String, Failure> {
    let wrong = |message: String| Problem::input("supermoe::cli::init_data", message);
    let file = fs::canonicalize(file).map_err(|error| {
        wrong(format!("Cannot read `{}`", file.display()))
            .because(error)
            .help("Give the path of a CSV, JSON lines or Parquet file")
    })?;
    let common = folder
        .components()
        .zip(file.components())
        .take_while(|(a, b)| a == b)
        .count();
    let up = folder.components().count() - common;
    let mut path = PathBuf::from(if up == 0 { "." } else { ".." });
    (1..up).for_each(|_| path.push(".."));
    path.extend(file.components().skip(common));
    path.into_os_string().into_string().map_err(|path| {
        let path = path.to_string_lossy().into_owned();
        wrong(format!("The path `{path}` is not UTF-8"))
            .help("Rename the file: a workflow is UTF-8 text")
            .into()
    })
}

/// The workflow's name: that of the only file, in letters that a name may have.
fn name(data: &[PathBuf]) -> String {
    let stem = match data {
        [only] => only.file_stem().unwrap_or_default().to_string_lossy(),
        _ => "".into(),
    };
    let mut name = String::new();
    for c in stem.chars().take(60) {
        match c {
            c if c.is_ascii_alphanumeric() || c == '-' => name.push(c),
            _ if name.ends_with('_') => {}
            _ => name.push('_'),
        }
    }
    match name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        true => name,
        false => "events".to_owned(),
    }
}

/// What is written has passed `check`; a mistake in it is ours.
fn check(drafted: &Draft, target: &Path, folder: &Path) -> Result<(), Failure> {
    let project = Project::around(folder)?;
    let catalog = catalog(project.root())?;
    let source = Source::new(target, drafted.workflow.as_str());
    let variable = |name: &str| std::env::var(name).ok();
    let compiled = supermoe_workflow::compile(source, &Overrides::default(), &catalog, &variable);
    let Err(mistakes) = compiled else {
        return Ok(());
    };
    output::to_stderr(&render(&mistakes));
    Err(Problem::failed(
        "supermoe::cli::init_check",
        "The drafted workflow does not pass `check`, which is a mistake of this program; nothing was written",
    )
    .help("Please report it with the message above and the first lines of the data")
    .into())
}

/// Written beside, then moved, so that there is never a part of it.
fn write(target: &Path, text: &str, force: bool) -> Result<(), Failure> {
    use std::os::unix::fs::PermissionsExt;
    let folder = target.parent().unwrap_or(Path::new("."));
    let failed = |error| cannot_write(target, error);
    let mut file = tempfile::Builder::new()
        .prefix(".workflow-")
        .permissions(fs::Permissions::from_mode(0o666))
        .tempfile_in(folder)
        .map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    match force {
        true => file.persist(target),
        false => file.persist_noclobber(target),
    }
    .map_err(|error| failed(error.error))?;
    Ok(())
}

fn cannot_write(path: &Path, error: std::io::Error) -> Failure {
    let message = format!("Cannot write `{}`", path.display());
    Problem::failed("supermoe::cli::init_write", message)
        .because(error)
        .into()
}

/// Makes the folder a project, where it is in none; whether it did.
fn mark(folder: &Path) -> Result<bool, Failure> {
    let project = Project::around(folder)?;
    if project.is_marked() {
        return Ok(false);
    }
    write(&folder.join(MARK), MARK_TEXT, false)?;
    Ok(true)
}

fn tell(arguments: &Arguments, drafted: &Draft, marked: bool) -> Result<(), Failure> {
    let screen = Screen::stdout();
    let mut text = String::new();
    let mut line = |label: &str, shown: String, told: &str| {
        let hanging = " ".repeat(LABEL);
        let options = Options::new(screen.width.max(40) - LABEL).break_words(false);
        for (part, first) in textwrap::wrap(told, options)
            .iter()
            .zip((0..).map(|at| at == 0))
        {
            let before = match first {
                true => format!("{shown}{}", " ".repeat(LABEL - label.len())),
                false => hanging.clone(),
            };
            text.push_str(&format!("{before}{part}\n"));
        }
    };
    for (label, told) in &drafted.guesses {
        line(label, screen.bold(label), told);
    }
    for told in &drafted.warnings {
        line("doubtful", screen.yellow("doubtful"), told);
    }
    let target = plain(&arguments.dir.join(WORKFLOW));
    text.push_str(&format!("\nwrote {target}"));
    if marked {
        text.push_str(&format!(" and {}", plain(&arguments.dir.join(MARK))));
    }
    text.push_str(&format!("\nnext: supermoe run {}\n", quoted(&target)));
    output::to_stdout(|out| out.write_all(text.as_bytes()))
}

/// Columns of the words before the guesses.
const LABEL: usize = 10;

/// As the user would write it: without `./` before it.
fn plain(path: &Path) -> String {
    let path = path.strip_prefix(".").unwrap_or(path);
    path.display().to_string()
}
