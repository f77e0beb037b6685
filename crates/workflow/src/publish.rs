//! `publish`: outputs that are laid out in the project after a run.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use indexmap::IndexMap;
use supermoe_plugin::manifest::OutputPort;

use crate::codes::Code;
use crate::diagnostics::Diagnostic;
use crate::nearest;
use crate::node::{Kind, Node};
use crate::scope::Scope;
use crate::session::{Reported, Session};
use crate::source::Span;

/// Where outputs of all cells go, to find two that go to one place.
#[derive(Default)]
pub(crate) struct Published {
    places: Vec<(PathBuf, Span, String)>,
}

/// Reads the `publish` of one cell. `outputs` is none where the ports are unknown.
pub(crate) fn read(
    session: &mut Session<'_>,
    label: &str,
    node: &Node<'_>,
    outputs: Option<&IndexMap<String, OutputPort>>,
    scope: &Scope<'_>,
    published: &mut Published,
) -> BTreeMap<String, PathBuf> {
    let mut paths = BTreeMap::new();
    let entries = match &node.kind {
        Kind::Map(entries) => entries,
        Kind::Null => return paths,
        _ => {
            session.wrong_kind(
                node,
                &format!("`publish` of `{label}`"),
                "a map from output to folder",
            );
            return paths;
        }
    };
    for entry in entries {
        let port = entry.key.as_ref();
        if let Some(outputs) = outputs.filter(|outputs| !outputs.contains_key(port)) {
            let help = nearest::advice(port, "output", outputs.keys().map(String::as_str));
            session.error(
                Code::UnknownPort,
                entry.key_span,
                format!("`publish` names the output `{port}`, which the stage does not have"),
                "unknown output",
                help,
            );
            continue;
        }
        let what = format!("`publish.{port}`");
        let Ok(Some(text)) = session.text(
            &entry.value,
            &what,
            "a path in the project",
            &scope.at("`publish`"),
        ) else {
            continue;
        };
        match project_path(&text) {
            Ok(path) => {
                published.places.push((
                    path.clone(),
                    entry.value.span,
                    format!("`{port}` of {label}"),
                ));
                paths.insert(port.to_owned(), path);
            }
            Err(why) => {
                session.error(
                    Code::InvalidPublishPath,
                    entry.value.span,
                    format!("{what} has to be a path inside the project: `{text}` {why}"),
                    "not inside the project",
                    "Write a folder such as results/retail; it starts from the project's root.",
                );
            }
        }
    }
    paths
}

/// A path that stays inside the project and off the folders that tools keep there.
fn project_path(text: &str) -> Result<PathBuf, &'static str> {
    let mut path = PathBuf::new();
    for component in Path::new(text).components() {
        match component {
            Component::Normal(part) => path.push(part),
            Component::CurDir => {}
            Component::ParentDir => return Err("leads out by `..`"),
            Component::RootDir | Component::Prefix(_) => return Err("begins at the root"),
        }
    }
    match path.components().next() {
        None => Err("is the project itself"),
        Some(first)
            if [".git", ".supermoe"]
                .iter()
                .any(|kept| first.as_os_str() == *kept) =>
        {
            Err("is kept for a tool")
        }
        Some(_) if text.contains(['\0', '\n']) || text.starts_with('~') => Err("is no plain path"),
        Some(_) => Ok(path),
    }
}

impl Published {
    /// Adds what another part of the workflow publishes.
    pub fn extend(&mut self, others: Published) {
        self.places.extend(others.places);
    }

    /// Reports outputs that go to one place, or into each other.
    pub fn check(mut self, session: &mut Session<'_>) -> Result<(), Reported> {
        self.places
            .sort_by(|a, b| a.0.components().cmp(b.0.components()));
        let mut result = Ok(());
        for pair in self.places.windows(2) {
            let [
                (first, first_span, first_label),
                (second, second_span, second_label),
            ] = pair
            else {
                continue;
            };
            if !second.starts_with(first) {
                continue;
            }
            let message = format!(
                "{first_label} and {second_label} are both published to `{}`",
                first.display()
            );
            let mut diagnostic = Diagnostic::new(
                Code::PublishConflict,
                session.source,
                *second_span,
                message,
                "the same place",
            );
            diagnostic = if first_span == second_span {
                diagnostic.help("Put the cell's axes into the path: results/${{ matrix.seed }}.")
            } else {
                diagnostic
                    .label(*first_span, "also here")
                    .help("Give each output a folder of its own.")
            };
            result = Err(session.report(diagnostic));
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_inside_the_project() {
        assert_eq!(project_path("./results/a"), Ok(PathBuf::from("results/a")));
        for bad in [
            "",
            ".",
            "..",
            "a/../../b",
            "/tmp",
            ".git/x",
            ".supermoe",
            "~/x",
        ] {
            assert!(project_path(bad).is_err(), "{bad}");
        }
    }
}
