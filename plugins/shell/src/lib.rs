//! Plugin: a command run by `sh -euc`. It is a manifest only; the worker is the shell itself.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use supermoe_plugin::manifest::{InputPort, Launch, Manifest, WILDCARD_PORT};
use supermoe_plugin::ports::PortType;
use supermoe_plugin::sdk::manifest as describe;

/// Raised when the same command would give other outputs: when the way it is run changes.
const REVISION: &str = "1";

/// What stands in `with`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// The command, for `sh -euc`. An expression in it becomes a reference to an environment
    /// variable that holds the value: quote it as you would quote any variable.
    #[schemars(length(min = 1))]
    pub command: String,
    /// The outputs that the command writes, and whether each is a file or a folder.
    #[serde(default)]
    pub outputs: BTreeMap<String, OutputKind>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OutputKind {
    File,
    Folder,
}

pub fn manifest() -> Manifest {
    describe("shell")
        .version(env!("CARGO_PKG_VERSION"))
        .description("Runs a command in a shell.")
        .revision(REVISION)
        .launch(Launch::Shell {
            param: "command".to_owned(),
        })
        .input_port(
            WILDCARD_PORT,
            InputPort {
                port_type: PortType::Any,
                required: false,
                many: true,
                description: "Whatever the command reads.".to_owned(),
            },
        )
        .params::<Params>()
        .outputs_param("outputs")
        .build()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use supermoe_plugin::catalog::Catalog;

    use super::*;

    fn errors(params: Value) -> Vec<String> {
        let catalog = Catalog::built_ins(vec![manifest()]);
        let shell = catalog.get("shell").expect("the plugin");
        let schema = shell.params_schema().expect("a schema that compiles");
        let params = params.as_object().expect("a map").clone();
        schema
            .validate(&params)
            .into_iter()
            .map(|error| format!("{}: {}", error.field(), error.message))
            .collect()
    }

    #[test]
    fn the_manifest_is_sound() {
        assert_eq!(
            Catalog::built_ins(vec![manifest()]).problems_of_built_ins(),
            []
        );
    }

    #[test]
    fn right_params_pass() {
        assert_eq!(
            errors(json!({ "command": "true", "outputs": { "a": "file", "b": "folder" } })),
            [""; 0]
        );
    }

    #[test]
    fn wrong_params_are_named() {
        assert_eq!(
            errors(json!({ "comand": "true" })),
            [
                "comand: unknown name `comand`: did you mean `command`?",
                ": `command` is missing: expected text of at least 1 character"
            ]
        );
        assert_eq!(
            errors(json!({ "command": "true", "outputs": { "a": "files" } })),
            [
                "outputs.a: expected one of `file`, `folder`, found the text \"files\"; did you mean `file`?"
            ]
        );
        assert_eq!(
            errors(json!({ "command": 3 })),
            ["command: expected text of at least 1 character, found 3"]
        );
    }
}
