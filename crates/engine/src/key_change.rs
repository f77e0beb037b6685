//! Compares the key manifest of a cell with an earlier one and names every difference.

use serde_json::{Map, Value};
use supermoe_workflow::{Cell, CommandValue, InputSource, Workflow};

use crate::rerun_reason::{PluginChange, ReasonPlace, RerunReason};

/// Every cause that makes `new` another key than `old`, the one that explains most first: plugin,
/// params, values, env, device, inputs. An input whose digest is not known yet is no difference.
pub(crate) fn key_changes(
    workflow: &Workflow,
    cell: &Cell,
    old: &Value,
    new: &Value,
) -> Vec<RerunReason> {
    let mut changes = Changes {
        workflow,
        cell,
        found: Vec::new(),
    };
    if old["version"] != new["version"] {
        let (old, new) = (old["version"].clone(), new["version"].clone());
        return vec![RerunReason::KeyVersionChanged { old, new }];
    }
    changes.plugin(old, new);
    changes.members(
        "with",
        &mut Vec::new(),
        object(&old["params"]),
        object(&new["params"]),
    );
    changes.command_values(
        object(&old["command_values"]),
        object(&new["command_values"]),
    );
    changes.env(object(&old["env"]), object(&new["env"]));
    changes.device(&old["device"], &new["device"]);
    changes.inputs(object(&old["inputs"]), object(&new["inputs"]));
    changes.found
}

fn object(value: &Value) -> &Map<String, Value> {
    static EMPTY: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    value.as_object().unwrap_or(&EMPTY)
}

struct Changes<'a> {
    workflow: &'a Workflow,
    cell: &'a Cell,
    found: Vec<RerunReason>,
}

