//! `prepare` through the plugin contract: request in, events out.

use indexmap::IndexMap;
use serde_json::{Value, json};
use supermoe_plugin::event::{Event, LogLevel};
use supermoe_plugin::params::ParamsSchema;
use supermoe_plugin::ports::PortType;
use supermoe_plugin::request::{InputArtifact, Request};
use supermoe_plugin::sdk::{Context, EventWriter};
use supermoe_prepare::plugin;

use crate::support::shop;

const EVENTS: &str = "user,day,item,amount\na,2020-02-20,x,2\na,2020-03-20,y,6\na,2020-04-09,y,6\n";

struct Run {
    _folder: tempfile::TempDir,
    dataset: std::path::PathBuf,
    context: Context,
    events: EventWriter,
}

fn request(params: &Value) -> Run {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("events.csv");
    std::fs::write(&file, EVENTS).expect("a file");
    let dataset = folder.path().join("dataset");
    std::fs::create_dir(&dataset).expect("a folder");
    let artifact = InputArtifact {
        path: file,
        port_type: PortType::File,
        matrix: IndexMap::new(),
    };
    let request = Request {
        protocol: 1,
        plugin: "prepare".to_owned(),
        params: params.as_object().expect("a map").clone(),
        inputs: IndexMap::from([("events".to_owned(), vec![artifact])]),
        outputs: IndexMap::from([("dataset".to_owned(), dataset.clone())]),
        checkpoint: None,
        work: folder.path().to_owned(),
        seed: 0,
        threads: 2,
        device: "cpu".to_owned(),
        profile: false,
    };
    let events = EventWriter::in_memory();
    Run {
        _folder: folder,
        dataset,
        context: Context::new(request, events.clone()),
        events,
    }
}

#[test]
fn it_writes_its_dataset_and_tells_of_it() {
    let mut run = request(&shop());
    plugin().run(&mut run.context).expect("good data");
    let written = run.events.written();
    assert!(run.dataset.join("schema.json").exists());
    assert!(
        written
            .iter()
            .any(|event| matches!(event, Event::Progress(progress) if progress.total == Some(1)))
    );
    assert!(written.contains(&Event::Metric {
        name: "train/samples".to_owned(),
        value: 1.0,
        step: None
    }));
    let one_class = written.iter().any(|event| {
        matches!(event, Event::Log { level: LogLevel::Warn, message } if message.contains("one class in train"))
    });
    assert!(one_class, "{written:?}");
}

#[test]
fn what_can_be_known_before_a_run_is_refused_by_the_schema() {
    let schema = ParamsSchema::new(&plugin().manifest.params).expect("a schema");
    let problems = |params: &Value| -> Vec<(String, String)> {
        let params = params.as_object().expect("a map");
        let errors = schema.validate(params).into_iter();
        errors.map(|error| (error.pointer, error.message)).collect()
    };
    assert_eq!(problems(&shop()), []);
    let with = |pointer: &str, value: Value| {
        let mut params = shop();
        let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
        params.pointer_mut(parent).expect("it exists")[key] = value;
        problems(&params)
    };
    let one = |pointer: &str, message: &str| vec![(pointer.to_owned(), message.to_owned())];
    for date in ["2023-13-01", "2023-02-30", "2023-04-31", "2023-1-1"] {
        assert_eq!(
            with("/splits/valid", json!([date])),
            one(
                "/splits/valid/0",
                &format!("expected a date such as 2011-08-01, found the text \"{date}\"")
            )
        );
    }
    let range = json!({ "from": "2023-01-32", "to": "2023-04-01", "every": "month" });
    assert_eq!(with("/splits/valid", range)[0].0, "/splits/valid/from");
    assert_eq!(
        with("/history", json!("a year"))[0].1,
        "expected a span of time: a whole number and h, d or w (hours, days, weeks), such as 30d, found the text \
         \"a year\""
    );
    assert_eq!(
        with("/channels", json!({})),
        one(
            "/channels",
            "expected a map of at least 1 entry, found an empty map"
        )
    );
    assert_eq!(
        with(
            "/channels/amount",
            json!({ "kind": "dense", "min_count": 3 })
        ),
        one(
            "/channels/amount/min_count",
            "expected none (a dense channel has no vocabulary), found 3"
        )
    );
    assert_eq!(
        with("/channels/item", json!({ "kind": "id", "min_count": 3 })),
        []
    );
    let total = |total: Value| with("/totals", json!({ "spent": total }));
    assert_eq!(
        total(json!({})),
        one(
            "/totals/spent",
            "expected a map with either `count` or `sum`, found an empty map"
        )
    );
    assert_eq!(
        total(json!({ "count": "rows", "sum": "amount" }))[0].0,
        "/totals/spent"
    );
    for fine in [
        json!({ "count": "rows" }),
        json!({ "sum": "amount", "source": ["amount"] }),
        json!({ "sum": "amount", "count": null }),
    ] {
        assert_eq!(total(fine), []);
    }
    assert_eq!(
        total(json!({ "count": "visits" }))[0].0,
        "/totals/spent/count"
    );
}

#[test]
fn asked_to_stop_it_leaves_without_a_dataset() {
    let mut run = request(&shop());
    run.context.ask_to_stop();
    let error = plugin()
        .run(&mut run.context)
        .expect_err("it was asked to stop");
    assert!(error.is_stopped());
    assert!(!run.dataset.join("schema.json").exists());
}

#[test]
fn its_manifest_describes_every_param() {
    let manifest = plugin().manifest;
    let properties = manifest.params["properties"]
        .as_object()
        .expect("an object");
    let names: Vec<&str> = properties.keys().map(String::as_str).collect();
    for name in [
        "events",
        "entity",
        "time",
        "order",
        "history",
        "length",
        "channels",
        "totals",
        "aggregates",
        "splits",
        "tasks",
    ] {
        assert!(names.contains(&name), "{names:?}");
        assert!(
            properties[name]["description"].is_string(),
            "{name} has no description"
        );
    }
    assert_eq!(manifest.params["additionalProperties"], Value::Bool(false));
    assert_eq!(properties["length"]["default"], 128);
    assert_eq!(properties["length"]["minimum"], 1);
}
