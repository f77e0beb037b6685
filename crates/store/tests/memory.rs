//! Artifacts flow: memory does not grow with their size.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use supermoe_store::{ArtifactKind, Environment, Store, StoreUrl};

#[path = "conformance/s3_server.rs"]
mod s3_server;

/// Counts what is allocated and the most that ever was.
struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        MOST.fetch_max(now, Ordering::Relaxed);
        // SAFETY: the caller's promises are the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promises are the system's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const MIB: usize = 1024 * 1024;

/// Stores a sparse file and lays it out on another machine; gives the most memory it took.
async fn memory_of(
    url: &str,
    environment: &Environment,
    folder: &std::path::Path,
    size_bytes: usize,
) -> usize {
    let data = folder.join("data.bin");
    std::fs::File::create(&data)
        .and_then(|file| file.set_len(size_bytes as u64))
        .expect("makes a sparse file");
    let url = StoreUrl::parse(url, folder).expect("a valid address");
    let before = NOW.load(Ordering::Relaxed);
    MOST.store(before, Ordering::Relaxed);
    let store = Store::open_in(&url, &folder.join("local"), environment)
        .await
        .expect("opens");
    let artifact = store.put(&data, ArtifactKind::File).await.expect("stores");
    let elsewhere = Store::open_in(&url, &folder.join("elsewhere"), environment)
        .await
        .expect("opens");
    let out = folder.join("out.bin");
    elsewhere
        .lay_out(&artifact.digest, &out)
        .await
        .expect("lays out");
    assert_eq!(
        std::fs::metadata(&out).map(|metadata| metadata.len()).ok(),
        Some(size_bytes as u64)
    );
    MOST.load(Ordering::Relaxed) - before
}

/// One test, since all tests of a process share its memory.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_artifact_takes_little_memory() {
    let local = tempfile::tempdir().expect("a temporary folder");
    let on_folder = memory_of("store", &Environment::default(), local.path(), 192 * MIB).await;
    assert!(on_folder < 16 * MIB, "{} MiB on a folder", on_folder / MIB);

    let remote = tempfile::tempdir().expect("a temporary folder");
    let endpoint = s3_server::serve(&remote.path().join("s3")).await;
    let on_s3 = memory_of(
        "s3://bucket/store",
        &s3_server::environment(&endpoint),
        remote.path(),
        72 * MIB,
    )
    .await;
    // The server is in this process too.
    assert!(on_s3 < 68 * MIB, "{} MiB on S3", on_s3 / MIB);
}
