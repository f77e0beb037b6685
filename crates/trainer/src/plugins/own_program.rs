//! A model's own program: the plugins over that model alone, for those who add one without changing this
//! program.

use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use supermoe_plugin::manifest::{Launch, MANIFEST_FILE, Manifest, Variant};
use supermoe_plugin::sdk::{BuiltIn, serve};

use super::{export, finetune, predict, pretrain};
use crate::model_factory::{ModelFactory, Pretraining};

type Make = fn(Vec<ModelFactory>) -> BuiltIn;

/// The plugins of a model's own program, by the word that their command has.
const PLUGINS: [(&str, Make); 4] = [
    ("pretrain", pretrain),
    ("finetune", finetune),
    ("export", export),
    ("predict", predict),
];

/// The whole `main` of a program that brings one model.
///
/// `PROGRAM install FOLDER` lays out its plugins in a project's folder `plugins`, each with its manifest and
/// the program. There `pretrain` and `finetune` stand in for the built-in ones wherever `with.model` names
/// the model; what embeds and scores by it are the plugins `export-MODEL` and `predict-MODEL`.
pub fn serve_model(factory: &ModelFactory) -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["install", folder] => match install(factory, Path::new(folder)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("error: the plugins cannot be laid out in {folder}: {error}");
                ExitCode::FAILURE
            }
        },
        [word] if let Some((_, make)) = PLUGINS.iter().find(|(name, _)| *name == word) => {
            serve(&make(vec![factory.clone()]))
        }
        _ => {
            eprintln!(
                "This program brings the model `{}`. `install FOLDER` lays out its plugins in a project's folder \
                 `plugins`; supermoe then starts it.",
                factory.name
            );
            ExitCode::from(2)
        }
    }
}

/// A folder for each plugin, with its manifest and the program.
fn install(factory: &ModelFactory, plugins: &Path) -> io::Result<()> {
    let program = std::env::current_exe()?;
    let name = program.file_name().unwrap_or_default();
    for (word, make) in PLUGINS {
        if word == "pretrain" && factory.pretraining == Pretraining::None {
            continue;
        }
        let command = format!("./{}", name.to_string_lossy());
        let manifest = described(make(vec![factory.clone()]).manifest, factory, command);
        let folder = plugins.join(&manifest.name);
        fs::create_dir_all(&folder)?;
        let text = serde_json::to_string_pretty(&manifest)? + "\n";
        fs::write(folder.join(MANIFEST_FILE), text)?;
        let copy = folder.join(name);
        match fs::remove_file(&copy) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => fs::copy(&program, &copy)?,
        };
    }
    Ok(())
}

/// The manifest of a plugin that stands outside.
fn described(manifest: Manifest, factory: &ModelFactory, command: String) -> Manifest {
    let plugin = manifest.name.clone();
    let stands_in = manifest.variants.is_some();
    Manifest {
        name: format!("{plugin}-{}", factory.name),
        launch: Launch::Command(vec![command, plugin.clone()]),
        // That of a plugin outside is the digest of its folder.
        revision: None,
        variant: stands_in.then(|| Variant {
            of: plugin,
            param: "model".to_owned(),
            value: factory.name.to_owned(),
        }),
        ..manifest
    }
}
