//! Keeps a running stage's checkpoints in the store: when the worker says that its folder is
//! whole, at most once in a while, and a last time when it leaves in order.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use supermoe_store::{StageKey, Store};
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use crate::input_copy::{copy, stamp};
use crate::outputs::without_folder;
use crate::work_folder::remove_folder;

/// What becomes of a checkpoint that was announced and not kept yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LastCheckpoint {
    Keep,
    /// The worker died while it may have been writing the next.
    Drop,
}

pub(crate) struct CheckpointKeeper {
    announced: watch::Sender<u64>,
    end: oneshot::Sender<LastCheckpoint>,
    task: JoinHandle<Option<String>>,
}

impl CheckpointKeeper {
    /// Watches over `folder`; `attempt` names who writes.
    pub(crate) fn start(
        store: Store,
        key: StageKey,
        attempt: String,
        folder: PathBuf,
        interval: Duration,
    ) -> CheckpointKeeper {
        let (announced, seen) = watch::channel(0);
        let (end, ended) = oneshot::channel();
        let snapshot = folder.with_extension("kept");
        let saver = Saver {
            store,
            key,
            attempt,
            folder,
            snapshot,
            lost: None,
        };
        let runtime = Handle::current();
        // On a thread of its own: copying and storing blocks more than it waits.
        let task = tokio::task::spawn_blocking(move || {
            runtime.block_on(keep(saver, seen, ended, interval))
        });
        CheckpointKeeper {
            announced,
            end,
            task,
        }
    }

    /// The folder holds a whole state.
    pub(crate) fn announce(&self) {
        self.announced.send_modify(|count| *count += 1);
    }

    /// Ends the watch; a checkpoint that is being kept is kept. Says why the last could not be.
    pub(crate) async fn finish(self, last: LastCheckpoint) -> Option<String> {
        let _ = self.end.send(last);
        self.task.await.unwrap_or_else(|error| {
            tracing::warn!(%error, "keeping a checkpoint failed");
            Some(error.to_string())
        })
    }
}

async fn keep(
    mut saver: Saver,
    mut announced: watch::Receiver<u64>,
    mut ended: oneshot::Receiver<LastCheckpoint>,
    interval: Duration,
) -> Option<String> {
    let mut kept = 0;
    let last = loop {
        tokio::select! {
            biased;
            last = &mut ended => break last,
            seen = newer(&mut announced, kept) => {
                let Some(seen) = seen else { return saver.lost };
                if saver.save().await {
                    kept = seen;
                }
            }
        }
        tokio::select! {
            last = &mut ended => break last,
            () = tokio::time::sleep(interval) => {}
        }
    };
    if last == Ok(LastCheckpoint::Keep) && *announced.borrow() > kept {
        saver.save().await;
    }
    saver.lost
}

/// The count of announcements once it is larger than `kept`; none when nobody announces any more.
async fn newer(announced: &mut watch::Receiver<u64>, kept: u64) -> Option<u64> {
    announced
        .wait_for(|count| *count > kept)
        .await
        .ok()
        .map(|count| *count)
}

struct Saver {
    store: Store,
    key: StageKey,
    attempt: String,
    folder: PathBuf,
    snapshot: PathBuf,
    /// Why the newest that was tried could not be kept.
    lost: Option<String>,
}

impl Saver {
    /// Whether a whole state was kept. The worker may already write the next one, so a copy is
    /// taken first, and used only if the folder stood still meanwhile.
    async fn save(&mut self) -> bool {
        let (folder, snapshot) = (self.folder.clone(), self.snapshot.clone());
        let copied = tokio::task::spawn_blocking(move || copy_if_still(&folder, &snapshot)).await;
        match copied.unwrap_or_else(|error| Err(io::Error::other(error))) {
            Ok(true) => {}
            Ok(false) => return false,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                tracing::debug!(key = %self.key, %error, "a checkpoint changed while it was copied");
                return false;
            }
            Err(error) => {
                tracing::warn!(key = %self.key, %error, "a checkpoint could not be copied");
                self.lost = Some(without_folder(&error.to_string(), &self.folder));
                return false;
            }
        }
        match self
            .store
            .put_checkpoint(&self.key, &self.attempt, &self.snapshot)
            .await
        {
            Ok(()) => {
                self.lost = None;
                true
            }
            Err(error) => {
                tracing::warn!(key = %self.key, %error, "a checkpoint could not be kept");
                self.lost = Some(without_folder(&error.to_string(), &self.snapshot));
                false
            }
        }
    }
}

fn copy_if_still(folder: &Path, snapshot: &Path) -> io::Result<bool> {
    remove_folder(snapshot)?;
    let before = stamp(folder)?;
    copy(folder, snapshot)?;
    Ok(stamp(folder)? == before)
}
