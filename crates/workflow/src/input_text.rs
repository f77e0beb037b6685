//! What the text of an input says: a stage's output, a name in the store, a path or a URL.

use crate::name;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InputText<'t> {
    /// `stage.port`, or `stage.*.port` for all cells.
    Output {
        stage: &'t str,
        port: &'t str,
        all: bool,
    },
    /// `ref:name`
    Ref(&'t str),
    /// Begins with `./`, `../` or `/`.
    Path(&'t str),
    /// Has `://` in it.
    Url(&'t str),
    /// One word that could be a stage whose port is left out.
    Word(&'t str),
    /// None of these; most likely a path without `./`.
    Bare(&'t str),
    Empty,
}

impl<'t> InputText<'t> {
    pub fn read(text: &'t str) -> Self {
        if text.is_empty() {
            return InputText::Empty;
        }
        if ["./", "../", "/"]
            .iter()
            .any(|start| text.starts_with(start))
            || text == "."
            || text == ".."
        {
            return InputText::Path(text);
        }
        if text.contains("://") {
            return InputText::Url(text);
        }
        if let Some(name) = text.strip_prefix("ref:") {
            return InputText::Ref(name);
        }
        let parts: Vec<&str> = text.split('.').collect();
        match parts.as_slice() {
            [stage, port] if name::is_name(stage) && name::is_name(port) => InputText::Output {
                stage,
                port,
                all: false,
            },
            [stage, "*", port] if name::is_name(stage) && name::is_name(port) => {
                InputText::Output {
                    stage,
                    port,
                    all: true,
                }
            }
            [word] if name::is_name(word) => InputText::Word(word),
            _ => InputText::Bare(text),
        }
    }
}

/// `s3:/bucket/key`, with its scheme and what follows the slash.
pub(crate) fn url_with_one_slash(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once(":/")?;
    ["s3", "gs", "az", "http", "https"]
        .contains(&scheme)
        .then_some((scheme, rest))
}

/// Whether a name may be the name of a ref: parts of letters, digits, `.`, `_` and `-` between
/// slashes, none of them `.` or `..`.
pub(crate) fn is_ref_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 200
        && name.split('/').all(|part| {
            !part.is_empty()
                && part != "."
                && part != ".."
                && part
                    .chars()
                    .all(|letter| letter.is_ascii_alphanumeric() || "._-".contains(letter))
        })
}

/// Whether a port's name is rather the ending of a file's name.
pub(crate) fn is_file_ending(port: &str) -> bool {
    const ENDINGS: [&str; 26] = [
        "csv",
        "tsv",
        "parquet",
        "json",
        "jsonl",
        "ndjson",
        "txt",
        "md",
        "gz",
        "zst",
        "zip",
        "tar",
        "arrow",
        "feather",
        "npy",
        "npz",
        "pt",
        "pkl",
        "bin",
        "safetensors",
        "yaml",
        "yml",
        "toml",
        "sql",
        "py",
        "sh",
    ];
    ENDINGS.contains(&port.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_told_apart() {
        for (text, expected) in [
            (
                "prepare.dataset",
                InputText::Output {
                    stage: "prepare",
                    port: "dataset",
                    all: false,
                },
            ),
            (
                "finetune.*.predictions",
                InputText::Output {
                    stage: "finetune",
                    port: "predictions",
                    all: true,
                },
            ),
            (
                "data.csv",
                InputText::Output {
                    stage: "data",
                    port: "csv",
                    all: false,
                },
            ),
            (
                "ref:models/retail/champion",
                InputText::Ref("models/retail/champion"),
            ),
            ("./data.csv", InputText::Path("./data.csv")),
            ("../x", InputText::Path("../x")),
            ("/x", InputText::Path("/x")),
            ("s3://bucket/key", InputText::Url("s3://bucket/key")),
            ("prepare", InputText::Word("prepare")),
            ("data/x.csv", InputText::Bare("data/x.csv")),
            ("a.b.c", InputText::Bare("a.b.c")),
            ("", InputText::Empty),
        ] {
            assert_eq!(InputText::read(text), expected, "{text}");
        }
        assert!(is_ref_name("models/retail-1/x.y"));
        assert!(!is_ref_name("models/../x") && !is_ref_name("/x") && !is_ref_name(""));
    }
}
