//! Runs, logs and refs.

use std::fs;

use bytes::Bytes;
use serde_json::json;
use supermoe_store::{Digest, RefEntry, RunId, StoreError};

use crate::place::Place;

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_told_from_start_to_end() {
    for place in Place::all().await {
        let [first, second] = [1_000, 2_000].map(|time| RunId::from_parts(time, 7));
        for run in [first, second] {
            place
                .store
                .create_run(&run, &json!({"name": "flow"}))
                .await
                .expect("creates");
        }
        let segments = ["{\"a\":1}\n{\"a\":2}\n", "{\"a\":3}\n"];
        for (at, segment) in segments.iter().enumerate() {
            place
                .store
                .append_events(
                    &first,
                    at as u64 * 150,
                    Bytes::from_static(segment.as_bytes()),
                )
                .await
                .expect("appends");
        }
        let store = place.elsewhere().await;
        assert_eq!(store.list_runs().await.expect("lists"), [second, first]);
        assert_eq!(
            store.run_document(&first).await.expect("reads"),
            Some(json!({"name": "flow"}))
        );
        assert_eq!(
            store.run_events(&first).await.expect("reads"),
            segments.concat().as_bytes()
        );
        assert_eq!(store.run_events(&second).await.expect("reads"), b"");
        assert_eq!(store.run_outcome(&first).await.expect("reads"), None);
        place
            .store
            .finish_run(&first, &json!({"outcome": "succeeded"}))
            .await
            .expect("ends");
        assert_eq!(
            store.run_outcome(&first).await.expect("reads"),
            Some(json!({"outcome": "succeeded"}))
        );
        assert_eq!(
            store
                .run_document(&RunId::from_parts(3_000, 7))
                .await
                .expect("reads"),
            None
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_are_kept_by_cell() {
    for place in Place::all().await {
        let run = RunId::generate();
        for (cell, text) in [
            ("train[model=a/b,seed=1]", "one\ntwo\nthree\n"),
            ("train[model=a_b,seed=1]", "other"),
            ("quiet", ""),
        ] {
            fs::write(place.path("log"), text).expect("writes");
            place
                .store
                .put_log(&run, cell, &place.path("log"))
                .await
                .expect("stores");
        }
        let store = place.elsewhere().await;
        let text =
            |bytes: Option<Bytes>| bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let cell = "train[model=a/b,seed=1]";
        assert_eq!(
            text(store.log(&run, cell).await.expect("reads")).as_deref(),
            Some("one\ntwo\nthree\n")
        );
        assert_eq!(
            text(store.log_tail(&run, cell, 6).await.expect("reads")).as_deref(),
            Some("three\n")
        );
        assert_eq!(
            text(store.log_tail(&run, cell, 1000).await.expect("reads")).as_deref(),
            Some("one\ntwo\nthree\n")
        );
        assert_eq!(
            text(store.log_tail(&run, "quiet", 10).await.expect("reads")).as_deref(),
            Some("")
        );
        assert_eq!(
            text(
                store
                    .log(&run, "train[model=a_b,seed=1]")
                    .await
                    .expect("reads")
            )
            .as_deref(),
            Some("other")
        );
        assert_eq!(store.log(&run, "none").await.expect("reads"), None);
        assert_eq!(store.log_tail(&run, "none", 10).await.expect("reads"), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ref_moves_and_remembers() {
    for place in Place::all().await {
        let entry = |content: &[u8], second: i64| RefEntry {
            artifact: Digest::of(content),
            run: Some(RunId::generate()),
            logical_date: Some("2024-01-31".to_owned()),
            moved_at: jiff::Timestamp::from_second(second).expect("a valid time"),
        };
        let (old, new, deeper) = (
            entry(b"old", 99),
            entry(b"new", 1_000_000_000),
            entry(b"deeper", 5),
        );
        place
            .store
            .move_ref("models/retail", &old)
            .await
            .expect("moves");
        place
            .store
            .move_ref("models/retail", &new)
            .await
            .expect("moves");
        place
            .store
            .move_ref("models/retail/champion", &deeper)
            .await
            .expect("moves");
        let store = place.elsewhere().await;
        assert_eq!(
            store.resolve_ref("models/retail").await.expect("resolves"),
            Some(new.clone())
        );
        assert_eq!(
            store.ref_history("models/retail").await.expect("resolves"),
            [new.clone(), old]
        );
        assert_eq!(store.resolve_ref("models").await.expect("resolves"), None);
        let all = store.list_refs().await.expect("lists");
        let names: Vec<_> = all.keys().map(String::as_str).collect();
        assert_eq!(names, ["models/retail", "models/retail/champion"]);
        assert_eq!(all["models/retail"], new);
        assert!(matches!(
            store.resolve_ref("../x").await,
            Err(StoreError::BadRef { .. })
        ));
    }
}
