//! Temporary files that carry the name of the process that makes them, so that the next opening
//! can remove what a killed process left.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// After this long, files of processes that cannot be asked (of other machines, or from before a
/// restart) are taken for left behind.
const FOREIGN_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// A folder of temporary files on the same file system as what they become.
#[derive(Debug, Clone)]
pub(crate) struct TempFolder {
    path: PathBuf,
}

impl TempFolder {
    pub(crate) fn new(path: PathBuf) -> TempFolder {
        TempFolder { path }
    }

    /// A path that nobody else uses. Nothing is made there yet.
    pub(crate) fn fresh(&self) -> TempPath {
        TempPath {
            path: self.path.join(fresh_name()),
            kept: false,
        }
    }

    /// Makes the folder itself.
    pub(crate) fn create(&self) -> io::Result<()> {
        fs::create_dir_all(&self.path)
    }

    /// Removes the files and folders of processes that are no more. Failures are left for the
    /// next time.
    pub(crate) fn remove_left_behind(&self) {
        let Ok(entries) = fs::read_dir(&self.path) else {
            return;
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let Some(owner) = name.to_str().and_then(Owner::parse) else {
                continue;
            };
            if owner.is_gone(&entry.path()) {
                tracing::debug!(path = %entry.path().display(), "removing what a killed process left");
                remove_any(&entry.path());
            }
        }
    }
}

/// Something temporary: removed when dropped, unless it was moved to its place.
#[derive(Debug)]
pub(crate) struct TempPath {
    path: PathBuf,
    kept: bool,
}

impl TempPath {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Puts it in its place in one step; takes the place of a file that is there.
    pub(crate) fn rename_to(mut self, to: &Path) -> Result<(), (TempPath, io::Error)> {
        match fs::rename(&self.path, to) {
            Ok(()) => {
                self.kept = true;
                Ok(())
            }
            Err(error) => Err((self, error)),
        }
    }
}

impl Drop for TempPath {
    fn drop(&mut self) {
        if !self.kept {
            remove_any(&self.path);
        }
    }
}

/// Removes a file, link or folder. What cannot be removed stays.
pub(crate) fn remove_any(path: &Path) {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => drop(fs::remove_dir_all(path)),
        Ok(_) => drop(fs::remove_file(path)),
        Err(_) => {}
    }
}

fn fresh_name() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    static OWN: OnceLock<String> = OnceLock::new();
    let own = OWN.get_or_init(|| {
        let pid = std::process::id();
        format!("{}-{pid}-{}", machine_mark(), start_time(pid).unwrap_or(0))
    });
    format!("{own}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// The process that a temporary file's name tells of.
#[derive(Debug, PartialEq, Eq)]
struct Owner {
    machine: String,
    pid: u32,
    start: u64,
}

impl Owner {
    fn parse(name: &str) -> Option<Owner> {
        let mut parts = name.split('-');
        let machine = parts.next()?.to_owned();
        let pid = parts.next()?.parse().ok()?;
        let start = parts.next()?.parse().ok()?;
        parts.next()?.parse::<u64>().ok()?;
        parts.next().is_none().then_some(Owner {
            machine,
            pid,
            start,
        })
    }

    fn is_gone(&self, path: &Path) -> bool {
        if self.machine == machine_mark() {
            return start_time(self.pid) != Some(self.start);
        }
        let modified = fs::symlink_metadata(path).and_then(|metadata| metadata.modified());
        let age = modified
            .ok()
            .and_then(|modified| SystemTime::now().duration_since(modified).ok());
        age.is_some_and(|age| age > FOREIGN_LIFETIME)
    }
}

/// Stands for this start of this machine, and for its container, whose process ids are its own.
fn machine_mark() -> &'static str {
    static MARK: OnceLock<String> = OnceLock::new();
    MARK.get_or_init(|| {
        let boot = fs::read("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let space = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
        let mut hasher = blake3::Hasher::new();
        hasher.update(&boot);
        hasher.update(space.as_os_str().as_encoded_bytes());
        hasher.finalize().to_hex()[..8].to_owned()
    })
}

/// When a process began, in ticks since the machine started; 0 where only its life is known.
/// None: there is no such process.
fn start_time(pid: u32) -> Option<u64> {
    if cfg!(target_os = "linux") {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name in parentheses may hold anything; the fields count from behind it.
        let fields = &stat[stat.rfind(')')? + 1..];
        return fields.split_ascii_whitespace().nth(19)?.parse().ok();
    }
    let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).ok()?);
    match nix::sys::signal::kill(pid, None) {
        Err(nix::errno::Errno::ESRCH) => None,
        _ => Some(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_dead_left_is_removed() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let temp = TempFolder::new(folder.path().to_owned());
        let mine = temp.fresh();
        fs::write(mine.path(), "x").expect("writes");
        let mark = machine_mark();
        let pid = std::process::id();
        let of_dead = folder.path().join(format!("{mark}-{pid}-1-0"));
        fs::create_dir_all(of_dead.join("inner")).expect("makes a folder");
        let of_other_machine = folder.path().join("0badc0de-1-1-0");
        fs::write(&of_other_machine, "x").expect("writes");
        let not_ours = folder.path().join("notes.txt");
        fs::write(&not_ours, "x").expect("writes");

        temp.remove_left_behind();

        assert!(mine.path().exists() && of_other_machine.exists() && not_ours.exists());
        assert!(!of_dead.exists());
    }

    #[test]
    fn dropping_removes_and_renaming_keeps() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let temp = TempFolder::new(folder.path().join("tmp"));
        temp.create().expect("makes the folder");
        let dropped = temp.fresh();
        fs::write(dropped.path(), "x").expect("writes");
        let path = dropped.path().to_owned();
        drop(dropped);
        assert!(!path.exists());
        let kept = temp.fresh();
        fs::write(kept.path(), "y").expect("writes");
        let to = folder.path().join("kept");
        assert!(kept.rename_to(&to).is_ok());
        assert_eq!(fs::read(&to).ok(), Some(b"y".to_vec()));
    }
}
