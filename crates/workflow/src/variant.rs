//! Variants of a plugin: the value of one param chooses the program and the section of `with`.

use std::sync::Arc;

use serde_json::{Map, Value};
use supermoe_plugin::catalog::PluginEntry;
use supermoe_plugin::manifest::{VariantValue, Variants};

use crate::arguments::{Owner, escaped, single};
use crate::cell::VariantChoice;
use crate::codes::Code;
use crate::nearest;
use crate::node::describe_value;
use crate::param_mistakes::place;
use crate::session::Session;

/// The plugin that the value of its variants' param chooses.
pub(crate) fn choose(
    session: &mut Session<'_>,
    owner: &Owner<'_, '_, '_>,
    params: &Map<String, Value>,
    failed: &mut Vec<String>,
) -> (Arc<PluginEntry>, Option<VariantChoice>) {
    let base = owner.plugin;
    let catalog = session.catalog;
    let external = || {
        catalog
            .variants_of(base.name())
            .filter_map(|entry| entry.manifest.variant.as_ref())
    };
    let variants = base.manifest.variants.as_ref();
    let Some(param) = variants
        .map(|variants| variants.param.clone())
        .or_else(|| external().next().map(|variant| variant.param.clone()))
    else {
        return (base.clone(), None);
    };
    let default = || {
        base.params_schema()
            .ok()?
            .property(&param)?
            .get("default")
            .cloned()
    };
    let Some(Value::String(value)) = params.get(&param).cloned().or_else(default) else {
        return (base.clone(), None);
    };
    let choice = |plugin: &PluginEntry| {
        let variants = plugin
            .manifest
            .variants
            .as_ref()
            .filter(|variants| variants.param == param);
        VariantChoice {
            param: param.clone(),
            value: value.clone(),
            revision: variants
                .and_then(|variants| variants.values.get(&value))
                .map(|variant| variant.revision.clone()),
            section: variants
                .or(base.manifest.variants.as_ref())
                .map(|variants| variants.section.clone()),
        }
    };
    if let Some(variant) = variants.and_then(|variants| variants.values.get(&value)) {
        if let Some(reason) = &variant.unavailable {
            refuse(session, owner, &param, &value, reason);
            failed.push(format!("/{}", escaped(&param)));
        }
        let missing = missing_needs(variant, params);
        refuse_without(session, owner, (&param, &value), &missing);
        return (base.clone(), Some(choice(base)));
    }
    if let Some(entry) = catalog.variant(base.name(), &param, &value) {
        let own = entry.manifest.variants.as_ref();
        let own = own.and_then(|variants| variants.values.get(&value));
        let missing = own.map_or_else(Vec::new, |variant| missing_needs(variant, params));
        refuse_without(session, owner, (&param, &value), &missing);
        return (entry.clone(), Some(choice(entry)));
    }
    // A plugin without a list of its own takes what no variant stands in for.
    if variants.is_none() {
        return (base.clone(), None);
    }
    let names = variant_names(session, base);
    let (span, _) = place(owner, &format!("/{}", escaped(&param)));
    let message = format!(
        "`{param}` of the stage `{}` has the value `{value}`, and `{}` has no such {param}",
        owner.cell,
        base.name()
    );
    let help = nearest::advice(&value, &param, names.iter().map(String::as_str));
    session.error(
        Code::UnknownVariant,
        span,
        message,
        format!("unknown {param}"),
        help,
    );
    failed.push(format!("/{}", escaped(&param)));
    (base.clone(), None)
}

/// Names of params that a variant needs and `with` does not give, with why.
fn missing_needs(variant: &VariantValue, params: &Map<String, Value>) -> Vec<(String, String)> {
    let needs = variant.needs.iter();
    let missing = needs.filter(|(name, _)| params.get(*name).is_none_or(Value::is_null));
    missing
        .map(|(name, why)| (name.clone(), why.clone()))
        .collect()
}

fn refuse_without(
    session: &mut Session<'_>,
    owner: &Owner<'_, '_, '_>,
    (param, value): (&str, &str),
    missing: &[(String, String)],
) {
    for (name, why) in missing {
        let (span, _) = place(owner, &format!("/{}", escaped(param)));
        session.error(
            Code::MissingPluginParam,
            span,
            format!(
                "`with` of the stage `{}`: `{name}` is missing, which {param} `{value}` needs: {why}",
                owner.stage
            ),
            format!("`{value}` needs `{name}`"),
            format!(
                "Add `{name}:` to `with`. `supermoe plugins {}` shows all params.",
                owner.plugin.name()
            ),
        );
    }
}

