//! A folder that objects are written into whole or not at all, and durably where asked.

use std::fs::{self, File, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::fcntl::AtFlags;
use nix::sys::stat::{SFlag, fstatat};

use crate::digest::Digest;
use crate::temp_folder::{TempFolder, TempPath};

/// Whether a write must have reached the disk before it is said to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// File and folder are synced.
    Sync,
    /// A power cut may lose it; a killed process does not.
    NoSync,
}

/// What is known of an object without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) size_bytes: u64,
    /// Nanoseconds since 1970; 0 where it is not known.
    pub(crate) modified_ns: i64,
}

impl Stat {
    pub(crate) fn of(metadata: &Metadata) -> Stat {
        let modified_ns = metadata
            .mtime()
            .saturating_mul(1_000_000_000)
            .saturating_add(metadata.mtime_nsec());
        Stat {
            size_bytes: metadata.size(),
            modified_ns,
        }
    }

    /// Whether `seen` is what was recorded: another size or time means that somebody wrote.
    pub(crate) fn still_holds(&self, seen: &Stat) -> bool {
        self.size_bytes == seen.size_bytes
            && (self.modified_ns == 0 || self.modified_ns == seen.modified_ns)
    }
}

/// How large the pieces are in which files are read and written: the first one, and those after it.
/// Most files are small, and to clear a large piece costs more than to read one of them.
const FIRST_PIECE_BYTES: usize = 8 * 1024;
const PIECE_BYTES: usize = 256 * 1024;

/// Objects in a folder, by names such as `trees/ab12…`. object_store's own local store never
/// syncs, so everything is written through here.
#[derive(Debug, Clone)]
pub(crate) struct LocalFolder {
    root: PathBuf,
    temp: TempFolder,
}

impl LocalFolder {
    pub(crate) fn new(root: PathBuf) -> LocalFolder {
        let temp = TempFolder::new(root.join("tmp"));
        LocalFolder { root, temp }
    }

