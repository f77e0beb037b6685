//! What a run plans to use: `pins/<run>`. gc spares it while the run keeps it fresh.

use std::fmt::Write;
use std::time::Duration;

use crate::digest::{Digest, RunId, StageKey};
use crate::error::Result;
use crate::local_put::Durability;
use crate::object_name;
use crate::store::Inner;

/// A pin that was not renewed for this long belongs to a run that is no more.
pub(crate) const PIN_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

impl Inner {
    pub(crate) async fn pin(
        &self,
        run: &RunId,
        keys: &[StageKey],
        artifacts: &[Digest],
    ) -> Result<()> {
        let mut text = String::with_capacity(65 * (keys.len() + artifacts.len()));
        for digest in keys.iter().map(StageKey::digest).chain(artifacts) {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{digest}");
        }
        self.objects
            .write(&object_name::pin(run), text.into(), Durability::NoSync)
            .await
            .map(drop)
    }

    pub(crate) async fn unpin(&self, run: &RunId) -> Result<()> {
        self.objects.remove(&object_name::pin(run)).await
    }
}
