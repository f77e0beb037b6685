//! `.supermoe/work/<run>`: where the stages of one run work. Removed at its end; what dead runs
//! left behind is removed by the next.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};
use supermoe_store::RunId;

/// One process of one boot of one machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProcessMark {
    pub pid: u32,
    /// Clock ticks after boot: tells a process from a later one with the same number.
    pub started: u64,
    /// Names the machine and its boot; empty where that is not known.
    #[serde(default)]
    pub boot: String,
}

impl ProcessMark {
    pub(crate) fn own() -> ProcessMark {
        let pid = std::process::id();
        ProcessMark {
            pid,
            started: start_time(pid).unwrap_or(0),
            boot: boot(),
        }
    }

    /// Whether that very process is alive on this machine.
    pub(crate) fn is_alive_here(&self) -> bool {
        self.boot == boot() && is_alive(self.pid, self.started)
    }
}

fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|id| id.trim().to_owned())
        .unwrap_or_default()
}

fn is_alive(pid: u32, started: u64) -> bool {
    match start_time(pid) {
        Some(found) => found == started,
        // Without /proc: any process of that number counts, so that nothing alive is disturbed.
        None => !Path::new("/proc/self/stat").exists() && signals_reach(pid),
    }
}

fn signals_reach(pid: u32) -> bool {
    i32::try_from(pid)
        .is_ok_and(|pid| nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), None).is_ok())
}

/// Field 22 of `/proc/<pid>/stat`.
fn start_time(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name of the program, in parentheses, may hold spaces and parentheses.
    stat.rsplit_once(')')?
        .1
        .split_whitespace()
        .nth(19)?
        .parse()
        .ok()
}

/// Made when the first stage runs, removed when dropped.
#[derive(Debug)]
pub(crate) struct WorkFolder {
    path: PathBuf,
    made: OnceLock<Result<(), String>>,
}

impl WorkFolder {
    /// The folder of `run`, named `<run>.<pid>.<start>`. Those of dead runs are removed.
    pub(crate) fn of(project: &Path, run: RunId, process: &ProcessMark) -> WorkFolder {
        let parent = project.join(".supermoe").join("work");
        remove_dead(&parent);
        WorkFolder {
            path: parent.join(format!("{run}.{}.{}", process.pid, process.started)),
            made: OnceLock::new(),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn stages(&self) -> PathBuf {
        self.path.join("stages")
    }

    pub(crate) fn inputs(&self) -> PathBuf {
        self.path.join("inputs")
    }

    /// Makes it, unless it is there. The error is for the user.
    pub(crate) fn make(&self) -> Result<(), String> {
        let make = || {
            fs::create_dir_all(self.stages())?;
            fs::create_dir(self.inputs())
        };
        let made = self.made.get_or_init(|| {
            make().map_err(|error: io::Error| {
                format!(
                    "the work folder `{}` could not be made: {error}",
                    self.path.display()
                )
            })
        });
        made.clone()
    }

    /// Removes it, if it was made.
    pub(crate) fn remove(&self) {
        if self.made.get().is_none() {
            return;
        }
        if let Err(error) = remove_folder(&self.path) {
            tracing::warn!(folder = %self.path.display(), %error, "the work folder could not be removed");
        }
        // Only when no other run works in it.
        if let Some(parent) = self.path.parent() {
            let _ = fs::remove_dir(parent);
        }
    }
}

impl Drop for WorkFolder {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Removes a folder with all that is in it, also where a stage took write rights away.
pub(crate) fn remove_folder(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(_) => {
            make_writable(path);
            fs::remove_dir_all(path)
        }
    }
}

fn make_writable(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let _ = fs::set_permissions(folder, fs::Permissions::from_mode(0o700));
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            make_writable(&entry.path());
        }
    }
}

fn remove_dead(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some((pid, started)) = name.to_str().and_then(owner) else {
            continue;
        };
        if !is_alive(pid, started) {
            tracing::debug!(folder = %entry.path().display(), "removing what a dead run left");
            if let Err(error) = remove_folder(&entry.path()) {
                tracing::warn!(folder = %entry.path().display(), %error, "a dead run's folder could not be removed");
            }
        }
    }
}

fn owner(name: &str) -> Option<(u32, u64)> {
    let mut parts = name.split('.');
    parts.next()?.parse::<RunId>().ok()?;
    let owner = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    parts.next().is_none().then_some(owner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_dead_runs_go_and_those_of_living_ones_stay() {
        let project = tempfile::tempdir().expect("a folder");
        let parent = project.path().join(".supermoe/work");
        let own = ProcessMark::own();
        let dead = parent.join(format!(
            "{}.{}.{}",
            RunId::generate(),
            own.pid,
            own.started + 1
        ));
        let living = parent.join(format!("{}.{}.{}", RunId::generate(), own.pid, own.started));
        let other = parent.join("somebody's");
        for folder in [&dead, &living, &other] {
            fs::create_dir_all(folder.join("inside")).expect("a folder");
        }
        let work = WorkFolder::of(project.path(), RunId::generate(), &own);
        let path = work.path().to_owned();
        assert!(!path.exists());
        work.make().expect("a work folder");
        work.make().expect("the same");
        assert!(work.stages().is_dir() && work.inputs().is_dir());
        drop(work);
        assert_eq!(
            [dead, living, other, path].map(|path| path.exists()),
            [false, true, true, false]
        );
    }

    #[test]
    fn a_process_is_known_by_its_start() {
        let own = ProcessMark::own();
        assert!(own.is_alive_here());
        assert!(
            !ProcessMark {
                started: own.started + 1,
                ..own.clone()
            }
            .is_alive_here()
        );
        assert!(
            !ProcessMark {
                boot: "another".into(),
                ..own
            }
            .is_alive_here()
        );
    }

    #[test]
    fn folders_without_write_rights_are_removed_too() {
        use std::os::unix::fs::PermissionsExt;
        let parent = tempfile::tempdir().expect("a folder");
        let folder = parent.path().join("a");
        fs::create_dir_all(folder.join("b")).expect("a folder");
        fs::write(folder.join("b/c"), "x").expect("a file");
        fs::set_permissions(folder.join("b"), fs::Permissions::from_mode(0o500)).expect("rights");
        remove_folder(&folder).expect("removed");
        assert!(!folder.exists());
        remove_folder(&folder).expect("nothing is fine too");
    }
}
