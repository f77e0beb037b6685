//! Inputs from outside of the workflow: paths, URLs and names in the store.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use supermoe_plugin::ports::PortType;

use crate::cell::InputSource;
use crate::codes::Code;
use crate::input_text::is_ref_name;
use crate::input_url::{self, InputUrl};
use crate::nearest;
use crate::session::{Reported, Session};
use crate::source::Span;

/// Looks paths up, each once.
pub(crate) struct Files {
    /// The folder that relative paths start from, absolute.
    base: PathBuf,
    kinds: HashMap<PathBuf, Option<PathKind>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PathKind {
    File,
    Folder,
    /// A device, a socket, a pipe.
    Other,
}

/// The input that a place belongs to, for messages.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    pub span: Span,
    pub port: &'a str,
    pub stage: &'a str,
    pub port_type: PortType,
}

impl Files {
    /// Relative paths start from the folder of the workflow file.
    pub fn beside(workflow: &Path) -> Self {
        let folder = workflow
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        let base = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        Files {
            base,
            kinds: HashMap::new(),
        }
    }

    fn kind(&mut self, path: &Path) -> Option<PathKind> {
        if let Some(kind) = self.kinds.get(path) {
            return *kind;
        }
        let kind =
            std::fs::metadata(path)
                .ok()
                .map(|found| match (found.is_dir(), found.is_file()) {
                    (true, _) => PathKind::Folder,
                    (_, true) => PathKind::File,
                    _ => PathKind::Other,
                });
        self.kinds.insert(path.to_owned(), kind);
        kind
    }

    /// Whether a path that is written without `./` is there.
    pub fn exists(&mut self, text: &str) -> bool {
        let path = self.base.join(text);
        self.kind(&path).is_some()
    }

    /// A path that has to exist and be of the kind that the port takes.
    pub fn path(
        &mut self,
        session: &mut Session<'_>,
        text: &str,
        target: Target<'_>,
    ) -> Result<(InputSource, PortType), Reported> {
        let joined = self.base.join(text);
        let path = std::path::absolute(&joined).unwrap_or(joined);
        let Target {
            span,
            port,
            stage,
            port_type,
        } = target;
        let Some(kind) = self.kind(&path) else {
            let help = self.near_path(text, &path).map_or_else(
                || "Paths start from the workflow file's folder. Correct the path, or make the file.".to_owned(),
                |near| format!("Did you mean `{near}`? Paths start from the workflow file's folder."),
            );
            return Err(session.error(
                Code::PathNotFound,
                span,
                format!("the path `{text}` of the input `{port}` of `{stage}` does not exist"),
                "no such file or folder",
                help,
            ));
        };
        if kind == PathKind::Other {
            let message = format!(
                "the path `{text}` of the input `{port}` of `{stage}` is neither a file nor a folder"
            );
            return Err(session.error(
                Code::PathKind,
                span,
                message,
                "a device, socket or pipe",
                "Name a file or a folder.",
            ));
        }
        let given = if kind == PathKind::Folder {
            PortType::Folder
        } else {
            PortType::File
        };
        if port_type != PortType::Any && port_type.is_file() != (kind == PathKind::File) {
            let (expected, found) = if port_type.is_file() {
                ("a file", "a folder")
            } else {
                ("a folder", "a file")
            };
            let message = format!(
                "the input `{port}` of `{stage}` takes {expected} ({port_type}), and `{text}` is {found}"
            );
            return Err(session.error(
                Code::PathKind,
                span,
                message,
                format!("this is {found}"),
                format!("Name {expected}."),
            ));
        }
        Ok((
            InputSource::Path(path),
            if port_type == PortType::Any {
                given
            } else {
                port_type
            },
        ))
    }

    /// The path beside a missing one whose name is nearest.
    fn near_path(&self, text: &str, path: &Path) -> Option<String> {
        const MOST_LOOKED_AT: usize = 1000;
        let wrong = path.file_name()?.to_str()?;
        let names: Vec<String> = std::fs::read_dir(path.parent()?)
            .ok()?
            .take(MOST_LOOKED_AT)
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
        names.sort_unstable();
        let near = nearest::nearest(wrong, names)?;
        let (before, _) = text.trim_end_matches('/').rsplit_once('/')?;
        Some(format!("{before}/{near}"))
    }
}

/// A URL, by its form alone: a check stays offline.
pub(crate) fn url(
    session: &mut Session<'_>,
    text: &str,
    target: Target<'_>,
) -> Result<(InputSource, PortType), Reported> {
    let Target {
        span,
        port,
        stage,
        port_type,
    } = target;
    let url = InputUrl::parse(text).map_err(|mistake| {
        let message = format!(
            "the input `{port}` of `{stage}`, `{}`, is a URL {}",
            input_url::shown(text),
            mistake.why
        );
        session.error(Code::UrlInput, span, message, mistake.label, mistake.help)
    })?;
    let given = if url.is_folder() {
        PortType::Folder
    } else {
        PortType::File
    };
    if port_type != PortType::Any && port_type.is_file() == url.is_folder() {
        let (expected, found, help) = if port_type.is_file() {
            (
                "a file",
                "a folder",
                "Remove the `/` at its end, and name one object.",
            )
        } else {
            (
                "a folder",
                "a file",
                "End it in `/` to take all objects below it.",
            )
        };
        let message = format!(
            "the input `{port}` of `{stage}` takes {expected} ({port_type}), and `{url}` is {found}"
        );
        return Err(session.error(
            Code::PathKind,
            span,
            message,
            format!("this is {found}"),
            help,
        ));
    }
    let given = if port_type == PortType::Any {
        given
    } else {
        port_type
    };
    Ok((InputSource::Url(url), given))
}

/// A name in the store that moves.
pub(crate) fn reference(
    session: &mut Session<'_>,
    name: &str,
    target: Target<'_>,
) -> Result<(InputSource, PortType), Reported> {
    if !is_ref_name(name) {
        let message = format!(
            "`ref:{name}`, the input `{}` of `{}`, names no ref",
            target.port, target.stage
        );
        let help = "A ref's name has letters, digits, `.`, `_` and `-`, with slashes between its parts: ref:models/retail/champion.";
        return Err(session.error(Code::InvalidInput, target.span, message, "not a ref", help));
    }
    Ok((InputSource::Ref(name.to_owned()), target.port_type))
}
