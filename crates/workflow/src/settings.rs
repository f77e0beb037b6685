//! `retry`, `timeout`, `resources`, `cache`: what a stage says over what `defaults` say.

use std::time::Duration;

use supermoe_plugin::manifest::ResourceDefaults;

use crate::cell::{Resources, Retry};
use crate::codes::Code;
use crate::document::Settings;
use crate::duration::{parse_backoff, parse_duration};
use crate::fields::Fields;
use crate::node::Node;
use crate::scope::Scope;
use crate::session::{Form, Leaf, Reported, Session};
use supermoe_plugin::size::parse_size;

const DURATION: Form = Form {
    code: Code::InvalidDuration,
    expected: "a duration with a unit",
    short: "a duration",
    example: "30s, 5m, 2h or 1d",
};
const BACKOFF: Form = Form {
    code: Code::InvalidBackoff,
    expected: "a backoff, first delay..largest delay",
    short: "a backoff",
    example: "5s..1m",
};
const SIZE: Form = Form {
    code: Code::InvalidSize,
    expected: "a size with a unit",
    short: "a size",
    example: "512MiB or 4GiB",
};

const MAX_ATTEMPTS: u32 = 100;
const MAX_CPUS: u32 = 4096;
const MAX_GPUS: u32 = 1024;

/// What a cell's settings come to.
#[derive(Debug, Clone)]
pub(crate) struct Resolved {
    pub retry: Retry,
    pub timeout: Option<Duration>,
    pub resources: Resources,
    pub cache: bool,
}

/// Reads the settings of a stage over the defaults. All mistakes are reported.
pub(crate) fn read(
    session: &mut Session<'_>,
    defaults: &Settings<'_, '_>,
    stage: &Settings<'_, '_>,
    plugin: Option<&ResourceDefaults>,
    scope: &Scope<'_>,
) -> Result<Resolved, Reported> {
    let mut retry = Retry::default();
    let mut resources = Resources::default();
    if let Some(plugin) = plugin {
        resources = Resources {
            cpus: plugin.cpus.unwrap_or(1),
            memory: plugin.memory.unwrap_or(0),
            gpus: plugin.gpus.unwrap_or(0),
        };
    }
    let mut timeout = None;
    let mut cache = true;
    let mut result = Ok(());
    for settings in [defaults, stage] {
        if let Some(node) = settings.retry {
            result = result.and(read_retry(session, node, &mut retry, scope));
        }
        if let Some(node) = settings.timeout {
            match session.measured(
                node,
                "`timeout`",
                &DURATION,
                &scope.at("`timeout`"),
                parse_duration,
            ) {
                Ok(value) => timeout = value.or(timeout),
                Err(Reported) => result = Err(Reported),
            }
        }
        if let Some(node) = settings.resources {
            result = result.and(read_resources(session, node, &mut resources, scope));
        }
        if let Some(node) = settings.cache {
            match session.boolean(node, "`cache`", &scope.at("`cache`")) {
                Ok(value) => cache = value.unwrap_or(cache),
                Err(Reported) => result = Err(Reported),
            }
        }
    }
    result.map(|()| Resolved {
        retry,
        timeout,
        resources,
        cache,
    })
}

fn read_retry(
    session: &mut Session<'_>,
    node: &Node<'_>,
    retry: &mut Retry,
    scope: &Scope<'_>,
) -> Result<(), Reported> {
    let fields = Fields::read(session, node, "`retry`", &["attempts", "backoff"])?;
    let scope = scope.at("`retry`");
    let attempts = fields
        .get("attempts")
        .map(|node| session.integer(node, "`retry.attempts`", 1..=MAX_ATTEMPTS, &scope));
    let backoff = fields
        .get("backoff")
        .map(|node| session.measured(node, "`retry.backoff`", &BACKOFF, &scope, parse_backoff));
    set(attempts, &mut retry.attempts)?;
    let mut delays = (retry.first_delay, retry.max_delay);
    set(backoff, &mut delays)?;
    (retry.first_delay, retry.max_delay) = delays;
    Ok(())
}

fn read_resources(
    session: &mut Session<'_>,
    node: &Node<'_>,
    resources: &mut Resources,
    scope: &Scope<'_>,
) -> Result<(), Reported> {
    let fields = Fields::read(session, node, "`resources`", &["cpus", "memory", "gpus"])?;
    let scope = scope.at("`resources`");
    let cpus = fields
        .get("cpus")
        .map(|node| session.integer(node, "`resources.cpus`", 1..=MAX_CPUS, &scope));
    let memory = fields
        .get("memory")
        .map(|node| session.measured(node, "`resources.memory`", &SIZE, &scope, parse_size));
    let gpus = fields
        .get("gpus")
        .map(|node| session.integer(node, "`resources.gpus`", 0..=MAX_GPUS, &scope));
    set(cpus, &mut resources.cpus)?;
    set(memory, &mut resources.memory)?;
    set(gpus, &mut resources.gpus)
}

fn set<T>(read: Option<Leaf<T>>, target: &mut T) -> Result<(), Reported> {
    match read {
        Some(Err(Reported)) => Err(Reported),
        Some(Ok(Some(value))) => {
            *target = value;
            Ok(())
        }
        Some(Ok(None)) | None => Ok(()),
    }
}