impl Changes<'_> {
    fn place(&self, field: &str) -> ReasonPlace {
        place(self.cell, field)
    }

    fn plugin(&mut self, old: &Value, new: &Value) {
        let text = |value: &Value| value.as_str().unwrap_or("none").to_owned();
        let mut compare = |what, old: &Value, new: &Value| {
            if old != new {
                self.found.push(RerunReason::PluginChanged {
                    what,
                    field: "uses".to_owned(),
                    old: text(old),
                    new: text(new),
                    place: place(self.cell, "uses"),
                });
                return true;
            }
            false
        };
        // Another plugin has another revision by its nature: that says nothing more.
        if !compare(
            PluginChange::Name,
            &old["plugin"]["name"],
            &new["plugin"]["name"],
        ) {
            compare(
                PluginChange::Revision,
                &old["plugin"]["revision"],
                &new["plugin"]["revision"],
            );
            if old["variant"]["value"] == new["variant"]["value"] {
                let (old, new) = (&old["variant"]["revision"], &new["variant"]["revision"]);
                compare(PluginChange::VariantRevision, old, new);
            }
        }
    }

    /// Params, one by one, into the depth of maps.
    fn members(
        &mut self,
        prefix: &str,
        path: &mut Vec<String>,
        old: &Map<String, Value>,
        new: &Map<String, Value>,
    ) {
        for (name, new_value) in new {
            let field = format!("{prefix}.{name}");
            path.push(name.clone());
            match (old.get(name), new_value) {
                (Some(old_value), _) if old_value == new_value => {}
                (Some(Value::Object(old)), Value::Object(new)) => {
                    self.members(&field, path, old, new)
                }
                (None, Value::Object(new)) if !new.is_empty() && self.is_described(path) => {
                    let old = default_of(self.cell, path).unwrap_or_default();
                    self.members(&field, path, object(&old), new);
                }
                (old_value, _) => self.changed(field, path, old_value, Some(new_value)),
            }
            path.pop();
        }
        for (name, old_value) in old.iter().filter(|(name, _)| !new.contains_key(*name)) {
            let field = format!("{prefix}.{name}");
            path.push(name.clone());
            match old_value {
                Value::Object(old) if !old.is_empty() && self.is_described(path) => {
                    let new = default_of(self.cell, path).unwrap_or_default();
                    self.members(&field, path, old, object(&new));
                }
                _ => self.changed(field, path, Some(old_value), None),
            }
            path.pop();
        }
    }

    /// A param that stands in one of the two manifests alone is at its default in the other.
    fn changed(
        &mut self,
        field: String,
        path: &[String],
        old: Option<&Value>,
        new: Option<&Value>,
    ) {
        let old = old.cloned().or_else(|| default_of(self.cell, path));
        let new = new
            .cloned()
            .or_else(|| current_value(self.cell, path))
            .or_else(|| default_of(self.cell, path));
        let place = self.place(&field);
        match (old, new) {
            (Some(old), Some(new)) if old == new => {}
            (Some(old), Some(new)) => {
                self.found.push(RerunReason::ParamChanged {
                    field,
                    old,
                    new,
                    place,
                });
            }
            (None, Some(new)) => self
                .found
                .push(RerunReason::ParamAdded { field, new, place }),
            (Some(old), None) => self
                .found
                .push(RerunReason::ParamRemoved { field, old, place }),
            (None, None) => {}
        }
    }

    /// Whether the schema names the members of the map at `path`, and it is a map too when absent.
    fn is_described(&self, path: &[String]) -> bool {
        default_of(self.cell, path).is_none_or(|default| default.is_object())
            && schema_at(self.cell, path).is_some_and(|(root, schema)| {
                forms(root, schema).any(|form| form.get("properties").is_some())
            })
    }

    fn command_values(&mut self, old: &Map<String, Value>, new: &Map<String, Value>) {
        for (variable, new_value) in new {
            let Some(old_value) = old.get(variable) else {
                continue;
            };
            if old_value == new_value {
                continue;
            }
            let field = match self.cell.command_values.get(variable) {
                Some(CommandValue::Value { expression, .. }) => expression.clone(),
                _ => variable.clone(),
            };
            let value = |of: &Value| of.get("value").cloned().unwrap_or_else(|| of.clone());
            let place = self.place("with.command");
            let (old, new) = (value(old_value), value(new_value));
            self.found.push(RerunReason::CommandValueChanged {
                field,
                old,
                new,
                place,
            });
        }
        // A variable that came or went changed the command's text too, unless another kept its place.
        if self.found.is_empty() {
            let appeared = new.keys().find(|variable| !old.contains_key(*variable));
            let gone = old.keys().find(|variable| !new.contains_key(*variable));
            if let Some(variable) = appeared.or(gone) {
                let at = |values: &Map<String, Value>| {
                    values.get(variable).cloned().unwrap_or(Value::Null)
                };
                let (old, new) = (at(old), at(new));
                let place = self.place("with.command");
                let field = variable.clone();
                self.found.push(RerunReason::CommandValueChanged {
                    field,
                    old,
                    new,
                    place,
                });
            }
        }
    }

    fn env(&mut self, old: &Map<String, Value>, new: &Map<String, Value>) {
        let gone = old.keys().filter(|name| !new.contains_key(*name));
        for name in new.keys().chain(gone) {
            if old.get(name) == new.get(name) {
                continue;
            }
            let at =
                |env: &Map<String, Value>| env.get(name).and_then(Value::as_str).map(str::to_owned);
            let field = format!("env.{name}");
            let place = self.place(&field);
            self.found.push(RerunReason::EnvChanged {
                field,
                old: at(old),
                new: at(new),
                place,
            });
        }
    }

    fn device(&mut self, old: &Value, new: &Value) {
        for part in ["kind", "dtype"] {
            if old[part] != new[part] {
                let field = if part == "kind" {
                    "device".to_owned()
                } else {
                    "dtype".to_owned()
                };
                let (old, new) = (old[part].clone(), new[part].clone());
                self.found
                    .push(RerunReason::DeviceChanged { field, old, new });
            }
        }
    }

    fn inputs(&mut self, old: &Map<String, Value>, new: &Map<String, Value>) {
        let none: &[Value] = &[];
        let items = |inputs: &Map<String, Value>, port: &str| -> Vec<Value> {
            inputs
                .get(port)
                .and_then(Value::as_array)
                .map_or(none, Vec::as_slice)
                .to_vec()
        };
        let gone = old.keys().filter(|port| !new.contains_key(*port));
        for port in new.keys().chain(gone) {
            let (old, new) = (items(old, port), items(new, port));
            for index in 0..old.len().max(new.len()) {
                self.input(port, index, old.get(index), new.get(index));
            }
        }
    }

    fn input(&mut self, port: &str, index: usize, old: Option<&Value>, new: Option<&Value>) {
        if old == new {
            return;
        }
        if let (Some(old), Some(new)) = (old, new)
            && new["digest"].is_null()
            && old["matrix"] == new["matrix"]
            && old["extension"] == new["extension"]
        {
            return;
        }
        let digest = |part: Option<&Value>| {
            part.map(|part| {
                part["digest"]
                    .as_str()
                    .unwrap_or("not known yet")
                    .to_owned()
            })
        };
        let from = self
            .cell
            .inputs
            .get(port)
            .and_then(|inputs| inputs.get(index));
        let from = from.map_or_else(|| port.to_owned(), |input| self.source(&input.source));
        let field = format!("inputs.{port}");
        let place = self.place(&field);
        self.found.push(RerunReason::InputChanged {
            field,
            from,
            old: digest(old),
            new: digest(new),
            place,
        });
    }

    fn source(&self, source: &InputSource) -> String {
        source_name(self.workflow, source)
    }
}

