//! Channels of the entity from a profile table, and id channels that are cut off or hashed.

use std::path::{Path, PathBuf};

use crate::support::{Prepared, prepare_csv, prepare_tables, shop};
use serde_json::{Value, json};
use supermoe_channels::{FIRST_CODE, UNKNOWN_CODE, hashed_code};

const EVENTS: &str = "\
user,day,item,amount
a,2020-02-10,x,2
a,2020-02-11,x,2
b,2020-02-12,y,4
c,2020-02-13,y,4
c,2020-02-14,z,4
a,2020-03-20,w,5
b,2020-04-20,x,7
";

fn with_profile(params: &Value, profile: &str) -> Result<Prepared, String> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| -> PathBuf {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path
    };
    let (events, profile) = (file("events.csv", EVENTS), file("people.csv", profile));
    let tables: [(&str, &[PathBuf]); 2] = [("events", &[events]), ("people", &[profile])];
    prepare_tables(params, &tables, None::<&Path>, 2)
}

fn params() -> Value {
    let mut params = shop();
    params["events"] = json!("SELECT * FROM events");
    params["profile"] = json!("SELECT id AS user, segment, age FROM people");
    params["channels"]["segment"] = json!({ "kind": "category", "from": "profile" });
    params["channels"]["years"] =
        json!({ "kind": "dense", "from": "profile", "expr": "age / 10.0" });
    params
}

#[test]
fn a_channel_of_the_entity_is_the_same_at_every_step() {
    let profile = "id,segment,age\nb,gold,40\na,silver,20\nnobody,gold,99\n";
    let prepared = with_profile(&params(), profile).expect("good data");
    let batch = prepared.pack("a", "2020-03-01");
    assert_eq!(
        prepared.values(&batch, "segment"),
        ["silver", "silver", "silver"]
    );
    assert_eq!(prepared.numbers(&batch, "years"), [2.0, 2.0, 2.0]);
    let batch = prepared.pack("c", "2020-03-01");
    assert_eq!(
        prepared.values(&batch, "segment"),
        ["-", "-", "-"],
        "c has no profile"
    );
    let values = prepared
        .dataset
        .vocabulary("segment")
        .expect("a vocabulary");
    let counts: Vec<(&str, u64)> = values
        .entries()
        .iter()
        .map(|entry| (entry.value.as_str(), entry.count))
        .collect();
    assert_eq!(
        counts,
        [("gold", 1), ("silver", 1)],
        "each entity counts once"
    );
    assert_eq!(prepared.card.channels["segment"].missing, 1.0 / 3.0);
}

#[test]
fn two_rows_for_an_entity_are_an_error_that_names_it() {
    let profile = "id,segment,age\nb,gold,40\na,silver,20\nb,silver,41\na,x,1\n";
    let error = with_profile(&params(), profile).expect_err("twice");
    assert!(
        error.starts_with("with.profile: it has more than one row for entity a;"),
        "{error}"
    );
}

#[test]
fn a_wrong_profile_is_named() {
    let profile = "id,segment,age\na,silver,20\n";
    let of = |key: &str, value: Value| {
        let mut params = params();
        params[key] = value;
        with_profile(&params, profile).expect_err("it is wrong")
    };
    assert_eq!(
        of("profile", json!("SELECT id, segment, age FROM people")),
        "with.profile: its rows have no column `user`, by which they belong to an entity; they have id, segment, age"
    );
    assert!(of("profile", json!("SELECT * FROM peopl")).contains("did you mean `people`?"));
    let channels = json!({ "tier": { "kind": "category", "from": "profile" } });
    assert!(of("channels", channels).starts_with("with.channels.tier: there is no column `tier`"));
    let channels =
        json!({ "x": { "kind": "dense", "from": "profile", "expr": "age + days_to_snapshot" } });
    assert!(of("channels", channels).contains("`days_to_snapshot` has no meaning here"));
}

#[test]
fn hashed_codes_need_no_vocabulary() {
    let mut params = shop();
    params["channels"]["item"] = json!({ "kind": "id", "hash": 1000 });
    let prepared = prepare_csv(&params, EVENTS).expect("good data");
    let channel = &prepared.dataset.schema().channels[0];
    assert_eq!((channel.hash_buckets, channel.vocabulary), (1000, 1003));
    assert!(prepared.dataset.vocabulary("item").is_none());
    assert!(!prepared.folder.path().join("vocabularies").exists());
    let batch = prepared.pack("c", "2020-03-01");
    assert_eq!(
        batch.codes[0][..2],
        [hashed_code("y", 1000), hashed_code("z", 1000)]
    );
    let later = prepared.pack("a", "2020-04-01");
    assert_eq!(
        later.codes[0][0],
        hashed_code("w", 1000),
        "new values have codes too"
    );
    params["channels"]["item"]["expr"] = json!("nullif(item, 'y')");
    let prepared = prepare_csv(&params, EVENTS).expect("good data");
    assert_eq!(prepared.pack("c", "2020-03-01").codes[0][0], UNKNOWN_CODE);
}

#[test]
fn the_most_frequent_values_are_kept() {
    let mut params = shop();
    params["channels"]["item"] = json!({ "kind": "id", "max_size": 1 });
    let prepared = prepare_csv(&params, EVENTS).expect("good data");
    assert_eq!(
        prepared.dataset.schema().channels[0].vocabulary,
        FIRST_CODE + 1
    );
    let batch = prepared.pack("c", "2020-03-01");
    // x and y stand there twice each; the tie goes to the first by its text.
    assert_eq!(prepared.values(&batch, "item"), ["-", "-", "-"]);
    assert_eq!(prepared.card.channels["item"].missing, 3.0 / 5.0);
}

#[test]
fn the_entitys_own_id_may_be_a_channel() {
    let mut params = shop();
    params["channels"]["user"] = json!({ "kind": "id" });
    let prepared = prepare_csv(&params, EVENTS).expect("good data");
    assert_eq!(
        prepared.values(&prepared.pack("b", "2020-03-01"), "user"),
        ["b", "-"]
    );
}
