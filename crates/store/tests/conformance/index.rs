//! The index is a memory that can be lost, damaged or taken at any time.

use std::fs;
use std::path::PathBuf;

use supermoe_store::{HitState, StageKey, Store};

use crate::place::Place;

fn index_file(place: &Place) -> PathBuf {
    let files = fs::read_dir(place.path("local"))
        .expect("reads")
        .flatten()
        .map(|entry| entry.path());
    let mut files = files.filter(|path| {
        path.extension()
            .is_some_and(|extension| extension == "redb")
    });
    files.next().expect("the index was written")
}

async fn is_hit(store: &Store, key: StageKey) -> bool {
    matches!(
        store.check_results(&[key]).await.expect("checks")[0],
        HitState::Hit(_)
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_cannot_be_used_is_begun_anew() {
    let place = Place::local().await;
    let (key, _) = place.stage("stage").await;
    place.store.flush_index().await;
    let path = index_file(&place);
    let whole = fs::read(&path).expect("reads");
    let cut = whole[..whole.len() / 2].to_vec();
    let mut flipped = whole.clone();
    flipped.iter_mut().skip(4096).for_each(|byte| *byte ^= 0x55);
    for content in [
        b"no database".to_vec(),
        cut,
        flipped,
        vec![0; 20_000],
        vec![],
    ] {
        fs::write(&path, &content).expect("writes");
        let store = place.next_process().await;
        assert!(is_hit(&store, key).await);
        store.remember_latest("flow/stage", &key);
        store.flush_index().await;
        let store = place.next_process().await;
        assert!(
            store.nearest_result("flow/stage").await.is_some(),
            "it is written again, after {} bytes",
            content.len()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_of_another_version_is_set_aside() {
    let place = Place::local().await;
    let (key, _) = place.stage("stage").await;
    place.store.flush_index().await;
    let path = index_file(&place);
    {
        let database = redb::Database::open(&path).expect("opens");
        let transaction = database.begin_write().expect("begins");
        let about = redb::TableDefinition::<&str, u64>::new("about");
        transaction
            .open_table(about)
            .expect("opens")
            .insert("version", 99)
            .expect("inserts");
        transaction.commit().expect("commits");
    }
    let store = place.next_process().await;
    assert!(is_hit(&store, key).await);
    store.flush_index().await;
    assert!(path.with_extension("redb.unusable").exists());
    assert!(is_hit(&place.next_process().await, key).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_another_process_holds_is_done_without() {
    let place = Place::local().await;
    let (key, _) = place.stage("stage").await;
    place.store.flush_index().await;
    let holder = redb::Database::open(index_file(&place)).expect("opens");
    let store = Store::open_in(&place.url, &place.path("local"), &place.environment)
        .await
        .expect("opens");
    assert!(is_hit(&store, key).await);
    store.remember_latest("flow/stage", &key);
    store.flush_index().await;
    assert!(
        store.nearest_result("flow/stage").await.is_some(),
        "what was learned is kept"
    );
    drop(holder);
    store.flush_index().await;
    assert!(
        place
            .next_process()
            .await
            .nearest_result("flow/stage")
            .await
            .is_some()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_at_once_lose_nothing() {
    let place = Place::local().await;
    let other = Store::open_in(&place.url, &place.path("local"), &place.environment)
        .await
        .expect("opens");
    let keys: Vec<StageKey> = (0..8)
        .map(|at| StageKey::of(format!("stage {at}").as_bytes()))
        .collect();
    for at in 0..8 {
        place.stage(&format!("stage {at}")).await;
    }
    let writes = keys.iter().enumerate().map(|(at, key)| {
        let store = if at % 2 == 0 {
            place.store.clone()
        } else {
            other.clone()
        };
        async move {
            assert!(is_hit(&store, *key).await);
            store.remember_latest(&format!("flow/{at}"), key);
            store.flush_index().await;
        }
    });
    futures::future::join_all(writes).await;
    place.store.flush_index().await;
    other.flush_index().await;
    let next = place.next_process().await;
    for (at, key) in keys.iter().enumerate() {
        assert_eq!(
            next.nearest_result(&format!("flow/{at}"))
                .await
                .map(|result| result.key),
            Some(*key)
        );
    }
}
