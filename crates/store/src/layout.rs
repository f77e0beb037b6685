//! From a tree and its blobs to files on the disk, whole or not at all.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::artifact::ArtifactKind;
use crate::error::{Result, StoreError};
use crate::error_mapping::{Access, StoreName, local_error};
use crate::listing::{Entry, EntryKind};
use crate::local_put::{LocalFolder, copy_and_digest, is_absent};
use crate::object_name::Area;
use crate::temp_folder::{TempFolder, TempPath, remove_any};
use crate::tree::Tree;

/// What may stand where an artifact is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// Nothing, or an empty folder.
    Free,
    /// Anything: it is replaced.
    Replaced,
}

/// Where content comes from.
pub(crate) struct Source<'s> {
    pub(crate) folder: &'s LocalFolder,
    pub(crate) store: &'s StoreName,
    pub(crate) area: &'s Area,
}

/// Lays a tree out at `to`. Made in `temp`, or beside `to` where that is another file system,
/// then renamed.
pub(crate) fn lay_out(
    source: &Source<'_>,
    tree: &Tree,
    to: &Path,
    target: Target,
    temp: &TempFolder,
) -> Result<ArtifactKind> {
    if target == Target::Free {
        check_free(to)?;
    }
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent).map_err(|error| local_error(parent, "made", error))?;
    }
    temp.create()
        .map_err(|error| local_error(to, "written", error))?;
    let made = temp.fresh();
    write_tree(source, tree, made.path())?;
    let Err((made, error)) = put_in_place(made, to, target) else {
        return Ok(tree.listing.kind());
    };
    if error.kind() != io::ErrorKind::CrossesDevices {
        return Err(local_error(to, "put in its place", error));
    }
    drop(made);
    let beside = beside(to);
    let made = beside.fresh();
    write_tree(source, tree, made.path())?;
    put_in_place(made, to, target)
        .map_err(|(_, error)| local_error(to, "put in its place", error))?;
    Ok(tree.listing.kind())
}

/// Removes what killed processes left beside `to`.
fn beside(to: &Path) -> TempFolder {
    let parent = to
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let folder = TempFolder::new(parent.to_owned());
    folder.remove_left_behind();
    folder
}

fn check_free(to: &Path) -> Result<()> {
    match fs::symlink_metadata(to) {
        Err(error) if is_absent(&error) => Ok(()),
        Err(error) => Err(local_error(to, "read", error)),
        Ok(metadata) if metadata.is_dir() => {
            match fs::read_dir(to).map(|mut entries| entries.next().is_none()) {
                Ok(true) => Ok(()),
                Ok(false) => Err(StoreError::Exists {
                    path: to.to_owned(),
                }),
                Err(error) => Err(local_error(to, "read", error)),
            }
        }
        Ok(_) => Err(StoreError::Exists {
            path: to.to_owned(),
        }),
    }
}

fn put_in_place(
    mut made: TempPath,
    to: &Path,
    target: Target,
) -> Result<(), (TempPath, io::Error)> {
    let first = match made.rename_to(to) {
        Ok(()) => return Ok(()),
        Err((back, error)) => {
            made = back;
            error
        }
    };
    let in_the_way = fs::symlink_metadata(to);
    let may_go = match (&in_the_way, target) {
        (Err(_), _) => false,
        (Ok(_), Target::Replaced) => first.kind() != io::ErrorKind::CrossesDevices,
        // An empty folder where a file is to be.
        (Ok(metadata), Target::Free) => metadata.is_dir() && fs::remove_dir(to).is_ok(),
    };
    if !may_go {
        return Err((made, first));
    }
    if target == Target::Free {
        return made.rename_to(to);
    }
    // The old one steps aside until the new one is there.
    let old = beside(to).fresh();
    if let Err(error) = fs::rename(to, old.path()) {
        return Err((made, error));
    }
    match made.rename_to(to) {
        Ok(()) => Ok(()),
        Err((made, error)) => {
            // If this fails too, the old content is removed with `old`, and the error is told.
            let _ = old.rename_to(to);
            Err((made, error))
        }
    }
}

fn write_tree(source: &Source<'_>, tree: &Tree, to: &Path) -> Result<()> {
    if tree.listing.kind() == ArtifactKind::Folder {
        fs::create_dir(to).map_err(|error| local_error(to, "made", error))?;
    }
    let mut last_parent = PathBuf::new();
    for (entry, packed) in tree.listing.entries().iter().zip(&tree.packed) {
        // A valid listing has no path that leaves, and `to` is new: no link can stand in the way.
        let path = if entry.path.is_empty() {
            to.to_owned()
        } else {
            to.join(&entry.path)
        };
        if entry.kind == EntryKind::EmptyFolder {
            fs::create_dir_all(&path).map_err(|error| local_error(&path, "made", error))?;
            continue;
        }
        if let Some(parent) = path
            .parent()
            .filter(|parent| !entry.path.is_empty() && *parent != last_parent)
        {
            fs::create_dir_all(parent).map_err(|error| local_error(parent, "made", error))?;
            last_parent = parent.to_owned();
        }
        match packed {
            Some(content) => {
                let written = create(&path, entry).and_then(|mut file| file.write_all(content));
                written.map_err(|error| local_error(&path, "written", error))?;
            }
            None => write_blob(source, entry, &path)?,
        }
    }
    Ok(())
}

fn create(path: &Path, entry: &Entry) -> io::Result<File> {
    File::options()
        .write(true)
        .read(true)
        .create_new(true)
        .mode(mode(entry))
        .open(path)
}

fn mode(entry: &Entry) -> u32 {
    if entry.kind == EntryKind::Executable {
        0o777
    } else {
        0o666
    }
}

