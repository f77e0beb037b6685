//! The project: its root folder, its state in `.supermoe`, and the store that is meant.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use supermoe_store::{Store, StoreUrl};

use crate::failure::{Failure, Problem};

/// What marks the root of a project, apart from a workflow file alone in its folder.
const ROOT_MARKS: [&str; 2] = ["supermoe.toml", ".git"];

fn has_mark(folder: &Path) -> bool {
    ROOT_MARKS.iter().any(|mark| folder.join(mark).exists())
}

/// Where runs are kept when neither the workflow nor the user says so.
const DEFAULT_STORE: &str = ".supermoe/store";

/// Chooses the project and store of a command that reads earlier runs.
#[derive(Debug, Args)]
pub struct StoreArguments {
    /// A folder of the project whose runs are meant
    #[arg(
        long,
        value_name = "DIR",
        default_value = ".",
        hide_default_value = true
    )]
    pub project: PathBuf,

    /// The store to read: a folder, s3://, gs:// or az:// [default: the one that the project's last run used]
    #[arg(long, value_name = "URL")]
    pub store: Option<String>,
}

impl StoreArguments {
    pub fn project(&self) -> Result<Project, Failure> {
        if !self.project.is_dir() {
            return Err(Problem::input(
                "supermoe::cli::project",
                format!("`{}` is no folder", self.project.display()),
            )
            .help("Give the folder of a project with --project")
            .into());
        }
        Project::around(&self.project)
    }

    /// Opens the store that is meant.
    pub async fn open(&self) -> Result<(Project, Store), Failure> {
        let project = self.project()?;
        let remembered = project.last_store();
        let named = self.store.as_deref().or(remembered.as_deref());
        let url = project.store_url(named)?;
        // Where nothing is said there may be no run yet; what is named has to be there.
        if let (Some(_), StoreUrl::Folder(folder)) = (named, &url)
            && !folder.is_dir()
        {
            let help = match &self.store {
                Some(_) => "Give the folder or URL that a workflow names under `store`",
                None => "The project's last run used it. Say with --store where its runs are now",
            };
            return Err(Problem::input(
                "supermoe::cli::store",
                format!("There is no store in `{}`", folder.display()),
            )
            .help(help)
            .into());
        }
        let store = project.open(&url).await?;
        Ok((project, store))
    }
}

#[derive(Debug, Clone)]
pub struct Project {
    root: PathBuf,
}

impl Project {
    /// The project of a workflow file: the nearest folder upwards with a mark, else its own.
    pub fn of_workflow(file: &Path) -> Result<Project, Failure> {
        let folder = match file.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        Project::around(folder)
    }

    /// The project that a folder lies in, else the folder itself.
    pub fn around(folder: &Path) -> Result<Project, Failure> {
        let folder = fs::canonicalize(folder).map_err(|error| {
            Problem::input(
                "supermoe::cli::project",
                format!("Cannot find the folder `{}`", folder.display()),
            )
            .because(error)
        })?;
        let root = folder
            .ancestors()
            .find(|above| has_mark(above))
            .unwrap_or(&folder)
            .to_owned();
        Ok(Project { root })
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Whether something says that the root is one; else it is the folder that was asked for.
    pub fn is_marked(&self) -> bool {
        has_mark(&self.root)
    }

    pub fn state(&self) -> PathBuf {
        self.root.join(".supermoe")
    }

    /// The store that `text` names, relative to the root; the default without a text.
    pub fn store_url(&self, text: Option<&str>) -> Result<StoreUrl, Failure> {
        let text = text.unwrap_or(DEFAULT_STORE);
        StoreUrl::parse(text, &self.root)
            .map_err(|error| Problem::input("supermoe::store::url", error.to_string()).into())
    }

    pub async fn open(&self, url: &StoreUrl) -> Result<Store, Failure> {
        Store::open(url, &self.state().join("local"))
            .await
            .map_err(|error| Problem::failed("supermoe::store::open", error.to_string()).into())
    }

    /// Notes which store a run used, so that `show latest` and the like need not be told.
    /// The default store needs no note. A note that cannot be written costs a `--store` later.
    pub fn remember_store(&self, url: &StoreUrl) {
        let note = self.store_note();
        let text = url.to_string();
        let is_default = self.store_url(None).is_ok_and(|default| default == *url);
        let known = fs::read_to_string(&note).ok();
        let outcome = match (is_default, known) {
            (true, None) => Ok(()),
            (true, Some(_)) => fs::remove_file(&note),
            (false, Some(known)) if known == text => Ok(()),
            (false, _) => fs::create_dir_all(self.state()).and_then(|()| fs::write(&note, text)),
        };
        if let Err(error) = outcome {
            tracing::debug!(note = %note.display(), %error, "cannot note the store");
        }
    }

    fn last_store(&self) -> Option<String> {
        fs::read_to_string(self.store_note())
            .ok()
            .map(|text| text.trim().to_owned())
            .filter(|text| !text.is_empty())
    }

    fn store_note(&self) -> PathBuf {
        self.state().join("last-store")
    }
}

/// A message of the store, for a command that reads it.
pub fn store_failed(error: supermoe_store::StoreError) -> Failure {
    Problem::failed("supermoe::store::failed", error.to_string()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root_from(folder: &Path) -> PathBuf {
        Project::around(folder).expect("the folder exists").root
    }

    #[test]
    fn the_nearest_mark_upwards_is_the_root() {
        let temp = tempfile::tempdir().expect("a temporary folder");
        let base = fs::canonicalize(temp.path()).expect("it exists");
        let inner = base.join("a/b/c");
        fs::create_dir_all(&inner).expect("folders");
        assert_eq!(root_from(&inner), inner);
        fs::create_dir(base.join(".git")).expect("a folder");
        assert_eq!(root_from(&inner), base);
        fs::write(base.join("a/supermoe.toml"), "").expect("a file");
        assert_eq!(root_from(&inner), base.join("a"));
    }

    #[test]
    fn a_file_without_a_folder_lies_here() {
        let here = Project::of_workflow(Path::new("workflow.yaml")).expect("here");
        assert_eq!(here.root, root_from(Path::new(".")));
    }
}
