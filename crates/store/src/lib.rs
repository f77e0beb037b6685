//! Artifacts, results, checkpoints and runs on object storage, addressed by content.
