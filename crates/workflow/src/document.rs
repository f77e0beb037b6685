//! The shape of a workflow file: which keys stand where. Values are read by later steps.

use crate::codes::Code;
use crate::diagnostics::Diagnostic;
use crate::fields::{self, Fields};
use crate::name::{self, StageName};
use crate::node::{Kind, Node, quoted};
use crate::session::{Reported, Session};
use crate::source::Span;

/// The keys of a workflow.
pub(crate) const WORKFLOW_KEYS: [&str; 7] = [
    "name", "params", "store", "defaults", "on", "secrets", "stages",
];
/// The keys of a stage.
pub(crate) const STAGE_KEYS: [&str; 13] = [
    "uses",
    "with",
    "inputs",
    "needs",
    "matrix",
    "when",
    "retry",
    "timeout",
    "resources",
    "env",
    "secrets",
    "cache",
    "publish",
];
/// The keys of `defaults`.
pub(crate) const DEFAULTS_KEYS: [&str; 5] = ["retry", "timeout", "resources", "env", "cache"];

/// A workflow's parts.
pub(crate) struct Document<'n, 's> {
    pub name: Option<&'n Node<'s>>,
    pub params: Option<&'n Node<'s>>,
    pub store: Option<&'n Node<'s>>,
    pub on: Option<&'n Node<'s>>,
    pub secrets: Option<&'n Node<'s>>,
    pub defaults: Settings<'n, 's>,
    pub stages: Vec<StageNode<'n, 's>>,
}

/// What both stages and `defaults` may say.
#[derive(Clone, Copy, Default)]
pub(crate) struct Settings<'n, 's> {
    pub retry: Option<&'n Node<'s>>,
    pub timeout: Option<&'n Node<'s>>,
    pub resources: Option<&'n Node<'s>>,
    pub env: Option<&'n Node<'s>>,
    pub cache: Option<&'n Node<'s>>,
}

impl<'n, 's> Settings<'n, 's> {
    pub fn nodes(&self) -> impl Iterator<Item = &'n Node<'s>> {
        [
            self.retry,
            self.timeout,
            self.resources,
            self.env,
            self.cache,
        ]
        .into_iter()
        .flatten()
    }
}

/// A stage's parts.
pub(crate) struct StageNode<'n, 's> {
    pub name: StageName,
    pub name_span: Span,
    /// Whether its value is a map. If not that is reported, and nothing else is said of it.
    pub readable: bool,
    pub uses: Option<&'n Node<'s>>,
    pub with: Option<&'n Node<'s>>,
    pub inputs: Option<&'n Node<'s>>,
    pub needs: Option<&'n Node<'s>>,
    pub matrix: Option<&'n Node<'s>>,
    pub when: Option<&'n Node<'s>>,
    pub secrets: Option<&'n Node<'s>>,
    pub publish: Option<&'n Node<'s>>,
    pub settings: Settings<'n, 's>,
}

/// Reads the keys of the whole file. The names of stages that cannot be read are kept, so that
/// whoever refers to them is not blamed.
pub(crate) fn read<'n, 's>(
    session: &mut Session<'_>,
    root: &'n Node<'s>,
) -> Result<(Document<'n, 's>, Vec<String>), Reported> {
    if root.kind == Kind::Null {
        let help = "Write at least name: and stages:.";
        return Err(session.error(
            Code::EmptyWorkflow,
            Span::new(0, 0),
            "the file holds no workflow",
            "nothing here",
            help,
        ));
    }
    let fields = Fields::read(session, root, "a workflow", &WORKFLOW_KEYS)?;
    let defaults = fields.get("defaults").map_or(Settings::default(), |node| {
        Fields::read(session, node, "`defaults`", &DEFAULTS_KEYS)
            .map_or(Settings::default(), |fields| settings(&fields))
    });
    let mut unreadable = Vec::new();
    let stages = match fields.get("stages") {
        Some(node) => stages(session, node, &mut unreadable),
        None if !fields.lacks("stages") => Vec::new(),
        None => {
            missing(
                session,
                root,
                "stages",
                "Add stages: with at least one stage.",
            );
            Vec::new()
        }
    };
    if fields.lacks("name") {
        missing(
            session,
            root,
            "name",
            "Add name: and a short name; results are remembered under it.",
        );
    }
    let document = Document {
        name: fields.get("name"),
        params: fields.get("params"),
        store: fields.get("store"),
        on: fields.get("on"),
        secrets: fields.get("secrets"),
        defaults,
        stages,
    };
    Ok((document, unreadable))
}

