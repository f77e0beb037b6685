//! `supermoe schema`: JSON Schemas of workflows and plugins, for editors.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::Value;
use supermoe_plugin::catalog::Catalog;
use supermoe_plugin::manifest::Manifest;
use supermoe_plugin::sdk::schema_of;

use crate::failure::{Failure, Problem};
use crate::output;
use crate::project::Project;
use crate::workflow_file::catalog;

/// Prints the JSON Schema of workflows, or writes all schemas into a folder
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  supermoe schema > workflow.schema.json\n  supermoe schema --write schemas/\n\nThe first line of a workflow tells an editor where the schema is:\n  # yaml-language-server: $schema=schemas/workflow.schema.json"
)]
pub struct Arguments {
    /// Writes workflow.schema.json, plugin.schema.json and plugins/*.schema.json
    #[arg(long, value_name = "DIR")]
    write: Option<PathBuf>,

    /// A folder of the project whose plugins the schemas know
    #[arg(
        long,
        value_name = "DIR",
        default_value = ".",
        hide_default_value = true
    )]
    project: PathBuf,
}

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

pub fn execute(arguments: &Arguments) -> Result<(), Failure> {
    let project = Project::around(&arguments.project)?;
    let catalog = catalog(project.root())?;
    let workflow = supermoe_workflow::schema::workflow_schema(&catalog);
    match &arguments.write {
        None => output::json(&workflow),
        Some(folder) => write_all(folder, &workflow, &catalog),
    }
}

fn write_all(folder: &Path, workflow: &Value, catalog: &Catalog) -> Result<(), Failure> {
    let mut files = vec![
        (PathBuf::from("workflow.schema.json"), workflow.clone()),
        (
            PathBuf::from("plugin.schema.json"),
            titled(
                schema_of::<Manifest>(),
                "plugin.json",
                "The manifest of a plugin.",
            ),
        ),
    ];
    for entry in catalog.entries() {
        files.push((
            Path::new("plugins").join(format!("{}.schema.json", entry.name())),
            params_schema(&entry.manifest, workflow),
        ));
    }
    for (path, schema) in &files {
        write_one(&folder.join(path), schema)?;
    }
    output::to_stdout(|out| {
        for (path, _) in &files {
            writeln!(out, "{}", folder.join(path).display())?;
        }
        Ok(())
    })
}

/// `with` of a plugin, as the workflow's schema has it: each typed value may be an expression.
fn params_schema(manifest: &Manifest, workflow: &Value) -> Value {
    let definition = format!("with.{}", manifest.name);
    let schema = match workflow.pointer(&format!("/$defs/{definition}")) {
        // References in it lead to this place.
        Some(with) => serde_json::json!({
            "$ref": format!("#/$defs/{definition}"),
            "$defs": { definition: with },
        }),
        None => manifest.params.clone(),
    };
    titled(schema, &manifest.name, &manifest.description)
}

fn titled(schema: Value, title: &str, description: &str) -> Value {
    let mut document = serde_json::Map::new();
    document.insert("$schema".to_owned(), DIALECT.into());
    document.insert("title".to_owned(), title.into());
    if !description.is_empty() {
        document.insert("description".to_owned(), description.into());
    }
    if let Value::Object(schema) = schema {
        for (key, value) in schema {
            if key != "title" && key != "$schema" {
                document.entry(key).or_insert(value);
            }
        }
    }
    Value::Object(document)
}

/// Whole or not at all: an editor may read it at the same time.
fn write_one(path: &Path, schema: &Value) -> Result<(), Failure> {
    let cannot = |error: std::io::Error| {
        Failure::from(
            Problem::failed(
                "supermoe::cli::schema",
                format!("Cannot write `{}`", path.display()),
            )
            .because(error),
        )
    };
    let mut text = serde_json::to_string_pretty(schema)
        .map_err(std::io::Error::from)
        .map_err(cannot)?;
    text.push('\n');
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(cannot)?;
    let mut temp = tempfile::NamedTempFile::new_in(folder).map_err(cannot)?;
    temp.write_all(text.as_bytes()).map_err(cannot)?;
    // A temporary file is for its owner alone, a schema is for everybody.
    fs::set_permissions(
        temp.path(),
        std::os::unix::fs::PermissionsExt::from_mode(0o644),
    )
    .map_err(cannot)?;
    temp.persist(path).map_err(|error| cannot(error.error))?;
    Ok(())
}
