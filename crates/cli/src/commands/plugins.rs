//! `supermoe plugins`: which plugins there are, and what one of them takes and gives.

use std::io::Write;

use clap::Args;
use serde_json::{Value, json};
use supermoe_plugin::catalog::{Catalog, PluginEntry};
use supermoe_plugin::manifest::Manifest;
use supermoe_plugin::size::size_text;

use crate::failure::{Failure, Problem};
use crate::output;
use crate::project::Project;
use crate::quantity;
use crate::schema_text::{ParamRow, param_rows};
use crate::screen::Screen;
use crate::table;
use crate::workflow_file::catalog;

/// Lists the plugins, or tells the ports and params of one
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  supermoe plugins\n  supermoe plugins shell\n  supermoe plugins finetune --json"
)]
pub struct Arguments {
    /// The plugin to tell about
    #[arg(value_name = "NAME")]
    name: Option<String>,

    /// A folder of the project whose plugins are meant
    #[arg(
        long,
        value_name = "DIR",
        default_value = ".",
        hide_default_value = true
    )]
    project: std::path::PathBuf,

    /// Prints one JSON document
    #[arg(long)]
    json: bool,
}

pub fn execute(arguments: &Arguments) -> Result<(), Failure> {
    let project = Project::around(&arguments.project)?;
    let catalog = catalog(project.root())?;
    match &arguments.name {
        None if arguments.json => {
            let all: Vec<Value> = catalog.entries().map(|entry| document(entry)).collect();
            output::json(&json!({ "plugins": all }))
        }
        None => print_list(&catalog),
        Some(name) => {
            let entry = catalog.get(name).ok_or_else(|| unknown(&catalog, name))?;
            if arguments.json {
                output::json(&document(entry))
            } else {
                print_one(&catalog, entry)
            }
        }
    }
}

fn unknown(catalog: &Catalog, name: &str) -> Problem {
    let help = match catalog.nearest(name) {
        Some(near) => format!("Did you mean `{near}`?"),
        None => format!(
            "There are {}",
            catalog.names().collect::<Vec<_>>().join(", ")
        ),
    };
    Problem::input(
        "supermoe::cli::plugin",
        format!("There is no plugin `{name}`"),
    )
    .help(help)
}

fn document(entry: &PluginEntry) -> Value {
    json!({
        "name": entry.name(),
        "origin": entry.origin.to_string(),
        "folder": entry.folder,
        "manifest": *entry.manifest,
    })
}

fn print_list(catalog: &Catalog) -> Result<(), Failure> {
    let screen = Screen::stdout();
    let rows: Vec<Vec<String>> = catalog
        .entries()
        .map(|entry| {
            vec![
                screen.bold(entry.name()),
                screen.dim(&entry.origin.to_string()),
                one_line(&entry.manifest),
            ]
        })
        .collect();
    output::to_stdout(|out| out.write_all(table::columns(&rows).as_bytes()))
}

fn one_line(manifest: &Manifest) -> String {
    match &manifest.variant {
        Some(variant) => {
            let what = format!(
                "runs {} where {} is {}",
                variant.of, variant.param, variant.value
            );
            match manifest.description.as_str() {
                "" => what,
                description => format!("{description} ({what})"),
            }
        }
        None => manifest.description.clone(),
    }
}

fn print_one(catalog: &Catalog, entry: &PluginEntry) -> Result<(), Failure> {
    let screen = Screen::stdout();
    let text = description(catalog, entry, &screen);
    output::to_stdout(|out| out.write_all(text.as_bytes()))
}

