//! `prepare` through the plugin contract: request in, events out.

use indexmap::IndexMap;
use serde_json::Value;
use supermoe_plugin::event::{Event, LogLevel};
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
            .any(|event| matches!(event, Event::Progress(progress) if progress.total == Some(3)))
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
