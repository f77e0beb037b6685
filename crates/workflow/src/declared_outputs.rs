//! Output ports of a stage: its plugin's, and those that a param of it declares.

use indexmap::IndexMap;
use serde_json::{Map, Value};
use supermoe_plugin::catalog::PluginEntry;
use supermoe_plugin::manifest::OutputPort;
use supermoe_plugin::ports::PortType;

use crate::arguments::{Owner, escaped};
use crate::codes::Code;
use crate::name;
use crate::nearest;
use crate::node::describe_value;
use crate::param_mistakes::place;
use crate::session::{Reported, Session};

/// Output ports: the manifest's and those that a param declares.
pub(crate) fn output_ports(
    session: &mut Session<'_>,
    owner: &Owner<'_, '_, '_>,
    plugin: &PluginEntry,
    params: &Map<String, Value>,
    failed: &[String],
) -> Result<IndexMap<String, OutputPort>, Reported> {
    let mut ports = plugin.manifest.outputs.clone();
    let Some(param) = &plugin.manifest.outputs_param else {
        return Ok(ports);
    };
    let Some(declared) = params.get(param) else {
        return Ok(ports);
    };
    let pointer = || format!("/{}", escaped(param));
    let has_failed = |failed: &String| {
        let inner = failed.strip_prefix(&pointer());
        inner.is_some_and(|inner| inner.is_empty() || inner.starts_with('/'))
    };
    if failed.iter().any(has_failed) {
        return Err(Reported);
    }
    let mut result = Ok(());
    let wrong = |session: &mut Session<'_>, pointer: &str, message: String, help: String| {
        let (span, _) = place(owner, pointer);
        session.error(Code::InvalidOutputs, span, message, "not an output", help)
    };
    let Value::Object(declared) = declared else {
        return Err(wrong(
            session,
            &pointer(),
            format!(
                "`with.{param}` of the stage `{}` has to be a map from name to type, found {}",
                owner.stage,
                describe_value(declared)
            ),
            format!("Write {param}: {{ name: file }}."),
        ));
    };
    for (port, kind) in declared {
        let inner = || format!("{}/{}", pointer(), escaped(port));
        if !name::is_name(port) {
            result = Err(wrong(
                session,
                &inner(),
                format!("`{port}` is no name of an output"),
                name::RULES.to_owned(),
            ));
            continue;
        }
        let given = PortType::ALL
            .into_iter()
            .filter(|kind| *kind != PortType::Any);
        let written = kind.as_str();
        match given.clone().find(|known| written == Some(known.name())) {
            Some(port_type) if !ports.contains_key(port) => {
                ports.insert(
                    port.clone(),
                    OutputPort {
                        port_type,
                        required: true,
                        description: String::new(),
                    },
                );
            }
            Some(_) => {
                result = Err(wrong(
                    session,
                    &inner(),
                    format!("`{}` has the output `{port}` already", plugin.name()),
                    "Choose another name.".to_owned(),
                ))
            }
            None => {
                let names: Vec<&str> = given.map(PortType::name).collect();
                let found = describe_value(kind);
                let help = nearest::advice(
                    kind.as_str().unwrap_or_default(),
                    "type",
                    names.iter().copied(),
                );
                result = Err(wrong(
                    session,
                    &inner(),
                    format!(
                        "the output `{port}` has to be of a type such as file or folder, found {found}"
                    ),
                    help,
                ));
            }
        }
    }
    result.map(|()| ports)
}
