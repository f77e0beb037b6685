//! Where one attempt works: its folders and files in the run's work folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use supermoe_workflow::Cell;

use crate::outputs;

/// The folders of one attempt.
pub(crate) struct AttemptFolders {
    /// The worker's working directory.
    pub work: PathBuf,
    pub temporary: PathBuf,
    pub outputs: IndexMap<String, PathBuf>,
    pub checkpoint: Option<PathBuf>,
    pub request: PathBuf,
    pub events: PathBuf,
    pub log: PathBuf,
}

impl AttemptFolders {
    /// Makes the folders of an attempt in `base`, which does not exist yet.
    pub(crate) fn make(cell: &Cell, base: &Path, log: &Path) -> io::Result<AttemptFolders> {
        let (work, temporary, outputs) =
            (base.join("work"), base.join("tmp"), base.join("outputs"));
        for folder in [base, &work, &temporary, &outputs] {
            fs::create_dir(folder)?;
        }
        let checkpoint = cell
            .plugin
            .manifest
            .checkpoints
            .then(|| base.join("checkpoint"));
        if let Some(checkpoint) = &checkpoint {
            fs::create_dir(checkpoint)?;
        }
        Ok(AttemptFolders {
            outputs: outputs::prepare(&outputs, &cell.outputs)?,
            request: base.join("request.json"),
            events: base.join("events.ndjson"),
            log: log.to_owned(),
            work,
            temporary,
            checkpoint,
        })
    }
}
