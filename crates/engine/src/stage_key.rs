//! The key of a stage: the digest of a canonical, versioned manifest of all that may change its
//! outputs. The manifest is kept with the result, so that two keys can be compared field by field.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde_json::{Map, Value};
use supermoe_store::{Digest, StageKey};

use crate::device::{DEVICE_PARAM, DTYPE_PARAM, Device};

/// Raised when the same workflow gives other manifests than before.
pub const KEY_VERSION: u32 = 1;

/// All that enters a key.
///
/// Not in it: names of stages, matrix values of the stage itself, resources, threads, retries,
/// timeout, store, secrets.
#[derive(Debug, Clone)]
pub struct KeyParts<'a> {
    pub plugin: &'a str,
    /// The built-in's revision or the digest of an external plugin's code.
    pub revision: &'a str,
    /// A built-in variant and its revision: a model.
    pub variant: Option<(&'a str, &'a str)>,
    /// `with`, without what equals a default.
    pub params: &'a Map<String, Value>,
    /// Shell commands: what stands behind each variable of the command.
    pub command_values: Vec<(&'a str, CommandPart<'a>)>,
    pub inputs: Vec<(&'a str, Vec<InputPart<'a>>)>,
    pub env: &'a BTreeMap<String, String>,
    pub(crate) device: Option<Device>,
}

