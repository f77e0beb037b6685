//! Where plugins are found, and what is said of those that cannot be used.

use std::fs;
use std::path::Path;

use supermoe_plugin::catalog::{Catalog, Origin};
use supermoe_plugin::manifest::{VariantValue, Variants};
use supermoe_plugin::sdk::manifest;

struct Project(tempfile::TempDir);

impl Project {
    fn new() -> Self {
        Project(tempfile::tempdir().expect("folder"))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn plugin(&self, folder: &str, manifest: &str) {
        let folder = self.path().join(folder);
        fs::create_dir_all(&folder).expect("folder");
        fs::write(folder.join("plugin.json"), manifest).expect("file");
    }

    /// What is wrong, with paths relative to the project.
    fn problems(&self) -> Vec<String> {
        let mut catalog = built_ins();
        let mut problems: Vec<String> = catalog
            .discover(
                self.path(),
                Some("more".as_ref()),
                Some(&self.path().join("config")),
            )
            .iter()
            .map(|problem| {
                let root = format!("{}/", self.path().display());
                let real = fs::canonicalize(self.path()).expect("it is there");
                let real = format!("{}/", real.display());
                problem.to_string().replace(&root, "").replace(&real, "")
            })
            .collect();
        problems.sort();
        problems
    }
}

fn built_ins() -> Catalog {
    let finetune = manifest("finetune")
        .params_schema(serde_json::json!({ "properties": { "model": { "type": "string" } } }))
        .variants(Variants {
            param: "model".into(),
            section: "models".into(),
            values: [(
                "supermoe".to_owned(),
                VariantValue {
                    revision: "1".into(),
                    params: serde_json::json!({ "properties": {} }),
                    description: String::new(),
                    unavailable: None,
                    needs: Default::default(),
                },
            )]
            .into(),
        })
        .build();
    Catalog::built_ins(vec![manifest("prepare").build(), finetune])
}

fn good(name: &str) -> String {
    format!(r#"{{ "protocol": 1, "name": "{name}", "launch": {{ "command": ["./run", "--x"] }} }}"#)
}

fn variant(name: &str, of: &str, value: &str) -> String {
    format!(
        r#"{{ "protocol": 1, "name": "{name}", "launch": {{ "command": ["x"] }},
 "variant": {{ "of": "{of}", "param": "model", "value": "{value}" }} }}"#
    )
}

#[test]
fn all_three_places_are_searched() {
    let project = Project::new();
    project.plugin("plugins/a", &good("a"));
    project.plugin("more/b", &good("b"));
    project.plugin("config/plugins/c", &good("c"));
    project.plugin("elsewhere/d", &good("d"));
    fs::create_dir_all(project.path().join("plugins/no-manifest")).expect("folder");
    let mut catalog = built_ins();
    let more = project.path().join("more");
    let both = std::env::join_paths([&more, &project.path().join("missing")]).expect("paths");
    let problems = catalog.discover(
        project.path(),
        Some(&both),
        Some(&project.path().join("config")),
    );
    assert_eq!(problems, []);
    assert_eq!(
        catalog.names().collect::<Vec<_>>(),
        ["a", "b", "c", "finetune", "prepare"]
    );
    let origins: Vec<Origin> = catalog.entries().map(|entry| entry.origin).collect();
    assert_eq!(
        origins,
        [
            Origin::Project,
            Origin::PluginPath,
            Origin::Config,
            Origin::BuiltIn,
            Origin::BuiltIn
        ]
    );
    let a = catalog.get("a").expect("a");
    let folder = fs::canonicalize(project.path().join("plugins/a")).expect("folder");
    assert_eq!(a.folder.as_deref(), Some(folder.as_path()));
    assert_eq!(
        a.command(Path::new("supermoe"), ""),
        [folder.join("run").as_os_str(), "--x".as_ref()]
    );
    assert_eq!(a.missing_program(), Some(folder.join("run")));
    let prepare = catalog.get("prepare").expect("prepare");
    assert_eq!(
        prepare.command(Path::new("/bin/supermoe"), ""),
        ["/bin/supermoe", "worker", "prepare"]
    );
    assert_eq!(catalog.nearest("perpare"), Some("prepare"));
    assert_eq!(catalog.nearest("zebra"), None);
}

#[test]
fn one_folder_found_twice_is_one_plugin() {
    let project = Project::new();
    project.plugin("plugins/a", &good("a"));
    let mut catalog = built_ins();
    let problems = catalog.discover(project.path(), Some("plugins".as_ref()), None);
    assert_eq!(problems, []);
}

