//! Mid-stage state.

use std::fs;

use supermoe_store::{Checkpoint, StageKey};

use crate::place::{Place, files};

fn key() -> StageKey {
    StageKey::of(b"training")
}

async fn put(place: &Place, attempt: &str, step: u8) {
    let folder = place.folder(
        "state",
        &[
            ("step.txt", &[step]),
            ("weights.bin", &vec![step; 50_000]),
            ("data.bin", &vec![0; 60_000]),
        ],
    );
    place
        .store
        .put_checkpoint(&key(), attempt, &folder)
        .await
        .expect("stores");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_wins_and_an_attempt_prunes_its_own() {
    for place in Place::all().await {
        assert_eq!(
            place
                .store
                .newest_checkpoint(&key(), &place.path("none"))
                .await
                .expect("looks"),
            None
        );
        put(&place, "run[1]/1", 1).await;
        for step in 2..6 {
            put(&place, "2", step).await;
        }
        let trees = place
            .objects("checkpoints/")
            .into_iter()
            .filter(|name| !name.contains("/blobs/"))
            .count();
        assert_eq!(trees, 3, "one of the first attempt, two of the second");
        let blobs = place.objects("checkpoints/").len() - trees;
        assert_eq!(blobs, 2 + 3, "{}: what no state needs is gone", place.kind);

        let to = place.path("out");
        let newest = place
            .elsewhere()
            .await
            .newest_checkpoint(&key(), &to)
            .await
            .expect("looks");
        assert_eq!(
            newest,
            Some(Checkpoint {
                attempt: "2".to_owned(),
                sequence: 4,
                damaged: vec![]
            })
        );
        assert_eq!(files(&to), files(&place.path("state")));

        place
            .store
            .remove_checkpoints(&key())
            .await
            .expect("removes");
        assert_eq!(place.objects("checkpoints/"), [""; 0]);
        assert_eq!(
            place
                .store
                .newest_checkpoint(&key(), &place.path("none"))
                .await
                .expect("looks"),
            None
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_one_is_passed_over_and_named() {
    for place in Place::all().await {
        put(&place, "1", 1).await;
        put(&place, "2", 2).await;
        put(&place, "2", 3).await;
        let newest = place
            .objects("checkpoints/")
            .into_iter()
            .rfind(|name| name.contains("/000002-"))
            .expect("is there");
        place.damage_object(&newest);
        let store = place.elsewhere().await;
        let found = store
            .newest_checkpoint(&key(), &place.path("second"))
            .await
            .expect("looks")
            .expect("one is whole");
        assert_eq!(found.sequence, 1);
        assert_eq!(found.damaged.len(), 1);
        assert!(found.damaged[0].contains(&newest), "{:?}", found.damaged);
        assert_eq!(fs::read(place.path("second/step.txt")).ok(), Some(vec![2]));

        // A blob that both need.
        let shared = supermoe_store::Digest::of(&vec![0; 60_000]).to_string()[..32].to_owned();
        let of_second = place
            .objects("checkpoints/")
            .into_iter()
            .find(|name| name.contains("/2/") && name.ends_with(&shared));
        place.remove_object(&of_second.expect("is there"));
        let found = place
            .elsewhere()
            .await
            .newest_checkpoint(&key(), &place.path("first"))
            .await
            .expect("looks");
        assert_eq!(
            found.map(|found| (found.sequence, found.damaged.len())),
            Some((0, 2))
        );
    }
}
