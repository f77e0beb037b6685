//! Lays outputs out in the project after the run, each atomically in place of the last one.
//! What supermoe did not put there is never replaced.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use supermoe_store::{Digest, Store, StoreError};

/// Remembers what was published where.
const RECORD: &str = ".supermoe/published.json";

#[derive(Debug, thiserror::Error)]
pub(crate) enum PublishError {
    /// The artifact's objects are missing or damaged: who made it has to run again.
    #[error("{0}")]
    Damaged(String),
    #[error("`{}` is there and was not published by supermoe. Move it away, or publish to another path", .0.display())]
    NotOurs(PathBuf),
    #[error("`{}` was changed since supermoe published it; move it away", .0.display())]
    Changed(PathBuf),
    #[error("`{}` is not a path inside the project", .0.display())]
    Outside(PathBuf),
    #[error("`{}` is behind a link, in `{}`, which is no place inside the project", .path.display(), .folder.display())]
    LeadsOut { path: PathBuf, folder: PathBuf },
    #[error("`{}` could not be written: {why}", .path.display())]
    Failed { path: PathBuf, why: String },
}

#[derive(Debug)]
pub(crate) struct Publisher {
    project: PathBuf,
    /// Paths relative to the project, with the digest of what was laid out there.
    published: BTreeMap<PathBuf, Digest>,
    changed: bool,
}

impl Publisher {
    pub(crate) fn open(project: &Path) -> Publisher {
        let published = fs::read(project.join(RECORD))
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        Publisher {
            project: project.to_owned(),
            published,
            changed: false,
        }
    }

    /// Lays `digest` out at `path`, relative to the project. Nothing is done where it lies already.
    pub(crate) async fn publish(
        &mut self,
        store: &Store,
        digest: Digest,
        path: &Path,
    ) -> Result<(), PublishError> {
        let path = inside(path).ok_or_else(|| PublishError::Outside(path.to_owned()))?;
        let target = self.project.join(&path);
        self.check_folder(&path, &target)?;
        match fs::symlink_metadata(&target) {
            Ok(metadata) => {
                let found = store.digest_path(&target).await.ok();
                if found == Some(digest) {
                    self.remember(path, digest);
                    return Ok(());
                }
                let empty = metadata.is_dir()
                    && fs::read_dir(&target).is_ok_and(|mut items| items.next().is_none());
                match self.published.get(&path) {
                    _ if empty => {}
                    None => return Err(PublishError::NotOurs(path)),
                    Some(laid) if found == Some(*laid) => {}
                    Some(_) => return Err(PublishError::Changed(path)),
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if let Some(parent) = target.parent() {
                    fs::create_dir_all(parent).map_err(|error| PublishError::Failed {
                        path: path.clone(),
                        why: error.to_string(),
                    })?;
                }
            }
            Err(error) => {
                return Err(PublishError::Failed {
                    path,
                    why: error.to_string(),
                });
            }
        }
        match store.lay_out_over(&digest, &target).await {
            Ok(_) => {
                self.remember(path, digest);
                Ok(())
            }
            Err(error @ (StoreError::Damaged { .. } | StoreError::Missing { .. })) => {
                Err(PublishError::Damaged(error.to_string()))
            }
            Err(error) => Err(PublishError::Failed {
                path,
                why: error.to_string(),
            }),
        }
    }

    /// Links on the way must not lead out of the project, nor to what is not to be written in it.
    fn check_folder(&self, path: &Path, target: &Path) -> Result<(), PublishError> {
        let failed = |error: io::Error| PublishError::Failed {
            path: path.to_owned(),
            why: error.to_string(),
        };
        let project = fs::canonicalize(&self.project).map_err(failed)?;
        for above in target.ancestors().skip(1) {
            let folder = match fs::canonicalize(above) {
                Ok(folder) => folder,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(failed(error)),
            };
            let below = target.strip_prefix(above).unwrap_or(path);
            return match folder.strip_prefix(&project) {
                Ok(real) if inside(&real.join(below)).is_some() => Ok(()),
                _ => Err(PublishError::LeadsOut {
                    path: path.to_owned(),
                    folder,
                }),
            };
        }
        Ok(())
    }

    fn remember(&mut self, path: PathBuf, digest: Digest) {
        self.changed |= self.published.insert(path, digest) != Some(digest);
    }

    /// Writes what was published where, whole or not at all.
    pub(crate) fn close(self) -> io::Result<()> {
        if !self.changed {
            return Ok(());
        }
        let record = self.project.join(RECORD);
        let folder = record.parent().unwrap_or(&self.project);
        fs::create_dir_all(folder)?;
        let temporary = folder.join(format!("published.json.{}", std::process::id()));
        fs::write(&temporary, serde_json::to_vec_pretty(&self.published)?)?;
        fs::rename(&temporary, &record).inspect_err(|_| {
            let _ = fs::remove_file(&temporary);
        })
    }
}

/// The path without `.`; none where it leaves the project, is the project, or is what other
/// programs and supermoe itself live by.
fn inside(path: &Path) -> Option<PathBuf> {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::Normal(name) => clean.push(name),
            _ => return None,
        }
    }
    let first = clean.components().next()?;
    let reserved = [".git", ".supermoe"]
        .iter()
        .any(|name| first.as_os_str() == *name);
    (!reserved).then_some(clean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_inside_the_project_are_written() {
        assert_eq!(inside(Path::new("./out/a")), Some("out/a".into()));
        for wrong in [
            "",
            ".",
            "..",
            "a/../b",
            "/a",
            ".git/hooks",
            ".supermoe/store",
        ] {
            assert_eq!(inside(Path::new(wrong)), None, "{wrong}");
        }
    }

    #[test]
    fn links_must_not_lead_out_of_the_project() {
        let folder = tempfile::tempdir().expect("a folder");
        let project = folder.path().join("project");
        for made in ["real", ".git"] {
            fs::create_dir_all(project.join(made)).expect("a folder");
        }
        let links = [("out", ".."), ("git", ".git"), ("near", "real")];
        for (link, target) in links {
            std::os::unix::fs::symlink(target, project.join(link)).expect("a link");
        }
        let publisher = Publisher::open(&project);
        let is_fine = |path: &str| {
            let path = Path::new(path);
            publisher.check_folder(path, &project.join(path)).is_ok()
        };
        for fine in ["a", "new/a/b", "real/a", "near/a", "near/new/a", "out"] {
            assert!(is_fine(fine), "{fine}");
        }
        for wrong in ["out/a", "out/new/a", "git/a", "out/project/.git/a"] {
            assert!(!is_fine(wrong), "{wrong}");
        }
    }
}