/// A variant that the plugin knows and cannot use.
fn refuse(
    session: &mut Session<'_>,
    owner: &Owner<'_, '_, '_>,
    param: &str,
    value: &str,
    reason: &str,
) {
    let base = owner.plugin;
    let usable = base.manifest.variants.iter().flat_map(|variants| {
        let usable = variants.values.iter();
        usable.filter(|(_, variant)| variant.unavailable.is_none())
    });
    let usable: Vec<&str> = usable.map(|(name, _)| name.as_str()).collect();
    let (span, _) = place(owner, &format!("/{}", escaped(param)));
    session.error(
        Code::UnavailableVariant,
        span,
        format!(
            "`{}` cannot use the {param} `{value}`, which the stage `{}` chooses",
            base.name(),
            owner.cell
        ),
        reason.to_owned(),
        format!("The {param}s that it can use: {}.", usable.join(", ")),
    );
}

pub(crate) fn variant_names(session: &Session<'_>, base: &PluginEntry) -> Vec<String> {
    let built_in = base
        .manifest
        .variants
        .iter()
        .flat_map(|variants| variants.values.keys().cloned());
    let external = session
        .catalog
        .variants_of(base.name())
        .filter_map(|entry| {
            entry
                .manifest
                .variant
                .as_ref()
                .map(|variant| variant.value.clone())
        });
    built_in.chain(external).collect()
}

/// The chosen variant's own params.
pub(crate) struct Section {
    pub name: String,
    pub value: String,
    pub given: Map<String, Value>,
}

/// Takes the variants' sections out of `params`; gives the chosen one, if its plugin has a schema
/// for it.
pub(crate) fn take_section(
    session: &mut Session<'_>,
    owner: &Owner<'_, '_, '_>,
    plugin: &Arc<PluginEntry>,
    variant: Option<&VariantChoice>,
    params: &mut Map<String, Value>,
    failed: &mut Vec<String>,
) -> Option<Section> {
    let variants: &Variants = plugin.manifest.variants.as_ref().or(owner
        .plugin
        .manifest
        .variants
        .as_ref())?;
    let name = variants.section.clone();
    let mut sections = match params.remove(&name) {
        None => Map::new(),
        Some(Value::Object(sections)) => sections,
        Some(other) => {
            let (span, _) = place(owner, &format!("/{}", escaped(&name)));
            let message = format!(
                "`with.{name}` of the stage `{}` has to be a map from {} to params, found {}",
                owner.stage,
                variants.param,
                describe_value(&other)
            );
            session.error(
                Code::PluginParam,
                span,
                message,
                "expected a map",
                format!("Write {name}: {{ name: {{ … }} }}."),
            );
            failed.push(format!("/{}", escaped(&name)));
            return None;
        }
    };
    let known = variant_names(session, owner.plugin);
    for key in sections.keys().filter(|key| !known.contains(key)) {
        let pointer = format!("/{}/{}", escaped(&name), escaped(key));
        let (_, key_span) = place(owner, &pointer);
        let message = format!(
            "`with.{name}` of the stage `{}` has a section for `{key}`, and there is no such {}",
            owner.stage, variants.param
        );
        let help = nearest::advice(key, &variants.param, known.iter().map(String::as_str));
        session.error(
            Code::UnknownPluginParam,
            key_span,
            message,
            "unknown section",
            help,
        );
        failed.push(pointer);
    }
    let variant = variant?;
    let given = match sections.remove(&variant.value) {
        None => Map::new(),
        Some(Value::Object(given)) => given,
        Some(other) => {
            let (span, _) = place(
                owner,
                &format!("/{}/{}", escaped(&name), escaped(&variant.value)),
            );
            let message = format!(
                "`with.{name}.{}` of the stage `{}` has to be a map of params, found {}",
                variant.value,
                owner.stage,
                describe_value(&other)
            );
            session.error(
                Code::PluginParam,
                span,
                message,
                "expected a map",
                "Write { name: value }, or leave the section out.",
            );
            failed.push(format!("/{}/{}", escaped(&name), escaped(&variant.value)));
            return None;
        }
    };
    if plugin
        .manifest
        .variants
        .as_ref()
        .is_some_and(|variants| variants.values.contains_key(&variant.value))
    {
        return Some(Section {
            name,
            value: variant.value.clone(),
            given,
        });
    }
    // An external variant that says nothing of sections holds its own to its schema as a whole.
    if !given.is_empty() {
        params.insert(name, single(&variant.value, given));
    }
    None
}
