//! What gc takes and what it leaves.

use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use supermoe_store::{GcMode, GcOptions, GcReport, HitState, RefEntry, RunId, StageKey};

use crate::place::{Place, files};

/// A finished run that names a key.
async fn run_of(place: &Place, keys: &[StageKey]) -> RunId {
    let run = RunId::generate();
    let events: String = keys
        .iter()
        .map(|key| format!("{}\n", json!({"event": "stage_finished", "key": key})))
        .collect();
    place
        .store
        .create_run(&run, &json!({}))
        .await
        .expect("creates");
    place
        .store
        .append_events(&run, 0, Bytes::from(events))
        .await
        .expect("appends");
    place
        .store
        .finish_run(&run, &json!({"outcome": "succeeded"}))
        .await
        .expect("ends");
    run
}

fn all_ages(keep: Vec<RunId>, mode: GcMode) -> GcOptions {
    GcOptions {
        keep,
        young: Duration::ZERO,
        mode,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_kept_run_a_ref_or_a_pin_reaches_stays() {
    for place in Place::all().await {
        let (kept, _) = place.stage("kept").await;
        let (dropped, _) = place.stage("dropped").await;
        let (pinned, _) = place.stage("pinned").await;
        let (running, _) = place.stage("running").await;
        let referred = place.artifact("referred").await;
        let keep = run_of(&place, &[kept]).await;
        run_of(&place, &[dropped]).await;
        let pin = RunId::generate();
        place.store.pin(&pin, &[pinned], &[]).await.expect("pins");
        let unfinished = RunId::generate();
        place
            .store
            .create_run(&unfinished, &json!({"keys": [running]}))
            .await
            .expect("creates");
        let entry = RefEntry {
            artifact: referred.digest,
            run: None,
            logical_date: None,
            moved_at: jiff::Timestamp::now(),
        };
        place.store.move_ref("model", &entry).await.expect("moves");

        let dry = place
            .store
            .gc(&all_ages(vec![keep], GcMode::DryRun))
            .await
            .expect("counts");
        let before = place.objects("");
        assert_eq!(
            (dry.runs, dry.results, dry.trees, dry.blobs),
            (1, 1, 1, 1),
            "{}: {dry:?}",
            place.kind
        );
        assert!(
            dry.removed_bytes > 100_000 && dry.kept_bytes > 400_000,
            "{dry:?}"
        );
        assert_eq!(place.objects(""), before, "a dry run removes nothing");

        let swept = place
            .store
            .gc(&all_ages(vec![keep], GcMode::Sweep))
            .await
            .expect("sweeps");
        assert_eq!(swept, dry, "{}", place.kind);
        for key in [kept, pinned, running] {
            assert!(
                matches!(place.check(key).await, HitState::Hit(_)),
                "{}",
                place.kind
            );
        }
        assert!(matches!(place.check(dropped).await, HitState::Miss));
        let to = place.path("out");
        place
            .elsewhere()
            .await
            .lay_out(&referred.digest, &to)
            .await
            .expect("lays out");
        assert_eq!(files(&to), files(&place.path("referred")));

        place.store.unpin(&pin).await.expect("unpins");
        let swept = place
            .store
            .gc(&all_ages(vec![keep], GcMode::Sweep))
            .await
            .expect("sweeps");
        assert_eq!(
            (swept.results, swept.trees, swept.blobs, swept.runs),
            (1, 1, 1, 0),
            "{swept:?}"
        );
        let again = place
            .store
            .gc(&all_ages(vec![keep], GcMode::Sweep))
            .await
            .expect("sweeps");
        assert_eq!(
            GcReport {
                kept_bytes: 0,
                kept_objects: 0,
                ..again
            },
            GcReport::default()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn content_that_a_kept_artifact_shares_stays() {
    for place in Place::all().await {
        let large = vec![9; 50_000];
        let first = place.folder("first", &[("a", b"1"), ("large", &large)]);
        let second = place.folder("second", &[("b", b"2"), ("large", &large)]);
        let first = place
            .store
            .put(&first, supermoe_store::ArtifactKind::Folder)
            .await
            .expect("stores");
        let second = place
            .store
            .put(&second, supermoe_store::ArtifactKind::Folder)
            .await
            .expect("stores");
        place.result("first", first).await;
        let kept = place.result("second", second).await;
        let keep = run_of(&place, &[kept]).await;
        // From a machine without an index, too.
        let swept = place
            .elsewhere()
            .await
            .gc(&all_ages(vec![keep], GcMode::Sweep))
            .await
            .expect("sweeps");
        assert_eq!(
            (swept.results, swept.trees, swept.blobs),
            (1, 1, 0),
            "{}: {swept:?}",
            place.kind
        );
        assert!(matches!(place.check(kept).await, HitState::Hit(_)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_young_stays() {
    for place in Place::all().await {
        let (key, _) = place.stage("stage").await;
        place.artifact("loose").await;
        let state = place.folder("state", &[("x", b"x")]);
        place
            .store
            .put_checkpoint(&StageKey::of(b"other"), "1", &state)
            .await
            .expect("stores");
        let run = run_of(&place, &[]).await;
        let report = place
            .store
            .gc(&GcOptions::keeping(vec![], GcMode::Sweep))
            .await
            .expect("sweeps");
        assert_eq!(
            (report.removed_bytes, report.runs, report.checkpoints),
            (0, 0, 0),
            "{report:?}"
        );
        assert!(matches!(place.check(key).await, HitState::Hit(_)));
        assert!(
            place
                .store
                .run_outcome(&run)
                .await
                .expect("reads")
                .is_some()
        );

        let report = place
            .store
            .gc(&all_ages(vec![], GcMode::Sweep))
            .await
            .expect("sweeps");
        assert_eq!(
            (
                report.results,
                report.trees,
                report.checkpoints,
                report.runs
            ),
            (1, 2, 1, 1),
            "{report:?}"
        );
        for area in ["results/", "trees/", "blobs/", "checkpoints/", "runs/"] {
            assert_eq!(place.objects(area), [""; 0], "{}", place.kind);
        }
    }
}
