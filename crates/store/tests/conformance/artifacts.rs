//! What is put comes back as it was.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use supermoe_store::{ArtifactKind, Store, StoreError};

use crate::place::{Place, files};

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_comes_back_on_another_machine() {
    for place in Place::all().await {
        let large = vec![3; 20_000_000];
        let folder = place.folder(
            "in",
            &[
                ("a.txt", b"a"),
                ("deep/er/ä b.bin", &large),
                ("deep/empty", b""),
                ("same.bin", &large),
            ],
        );
        fs::write(folder.join("run.sh"), "#!/bin/sh\n").expect("writes");
        fs::set_permissions(folder.join("run.sh"), fs::Permissions::from_mode(0o755))
            .expect("sets a mode");
        fs::create_dir_all(folder.join("hollow")).expect("makes a folder");

        let artifact = place
            .store
            .put(&folder, ArtifactKind::Folder)
            .await
            .expect("stores");
        assert_eq!(
            (artifact.files, artifact.size_bytes),
            (5, 40_000_011),
            "{}",
            place.kind
        );
        assert_eq!(
            place.objects("blobs/").len(),
            1,
            "the same content is stored once"
        );

        let to = place.path("new/place");
        let kind = place
            .elsewhere()
            .await
            .lay_out(&artifact.digest, &to)
            .await
            .expect("lays out");
        assert_eq!(kind, ArtifactKind::Folder);
        assert_eq!(files(&to), files(&folder), "{}", place.kind);
        assert!(to.join("hollow").is_dir());
        assert_eq!(
            place.store.digest_path(&folder).await.ok(),
            Some(artifact.digest)
        );
        assert_eq!(
            place.store.digest_path(&to).await.ok(),
            Some(artifact.digest)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_comes_back_small_or_large() {
    for place in Place::all().await {
        for size in [0, 1, 16 * 1024, 16 * 1024 + 1, 300_000] {
            let path = place.path("file.bin");
            fs::write(&path, vec![7; size]).expect("writes");
            let artifact = place
                .store
                .put(&path, ArtifactKind::File)
                .await
                .expect("stores");
            assert_eq!((artifact.files, artifact.size_bytes), (1, size as u64));
            let to = place.path(&format!("out-{size}"));
            assert_eq!(
                place
                    .elsewhere()
                    .await
                    .lay_out(&artifact.digest, &to)
                    .await
                    .ok(),
                Some(ArtifactKind::File)
            );
            assert_eq!(
                fs::read(&to).ok(),
                Some(vec![7; size]),
                "{} {size}",
                place.kind
            );
            assert_eq!(
                place.store.digest_path(&path).await.ok(),
                Some(artifact.digest)
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_file_is_read_without_the_rest() {
    for place in Place::all().await {
        let large = vec![5; 100_000];
        let folder = place.folder("in", &[("card.json", b"{}"), ("deep/rows", &large)]);
        let artifact = place
            .store
            .put(&folder, ArtifactKind::Folder)
            .await
            .expect("stores");
        let read = async |path: &str, most: u64| {
            let store = place.elsewhere().await;
            store.read_file(&artifact.digest, path, most).await
        };
        let found = |bytes: Option<bytes::Bytes>| bytes.map(|bytes| bytes.to_vec());
        let card = read("card.json", 100).await.expect("reads");
        assert_eq!(found(card).as_deref(), Some(&b"{}"[..]), "{}", place.kind);
        let rows = read("deep/rows", 100_000).await.expect("reads");
        assert_eq!(found(rows), Some(large), "{}", place.kind);
        assert_eq!(read("deep", 100).await.expect("reads"), None);
        let error = read("deep/rows", 99_999).await.expect_err("it is larger");
        assert!(error.to_string().contains("100000 bytes"), "{error}");

        place.damage_object("blobs/");
        let error = read("deep/rows", 100_000).await.expect_err("it is damaged");
        assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
        place.remove_object("blobs/");
        let error = read("deep/rows", 100_000).await.expect_err("it is gone");
        assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
        assert!(read("card.json", 100).await.is_ok(), "{}", place.kind);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_digest_is_of_content_names_and_the_executable_bit_alone() {
    let place = Place::local().await;
    let first = place.folder("first", &[("a", b"1"), ("b/c", b"2")]);
    let second = place.folder("second", &[("b/c", b"2"), ("a", b"1")]);
    fs::set_permissions(second.join("a"), fs::Permissions::from_mode(0o600)).expect("sets a mode");
    let digest = |path| place.store.digest_path(path);
    let of_first = digest(&first).await.expect("digests");
    assert_eq!(digest(&second).await.ok(), Some(of_first));
    fs::set_permissions(second.join("a"), fs::Permissions::from_mode(0o700)).expect("sets a mode");
    assert_ne!(digest(&second).await.ok(), Some(of_first));
    fs::rename(first.join("a"), first.join("A")).expect("renames");
    assert_ne!(digest(&first).await.ok(), Some(of_first));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_stored_is_said() {
    for place in Place::all().await {
        let folder = place.folder("in", &[("a", b"a")]);
        symlink("/etc/hostname", folder.join("link")).expect("links");
        let error = place
            .store
            .put(&folder, ArtifactKind::Folder)
            .await
            .expect_err("a link that leaves");
        assert!(
            matches!(&error, StoreError::NotStorable { path, .. } if path.ends_with("link")),
            "{error}"
        );
        let error = place
            .store
            .put(&folder, ArtifactKind::File)
            .await
            .expect_err("a folder is no file");
        assert!(error.to_string().contains("a file was expected"), "{error}");
        let error = place
            .store
            .put(&folder.join("a"), ArtifactKind::Folder)
            .await
            .expect_err("a file is no folder");
        assert!(
            error.to_string().contains("a folder was expected"),
            "{error}"
        );
        let error = place
            .store
            .put(&folder.join("link"), ArtifactKind::File)
            .await
            .expect_err("a link is no file");
        assert!(error.to_string().contains("link"), "{error}");
        let error = place
            .store
            .put(&place.path("none"), ArtifactKind::File)
            .await
            .expect_err("nothing there");
        assert!(error.to_string().contains("none"), "{error}");
        assert_eq!(place.objects("trees/"), [""; 0], "{}", place.kind);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_at_the_target_is_safe() {
    for place in Place::all().await {
        let artifact = place.artifact("in").await;
        let target = place.folder("target", &[("precious", b"!")]);
        let error = place
            .store
            .lay_out(&artifact.digest, &target)
            .await
            .expect_err("something is there");
        assert!(matches!(error, StoreError::Exists { .. }), "{error}");
        assert!(target.join("precious").exists());
        place
            .store
            .lay_out_over(&artifact.digest, &target)
            .await
            .expect("replaces");
        assert_eq!(files(&target), files(&place.path("in")));
        let missing = place
            .store
            .lay_out(&supermoe_store::Digest::of(b"none"), &place.path("out"))
            .await;
        assert!(
            matches!(missing, Err(StoreError::Missing { .. })),
            "{missing:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_by_opening_and_looking() {
    let place = Place::local().await;
    let key = supermoe_store::StageKey::of(b"none");
    place.store.check_results(&[key]).await.expect("checks");
    assert!(place.store.result(&key).await.expect("looks").is_none());
    assert!(place.store.list_runs().await.expect("lists").is_empty());
    assert!(place.store.list_refs().await.expect("lists").is_empty());
    place.store.flush_index().await;
    assert!(!place.path("the störe #1").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_process_left_is_removed_by_the_next() {
    let place = Place::local().await;
    place.stage("stage").await;
    assert_eq!(
        fs::read_dir(place.path("the störe #1/tmp"))
            .expect("reads")
            .count(),
        0
    );
    let mark = temp_name_of_a_dead_process();
    let left = place.path("the störe #1/tmp").join(&mark);
    fs::write(&left, "half").expect("writes");
    fs::create_dir_all(place.path("local/tmp").join(&mark).join("sub")).expect("makes folders");
    Store::open_in(&place.url, &place.path("local"), &place.environment)
        .await
        .expect("opens");
    assert!(!left.exists());
    assert!(!place.path("local/tmp").join(&mark).exists());
}

/// The name that a process with this one's id, which began at another time, would have given.
fn temp_name_of_a_dead_process() -> String {
    let boot = fs::read("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let space = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    let machine =
        supermoe_store::Digest::of(&[&boot[..], space.as_os_str().as_encoded_bytes()].concat())
            .to_string();
    format!("{}-{}-1-0", &machine[..8], std::process::id())
}
