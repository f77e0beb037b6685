//! Builds a manifest; the schema of its params comes from a Rust type.

use schemars::JsonSchema;
use serde_json::{Value, json};

use crate::manifest::{
    InputPort, Launch, Manifest, OutputPort, PROTOCOL, ResourceDefaults, Variant, Variants,
};
use crate::ports::PortType;

/// Begins the manifest of a plugin. Without [`ManifestBuilder::command`] it is served by the
/// `supermoe` binary.
pub fn manifest(name: &str) -> ManifestBuilder {
    ManifestBuilder {
        manifest: Manifest {
            protocol: PROTOCOL,
            name: name.to_owned(),
            version: String::new(),
            description: String::new(),
            launch: Launch::BuiltIn,
            revision: None,
            code: Vec::new(),
            inputs: Default::default(),
            outputs: Default::default(),
            outputs_param: None,
            params: json!({ "type": "object", "properties": {}, "additionalProperties": false }),
            variants: None,
            variant: None,
            checkpoints: false,
            trains: false,
            resources: None,
        },
    }
}

/// The JSON Schema of a type, as manifests hold it: closed to names that the type does not have.
pub fn schema_of<P: JsonSchema>() -> Value {
    let mut schema = schemars::schema_for!(P).to_value();
    if let Some(object) = schema.as_object_mut() {
        object.remove("$schema");
    }
    crate::params::closed(&schema)
}

#[derive(Debug, Clone)]
#[must_use]
pub struct ManifestBuilder {
    manifest: Manifest,
}

impl ManifestBuilder {
    pub fn version(mut self, version: &str) -> Self {
        self.manifest.version = version.to_owned();
        self
    }

    /// One line that says what the plugin does.
    pub fn description(mut self, description: &str) -> Self {
        self.manifest.description = description.to_owned();
        self
    }

    /// Built-in plugins: raised when outputs change for the same params and inputs.
    pub fn revision(mut self, revision: &str) -> Self {
        self.manifest.revision = Some(revision.to_owned());
        self
    }

    /// External plugins: the program and its arguments.
    pub fn command<S: Into<String>>(self, words: impl IntoIterator<Item = S>) -> Self {
        self.launch(Launch::Command(words.into_iter().map(Into::into).collect()))
    }

    pub fn launch(mut self, launch: Launch) -> Self {
        self.manifest.launch = launch;
        self
    }

    /// External plugins: globs of the files that make up the code.
    pub fn code<S: Into<String>>(mut self, globs: impl IntoIterator<Item = S>) -> Self {
        self.manifest.code = globs.into_iter().map(Into::into).collect();
        self
    }

    /// An input that has to be given, exactly one artifact.
    pub fn input(self, name: &str, port_type: PortType) -> Self {
        self.input_port(name, input_port(port_type, Presence::Required))
    }

    /// An input that may be absent.
    pub fn optional_input(self, name: &str, port_type: PortType) -> Self {
        self.input_port(name, input_port(port_type, Presence::Optional))
    }

    /// An input that takes a list of at least one artifact.
    pub fn many_inputs(self, name: &str, port_type: PortType) -> Self {
        let port = InputPort {
            many: true,
            ..input_port(port_type, Presence::Required)
        };
        self.input_port(name, port)
    }

    pub fn input_port(mut self, name: &str, port: InputPort) -> Self {
        self.manifest.inputs.insert(name.to_owned(), port);
        self
    }

    /// An output that every run writes.
    pub fn output(self, name: &str, port_type: PortType) -> Self {
        self.output_port(name, output_port(port_type, Presence::Required))
    }

    /// An output that a run may leave unwritten.
    pub fn optional_output(self, name: &str, port_type: PortType) -> Self {
        self.output_port(name, output_port(port_type, Presence::Optional))
    }

    pub fn output_port(mut self, name: &str, port: OutputPort) -> Self {
        self.manifest.outputs.insert(name.to_owned(), port);
        self
    }

    /// The param that holds further output ports, as a map from port name to type.
    pub fn outputs_param(mut self, param: &str) -> Self {
        self.manifest.outputs_param = Some(param.to_owned());
        self
    }

    /// Params as the type `P`: fields, defaults, ranges and documentation.
    pub fn params<P: JsonSchema>(self) -> Self {
        self.params_schema(schema_of::<P>())
    }

    pub fn params_schema(mut self, schema: Value) -> Self {
        self.manifest.params = schema;
        self
    }

    pub fn variants(mut self, variants: Variants) -> Self {
        self.manifest.variants = Some(variants);
        self
    }

    /// This plugin runs instead of `of` where `param` is `value`.
    pub fn variant(mut self, of: &str, param: &str, value: &str) -> Self {
        self.manifest.variant = Some(Variant {
            of: of.to_owned(),
            param: param.to_owned(),
            value: value.to_owned(),
        });
        self
    }

    /// Writes checkpoints and goes on from them.
    pub fn checkpoints(mut self) -> Self {
        self.manifest.checkpoints = true;
        self
    }

    /// Computes on `device`, whose kind is then part of its key.
    pub fn trains(mut self) -> Self {
        self.manifest.trains = true;
        self
    }

    pub fn resources(mut self, resources: ResourceDefaults) -> Self {
        self.manifest.resources = Some(resources);
        self
    }

    /// Adds a line of help to a port that was declared before.
    pub fn describe(mut self, port: &str, description: &str) -> Self {
        if let Some(input) = self.manifest.inputs.get_mut(port) {
            input.description = description.to_owned();
        }
        if let Some(output) = self.manifest.outputs.get_mut(port) {
            output.description = description.to_owned();
        }
        self
    }

    pub fn build(self) -> Manifest {
        self.manifest
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Presence {
    Required,
    Optional,
}

fn input_port(port_type: PortType, presence: Presence) -> InputPort {
    InputPort {
        port_type,
        required: presence == Presence::Required,
        many: false,
        description: String::new(),
    }
}

fn output_port(port_type: PortType, presence: Presence) -> OutputPort {
    OutputPort {
        port_type,
        required: presence == Presence::Required,
        description: String::new(),
    }
}
