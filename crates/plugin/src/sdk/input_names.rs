//! Errors in the user's words: a stage's inputs by their ports, not by the folder in which a run keeps
//! them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::listed::first_of;
use crate::matrix_text::matrix_text;
use crate::ports::PortType;
use crate::request::{InputArtifact, Request};

/// Names of a folder that are listed.
const SHOWN_NAMES: usize = 6;

/// The message with ports in the place of the paths of inputs: `schema.json of the input `dataset``. Where an
/// input is not what its port takes, for a file is missing that all of the type have, it says this instead.
pub fn in_words(message: &str, request: &Request) -> String {
    let inputs = request.inputs.iter();
    let mut inputs: Vec<(&str, &InputArtifact)> = inputs
        .flat_map(|(port, all)| all.iter().map(move |artifact| (port.as_str(), artifact)))
        .collect();
    let wrong = inputs
        .iter()
        .find_map(|(port, artifact)| artifact.mistaken(port, message));
    if let Some(words) = wrong {
        return words;
    }
    // One path may be the beginning of another.
    inputs.sort_by_key(|(_, artifact)| std::cmp::Reverse(artifact.path.as_os_str().len()));
    let mut message = message.to_owned();
    for (port, artifact) in inputs {
        let path = artifact.path.to_string_lossy();
        if !path.is_empty() {
            message = replaced(&message, &path, &artifact.name(port));
        }
    }
    message
}

/// A path, with what follows it down to a file, becomes `file of name`.
fn replaced(message: &str, path: &str, name: &str) -> String {
    let mut parts = message.split(path);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|letter: char| letter.is_whitespace() || "`'\",;:)".contains(letter));
        let (below, rest) = part.split_at(end.unwrap_or(part.len()));
        let below = below.trim_matches('/');
        // A path that was quoted is no name of a file any more.
        let quote = out.chars().last().filter(|letter| "`'\"".contains(*letter));
        let rest = match quote.filter(|quote| rest.starts_with(*quote)) {
            Some(quote) => {
                out.pop();
                &rest[quote.len_utf8()..]
            }
            None => rest,
        };
        if !below.is_empty() {
            out.push_str(&format!("{below} of "));
        }
        out.push_str(name);
        out.push_str(rest);
    }
    out
}

impl InputArtifact {
    /// ``the input `predictions` (model=ple, seed=1)``
    fn name(&self, port: &str) -> String {
        match matrix_text(&self.matrix) {
            values if values.is_empty() => format!("the input `{port}`"),
            values => format!("the input `{port}` ({values})"),
        }
    }

    /// What it is, where it is not of its port's type: a message names a file that every one of the type has,
    /// and it has not.
    fn mistaken(&self, port: &str, message: &str) -> Option<String> {
        let is_told = |name: &&&str| message.contains(&*self.path.join(name).to_string_lossy());
        let told: Vec<&&str> = self.port_type.files().iter().filter(is_told).collect();
        if told.is_empty() {
            return None;
        }
        let names = names_in(&self.path)?;
        let missing = told.into_iter().find(|name| !names.contains(**name))?;
        let kind = self.port_type.name();
        let is_whole = |other: &PortType| {
            let files = other.files();
            !files.is_empty() && files.iter().all(|name| names.contains(*name))
        };
        let alike = PortType::ALL.into_iter().filter(is_whole);
        let alike: Vec<String> = alike.map(|other| format!("`{}`", other.name())).collect();
        let found = match alike.is_empty() {
            true => String::new(),
            false => format!(" (it looks like the type {})", alike.join(" or ")),
        };
        Some(format!(
            "{} holds no {kind}: there is no {missing} in it, but {}{found}. Give `{port}` an \
             output of the type `{kind}` of another stage, or a folder with the files of one",
            self.name(port),
            listed(&names)
        ))
    }
}

fn names_in(folder: &Path) -> Option<BTreeSet<String>> {
    let entries = fs::read_dir(folder).ok()?;
    let names = entries.map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()));
    names.collect()
}

fn listed(names: &BTreeSet<String>) -> String {
    match names.is_empty() {
        true => "nothing".to_owned(),
        false => first_of(&names.iter().collect::<Vec<_>>(), SHOWN_NAMES),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn request(inputs: Value) -> Request {
        serde_json::from_value(json!({
            "protocol": 1, "plugin": "p", "params": {}, "inputs": inputs, "outputs": {},
            "work": "/w", "seed": 1, "threads": 1, "device": "cpu",
        }))
        .unwrap()
    }

    #[test]
    fn inputs_have_the_names_of_their_ports() {
        let request = request(json!({
            "log": [{ "path": "/w/in/1-0", "type": "file" }],
            "other": [{ "path": "/w/in/1-10", "type": "folder" }],
            "predictions": [{ "path": "/w/in/1-1", "type": "predictions", "matrix": { "model": "ple", "seed": 1 } }],
        }));
        let told = |message: &str| in_words(message, &request);
        assert_eq!(
            told("cannot read /w/in/1-1/predictions.parquet: it has no rows"),
            "cannot read predictions.parquet of the input `predictions` (model=ple, seed=1): it has no rows"
        );
        assert_eq!(
            told("`/w/in/1-0`: no header; /w/in/1-0 is empty"),
            "the input `log`: no header; the input `log` is empty"
        );
        assert_eq!(
            told("/w/in/1-10/x: damaged"),
            "x of the input `other`: damaged"
        );
        assert_eq!(told("/w/out/1: full"), "/w/out/1: full");
    }

    #[test]
    fn a_folder_of_something_else_is_told_with_what_it_holds() {
        let folder = tempfile::tempdir().unwrap();
        let request = request(json!({
            "encoder": [{ "path": folder.path(), "type": "encoder" }],
        }));
        let missing = format!("{}/config.json: No such file", folder.path().display());
        let told = || in_words(&missing, &request);
        assert_eq!(
            told(),
            "the input `encoder` holds no encoder: there is no config.json in it, but nothing. \
             Give `encoder` an output of the type `encoder` of another stage, or a folder with the files of one"
        );
        for name in ["schema.json", "samples", "steps"] {
            fs::write(folder.path().join(name), "{}").unwrap();
        }
        assert!(
            told().contains(
                "but samples, schema.json, steps (it looks like the type `dataset`). Give"
            ),
            "{}",
            told()
        );
        fs::write(folder.path().join("config.json"), "{}").unwrap();
        assert_eq!(told(), "config.json of the input `encoder`: No such file");
    }
}