    pub(crate) fn temp(&self) -> &TempFolder {
        &self.temp
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub(crate) fn stat(&self, name: &str) -> io::Result<Option<Stat>> {
        match fs::metadata(self.path(name)) {
            Ok(metadata) if metadata.is_file() => Ok(Some(Stat::of(&metadata))),
            Ok(_) => Ok(None),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Holds the folder open, for many looks at once.
    pub(crate) fn open(&self) -> io::Result<OpenFolder> {
        Ok(OpenFolder(File::open(&self.root)?))
    }

    pub(crate) fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.path(name)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes an object whole, in the place of one that is there.
    pub(crate) fn write(
        &self,
        name: &str,
        parts: &[&[u8]],
        durability: Durability,
    ) -> io::Result<Stat> {
        let (temp, mut file) = self.create_temp()?;
        for part in parts {
            file.write_all(part)?;
        }
        self.finish(temp, file, name, durability)
    }

    /// Copies a file in under the name that its digest gives.
    pub(crate) fn copy_in(
        &self,
        source: &mut File,
        name: impl FnOnce(&Digest) -> String,
        durability: Durability,
    ) -> io::Result<(Digest, Stat)> {
        let (temp, mut file) = self.create_temp()?;
        let (digest, _) = copy_and_digest(source, &mut file)?;
        let stat = self.finish(temp, file, &name(&digest), durability)?;
        Ok((digest, stat))
    }

    /// Syncs an object that is there, and its folder.
    pub(crate) fn sync(&self, name: &str) -> io::Result<()> {
        let path = self.path(name);
        File::open(&path)?.sync_all()?;
        sync_parent(&path)
    }

    /// Removes an object; one that is not there is no error.
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.path(name)) {
            Err(error) if !is_absent(&error) => Err(error),
            _ => Ok(()),
        }
    }

    /// Removes an object that is still as it was seen. One that is written at the same moment
    /// stays: it is moved aside, looked at, and moved back.
    pub(crate) fn remove_unchanged(&self, name: &str, seen: &Stat) -> io::Result<()> {
        self.temp.create()?;
        let path = self.path(name);
        let aside = self.temp.fresh();
        match fs::rename(&path, aside.path()) {
            Err(error) if is_absent(&error) => return Ok(()),
            moved => moved?,
        }
        if Stat::of(&fs::symlink_metadata(aside.path())?) == *seen {
            return Ok(());
        }
        aside.rename_to(&path).map_err(|(_, error)| error)
    }

    /// Removes the folders above an object as far as they are empty, up to the first part of
    /// the name.
    pub(crate) fn remove_empty_parents(&self, name: &str) {
        let mut parent = Path::new(name).parent();
        while let Some(folder) = parent.filter(|folder| folder.components().count() > 1) {
            if fs::remove_dir(self.root.join(folder)).is_err() {
                return;
            }
            parent = folder.parent();
        }
    }

    /// An open temporary file, for content that comes piece by piece.
    pub(crate) fn create_temp(&self) -> io::Result<(TempPath, File)> {
        let temp = self.temp.fresh();
        match File::create_new(temp.path()) {
            Ok(file) => Ok((temp, file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.temp.create()?;
                let file = File::create_new(temp.path())?;
                Ok((temp, file))
            }
            Err(error) => Err(error),
        }
    }

    /// Gives a written temporary file its name.
    pub(crate) fn finish(
        &self,
        temp: TempPath,
        file: File,
        name: &str,
        durability: Durability,
    ) -> io::Result<Stat> {
        if durability == Durability::Sync {
            file.sync_all()?;
        }
        let stat = Stat::of(&file.metadata()?);
        drop(file);
        let to = self.path(name);
        move_into_place(temp, &to)?;
        if durability == Durability::Sync {
            sync_parent(&to)?;
        }
        Ok(stat)
    }
}

/// A folder of objects that is held open: the system finds names in it without a walk to it.
pub(crate) struct OpenFolder(File);

impl OpenFolder {
    /// The same as [`LocalFolder::stat`].
    pub(crate) fn stat(&self, name: &str) -> io::Result<Option<Stat>> {
        match fstatat(&self.0, name, AtFlags::empty()).map_err(io::Error::from) {
            Ok(stat)
                if SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFREG =>
            {
                Ok(Some(Stat {
                    size_bytes: stat.st_size.cast_unsigned(),
                    modified_ns: stat
                        .st_mtime
                        .saturating_mul(1_000_000_000)
                        .saturating_add(stat.st_mtime_nsec),
                }))
            }
            Ok(_) => Ok(None),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Renames, and makes the folder where it is missing (or was just removed as empty).
fn move_into_place(mut temp: TempPath, to: &Path) -> io::Result<()> {
    const ATTEMPTS: usize = 4;
    for attempt in 1.. {
        match temp.rename_to(to) {
            Ok(()) => return Ok(()),
            Err((back, error)) if error.kind() == io::ErrorKind::NotFound && attempt < ATTEMPTS => {
                temp = back;
                if let Some(parent) = to.parent() {
                    fs::create_dir_all(parent)?;
                }
            }
            Err((_, error)) => return Err(error),
        }
    }
    Ok(())
}

/// Syncs the folder that holds `path`, so that its name outlives a power cut.
pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

/// Copies to the end of `source`; gives the digest and the count of what was copied.
pub(crate) fn copy_and_digest(
    source: &mut impl Read,
    to: &mut impl Write,
) -> io::Result<(Digest, u64)> {
    let mut hasher = blake3::Hasher::new();
    let mut piece = vec![0_u8; FIRST_PIECE_BYTES];
    let mut bytes = 0;
    loop {
        let count = match source.read(&mut piece) {
            Ok(0) => return Ok((hasher.finalize().into(), bytes)),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hasher.update(&piece[..count]);
        to.write_all(&piece[..count])?;
        bytes += count as u64;
        if count == FIRST_PIECE_BYTES && piece.len() == FIRST_PIECE_BYTES {
            piece = vec![0_u8; PIECE_BYTES];
        }
    }
}

/// Whether an error says that there is no such object.
pub(crate) fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_whole_or_absent() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let objects = LocalFolder::new(folder.path().join("store"));
        assert_eq!(objects.stat("trees/a").ok(), Some(None));
        let stat = objects
            .write("trees/a", &[b"one", b"two"], Durability::Sync)
            .expect("writes");
        assert_eq!(stat.size_bytes, 6);
        assert_eq!(objects.stat("trees/a").ok().flatten(), Some(stat));
        let open = objects.open().expect("a folder");
        for name in ["trees/a", "trees/b", "trees", "trees/a/c"] {
            assert_eq!(open.stat(name).ok(), objects.stat(name).ok(), "{name}");
        }
        objects
            .write("trees/a", &[b"three"], Durability::NoSync)
            .expect("replaces");
        assert_eq!(
            objects.read("trees/a").ok().flatten(),
            Some(b"three".to_vec())
        );
        assert_eq!(
            fs::read_dir(folder.path().join("store/tmp"))
                .map(Iterator::count)
                .ok(),
            Some(0)
        );
    }

    #[test]
    fn files_of_all_sizes_are_copied_whole() {
        for size in [
            0,
            1,
            FIRST_PIECE_BYTES - 1,
            FIRST_PIECE_BYTES,
            FIRST_PIECE_BYTES + 1,
            FIRST_PIECE_BYTES + PIECE_BYTES,
            2 * PIECE_BYTES + 5,
        ] {
            let content: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
            let mut copy = Vec::new();
            let copied = copy_and_digest(&mut content.as_slice(), &mut copy).ok();
            assert_eq!(copied, Some((blake3::hash(&content).into(), size as u64)));
            assert!(copy == content, "{size}");
        }
    }

    #[test]
    fn a_failed_write_leaves_nothing() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let objects = LocalFolder::new(folder.path().to_owned());
        fs::write(folder.path().join("trees"), "a file stands in the way").expect("writes");
        assert!(
            objects
                .write("trees/a", &[b"x"], Durability::NoSync)
                .is_err()
        );
        assert_eq!(
            fs::read_dir(folder.path().join("tmp"))
                .map(Iterator::count)
                .ok(),
            Some(0)
        );
    }

    #[test]
    fn only_what_did_not_change_is_removed() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let objects = LocalFolder::new(folder.path().to_owned());
        let seen = objects
            .write("trees/a", &[b"x"], Durability::NoSync)
            .expect("writes");
        let now = objects
            .write("trees/a", &[b"xy"], Durability::NoSync)
            .expect("writes");
        objects.remove_unchanged("trees/a", &seen).expect("looks");
        assert_eq!(objects.stat("trees/a").ok().flatten(), Some(now));
        objects.remove_unchanged("trees/a", &now).expect("removes");
        assert_eq!(objects.stat("trees/a").ok(), Some(None));
        objects
            .remove_unchanged("trees/a", &now)
            .expect("an absent object is no error");
    }

    #[test]
    fn empty_folders_go_with_their_last_object() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let objects = LocalFolder::new(folder.path().to_owned());
        objects
            .write("checkpoints/k/1/x", &[b"x"], Durability::NoSync)
            .expect("writes");
        objects.remove("checkpoints/k/1/x").expect("removes");
        objects.remove_empty_parents("checkpoints/k/1/x");
        assert!(folder.path().join("checkpoints").exists());
        assert!(!folder.path().join("checkpoints/k").exists());
    }
}
