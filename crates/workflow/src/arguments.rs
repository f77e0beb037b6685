//! `with`: expressions resolved, the variant chosen, the values held to the plugin's schema.

use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::{Map, Value};
use supermoe_plugin::catalog::PluginEntry;
use supermoe_plugin::manifest::{Launch, OutputPort};

use crate::cell::{CommandValue, RunField, RunPart, VariantChoice};
use crate::codes::Code;
use crate::command::{self, Ports};
use crate::declared_outputs::output_ports;
use crate::expression::{Expression, Part, Template};
use crate::node::{Entry, Kind, Node, describe_value, has_expression};
use crate::param_mistakes::report_all;
use crate::resolve::not_finite;
use crate::schemas::Schemas;
use crate::scope::Scope;
use crate::session::{Reported, Session};
use crate::source::Span;
use crate::variant::{Section, choose, take_section};

/// What `with` comes to for one cell.
#[derive(Debug, Clone)]
pub(crate) struct Arguments {
    pub plugin: Arc<PluginEntry>,
    pub variant: Option<VariantChoice>,
    pub params: Map<String, Value>,
    pub explicit: Map<String, Value>,
    pub run_fields: Vec<RunField>,
    pub command_values: IndexMap<String, CommandValue>,
    pub outputs: IndexMap<String, OutputPort>,
}

/// The stage that `with` belongs to.
pub(crate) struct Owner<'a, 'n, 's> {
    pub stage: &'a str,
    pub name_span: Span,
    /// The cell's name where a mistake may be in one cell alone.
    pub cell: &'a str,
    pub with: Option<&'n Node<'s>>,
    /// What `uses` names.
    pub plugin: &'a Arc<PluginEntry>,
    /// Names of the stage's inputs, as far as they can be read.
    pub inputs: &'a [&'a str],
    pub cache: bool,
}

/// Reads `with` for one cell. All mistakes are reported.
pub(crate) fn read(
    session: &mut Session<'_>,
    owner: &Owner<'_, '_, '_>,
    scope: &Scope<'_>,
    schemas: &mut Schemas,
) -> Result<Arguments, Reported> {
    let mut reader = Reader {
        owner,
        scope: scope.at("`with`"),
        path: Vec::new(),
        run_fields: Vec::new(),
        failed: Vec::new(),
        command_values: IndexMap::new(),
    };
    let mut params = match owner.with.map(|node| (node, &node.kind)) {
        None | Some((_, Kind::Null)) => Map::new(),
        Some((_, Kind::Map(entries))) => reader.map(session, entries),
        Some((node, _)) => {
            return Err(session.wrong_kind(
                node,
                &format!("`with` of `{}`", owner.stage),
                "a map of params",
            ));
        }
    };
    let Reader {
        run_fields,
        mut failed,
        command_values,
        ..
    } = reader;
    let (plugin, variant) = choose(session, owner, &params, &mut failed);
    let section = take_section(
        session,
        owner,
        &plugin,
        variant.as_ref(),
        &mut params,
        &mut failed,
    );

    let schema = match plugin.params_schema() {
        Ok(schema) => schema,
        Err(error) => {
            return Err(invalid_schema(
                session,
                owner,
                plugin.name(),
                &error.to_string(),
            ));
        }
    };
    let value = Value::Object(params);
    let errors = schema.validate_value(&value);
    let Value::Object(params) = value else {
        return Err(Reported);
    };
    report_all(session, owner, errors, &mut failed);
    let (mut full, mut explicit) = schemas.complete(&plugin, schema, params);

    if let Some(Section { name, value, given }) = section
        && let Some(section) = schemas.section(session, owner, &plugin, &value)
    {
        let given = Value::Object(given);
        let pointer = format!("/{}/{}", escaped(&name), escaped(&value));
        let errors = section.schema.validate_value(&given).into_iter();
        let errors = errors.map(|error| error.under(&pointer)).collect();
        report_all(session, owner, errors, &mut failed);
        let Value::Object(given) = given else {
            return Err(Reported);
        };
        let (complete, different) = section.completion.complete(&section.schema, given);
        full.insert(name.clone(), single(&value, complete));
        if !different.is_empty() {
            explicit.insert(name, single(&value, different));
        }
    }
    let outputs = output_ports(session, owner, &plugin, &full, &failed);
    Ok(Arguments {
        plugin,
        variant,
        params: full,
        explicit,
        run_fields,
        command_values,
        outputs: outputs?,
    })
}

