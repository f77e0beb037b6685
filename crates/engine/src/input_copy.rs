//! Inputs reach stages as private copies, one for each run and content, shared by its cells and
//! looked at after each: a stage that writes into its input is found out and poisons nobody.

use std::collections::HashMap;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use supermoe_store::{ArtifactKind, Digest, Fetched, Store, StoreError};
use tokio::sync::OnceCell;

/// Where an input's content is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum InputOrigin {
    /// An artifact in the store.
    Stored,
    /// A file or folder of the user's.
    Outside(PathBuf),
    /// What a URL named when the run began, on this machine.
    Fetched { url: String, fetched: Arc<Fetched> },
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum CopyError {
    /// The artifact's objects are missing or damaged: who made it has to run again.
    #[error("{0}")]
    Damaged(String),
    #[error("{0}")]
    Failed(String),
    #[error("`{}` changed while the run went on. Run the same command again", .0.display())]
    Changed(PathBuf),
    #[error("the fetched copy of {url} {what} while the run went on. Run the same command again")]
    CopyChanged { url: String, what: &'static str },
}

/// A copy that cells read from.
#[derive(Debug)]
pub(crate) struct InputCopy {
    pub path: PathBuf,
    pub kind: ArtifactKind,
    digest: Digest,
    stamp: Mutex<u64>,
}

type Name = (Digest, Option<String>);

/// All copies of a run.
#[derive(Debug)]
pub(crate) struct InputCopies {
    folder: PathBuf,
    store: Store,
    copies: Mutex<HashMap<Name, Arc<OnceCell<Arc<InputCopy>>>>>,
    made: AtomicU64,
}

impl InputCopies {
    pub(crate) fn new(folder: PathBuf, store: Store) -> InputCopies {
        InputCopies {
            folder,
            store,
            copies: Mutex::default(),
            made: AtomicU64::new(0),
        }
    }

    /// The copy of `digest`, laid out by whoever asks first. `extension` ends the copy's name.
    pub(crate) async fn get(
        &self,
        digest: Digest,
        origin: &InputOrigin,
        extension: Option<&str>,
    ) -> Result<Arc<InputCopy>, CopyError> {
        let name = (digest, extension.map(str::to_owned));
        let slot = lock(&self.copies).entry(name).or_default().clone();
        slot.get_or_try_init(|| self.lay_out(digest, origin, extension))
            .await
            .cloned()
    }

    async fn lay_out(
        &self,
        digest: Digest,
        origin: &InputOrigin,
        extension: Option<&str>,
    ) -> Result<Arc<InputCopy>, CopyError> {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let mut name = format!("{}-{number}", digest.short());
        if let Some(extension) = extension {
            name = format!("{name}.{extension}");
        }
        let path = self.folder.join(name);
        let kind = match origin {
            InputOrigin::Stored => {
                self.store
                    .lay_out(&digest, &path)
                    .await
                    .map_err(|error| match error {
                        StoreError::Damaged { .. } | StoreError::Missing { .. } => {
                            CopyError::Damaged(error.to_string())
                        }
                        other => CopyError::Failed(other.to_string()),
                    })?
            }
            InputOrigin::Outside(source) => self.copy_outside(digest, source, &path).await?,
            InputOrigin::Fetched { url, fetched } => {
                self.copy_fetched(digest, url, fetched, &path).await?
            }
        };
        let stamp = {
            let path = path.clone();
            blocking(kind, move || protect(&path).and_then(|()| stamp(&path))).await
        };
        let stamp =
            stamp.map_err(|error| CopyError::Failed(format!("`{}`: {error}", path.display())))?;
        Ok(Arc::new(InputCopy {
            path,
            kind,
            digest,
            stamp: Mutex::new(stamp),
        }))
    }

    async fn copy_outside(
        &self,
        digest: Digest,
        source: &Path,
        to: &Path,
    ) -> Result<ArtifactKind, CopyError> {
        let (from, target) = (source.to_owned(), to.to_owned());
        let copied = tokio::task::spawn_blocking(move || {
            let kind = if fs::metadata(&from)?.is_dir() {
                ArtifactKind::Folder
            } else {
                ArtifactKind::File
            };
            copy(&from, &target).map(|()| kind)
        });
        let kind = copied
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)))
            .map_err(|error| {
                CopyError::Failed(format!(
                    "`{}` could not be copied: {error}",
                    source.display()
                ))
            })?;
        let found = self
            .store
            .digest_path(to)
            .await
            .map_err(|error| CopyError::Failed(error.to_string()))?;
        if found == digest {
            Ok(kind)
        } else {
            Err(CopyError::Changed(source.to_owned()))
        }
    }

    async fn copy_fetched(
        &self,
        digest: Digest,
        url: &str,
        fetched: &Arc<Fetched>,
        to: &Path,
    ) -> Result<ArtifactKind, CopyError> {
        let (from, target) = (Arc::clone(fetched), to.to_owned());
        let copied = tokio::task::spawn_blocking(move || from.copy_to(&target));
        let changed = |what| CopyError::CopyChanged {
            url: url.to_owned(),
            what,
        };
        copied
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)))
            .map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => changed("went away"),
                _ => CopyError::Failed(format!("{url} could not be copied: {error}")),
            })?;
        let found = self
            .store
            .digest_path(to)
            .await
            .map_err(|error| CopyError::Failed(error.to_string()))?;
        if found == digest {
            Ok(fetched.kind)
        } else {
            Err(changed("changed"))
        }
    }

    /// Whether the copy is still what it was. One that is not is given to nobody any more.
    pub(crate) async fn is_intact(&self, copy: &Arc<InputCopy>) -> bool {
        let path = copy.path.clone();
        let now = blocking(copy.kind, move || stamp(&path)).await.ok();
        if now == Some(*lock(&copy.stamp)) {
            return true;
        }
        // Touched; only another content is harm.
        let intact = self.store.digest_path(&copy.path).await.ok() == Some(copy.digest);
        match now {
            Some(now) if intact => *lock(&copy.stamp) = now,
            _ => lock(&self.copies)
                .retain(|_, slot| !slot.get().is_some_and(|kept| Arc::ptr_eq(kept, copy))),
        }
        intact
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One file is looked at here and now, folders on a thread of their own.
async fn blocking<T: Send + 'static>(
    kind: ArtifactKind,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    match kind {
        ArtifactKind::File => work(),
        ArtifactKind::Folder => tokio::task::spawn_blocking(work)
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error))),
    }
}

