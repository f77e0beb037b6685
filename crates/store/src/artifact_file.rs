//! One file out of an artifact, without laying the rest of it out.

use bytes::Bytes;

use crate::digest::Digest;
use crate::error::{Result, StoreError};
use crate::listing::EntryKind;
use crate::object_name;
use crate::store::Inner;

impl Inner {
    pub(crate) async fn read_file(
        &self,
        artifact: &Digest,
        path: &str,
        most_bytes: u64,
    ) -> Result<Option<Bytes>> {
        let tree_name = object_name::tree(artifact);
        let tree = self
            .read_tree(&tree_name, |found| found == artifact)
            .await?;
        let place = tree
            .listing
            .entries()
            .iter()
            .position(|entry| entry.path == path && entry.kind != EntryKind::EmptyFolder);
        let Some(place) = place else {
            return Ok(None);
        };
        let entry = &tree.listing.entries()[place];
        let store = self.objects.store();
        if entry.size_bytes > most_bytes {
            return Err(StoreError::Failed {
                store: self.url.to_string(),
                object: object_name::blob(&entry.digest),
                cause: format!(
                    "it has {} bytes, more than the {most_bytes} that are read of such a file",
                    entry.size_bytes
                ),
            });
        }
        if let Some(packed) = &tree.packed[place] {
            return Ok(Some(packed.clone()));
        }
        let name = object_name::blob(&entry.digest);
        let found = self.objects.read(&name).await?;
        let Some(content) = found else {
            self.suspect(&name);
            return Err(store.damaged(&name, "it is missing"));
        };
        if Digest::of(&content) != entry.digest {
            self.suspect(&name);
            return Err(store.damaged(
                &name,
                "its content does not have the digest that it is named by",
            ));
        }
        Ok(Some(content))
    }
}