/// What a variable of a shell command stands for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum CommandPart<'a> {
    Value(&'a Value),
    Input(&'a str),
    Output(&'a str),
    Run(&'a str),
}

/// One artifact of an input port.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InputPart<'a> {
    /// None: not known before an upstream stage has run. Such a manifest has no key.
    pub digest: Option<Digest>,
    /// Of a file from outside: the plugin sees it in the path that it is given.
    pub extension: Option<&'a str>,
    /// Where a port gathers all cells of a stage: the cell's axis values, which the plugin sees.
    pub matrix: &'a IndexMap<String, Value>,
}

/// A key manifest in its one form: JSON, members sorted by name, no white space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CanonicalManifest(String);

impl CanonicalManifest {
    pub fn text(&self) -> &str {
        &self.0
    }

    pub fn key(&self) -> StageKey {
        StageKey::of(self.0.as_bytes())
    }

    pub fn value(&self) -> Value {
        serde_json::from_str(&self.0).unwrap_or(Value::Null)
    }
}

impl KeyParts<'_> {
    /// Whether every input is known, so that the manifest has a key.
    pub fn is_complete(&self) -> bool {
        self.inputs
            .iter()
            .all(|(_, parts)| parts.iter().all(|part| part.digest.is_some()))
    }

    pub fn manifest(&self) -> CanonicalManifest {
        let mut text = String::with_capacity(256);
        text.push('{');
        if !self.command_values.is_empty() {
            text.push_str("\"command_values\":");
            self.write_command_values(&mut text);
            text.push(',');
        }
        if let Some(device) = &self.device {
            text.push_str("\"device\":{\"dtype\":");
            write_text(&mut text, &device.dtype);
            text.push_str(",\"kind\":");
            write_text(&mut text, &device.kind);
            text.push_str("},");
        }
        text.push_str("\"env\":{");
        separated(&mut text, self.env.iter(), |text, (name, value)| {
            write_member(text, name);
            write_text(text, value);
        });
        text.push_str("},\"inputs\":");
        self.write_inputs(&mut text);
        text.push_str(",\"params\":");
        self.write_params(&mut text);
        text.push_str(",\"plugin\":{\"name\":");
        write_text(&mut text, self.plugin);
        text.push_str(",\"revision\":");
        write_text(&mut text, self.revision);
        text.push('}');
        if let Some((value, revision)) = self.variant {
            text.push_str(",\"variant\":{\"revision\":");
            write_text(&mut text, revision);
            text.push_str(",\"value\":");
            write_text(&mut text, value);
            text.push('}');
        }
        text.push_str(",\"version\":");
        text.push_str(&KEY_VERSION.to_string());
        text.push('}');
        CanonicalManifest(text)
    }

    fn write_command_values(&self, text: &mut String) {
        let mut values: Vec<_> = self.command_values.iter().collect();
        values.sort_unstable_by_key(|(variable, _)| *variable);
        text.push('{');
        separated(text, values.into_iter(), |text, (variable, part)| {
            write_member(text, variable);
            match part {
                CommandPart::Value(value) => {
                    text.push_str("{\"value\":");
                    write_canonical(text, value);
                }
                CommandPart::Input(port) => {
                    text.push_str("{\"input\":");
                    write_text(text, port);
                }
                CommandPart::Output(port) => {
                    text.push_str("{\"output\":");
                    write_text(text, port);
                }
                CommandPart::Run(name) => {
                    text.push_str("{\"run\":");
                    write_text(text, name);
                }
            }
            text.push('}');
        });
        text.push('}');
    }

    fn write_inputs(&self, text: &mut String) {
        let mut ports: Vec<_> = self.inputs.iter().collect();
        ports.sort_unstable_by_key(|(port, _)| *port);
        text.push('{');
        separated(text, ports.into_iter(), |text, (port, parts)| {
            write_member(text, port);
            text.push('[');
            separated(text, parts.iter(), |text, part| write_input(text, part));
            text.push(']');
        });
        text.push('}');
    }

    fn write_params(&self, text: &mut String) {
        let trains = self.device.is_some();
        let mut params: Vec<_> = self
            .params
            .iter()
            .filter(|(name, _)| !(trains && (*name == DEVICE_PARAM || *name == DTYPE_PARAM)))
            .collect();
        params.sort_unstable_by_key(|(name, _)| *name);
        text.push('{');
        separated(text, params.into_iter(), |text, (name, value)| {
            write_member(text, name);
            write_canonical(text, value);
        });
        text.push('}');
    }
}

fn write_input(text: &mut String, part: &InputPart<'_>) {
    text.push_str("{\"digest\":");
    match &part.digest {
        Some(digest) => {
            text.push('"');
            text.push_str(&digest.to_string());
            text.push('"');
        }
        None => text.push_str("null"),
    }
    if let Some(extension) = part.extension {
        text.push_str(",\"extension\":");
        write_text(text, extension);
    }
    if !part.matrix.is_empty() {
        text.push_str(",\"matrix\":");
        let mut axes: Vec<_> = part.matrix.iter().collect();
        axes.sort_unstable_by_key(|(axis, _)| *axis);
        text.push('{');
        separated(text, axes.into_iter(), |text, (axis, value)| {
            write_member(text, axis);
            write_canonical(text, value);
        });
        text.push('}');
    }
    text.push('}');
}

/// JSON with members sorted by name, at every depth, and no white space.
fn write_canonical(text: &mut String, value: &Value) {
    match value {
        Value::Array(items) => {
            text.push('[');
            separated(text, items.iter(), write_canonical);
            text.push(']');
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_unstable_by_key(|(name, _)| *name);
            text.push('{');
            separated(text, members.into_iter(), |text, (name, value)| {
                write_member(text, name);
                write_canonical(text, value);
            });
            text.push('}');
        }
        Value::String(string) => write_text(text, string),
        Value::Bool(true) => text.push_str("true"),
        Value::Bool(false) => text.push_str("false"),
        Value::Null => text.push_str("null"),
        Value::Number(number) => text.push_str(&number.to_string()),
    }
}

fn separated<T>(
    text: &mut String,
    items: impl Iterator<Item = T>,
    mut write: impl FnMut(&mut String, T),
) {
    for (index, item) in items.enumerate() {
        if index > 0 {
            text.push(',');
        }
        write(text, item);
    }
}

fn write_member(text: &mut String, name: &str) {
    write_text(text, name);
    text.push(':');
}

fn write_text(text: &mut String, string: &str) {
    let plain = string
        .bytes()
        .all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\');
    if plain {
        text.push('"');
        text.push_str(string);
        text.push('"');
    } else {
        text.push_str(&Value::String(string.to_owned()).to_string());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(map) => map,
            other => panic!("{other} is not an object"),
        }
    }

    fn parts<'a>(
        params: &'a Map<String, Value>,
        env: &'a BTreeMap<String, String>,
        matrix: &'a IndexMap<String, Value>,
    ) -> KeyParts<'a> {
        KeyParts {
            plugin: "finetune",
            revision: "3",
            variant: Some(("supermoe", "2")),
            params,
            command_values: Vec::new(),
            inputs: vec![(
                "dataset",
                vec![InputPart {
                    digest: Some(Digest::of(b"dataset")),
                    extension: Some("csv"),
                    matrix,
                }],
            )],
            env,
            device: Some(Device {
                kind: "cpu".into(),
                dtype: "f32".into(),
            }),
        }
    }

    /// Whoever changes this text changes every key that users have: raise KEY_VERSION with it.
    #[test]
    fn the_manifest_of_a_training_stage() {
        let params = object(
            json!({"lr": 0.001, "device": "auto", "models": {"supermoe": {"experts": 8, "a": [1, "x\n"]}}}),
        );
        let env = BTreeMap::from([("LANG".to_owned(), "de".to_owned())]);
        let matrix = IndexMap::from([
            ("seed".to_owned(), json!(1)),
            ("model".to_owned(), json!("ple")),
        ]);
        let manifest = parts(&params, &env, &matrix).manifest();
        insta::assert_snapshot!(manifest.text(), @r#"{"device":{"dtype":"f32","kind":"cpu"},"env":{"LANG":"de"},"inputs":{"dataset":[{"digest":"768234e135e6d614eed901176cb657426fe97df3fe4236141e1b05312e843e25","extension":"csv","matrix":{"model":"ple","seed":1}}]},"params":{"lr":0.001,"models":{"supermoe":{"a":[1,"x\n"],"experts":8}}},"plugin":{"name":"finetune","revision":"3"},"variant":{"revision":"2","value":"supermoe"},"version":1}"#);
        insta::assert_snapshot!(manifest.key(), @"b1fab13f449b6f65d0be120df2adfa3916423e641cceced450516bccfdffa0a3");
    }

    #[test]
    fn the_manifest_of_a_shell_stage() {
        let params = object(json!({"command": "echo ${V1} > ${OUT}", "outputs": {"b": "file"}}));
        let env = BTreeMap::new();
        let seed = json!(7);
        let manifest = KeyParts {
            plugin: "shell",
            revision: "1",
            variant: None,
            params: &params,
            command_values: vec![
                ("V1", CommandPart::Value(&seed)),
                ("OUT", CommandPart::Output("b")),
                ("IN", CommandPart::Input("a")),
                ("R", CommandPart::Run("id")),
            ],
            inputs: Vec::new(),
            env: &env,
            device: None,
        }
        .manifest();
        insta::assert_snapshot!(manifest.text(), @r#"{"command_values":{"IN":{"input":"a"},"OUT":{"output":"b"},"R":{"run":"id"},"V1":{"value":7}},"env":{},"inputs":{},"params":{"command":"echo ${V1} > ${OUT}","outputs":{"b":"file"}},"plugin":{"name":"shell","revision":"1"},"version":1}"#);
        insta::assert_snapshot!(manifest.key(), @"03058eb0fe32adb1f25a1fd866cff41ae0634512b4c4abbf6ff06451d3cd8502");
    }

    #[test]
    fn an_unknown_input_leaves_the_manifest_without_a_key() {
        let (params, env, matrix) = (Map::new(), BTreeMap::new(), IndexMap::new());
        let mut parts = parts(&params, &env, &matrix);
        assert!(parts.is_complete());
        parts.inputs[0].1[0].digest = None;
        assert!(!parts.is_complete());
        assert!(parts.manifest().text().contains("\"digest\":null"));
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-1e12..1e12_f64).prop_map(Value::from),
            ".{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::vec((".{0,6}", inner), 0..5)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    fn reversed(value: &Value) -> Value {
        match value {
            Value::Object(map) => Value::Object(
                map.iter()
                    .rev()
                    .map(|(name, value)| (name.clone(), reversed(value)))
                    .collect(),
            ),
            Value::Array(items) => Value::Array(items.iter().map(reversed).collect()),
            other => other.clone(),
        }
    }

    proptest! {
        #[test]
        fn the_canonical_form_says_the_same_in_any_order(value in any_json()) {
            let (mut one, mut other) = (String::new(), String::new());
            write_canonical(&mut one, &value);
            write_canonical(&mut other, &reversed(&value));
            prop_assert_eq!(&one, &other);
            prop_assert_eq!(serde_json::from_str::<Value>(&one).expect("JSON"), value);
        }

        #[test]
        fn other_params_give_other_keys(one in any_json(), other in any_json()) {
            prop_assume!(one != other);
            let (env, matrix) = (BTreeMap::new(), IndexMap::new());
            let key = |value: &Value| {
                let params = Map::from_iter([("p".to_owned(), value.clone())]);
                parts(&params, &env, &matrix).manifest().key()
            };
            prop_assert_ne!(key(&one), key(&other));
        }
    }
}