fn description(catalog: &Catalog, entry: &PluginEntry, screen: &Screen) -> String {
    let manifest = &entry.manifest;
    let mut text = screen.bold(&manifest.name);
    if !manifest.version.is_empty() {
        text.push_str(&format!(" {}", manifest.version));
    }
    text.push_str(&format!("  {}\n", screen.dim(&entry.origin.to_string())));
    let about = one_line(manifest);
    if !about.is_empty() {
        text.push_str(&format!("{about}\n"));
    }
    if let Some(folder) = &entry.folder {
        text.push_str(&format!("{}\n", folder.display()));
    }
    text.push_str(&ports(manifest, screen));
    let variants_section = manifest
        .variants
        .as_ref()
        .map(|variants| variants.section.as_str());
    let own = param_rows(&manifest.params)
        .into_iter()
        .filter(|row| {
            variants_section.is_none_or(|section| {
                row.name != section && !row.name.starts_with(&format!("{section}."))
            })
        })
        .collect::<Vec<_>>();
    section(&mut text, "with", param_table(&own, screen), screen);
    if let Some(variants) = &manifest.variants {
        let usable = variants.values.iter();
        for (value, variant) in usable.filter(|(_, variant)| variant.unavailable.is_none()) {
            let title = format!(
                "with.{}.{value}  where {} is {value}",
                variants.section, variants.param
            );
            let mut body = String::new();
            if !variant.description.is_empty() {
                body.push_str(&format!("  {}\n", variant.description));
            }
            body.push_str(&param_table(&param_rows(&variant.params), screen));
            if body.is_empty() {
                body.push_str("  (no params)\n");
            }
            section(&mut text, &title, body, screen);
        }
    }
    let others: String = catalog
        .variants_of(entry.name())
        .filter_map(|other| {
            let variant = other.manifest.variant.as_ref()?;
            Some(format!(
                "  {}: {}  {}\n",
                variant.param,
                variant.value,
                screen.dim(&format!("plugin {}", other.name()))
            ))
        })
        .collect();
    section(&mut text, "further variants", others, screen);
    section(&mut text, "runs", facts(manifest), screen);
    text
}

fn section(text: &mut String, title: &str, body: String, screen: &Screen) {
    if !body.is_empty() {
        text.push_str(&format!("\n{}\n{body}", screen.bold(title)));
    }
}

fn ports(manifest: &Manifest, screen: &Screen) -> String {
    let inputs: Vec<Vec<String>> = manifest
        .inputs
        .iter()
        .map(|(name, port)| {
            let shown = match name.as_str() {
                "*" => "(any name)",
                name => name,
            };
            let mut takes = port.port_type.to_string();
            if port.many {
                takes.push_str(", one or more");
            }
            takes.push_str(if port.required {
                ", required"
            } else {
                ", optional"
            });
            vec![format!("  {shown}"), takes, screen.dim(&port.description)]
        })
        .collect();
    let mut outputs: Vec<Vec<String>> = manifest
        .outputs
        .iter()
        .map(|(name, port)| {
            let mut gives = port.port_type.to_string();
            if !port.required {
                gives.push_str(", optional");
            }
            vec![format!("  {name}"), gives, screen.dim(&port.description)]
        })
        .collect();
    if let Some(param) = &manifest.outputs_param {
        outputs.push(vec![
            "  (any name)".to_owned(),
            format!("as `with.{param}` says"),
            String::new(),
        ]);
    }
    let mut text = String::new();
    section(&mut text, "inputs", table::columns(&inputs), screen);
    section(&mut text, "outputs", table::columns(&outputs), screen);
    text
}

fn param_table(params: &[ParamRow], screen: &Screen) -> String {
    let row = |param: &ParamRow, description: &str| {
        vec![
            format!("  {}", param.name),
            param.takes.clone(),
            screen.dim(description),
        ]
    };
    let rows: Vec<Vec<String>> = params
        .iter()
        .map(|param| row(param, &param.description))
        .collect();
    let beside = table::columns(&rows);
    if beside
        .lines()
        .all(|line| console::measure_text_width(line) <= screen.width)
    {
        return beside;
    }
    // Too wide: each description stands under its param.
    let names: Vec<Vec<String>> = params.iter().map(|param| row(param, "")).collect();
    table::columns(&names)
        .lines()
        .zip(params)
        .map(|(line, param)| {
            let below: String = table::wrapped(&param.description, screen.width, 6)
                .iter()
                .map(|line| format!("{}\n", screen.dim(line)))
                .collect();
            format!("{line}\n{below}")
        })
        .collect()
}

fn facts(manifest: &Manifest) -> String {
    let mut facts = String::new();
    if manifest.checkpoints {
        facts.push_str("  goes on from its last checkpoint when it was interrupted\n");
    }
    if manifest.trains {
        facts.push_str("  computes on the device that the run gives it\n");
    }
    if let Some(resources) = &manifest.resources {
        let mut parts = Vec::new();
        parts.extend(
            resources
                .cpus
                .map(|cpus| quantity::counted(cpus as usize, "core")),
        );
        parts.extend(resources.memory.map(size_text));
        parts.extend(
            resources
                .gpus
                .map(|gpus| quantity::counted(gpus as usize, "GPU")),
        );
        if !parts.is_empty() {
            facts.push_str(&format!("  takes {}\n", parts.join(", ")));
        }
    }
    facts
}