fn missing(session: &mut Session<'_>, root: &Node<'_>, key: &str, help: &str) {
    let start = Span::new(root.span.start, root.span.start);
    let diagnostic = Diagnostic::new(
        Code::MissingKey,
        session.source,
        start,
        format!("the workflow has no `{key}`"),
        format!("`{key}` is missing"),
    );
    session.report(diagnostic.about(key).help(help));
}

fn settings<'n, 's>(fields: &Fields<'n, 's>) -> Settings<'n, 's> {
    Settings {
        retry: fields.get("retry"),
        timeout: fields.get("timeout"),
        resources: fields.get("resources"),
        env: fields.get("env"),
        cache: fields.get("cache"),
    }
}

fn stages<'n, 's>(
    session: &mut Session<'_>,
    node: &'n Node<'s>,
    unreadable: &mut Vec<String>,
) -> Vec<StageNode<'n, 's>> {
    let entries = match &node.kind {
        Kind::Map(entries) if !entries.is_empty() => entries,
        Kind::Map(_) | Kind::Null => {
            session.error(
                Code::NoStages,
                node.span,
                "the workflow has no stage",
                "no stage here",
                "Add one: name: { uses: plugin }.",
            );
            return Vec::new();
        }
        _ => {
            session.wrong_kind(node, "`stages`", "a map of names to stages");
            return Vec::new();
        }
    };
    let mut stages = Vec::with_capacity(entries.len());
    for entry in entries {
        let Ok(name) = StageName::new(&entry.key) else {
            session.error(
                Code::InvalidName,
                entry.key_span,
                format!("{} is no name of a stage", quoted(&entry.key)),
                "not a name",
                name::RULES,
            );
            unreadable.push(entry.key.clone().into_owned());
            continue;
        };
        stages.push(stage(session, name, entry.key_span, &entry.value));
    }
    stages
}

fn stage<'n, 's>(
    session: &mut Session<'_>,
    name: StageName,
    name_span: Span,
    node: &'n Node<'s>,
) -> StageNode<'n, 's> {
    let mut stage = StageNode {
        name,
        name_span,
        readable: false,
        uses: None,
        with: None,
        inputs: None,
        needs: None,
        matrix: None,
        when: None,
        secrets: None,
        publish: None,
        settings: Settings::default(),
    };
    let Kind::Map(entries) = &node.kind else {
        let message = format!(
            "the stage `{}` has to be a map with `uses`, found {}",
            stage.name,
            node.describe()
        );
        let span = if node.span.is_empty() {
            name_span
        } else {
            node.span
        };
        session.error(
            Code::WrongKind,
            span,
            message,
            "expected a map",
            "Write uses: and the name of a plugin.",
        );
        return stage;
    };
    stage.readable = true;
    let mut uses_is_misspelt = false;
    for entry in entries {
        let value = Some(&entry.value);
        match entry.key.as_ref() {
            "uses" => stage.uses = value,
            "with" => stage.with = value,
            "inputs" => stage.inputs = value,
            "needs" => stage.needs = value,
            "matrix" => stage.matrix = value,
            "when" => stage.when = value,
            "secrets" => stage.secrets = value,
            "publish" => stage.publish = value,
            "retry" => stage.settings.retry = value,
            "timeout" => stage.settings.timeout = value,
            "resources" => stage.settings.resources = value,
            "env" => stage.settings.env = value,
            "cache" => stage.settings.cache = value,
            _ => {
                let what = format!("the stage `{}`", stage.name);
                let meant = fields::unknown_key(session, entry, &what, &STAGE_KEYS);
                uses_is_misspelt |= meant.as_deref() == Some("uses");
            }
        }
    }
    if stage.uses.is_none() && !uses_is_misspelt {
        let message = format!("the stage `{}` has no `uses`", stage.name);
        session.error(
            Code::MissingKey,
            name_span,
            message,
            "`uses` is missing in this stage",
            "Add uses: and the name of a plugin.",
        );
    }
    stage
}
