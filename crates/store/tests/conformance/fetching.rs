//! Inputs by URL out of a bucket: what is asked, what is fetched, what it is worth.

use std::fs;
use std::path::{Path, PathBuf};

use supermoe_s3_test_server::BUCKET;
use supermoe_store::{ArtifactKind, FetchError, Fetched, Store, StoreUrl};

use crate::s3_server;

/// A bucket, and a store on the disk that reads inputs from it.
struct Inputs {
    folder: tempfile::TempDir,
    store: Store,
}

impl Inputs {
    async fn new() -> Inputs {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let endpoint = s3_server::serve(&folder.path().join("server")).await;
        let url = StoreUrl::parse("store", folder.path()).expect("a folder");
        let local = folder.path().join("local");
        let environment = s3_server::environment(&endpoint);
        let store = Store::open_in(&url, &local, &environment).await;
        Inputs {
            store: store.expect("opens"),
            folder,
        }
    }

    fn put(&self, key: &str, content: &[u8]) {
        let path = self.folder.path().join("server").join(BUCKET).join(key);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, content).expect("an object");
    }

    async fn fetch(&self, url: &str) -> Result<Fetched, FetchError> {
        let mut found = self.store.fetch(&[url.to_owned()], &|_| {}).await;
        found.pop().expect("one for one")
    }

    async fn digest_of_local(&self, name: &str, files: &[(&str, &[u8])]) -> supermoe_store::Digest {
        let path = self.folder.path().join(name);
        for (file, content) in files {
            let file = if file.is_empty() {
                path.clone()
            } else {
                path.join(file)
            };
            fs::create_dir_all(file.parent().expect("a parent")).expect("a folder");
            fs::write(file, content).expect("a file");
        }
        self.store.digest_path(&path).await.expect("a digest")
    }
}

fn first_copy(fetched: &Path) -> PathBuf {
    let files = |folder: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).expect("a folder").flatten();
        entries.map(|entry| entry.path()).collect()
    };
    let is_copy = |path: &PathBuf| path.is_file() && !path.ends_with("known.json");
    let mut copies = files(fetched).into_iter().flat_map(|folder| files(&folder));
    copies.find(is_copy).expect("a copy")
}

fn temporary_files(local: &Path) -> usize {
    fs::read_dir(local.join("fetched/tmp")).map_or(0, Iterator::count)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_of_several_parts_is_the_same_as_a_local_file() {
    let inputs = Inputs::new().await;
    let large: Vec<u8> = (0..9 * 1024 * 1024_u32).map(|at| (at / 7) as u8).collect();
    for (key, content) in [
        ("large file.bin", &large[..]),
        ("empty", b""),
        ("a%20b+ü", b"x"),
    ] {
        inputs.put(key, content);
        let fetched = inputs
            .fetch(&format!("s3://{BUCKET}/{key}"))
            .await
            .expect(key);
        assert_eq!(fetched.kind, ArtifactKind::File);
        let local = inputs
            .digest_of_local(&format!("here {key}"), &[("", content)])
            .await;
        assert_eq!(fetched.digest, local, "{key}");
        let to = inputs.folder.path().join(format!("copy of {key}"));
        fetched.copy_to(&to).expect("copies");
        assert!(fs::read(to).is_ok_and(|copy| copy == content), "{key}");
    }
    assert_eq!(temporary_files(&inputs.folder.path().join("local")), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_is_the_same_as_a_local_one() {
    let inputs = Inputs::new().await;
    let files: &[(&str, &[u8])] = &[("a.csv", b"1"), ("deep/er/b.csv", b"2"), ("deep/c", b"")];
    for (path, content) in files {
        inputs.put(&format!("data/{path}"), content);
    }
    inputs.put("database/other", b"not below data/");
    let fetched = inputs.fetch("s3://bucket/data/").await.expect("fetches");
    assert_eq!(fetched.kind, ArtifactKind::Folder);
    let local = inputs.digest_of_local("here", files).await;
    assert_eq!(fetched.digest, local);
    let to = inputs.folder.path().join("copy");
    fetched.copy_to(&to).expect("copies");
    assert_eq!(inputs.store.digest_path(&to).await.ok(), Some(local));

    inputs.put("data/a.csv", b"changed");
    let changed = inputs.fetch("s3://bucket/data/").await.expect("fetches");
    assert_ne!(changed.digest, local);
    let all = inputs.fetch("s3://bucket/").await.expect("fetches");
    assert_ne!(all.digest, changed.digest);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_held_to_its_digest() {
    let inputs = Inputs::new().await;
    inputs.put("x", b"content");
    let first = inputs.fetch("s3://bucket/x").await.expect("fetches");
    let copy = first_copy(&inputs.folder.path().join("local/fetched"));
    fs::write(&copy, b"harmed!").expect("writes");
    let second = inputs.fetch("s3://bucket/x").await.expect("fetches");
    assert_eq!(second, first);
    assert_eq!(fs::read(copy).ok().as_deref(), Some(&b"content"[..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_told_apart() {
    let inputs = Inputs::new().await;
    inputs.put("x", b"content");
    let error = async |url: &str| inputs.fetch(url).await.expect_err(url);
    let missing = error("s3://bucket/none").await;
    assert!(
        matches!(missing, FetchError::NotFound { .. }),
        "{missing:?}"
    );
    let empty = error("s3://bucket/none/").await;
    assert!(matches!(empty, FetchError::NoObjects { .. }), "{empty:?}");
    for url in [
        "s3://nowhere/x",
        "s3://nowhere/x/",
        "nothing",
        "ftp://host/x",
        "s3://bucket",
    ] {
        let error = error(url).await;
        assert!(error.to_string().contains(url), "{error}");
    }
}