pub(crate) fn single(key: &str, value: Map<String, Value>) -> Value {
    let mut map = Map::new();
    map.insert(key.to_owned(), Value::Object(value));
    Value::Object(map)
}

/// A value without `run.*`: expressions in it are resolved.
pub(crate) fn plain_value(
    session: &mut Session<'_>,
    node: &Node<'_>,
    scope: &Scope<'_>,
) -> Result<Value, Reported> {
    match &node.kind {
        Kind::Text(text) if has_expression(text) => {
            Ok(session.resolve(node.span, text, scope)?.value)
        }
        Kind::List(items) => Ok(Value::Array(
            items
                .iter()
                .map(|item| plain_value(session, item, scope))
                .collect::<Result<_, _>>()?,
        )),
        Kind::Map(entries) => {
            let mut map = Map::new();
            for entry in entries {
                map.insert(
                    entry.key.clone().into_owned(),
                    plain_value(session, &entry.value, scope)?,
                );
            }
            Ok(Value::Object(map))
        }
        _ => node.to_json().map_err(|number| {
            not_finite(session, number);
            Reported
        }),
    }
}

struct Reader<'a, 'n, 's> {
    owner: &'a Owner<'a, 'n, 's>,
    scope: Scope<'a>,
    path: Vec<String>,
    run_fields: Vec<RunField>,
    /// JSON pointers to what has no value because of a mistake.
    failed: Vec<String>,
    command_values: IndexMap<String, CommandValue>,
}

