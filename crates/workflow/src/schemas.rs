//! The JSON Schemas of all plugins and variants that a workflow uses, each compiled once.

use std::collections::HashMap;

use serde_json::{Map, Value};
use supermoe_plugin::catalog::PluginEntry;
use supermoe_plugin::params::ParamsSchema;

use crate::arguments::{Owner, invalid_schema};
use crate::completion::Completion;
use crate::session::Session;

/// Schemas by plugin, and by plugin and variant.
#[derive(Debug, Default)]
pub(crate) struct Schemas {
    plugins: HashMap<String, Completion>,
    /// None: the schema is wrong, which is reported.
    sections: HashMap<String, HashMap<String, Option<SectionSchema>>>,
}

/// The schema of a variant's section.
#[derive(Debug)]
pub(crate) struct SectionSchema {
    pub schema: ParamsSchema,
    pub completion: Completion,
}

impl Schemas {
    /// Params of a plugin with defaults, and those that differ from the defaults.
    pub fn complete(
        &mut self,
        plugin: &PluginEntry,
        schema: &ParamsSchema,
        params: Map<String, Value>,
    ) -> (Map<String, Value>, Map<String, Value>) {
        if let Some(completion) = self.plugins.get_mut(plugin.name()) {
            return completion.complete(schema, params);
        }
        let mut completion = Completion::new(schema);
        let completed = completion.complete(schema, params);
        self.plugins.insert(plugin.name().to_owned(), completion);
        completed
    }

    /// The schema of the section of the variant `value`; none where it is wrong.
    pub fn section(
        &mut self,
        session: &mut Session<'_>,
        owner: &Owner<'_, '_, '_>,
        plugin: &PluginEntry,
        value: &str,
    ) -> Option<&mut SectionSchema> {
        let known = self
            .sections
            .get(plugin.name())
            .is_some_and(|known| known.contains_key(value));
        if !known {
            let schema = section_schema(session, owner, plugin, value);
            let sections = self.sections.entry(plugin.name().to_owned()).or_default();
            sections.insert(value.to_owned(), schema);
        }
        self.sections
            .get_mut(plugin.name())?
            .get_mut(value)?
            .as_mut()
    }
}

fn section_schema(
    session: &mut Session<'_>,
    owner: &Owner<'_, '_, '_>,
    plugin: &PluginEntry,
    value: &str,
) -> Option<SectionSchema> {
    let variant = plugin.manifest.variants.as_ref()?.values.get(value)?;
    match ParamsSchema::new(&variant.params) {
        Ok(schema) => Some(SectionSchema {
            completion: Completion::new(&schema),
            schema,
        }),
        Err(error) => {
            let name = format!("{} ({value})", plugin.name());
            invalid_schema(session, owner, &name, &error.to_string());
            None
        }
    }
}
