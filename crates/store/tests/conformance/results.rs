//! Results, and whether they are hits.

use supermoe_store::{ArtifactKind, Durability, HitState, StageKey};

use crate::place::{Place, result_of};

#[tokio::test(flavor = "multi_thread")]
async fn a_result_comes_back_and_is_a_hit_everywhere() {
    for place in Place::all().await {
        let artifact = place.artifact("a").await;
        let result = result_of("a", artifact);
        assert!(matches!(place.check(result.key).await, HitState::Miss));
        assert!(
            place
                .store
                .result(&result.key)
                .await
                .expect("reads")
                .is_none()
        );
        place
            .store
            .put_result(&result, Durability::NoSync)
            .await
            .expect("stores");
        for store in [
            place.store.clone(),
            place.next_process().await,
            place.elsewhere().await,
        ] {
            assert_eq!(
                store.result(&result.key).await.expect("reads").as_deref(),
                Some(&result)
            );
            for _ in 0..2 {
                match store
                    .check_results(&[result.key])
                    .await
                    .expect("checks")
                    .remove(0)
                {
                    HitState::Hit(hit) => assert_eq!(*hit, result),
                    other => panic!("{}: {other:?}", place.kind),
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_results_are_checked_in_order() {
    for place in Place::all().await {
        let mut keys = Vec::new();
        for at in 0..100 {
            let path = place.path("line.txt");
            std::fs::write(&path, format!("line {at}\n")).expect("writes");
            let artifact = place
                .store
                .put(&path, ArtifactKind::File)
                .await
                .expect("stores");
            let result = result_of(&format!("stage {at}"), artifact);
            place
                .store
                .put_result(&result, Durability::NoSync)
                .await
                .expect("stores");
            keys.push(result.key);
            keys.push(StageKey::of(format!("no stage {at}").as_bytes()));
        }
        for store in [
            place.store.clone(),
            place.next_process().await,
            place.elsewhere().await,
        ] {
            let states = store.check_results(&keys).await.expect("checks");
            for (at, (key, state)) in keys.iter().zip(&states).enumerate() {
                match state {
                    HitState::Hit(result) => assert!(at % 2 == 0 && result.key == *key),
                    HitState::Miss => assert_eq!(at % 2, 1),
                    damaged => panic!("{}: {damaged:?}", place.kind),
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_nearest_result_is_remembered_by_this_machine() {
    for place in Place::all().await {
        let (first, _) = place.stage("first").await;
        let (second, _) = place.stage("second").await;
        place.store.remember_latest("flow/a", &first);
        place.store.remember_latest("flow/a", &second);
        place.store.remember_latest("flow/b", &first);
        for store in [place.store.clone(), place.next_process().await] {
            let identities = ["flow/a", "flow/none", "flow/b"].map(str::to_owned);
            let nearest = store.nearest_results(&identities).await;
            let keys: Vec<_> = nearest
                .into_iter()
                .map(|result| result.map(|result| result.key))
                .collect();
            assert_eq!(keys, [Some(second), None, Some(first)]);
        }
        assert!(
            place
                .elsewhere()
                .await
                .nearest_result("flow/a")
                .await
                .is_none()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn looking_ahead_finds_what_looking_finds() {
    for place in Place::all().await {
        let (whole, _) = place.stage("whole").await;
        let (broken, artifact) = place.stage("broken").await;
        let (other, _) = place.stage("other").await;
        place.store.remember_latest("flow/a", &whole);
        place.store.remember_latest("flow/b", &broken);
        place.store.remember_latest("flow2/a", &other);
        place.store.flush_index().await;
        place.remove_object(&format!("trees/{}", artifact.digest));
        let identities = ["flow/b", "flow/none", "flow/a"].map(str::to_owned);
        let mut seen = Vec::new();
        for ahead in [None, Some("flow/"), Some("flow2/"), Some("nothing/")] {
            let store = place.next_process().await;
            if let Some(prefix) = ahead {
                let looking = store.clone();
                tokio::task::spawn_blocking(move || looking.read_ahead(prefix))
                    .await
                    .expect("looks");
            }
            let newest = store.newest(identities.to_vec()).await;
            let keys: Vec<_> = newest
                .results
                .iter()
                .map(|result| result.as_ref().map(|result| result.key))
                .collect();
            assert_eq!(keys, [Some(broken), None, Some(whole)], "{ahead:?}");
            let states = newest.states.expect("checks");
            assert_eq!(states.len(), 2, "{} {ahead:?}", place.kind);
            assert!(matches!(states[&whole], HitState::Hit(_)));
            seen.push(format!("{:?}", states[&broken]));
        }
        assert!(seen[0].contains("trees/"), "{}", seen[0]);
        assert!(seen.iter().all(|state| *state == seen[0]), "{seen:?}");
    }
}