impl Reader<'_, '_, '_> {
    fn map(&mut self, session: &mut Session<'_>, entries: &[Entry<'_>]) -> Map<String, Value> {
        let mut map = Map::with_capacity(entries.len());
        for entry in entries {
            let key = entry.key.as_ref();
            let value =
                if self.path.is_empty() && is_command(&self.owner.plugin.manifest.launch, key) {
                    self.command(session, &entry.value)
                } else {
                    self.path.push(key.to_owned());
                    let value = self.value(session, &entry.value);
                    self.path.pop();
                    value
                };
            match value {
                Ok(Some(value)) => drop(map.insert(key.to_owned(), value)),
                // An expression that gives nothing: as if the key were not there.
                Ok(None) => {}
                Err(Reported) => self
                    .failed
                    .push(format!("{}/{}", self.pointer(), escaped(key))),
            }
        }
        map
    }

    /// A value; none where an expression gives nothing.
    fn value(
        &mut self,
        session: &mut Session<'_>,
        node: &Node<'_>,
    ) -> Result<Option<Value>, Reported> {
        match &node.kind {
            Kind::Text(text) if has_expression(text) => self.text(session, node, text),
            Kind::List(items) => {
                let mut values = Vec::with_capacity(items.len());
                for (at, item) in items.iter().enumerate() {
                    self.path.push(at.to_string());
                    let value = self.value(session, item);
                    match value {
                        Ok(value) => values.push(value.unwrap_or(Value::Null)),
                        Err(Reported) => {
                            self.failed.push(self.pointer());
                            values.push(Value::Null);
                        }
                    }
                    self.path.pop();
                }
                Ok(Some(Value::Array(values)))
            }
            Kind::Map(entries) => Ok(Some(Value::Object(self.map(session, entries)))),
            _ => node.to_json().map(Some).map_err(|number| {
                not_finite(session, number);
                Reported
            }),
        }
    }

    fn text(
        &mut self,
        session: &mut Session<'_>,
        node: &Node<'_>,
        text: &str,
    ) -> Result<Option<Value>, Reported> {
        if text.contains("run") {
            let template = session.template(node.span, text)?;
            if template.parts.iter().any(is_run) {
                return self.run_text(session, node, text, &template).map(Some);
            }
        }
        let resolved = session.resolve(node.span, text, &self.scope)?;
        Ok((!resolved.value.is_null()).then_some(resolved.value))
    }

    /// A text with facts of the run in it: put together when the run starts.
    fn run_text(
        &mut self,
        session: &mut Session<'_>,
        node: &Node<'_>,
        text: &str,
        template: &Template<'_>,
    ) -> Result<Value, Reported> {
        let mut parts = Vec::with_capacity(template.parts.len());
        for part in &template.parts {
            match part {
                Part::Text(text) => parts.push(RunPart::Text((*text).to_owned())),
                Part::Expression {
                    expression: Expression::Path(path),
                    ..
                } if path.root() == "run" => match command::run(path, self.owner.cache) {
                    Ok(name) => parts.push(RunPart::Run(name)),
                    Err(mistake) => return Err(session.mistake(node.span, text, &mistake)),
                },
                Part::Expression {
                    expression,
                    start,
                    end,
                } => {
                    let resolved = session.evaluate(node.span, text, expression, &self.scope)?;
                    match resolved.text() {
                        Some(text) => parts.push(RunPart::Text(text)),
                        None => {
                            let message = format!(
                                "`{}` gives {}, which cannot stand within a text",
                                text[start + 3..end - 2].trim(),
                                describe_value(&resolved.value)
                            );
                            return Err(session.error(
                                Code::ExpressionType,
                                node.span,
                                message,
                                "here",
                                "Let a list or map stand alone.",
                            ));
                        }
                    }
                }
            }
        }
        self.run_fields.push(RunField {
            path: self.path.clone(),
            parts,
        });
        Ok(Value::String(text.to_owned()))
    }

    fn command(
        &mut self,
        session: &mut Session<'_>,
        node: &Node<'_>,
    ) -> Result<Option<Value>, Reported> {
        let Kind::Text(text) = &node.kind else {
            return node.to_json().map(Some).map_err(|_| Reported);
        };
        let manifest = &self.owner.plugin.manifest;
        let mut outputs: Vec<&str> = manifest.outputs.keys().map(String::as_str).collect();
        let mut unknown = false;
        if let Some(node) = manifest
            .outputs_param
            .as_deref()
            .and_then(|param| self.owner.with?.get(param))
        {
            match &node.kind {
                Kind::Map(entries) => {
                    outputs.extend(entries.iter().map(|entry| entry.key.as_ref()))
                }
                _ => unknown = true,
            }
        }
        let ports = Ports {
            inputs: self.owner.inputs,
            outputs: &outputs,
            unknown,
        };
        let (command, values) = command::rewrite(
            session,
            node.span,
            text,
            &self.scope.at("the command"),
            &ports,
            self.owner.cache,
        )?;
        self.command_values = values;
        Ok(Some(Value::String(command)))
    }

    fn pointer(&self) -> String {
        self.path
            .iter()
            .map(|step| format!("/{}", escaped(step)))
            .collect()
    }
}

fn is_run(part: &Part<'_>) -> bool {
    matches!(part, Part::Expression { expression: Expression::Path(path), .. } if path.root() == "run")
}

fn is_command(launch: &Launch, key: &str) -> bool {
    matches!(launch, Launch::Shell { param } if param == key)
}

pub(crate) fn escaped(step: &str) -> String {
    step.replace('~', "~0").replace('/', "~1")
}

pub(crate) fn invalid_schema(
    session: &mut Session<'_>,
    owner: &Owner<'_, '_, '_>,
    plugin: &str,
    error: &str,
) -> Reported {
    let message = format!("the params of the plugin `{plugin}` cannot be checked: {error}");
    session.error(
        Code::InvalidPluginSchema,
        owner.name_span,
        message,
        "used here",
        "Correct `params` in the plugin's manifest.",
    )
}
