//! What is deleted or damaged is found, named, and made again by the next writer.

use supermoe_store::{HitState, StoreError};

use crate::place::{Place, files};

/// Checks that another machine finds the damage when it looks or reads; gives what is named.
async fn found(place: &Place, name: &str) -> String {
    let (key, artifact) = (
        supermoe_store::StageKey::of(name.as_bytes()),
        place.artifact_digest(name).await,
    );
    let store = place.elsewhere().await;
    let looked = store.check_results(&[key]).await.expect("checks").remove(0);
    let read = store.lay_out(&artifact, &place.path("read")).await;
    match (looked, read) {
        (HitState::Damaged { object, .. }, _) => object,
        (_, Err(StoreError::Damaged { object, .. } | StoreError::Missing { object, .. })) => object,
        (looked, read) => panic!("{}: {looked:?} {read:?}", place.kind),
    }
}

impl Place {
    async fn artifact_digest(&self, name: &str) -> supermoe_store::Digest {
        self.store
            .digest_path(&self.path(name))
            .await
            .expect("digests")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_of_every_kind_is_named_and_mended() {
    for place in Place::all().await {
        for (area, deleted) in [
            ("blobs/", true),
            ("blobs/", false),
            ("trees/", true),
            ("trees/", false),
            ("results/", false),
        ] {
            place.stage("stage").await;
            assert!(matches!(
                place.check(supermoe_store::StageKey::of(b"stage")).await,
                HitState::Hit(_)
            ));
            if deleted {
                place.remove_object(area);
            } else {
                place.damage_object(area);
            }
            let object = found(&place, "stage").await;
            assert!(
                object.starts_with(area),
                "{} {area} {deleted}: {object}",
                place.kind
            );

            // The machine that made it finds it too, by how the object looks, and makes it again.
            if place.kind == "local" || deleted {
                let state = place.check(supermoe_store::StageKey::of(b"stage")).await;
                assert!(
                    matches!(&state, HitState::Damaged { object, .. } if object.starts_with(area)),
                    "{state:?}"
                );
            }
            let maker = place.elsewhere().await;
            let _ = maker
                .check_results(&[supermoe_store::StageKey::of(b"stage")])
                .await;
            let _ = maker
                .lay_out(
                    &place.artifact_digest("stage").await,
                    &place.path("read again"),
                )
                .await;
            let artifact = maker
                .put(&place.path("stage"), supermoe_store::ArtifactKind::Folder)
                .await
                .expect("stores");
            let again = crate::place::result_of("stage", artifact);
            maker
                .put_result(&again, supermoe_store::Durability::Sync)
                .await
                .expect("stores");
            let reader = place.elsewhere().await;
            assert!(matches!(
                reader.check_results(&[again.key]).await.expect("checks")[0],
                HitState::Hit(_)
            ));
            let to = place.path("mended");
            reader
                .lay_out_over(&artifact.digest, &to)
                .await
                .expect("is whole again");
            assert_eq!(files(&to), files(&place.path("stage")));
            let _ = std::fs::remove_dir_all(place.path("read again"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_result_is_a_miss() {
    for place in Place::all().await {
        let (key, _) = place.stage("stage").await;
        place.remove_object("results/");
        assert!(matches!(place.check(key).await, HitState::Miss));
        assert!(place.store.result(&key).await.expect("reads").is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_only_touched_is_still_a_hit() {
    let place = Place::local().await;
    let (key, _) = place.stage("stage").await;
    for prefix in ["blobs/", "trees/", "results/"] {
        let file = std::fs::File::options()
            .append(true)
            .open(place.object(prefix))
            .expect("opens");
        file.set_modified(std::time::UNIX_EPOCH)
            .expect("sets the time");
    }
    assert!(matches!(place.check(key).await, HitState::Hit(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_copy_in_the_cache_is_fetched_again() {
    let place = Place::s3().await;
    let (_, artifact) = place.stage("stage").await;
    for entry in walkdir::WalkDir::new(place.path("local/cache"))
        .into_iter()
        .flatten()
    {
        if entry.file_type().is_file() {
            let mut bytes = std::fs::read(entry.path()).expect("reads");
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
            std::fs::write(entry.path(), bytes).expect("writes");
        }
    }
    let to = place.path("out");
    place
        .store
        .lay_out(&artifact.digest, &to)
        .await
        .expect("fetches");
    assert_eq!(files(&to), files(&place.path("stage")));
}

#[tokio::test(flavor = "multi_thread")]
async fn hits_need_no_download() {
    let place = Place::s3().await;
    let (_, artifact) = place.stage("stage").await;
    // The bucket's content is gone: all that is laid out comes from this machine.
    place.remove_object("blobs/");
    let to = place.path("out");
    place
        .store
        .lay_out(&artifact.digest, &to)
        .await
        .expect("lays out");
    assert_eq!(files(&to), files(&place.path("stage")));
}

/// A tree that somebody made by hand, with the right digest for its name.
#[tokio::test(flavor = "multi_thread")]
async fn a_tree_that_leaves_its_folder_is_refused() {
    for place in Place::all().await {
        place.stage("stage").await;
        for path in ["../evil", "/evil", "a/../../evil"] {
            let content = supermoe_store::Digest::of(b"x");
            let listing = format!(
                "supermoe-tree 1 folder 1\n{content} 1 f {}:{path}\n",
                path.len()
            );
            let digest = supermoe_store::Digest::of(listing.as_bytes());
            place.write_object(
                &format!("trees/{digest}"),
                format!("{listing}\nx").as_bytes(),
            );
            let error = place
                .store
                .lay_out(&digest, &place.path("deep/er/out"))
                .await
                .expect_err("leaves");
            assert!(
                matches!(error, StoreError::Damaged { .. }),
                "{}: {error}",
                place.kind
            );
            assert!(!place.path("deep/er/out").exists());
            assert!(!place.path("deep/evil").exists() && !place.path("deep/er/evil").exists());
        }
    }
}
