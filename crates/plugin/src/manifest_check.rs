//! What a manifest must keep to, beyond its form.

use std::path::Path;

use serde_json::Value;

use crate::catalog::{CatalogProblem, Origin};
use crate::json_place::line_of;
use crate::manifest::{Launch, Manifest, PROTOCOL, WILDCARD_PORT};
use crate::params::{ParamsSchema, nearest, wrong_defaults};
use crate::ports::PortType;

const NAME_HELP: &str = "use lower-case letters, digits, `-` and `_`, and begin with a letter";

/// A manifest from its text; `file` is for the message.
pub fn parse(text: &str, file: &Path) -> Result<Manifest, CatalogProblem> {
    let problem = |line: Option<usize>, message: String, help: &str| CatalogProblem {
        file: file.to_owned(),
        line,
        message,
        help: help.to_owned(),
    };
    let text = text.trim_start_matches('\u{feff}');
    let value: Value = serde_json::from_str(text).map_err(|error| {
        problem(
            Some(error.line()),
            format!("it is not JSON: {}", without_place(&error)),
            "correct the text there",
        )
    })?;
    // Another protocol may have other fields: say that first.
    match value.get("protocol") {
        Some(protocol) if protocol.as_u64() == Some(u64::from(PROTOCOL)) => {}
        Some(protocol) => {
            return Err(problem(
                line_of(text, &["protocol"]),
                format!("it speaks protocol {protocol}; this supermoe speaks protocol {PROTOCOL}"),
                "take a version of the plugin, or of supermoe, so that both speak the same",
            ));
        }
        None => {
            return Err(problem(
                Some(1),
                "it does not say which protocol it speaks".to_owned(),
                "add \"protocol\": 1",
            ));
        }
    }
    serde_json::from_str(text).map_err(|error| {
        problem(
            Some(error.line()),
            without_place(&error),
            "correct it; docs/plugins.md lists what a manifest holds",
        )
    })
}

fn without_place(error: &serde_json::Error) -> String {
    let message = error.to_string();
    match message.rfind(" at line ") {
        Some(end) => message[..end].to_owned(),
        None => message,
    }
}

/// Everything that is wrong with a well-formed manifest.
pub fn check(manifest: &Manifest, origin: Origin, file: &Path, text: &str) -> Vec<CatalogProblem> {
    let mut checker = Checker {
        file,
        text,
        problems: Vec::new(),
    };
    if !is_name(&manifest.name) {
        checker.add(
            &["name"],
            format!("`{}` is not a plugin's name", manifest.name),
            NAME_HELP,
        );
    }
    checker.check_launch(manifest, origin);
    checker.check_ports(manifest);
    checker.check_code(manifest);
    checker.check_params(manifest);
    checker.problems
}

struct Checker<'a> {
    file: &'a Path,
    text: &'a str,
    problems: Vec<CatalogProblem>,
}

