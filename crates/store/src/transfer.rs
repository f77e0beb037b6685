//! Content on its way between a remote store and the local cache, digested as it flows.

use std::path::Path;

use bytes::Bytes;
use futures::StreamExt;
use object_store::{ObjectStoreExt, PutPayload, WriteMultipart};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::digest::Digest;
use crate::error::Result;
use crate::error_mapping::{Access, local_error};
use crate::local_put::{Durability, LocalFolder, Stat};
use crate::objects::Objects;

/// Files up to this size go in one request.
const PART_BYTES: usize = 8 * 1024 * 1024;
/// Parts of one upload that are on their way at one time; with their buffers, 40 MiB.
const PARTS_AT_ONCE: usize = 4;
/// S3 takes at most 10,000 parts.
const MOST_PARTS: u64 = 9_000;

/// Uploads a file as `name`. Holds it to `digest`, where one is given, before the upload counts.
pub(crate) async fn upload(
    objects: &Objects,
    name: &str,
    file: &Path,
    digest: Option<&Digest>,
) -> Result<()> {
    objects.ensure_format().await?;
    let read_error = |error| local_error(file, "read", error);
    let mut content = tokio::fs::File::open(file).await.map_err(read_error)?;
    let size_bytes = content.metadata().await.map_err(read_error)?.len();
    let changed = || {
        objects.store().failed(
            name,
            format!("`{}` changed while it was uploaded", file.display()),
        )
    };
    let (client, path) = objects.remote(name);

    if size_bytes <= PART_BYTES as u64 {
        let mut bytes = Vec::with_capacity(size_bytes as usize);
        (&mut content)
            .take(size_bytes + 1)
            .read_to_end(&mut bytes)
            .await
            .map_err(read_error)?;
        if digest.is_some_and(|digest| Digest::of(&bytes) != *digest) {
            return Err(changed());
        }
        let put = client
            .put(&path, PutPayload::from_bytes(bytes.into()))
            .await;
        return put
            .map(drop)
            .map_err(|error| objects.write_error(name, error));
    }

    let part_bytes = PART_BYTES.max(usize::try_from(size_bytes / MOST_PARTS).unwrap_or(usize::MAX));
    let multipart = client
        .put_multipart(&path)
        .await
        .map_err(|error| objects.write_error(name, error))?;
    let mut upload = WriteMultipart::new_with_chunk_size(multipart, part_bytes);
    let mut hasher = blake3::Hasher::new();
    let sent = send(&mut upload, &mut content, &mut hasher, part_bytes).await;
    let failed = match sent {
        Ok(()) if digest.is_none_or(|digest| Digest::from(hasher.finalize()) == *digest) => {
            let finished = upload.finish().await;
            return finished
                .map(drop)
                .map_err(|error| objects.write_error(name, error));
        }
        Ok(()) => changed(),
        Err(SendError::Read(error)) => read_error(error),
        Err(SendError::Upload(error)) => objects.write_error(name, error),
    };
    // What the server holds of it is of no use; that it could not be told is not worth an error.
    if let Err(error) = upload.abort().await {
        tracing::debug!(name, %error, "an upload could not be taken back");
    }
    Err(failed)
}

enum SendError {
    Read(std::io::Error),
    Upload(object_store::Error),
}

async fn send(
    upload: &mut WriteMultipart,
    content: &mut tokio::fs::File,
    hasher: &mut blake3::Hasher,
    part_bytes: usize,
) -> Result<(), SendError> {
    loop {
        let mut part = Vec::with_capacity(part_bytes);
        (&mut *content)
            .take(part_bytes as u64)
            .read_to_end(&mut part)
            .await
            .map_err(SendError::Read)?;
        if part.is_empty() {
            return Ok(());
        }
        hasher.update(&part);
        upload
            .wait_for_capacity(PARTS_AT_ONCE)
            .await
            .map_err(SendError::Upload)?;
        upload.put(Bytes::from(part));
    }
}

/// Downloads `name` into the folder under the same name, where its content has `digest`.
pub(crate) async fn download(
    objects: &Objects,
    name: &str,
    digest: &Digest,
    into: &LocalFolder,
) -> Result<Stat> {
    let store = objects.store();
    let write_error = |error: std::io::Error| store.disk(Access::Write, &cached(name), &error);
    let (client, path) = objects.remote(name);
    let answer = client
        .get(&path)
        .await
        .map_err(|error| objects.read_error(name, error))?;
    let mut pieces = answer.into_stream();

    let (temp, file) = into.create_temp().map_err(write_error)?;
    let mut file = tokio::fs::File::from_std(file);
    let mut hasher = blake3::Hasher::new();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|error| objects.read_error(name, error))?;
        hasher.update(&piece);
        file.write_all(&piece).await.map_err(write_error)?;
    }
    file.flush().await.map_err(write_error)?;
    if Digest::from(hasher.finalize()) != *digest {
        return Err(store.damaged(
            name,
            "its content does not have the digest that it is named by",
        ));
    }
    let file = file.into_std().await;
    into.finish(temp, file, name, Durability::NoSync)
        .map_err(write_error)
}

/// Whether the content of a remote object has `digest`, without keeping it.
pub(crate) async fn has_digest(objects: &Objects, name: &str, digest: &Digest) -> Result<bool> {
    let (client, path) = objects.remote(name);
    let answer = client
        .get(&path)
        .await
        .map_err(|error| objects.read_error(name, error))?;
    let mut pieces = answer.into_stream();
    let mut hasher = blake3::Hasher::new();
    while let Some(piece) = pieces.next().await {
        hasher.update(&piece.map_err(|error| objects.read_error(name, error))?);
    }
    Ok(Digest::from(hasher.finalize()) == *digest)
}

fn cached(name: &str) -> String {
    format!("the local copy of {name}")
}