/// An input's source as people know it: `prepare.dataset`, a path relative to the workflow file.
pub(crate) fn source_name(workflow: &Workflow, source: &InputSource) -> String {
    match source {
        InputSource::Output { cell, port } => format!("{}.{port}", workflow.cell(*cell).label),
        InputSource::Path(path) => path.display().to_string(),
        InputSource::Url(url) => url.to_string(),
        InputSource::Ref(name) => format!("ref:{name}"),
    }
}

/// Where a field stands in the user's file.
pub(crate) fn place(cell: &Cell, field: &str) -> ReasonPlace {
    match cell.places.get(field) {
        Some(place) => ReasonPlace {
            file: Some(place.file.display().to_string()),
            line: Some(place.line),
        },
        None => ReasonPlace::default(),
    }
}

fn current_value(cell: &Cell, path: &[String]) -> Option<Value> {
    let (first, rest) = path.split_first()?;
    rest.iter()
        .try_fold(cell.params.get(first)?, |value, name| value.get(name))
        .cloned()
}

fn default_of(cell: &Cell, path: &[String]) -> Option<Value> {
    let (root, schema) = schema_at(cell, path)?;
    forms(root, schema)
        .find_map(|form| form.get("default"))
        .cloned()
}

/// The schema of the param at `path`, after the document that it stands in: in the chosen
/// variant's own section, that variant's.
fn schema_at<'a>(cell: &'a Cell, path: &[String]) -> Option<(&'a Value, &'a Value)> {
    let manifest = &cell.plugin.manifest;
    if let (Some(choice), Some(variants)) = (&cell.variant, &manifest.variants)
        && let [section, value, rest @ ..] = path
        && *section == variants.section
        && *value == choice.value
    {
        let root = &variants.values.get(value)?.params;
        return Some((root, step_down(root, rest)?));
    }
    let root = &manifest.params;
    Some((root, step_down(root, path)?))
}

fn step_down<'a>(root: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(root, |schema, name| {
        forms(root, schema).find_map(|form| form.get("properties")?.get(name))
    })
}

/// A schema and those that it refers to or is put together from, itself first.
fn forms<'a>(root: &'a Value, schema: &'a Value) -> impl Iterator<Item = &'a Value> {
    /// More than any schema made by people; ends what refers to itself.
    const MOST: usize = 64;
    let mut open = std::collections::VecDeque::from([schema]);
    std::iter::from_fn(move || {
        let form = open.pop_front()?;
        let target = form.get("$ref").and_then(Value::as_str);
        open.extend(target.and_then(|target| root.pointer(target.strip_prefix('#')?)));
        for keyword in ["allOf", "anyOf", "oneOf"] {
            open.extend(
                form.get(keyword)
                    .and_then(Value::as_array)
                    .into_iter()
                    .flatten(),
            );
        }
        Some(form)
    })
    .take(MOST)
}