/// Copies a file or folder; reflinks where the file system can. Links inside stay links. What is
/// neither is refused: reading from a named pipe would wait for a writer.
pub(crate) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let kind = fs::metadata(from)?.file_type();
    if kind.is_file() {
        return fs::copy(from, to).map(|_| ());
    }
    if !kind.is_dir() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("`{}` is a named pipe, socket or device", from.display()),
        ));
    }
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(entry.path())?, target)?;
        } else {
            copy(&entry.path(), &target)?;
        }
    }
    Ok(())
}

/// Takes the write bits of files away: most mistakes then fail where they are made.
fn protect(path: &Path) -> io::Result<()> {
    walk(path, &mut |path, metadata| {
        if metadata.is_file() {
            let mode = metadata.permissions().mode() & 0o555;
            fs::set_permissions(path, fs::Permissions::from_mode(mode | 0o444))?;
        }
        Ok(())
    })
}

/// Changes whenever a name, size, time or inode in a file or folder does.
pub(crate) fn stamp(path: &Path) -> io::Result<u64> {
    let mut hasher = DefaultHasher::new();
    walk(path, &mut |path, metadata| {
        path.hash(&mut hasher);
        let times = [
            metadata.mtime(),
            metadata.mtime_nsec(),
            metadata.ctime(),
            metadata.ctime_nsec(),
        ];
        (metadata.ino(), metadata.len(), metadata.mode(), times).hash(&mut hasher);
        Ok(())
    })?;
    Ok(hasher.finish())
}

/// Visits a path and all below it, names sorted.
fn walk(
    path: &Path,
    visit: &mut impl FnMut(&Path, &fs::Metadata) -> io::Result<()>,
) -> io::Result<()> {
    let metadata = fs::symlink_metadata(path)?;
    visit(path, &metadata)?;
    if metadata.is_dir() {
        let mut below: Vec<PathBuf> = fs::read_dir(path)?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<io::Result<_>>()?;
        below.sort_unstable();
        below.iter().try_for_each(|path| walk(path, visit))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_pipe_is_refused_and_not_waited_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let from = folder.path().join("from");
        fs::create_dir(&from).expect("a folder");
        fs::write(from.join("a"), "x").expect("a file");
        nix::unistd::mkfifo(&from.join("pipe"), nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
        let to = |name: &str| folder.path().join(name);
        for (from, to) in [(from.clone(), to("to")), (from.join("pipe"), to("alone"))] {
            let error = copy(&from, &to).expect_err("refused");
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            assert!(error.to_string().contains("a named pipe"), "{error}");
        }
    }
}