#[test]
fn variants_are_found_by_value() {
    let project = Project::new();
    project.plugin("plugins/gru", &variant("gru", "finetune", "gru"));
    let mut catalog = built_ins();
    assert_eq!(catalog.discover(project.path(), None, None), []);
    assert_eq!(
        catalog
            .variant("finetune", "model", "gru")
            .map(|entry| entry.name()),
        Some("gru")
    );
    assert!(catalog.variant("finetune", "model", "supermoe").is_none());
    assert!(catalog.variant("pretrain", "model", "gru").is_none());
}

#[test]
fn what_is_wrong_is_said_with_its_line_and_what_to_do() {
    let project = Project::new();
    let manifests = [
        ("not-json", "{\n \"protocol\": 1,\n oops\n}"),
        ("no-protocol", "{ \"name\": \"x\" }"),
        (
            "protocol",
            "{\n \"name\": \"x\",\n \"protocol\": 2, \"new_field\": 1\n}",
        ),
        (
            "unknown-field",
            "{\n \"protocol\": 1, \"name\": \"x\",\n \"lunch\": {}\n}",
        ),
        ("no-launch", "{ \"protocol\": 1, \"name\": \"x\" }"),
        ("name", &good("Bad Name").replace(", ", ",\n ")),
        (
            "built-in",
            "{ \"protocol\": 1, \"name\": \"x\",\n \"launch\": \"built_in\" }",
        ),
        (
            "empty-command",
            "{ \"protocol\": 1, \"name\": \"x\",\n \"launch\": { \"command\": [] } }",
        ),
        (
            "port-type",
            "{ \"protocol\": 1, \"name\": \"x\", \"launch\": { \"command\": [\"x\"] },\n \"inputs\": {\n  \"rows\": { \"type\": \"table\" } } }",
        ),
        (
            "ports",
            "{ \"protocol\": 1, \"name\": \"x\", \"launch\": { \"command\": [\"x\"] },\n \"inputs\": { \"*\": { \"type\": \"any\" },\n  \"Rows\": { \"type\": \"file\" } },\n \"outputs\": { \"all\": { \"type\": \"any\" } } }",
        ),
        (
            "schema",
            "{ \"protocol\": 1, \"name\": \"x\", \"launch\": { \"command\": [\"x\"] },\n \"params\": { \"properties\": {\n  \"lr\": { \"type\": \"nummer\" } } } }",
        ),
        (
            "default",
            "{ \"protocol\": 1, \"name\": \"x\", \"launch\": { \"command\": [\"x\"] },\n \"params\": { \"properties\": {\n  \"lr\": { \"type\": \"number\",\n \"default\": \"fast\" } } } }",
        ),
        (
            "params",
            "{ \"protocol\": 1, \"name\": \"x\", \"launch\": { \"shell\": { \"param\": \"command\" } },\n \"outputs_param\": \"output\",\n \"params\": { \"properties\": { \"outputs\": {} } } }",
        ),
        (
            "code",
            "{ \"protocol\": 1, \"name\": \"x\", \"launch\": { \"command\": [\"x\"] },\n \"code\": [\"../other/**\"] }",
        ),
        (
            "reference",
            "{ \"protocol\": 1, \"name\": \"x\", \"launch\": { \"command\": [\"x\"] },\n \"params\": { \"$ref\": \"https://example.com/schema.json\" } }",
        ),
    ];
    for (folder, manifest) in manifests {
        project.plugin(&format!("plugins/{folder}"), manifest);
    }
    insta::assert_snapshot!(project.problems().join("\n"));
}

#[test]
fn clashes_name_both() {
    let project = Project::new();
    project.plugin("plugins/mine", &good("prepare"));
    project.plugin("plugins/one", &good("same"));
    project.plugin("more/two", &good("same"));
    project.plugin("plugins/orphan", &variant("orphan", "finetun", "x"));
    project.plugin("plugins/taken", &variant("taken", "finetune", "supermoe"));
    project.plugin("plugins/gru-a", &variant("gru-a", "finetune", "gru"));
    project.plugin("plugins/gru-b", &variant("gru-b", "finetune", "gru"));
    insta::assert_snapshot!(project.problems().join("\n"));
}

#[test]
fn a_manifest_that_is_no_file_is_not_waited_for() {
    let project = Project::new();
    let folder = project.path().join("plugins/pipe");
    fs::create_dir_all(&folder).expect("folder");
    nix::unistd::mkfifo(&folder.join("plugin.json"), nix::sys::stat::Mode::S_IRWXU).expect("fifo");
    project.plugin("plugins/text", "\u{feff}\u{0}");
    fs::write(project.path().join("plugins/text/plugin.json"), b"\xff\xfe").expect("file");
    let problems = project.problems();
    assert_eq!(problems.len(), 2, "{problems:?}");
}