impl Checker<'_> {
    fn add(&mut self, path: &[&str], message: String, help: impl Into<String>) {
        self.problems.push(CatalogProblem {
            file: self.file.to_owned(),
            line: line_of(self.text, path),
            message,
            help: help.into(),
        });
    }

    fn check_launch(&mut self, manifest: &Manifest, origin: Origin) {
        match &manifest.launch {
            Launch::Command(words) if words.iter().all(|word| word.is_empty()) => self.add(
                &["launch", "command"],
                "its command is empty".to_owned(),
                "name a program, such as [\"./plugin.py\"]",
            ),
            Launch::Command(words) if words.iter().any(|word| word.contains('\0')) => self.add(
                &["launch", "command"],
                "its command holds a NUL character".to_owned(),
                "remove it",
            ),
            Launch::BuiltIn if origin != Origin::BuiltIn => self.add(
                &["launch"],
                "`built_in` is for the plugins inside supermoe".to_owned(),
                "say how to start it: \"launch\": {\"command\": [\"./program\"]}",
            ),
            Launch::Shell { param }
                if manifest
                    .params
                    .pointer(&format!("/properties/{param}"))
                    .is_none() =>
            {
                self.add(
                    &["launch", "shell", "param"],
                    format!(
                        "it runs the text of the param `{param}`, which its params do not have"
                    ),
                    "name a param of type string",
                );
            }
            _ => {}
        }
    }

    fn check_ports(&mut self, manifest: &Manifest) {
        for (name, port) in &manifest.inputs {
            if name != WILDCARD_PORT && !is_name(name) {
                self.add(
                    &["inputs", name],
                    format!("`{name}` is not a port's name"),
                    NAME_HELP,
                );
            }
            if name == WILDCARD_PORT && port.required {
                self.add(
                    &["inputs", name],
                    "the port `*` stands for ports that a user may name and cannot be required"
                        .to_owned(),
                    "add \"required\": false",
                );
            }
        }
        for (name, port) in &manifest.outputs {
            if !is_name(name) {
                self.add(
                    &["outputs", name],
                    format!("`{name}` is not a port's name"),
                    NAME_HELP,
                );
            }
            if port.port_type == PortType::Any {
                self.add(
                    &["outputs", name],
                    format!("the output `{name}` has the type `any`, which only inputs can have"),
                    "say what it is, `file` or `folder` at least",
                );
            }
        }
    }

    fn check_code(&mut self, manifest: &Manifest) {
        for pattern in &manifest.code {
            let outside = pattern.starts_with('/') || pattern.split('/').any(|part| part == "..");
            if outside || globset::Glob::new(pattern).is_err() {
                self.add(
                    &["code"],
                    format!("`{pattern}` is not a glob of files in the plugin's folder"),
                    "write globs relative to it, such as \"src/**/*.py\"",
                );
            }
        }
    }

    fn check_params(&mut self, manifest: &Manifest) {
        let schema = match ParamsSchema::new(&manifest.params) {
            Ok(schema) => schema,
            Err(error) => {
                let path = place(&error.pointer);
                let path: Vec<&str> = path.iter().map(String::as_str).collect();
                self.add(
                    &[&["params"], path.as_slice()].concat(),
                    format!("its params are {}", error.message),
                    "params are a JSON Schema of the draft 2020-12, of type object",
                );
                return;
            }
        };
        for error in wrong_defaults(&schema) {
            let path = place(&error.pointer);
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            self.add(
                &[&["params"], path.as_slice()].concat(),
                format!(
                    "a default does not keep to its own schema: {}",
                    error.message
                ),
                "correct the default or the schema",
            );
        }
        self.check_named_params(manifest, &schema);
        for (value, variant) in manifest.variants.iter().flat_map(|all| &all.values) {
            if let Err(error) = ParamsSchema::new(&variant.params) {
                self.add(
                    &["variants", "values", value],
                    format!("the params of `{value}` are {}", error.message),
                    "params are a JSON Schema of the draft 2020-12, of type object",
                );
            }
        }
    }

    /// Params that other parts of the manifest speak of.
    fn check_named_params(&mut self, manifest: &Manifest, schema: &ParamsSchema) {
        let names = schema.names();
        let named = [
            ("outputs_param", manifest.outputs_param.as_deref()),
            (
                "variants",
                manifest
                    .variants
                    .as_ref()
                    .map(|variants| variants.param.as_str()),
            ),
        ];
        for (field, name) in named {
            if let Some(name) = name.filter(|name| !names.contains(name)) {
                let help = match nearest(name, names.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "add it to the properties of its params".to_owned(),
                };
                self.add(
                    &[field],
                    format!("`{field}` names the param `{name}`, which its params do not have"),
                    help,
                );
            }
        }
    }
}

fn place(pointer: &str) -> Vec<String> {
    pointer
        .split('/')
        .skip(1)
        .map(|part| part.replace("~1", "/").replace("~0", "~"))
        .collect()
}

/// Lower-case letters, digits, `-` and `_`; begins with a letter; at most 64 characters.
pub fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.len() <= 64
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_')
}