/// Copies a blob and holds it to its digest; shares its blocks where the file system can.
fn write_blob(source: &Source<'_>, entry: &Entry, to: &Path) -> Result<()> {
    let name = source.area.blob(&entry.digest);
    let from = source.folder.path(&name);
    let read_error = |error: io::Error| source.store.disk(Access::Read, &name, &error);
    let digest = if shares_blocks(&from, to) {
        let set = fs::metadata(to).and_then(|metadata| {
            let mut permissions = metadata.permissions();
            let executable = if entry.kind == EntryKind::Executable {
                0o111
            } else {
                0
            };
            permissions.set_mode(
                permissions.mode() & 0o666 | executable & (permissions.mode() >> 2 | 0o111),
            );
            fs::set_permissions(to, permissions)
        });
        set.map_err(|error| local_error(to, "written", error))?;
        let mut copy = File::open(to).map_err(|error| local_error(to, "read", error))?;
        copy_and_digest(&mut copy, &mut io::sink())
            .map_err(|error| local_error(to, "read", error))?
            .0
    } else {
        let mut from = File::open(&from).map_err(read_error)?;
        let mut file = create(to, entry).map_err(|error| local_error(to, "written", error))?;
        copy_and_digest(&mut from, &mut file)
            .map_err(|error| local_error(to, "written", error))?
            .0
    };
    if digest != entry.digest {
        remove_any(to);
        return Err(source.store.damaged(
            &name,
            "its content does not have the digest that it is named by",
        ));
    }
    Ok(())
}

fn shares_blocks(from: &Path, to: &Path) -> bool {
    use std::sync::atomic::{AtomicBool, Ordering};
    // A file system that could not once is not asked again for every file.
    static REFUSED: AtomicBool = AtomicBool::new(false);
    if REFUSED.load(Ordering::Relaxed) {
        return false;
    }
    match reflink_copy::reflink(from, to) {
        Ok(()) => true,
        Err(error) => {
            remove_any(to);
            if error.kind() != io::ErrorKind::NotFound {
                REFUSED.store(true, Ordering::Relaxed);
            }
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::collect;
    use crate::local_put::Durability;

    struct Place {
        folder: tempfile::TempDir,
        objects: LocalFolder,
        store: StoreName,
    }

    impl Place {
        fn new() -> Place {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let objects = LocalFolder::new(folder.path().join("store"));
            Place {
                folder,
                objects,
                store: StoreName::new("store".to_owned(), None),
            }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        fn put(&self, name: &str, kind: ArtifactKind) -> Tree {
            let collected = collect(
                &self.objects,
                &self.store,
                &Area::Store,
                &self.path(name),
                kind,
                Durability::NoSync,
            )
            .expect("stores");
            let digest = collected.artifact.digest;
            let bytes = self
                .objects
                .read(&crate::object_name::tree(&digest))
                .expect("reads")
                .expect("is there");
            Tree::parse(&bytes.into(), &digest).expect("a whole tree")
        }

        fn lay_out(&self, tree: &Tree, to: &str, target: Target) -> Result<ArtifactKind> {
            let source = Source {
                folder: &self.objects,
                store: &self.store,
                area: &Area::Store,
            };
            lay_out(
                &source,
                tree,
                &self.path(to),
                target,
                &TempFolder::new(self.path("local/tmp")),
            )
        }
    }

    #[test]
    fn what_stands_there_is_kept_or_replaced_as_asked() {
        let place = Place::new();
        fs::write(place.path("a"), "new").expect("writes");
        let tree = place.put("a", ArtifactKind::File);
        fs::create_dir_all(place.path("full/of")).expect("makes folders");
        fs::create_dir(place.path("empty")).expect("makes a folder");
        assert!(matches!(
            place.lay_out(&tree, "full", Target::Free),
            Err(StoreError::Exists { .. })
        ));
        assert!(matches!(
            place.lay_out(&tree, "a", Target::Free),
            Err(StoreError::Exists { .. })
        ));
        assert!(place.lay_out(&tree, "empty", Target::Free).is_ok());
        assert!(place.lay_out(&tree, "full", Target::Replaced).is_ok());
        assert_eq!(
            fs::read_to_string(place.path("full")).ok().as_deref(),
            Some("new")
        );
        assert_eq!(
            fs::read_to_string(place.path("empty")).ok().as_deref(),
            Some("new")
        );
        let left = fs::read_dir(place.folder.path())
            .expect("reads")
            .flatten()
            .count();
        assert_eq!(left, ["a", "empty", "full", "local", "store"].len());
    }

    #[test]
    fn a_damaged_blob_is_named_and_nothing_is_left() {
        let place = Place::new();
        fs::create_dir(place.path("folder")).expect("makes a folder");
        fs::write(place.path("folder/big"), vec![7; 100_000]).expect("writes");
        fs::write(place.path("folder/small"), "s").expect("writes");
        let tree = place.put("folder", ArtifactKind::Folder);
        let (digest, _) = tree.blobs()[0];
        let blob = place.objects.path(&crate::object_name::blob(&digest));
        let mut bytes = fs::read(&blob).expect("reads");
        bytes[50_000] ^= 1;
        fs::write(&blob, bytes).expect("writes");
        let error = place
            .lay_out(&tree, "to", Target::Free)
            .expect_err("is damaged");
        assert!(error.to_string().contains(&digest.to_string()), "{error}");
        assert!(!place.path("to").exists());
        assert_eq!(
            fs::read_dir(place.path("local/tmp"))
                .expect("reads")
                .count(),
            0
        );
    }
}
