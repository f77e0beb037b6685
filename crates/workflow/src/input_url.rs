//! The URL of an input: its form alone; nothing is asked over the network.

use std::fmt;

use crate::nearest;

/// Where an input outside of this machine is. Holds no credentials.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct InputUrl {
    text: String,
}

/// Why a text is not the URL of an input.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct UrlMistake {
    /// Goes on after "is a URL".
    pub why: String,
    pub label: &'static str,
    pub help: String,
}

const BUCKETS: [&str; 3] = ["s3", "gs", "az"];
const WEB: [&str; 2] = ["http", "https"];

/// Parts of a query's names that tell of something secret in its value.
const SECRET_NAMES: [&str; 8] = [
    "sig",
    "token",
    "secret",
    "password",
    "credential",
    "auth",
    "apikey",
    "accesskey",
];

impl InputUrl {
    /// Reads `s3://bucket/key`, `gs://bucket/key`, `az://container/key`, `https://host/path` or
    /// `http://host/path`.
    pub(crate) fn parse(text: &str) -> Result<InputUrl, UrlMistake> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        if text.chars().any(char::is_control) {
            return Err(mistake(
                "with a control character in it",
                "not a URL",
                "Remove the line break, tab or zero byte.",
            ));
        }
        if BUCKETS.contains(&scheme) {
            bucket(scheme, authority, path)?;
        } else if WEB.contains(&scheme) {
            web(rest, authority, path)?;
        } else {
            return Err(unknown_scheme(scheme));
        }
        Ok(InputUrl {
            text: text.to_owned(),
        })
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it stands for all objects below it.
    pub fn is_folder(&self) -> bool {
        let path = self.text.split('?').next();
        path.is_some_and(|path| path.ends_with('/'))
    }

    /// The last part of its path: what a person recognises it by.
    pub fn file_name(&self) -> &str {
        let path = self.text.split('?').next().unwrap_or_default();
        let path = path.trim_end_matches('/');
        path.rsplit('/').next().unwrap_or(path)
    }
}

impl fmt::Display for InputUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The URL as a message may show it: without user, password and query.
pub(crate) fn shown(text: &str) -> String {
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = authority.rsplit('@').next().unwrap_or(authority);
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let url = format!("{scheme}://{host}{path}");
    url.replace(char::is_control, "\u{fffd}")
}

fn mistake(why: impl Into<String>, label: &'static str, help: impl Into<String>) -> UrlMistake {
    UrlMistake {
        why: why.into(),
        label,
        help: help.into(),
    }
}

fn unknown_scheme(scheme: &str) -> UrlMistake {
    let help = if scheme == "file" {
        "Write the path itself: /folder/file.".to_owned()
    } else {
        let known: Vec<&str> = BUCKETS.into_iter().chain(WEB).collect();
        match nearest::nearest(scheme, known.iter().copied()) {
            Some(near) => format!("Did you mean `{near}`?"),
            None => format!(
                "{} Fetch it in a stage of its own, for example with `shell`, and take that \
                 stage's output.",
                nearest::listed("scheme", &known)
            ),
        }
    };
    mistake(
        format!("whose scheme `{scheme}` is not read"),
        "unknown scheme",
        help,
    )
}

fn credentials() -> UrlMistake {
    mistake(
        "with credentials in it",
        "credentials",
        "Remove what stands before the `@`. Credentials come from the environment, for example \
         AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; what http needs a login for is fetched in a \
         stage with `secrets`.",
    )
}

fn bucket(scheme: &str, bucket: &str, path: &str) -> Result<(), UrlMistake> {
    let example = format!("{scheme}://bucket/folder/file.csv");
    if bucket.contains('@') {
        return Err(credentials());
    }
    if bucket.is_empty() {
        return Err(mistake(
            "without a bucket",
            "no bucket",
            format!("Write {example}."),
        ));
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    if !bucket.bytes().all(plain) {
        return Err(mistake(
            format!("whose bucket `{bucket}` is not the name of one"),
            "not a bucket",
            "A bucket's name has letters, digits, `.`, `-` and `_`.",
        ));
    }
    let Some(key) = path.strip_prefix('/') else {
        return Err(mistake(
            "without a key",
            "no key",
            format!(
                "Write {example} for one object, or {scheme}://{bucket}/ for all of the bucket."
            ),
        ));
    };
    if key.contains(['?', '#']) {
        return Err(mistake(
            "whose key has a `?` or `#`",
            "not a key",
            "Only the key stands behind the bucket: no query, no version.",
        ));
    }
    if key.contains('*') {
        return Err(mistake(
            "with a `*`, which is not expanded",
            "a pattern",
            "End the URL in `/` to take all objects below it, or list the URLs.",
        ));
    }
    let folder = key.strip_suffix('/').unwrap_or(key);
    let is_odd = |part: &str| matches!(part, "" | "." | "..");
    if !key.is_empty() && folder.split('/').any(is_odd) {
        return Err(mistake(
            "whose key has an empty part, `.` or `..`",
            "not a key",
            format!("Write the key from the bucket's root: {example}."),
        ));
    }
    Ok(())
}

fn web(rest: &str, authority: &str, path: &str) -> Result<(), UrlMistake> {
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    if rest[..end].contains('@') {
        return Err(credentials());
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    if host.is_empty() || !host.bytes().all(plain) {
        return Err(mistake(
            "without the name of a host",
            "no host",
            "Write https://host/folder/file.csv.",
        ));
    }
    if port.is_some_and(|port| port.parse::<u16>().is_err()) {
        return Err(mistake(
            "whose port is not a number",
            "not a port",
            "Write https://host:8443/folder/file.csv, with a port up to 65535.",
        ));
    }
    if path.contains('#') {
        return Err(mistake(
            "with a `#`",
            "a fragment",
            "Remove the `#` and what follows it: a server is never told of it.",
        ));
    }
    if path.contains([' ', '\\', '<', '>', '"']) {
        return Err(mistake(
            "with a character that stands in no URL",
            "not a URL",
            "Write a blank as %20, and the like.",
        ));
    }
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    if path.split('/').any(|part| matches!(part, "." | "..")) {
        return Err(mistake(
            "whose path has `.` or `..`",
            "not a path",
            "Write the path from the host's root.",
        ));
    }
    if path.is_empty() || path.ends_with('/') {
        return Err(mistake(
            "that ends in `/`, and http has no folders",
            "a folder",
            "List the files, each with its URL; s3://, gs:// and az:// have folders.",
        ));
    }
    secrets(query)
}

/// A query is part of the name that the journal keeps: it must not open any door.
fn secrets(query: &str) -> Result<(), UrlMistake> {
    for pair in query.split('&') {
        let name = pair.split('=').next().unwrap_or_default();
        let letters: String = name
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .map(|letter| letter.to_ascii_lowercase())
            .collect();
        if letters == "key" || SECRET_NAMES.iter().any(|secret| letters.contains(secret)) {
            return Err(mistake(
                format!("whose query has `{name}`, which looks like a credential"),
                "a credential",
                "Journals and plans name inputs by their URLs. Use the address without a \
                 signature (s3://bucket/key), or fetch the file in a stage with `secrets`.",
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn right_urls_stay_as_they_are() {
        for (text, is_folder, name) in [
            ("s3://bucket/key.csv", false, "key.csv"),
            ("s3://bucket/a b/ü=1/", true, "ü=1"),
            ("s3://bucket/", true, "bucket"),
            ("gs://my.bucket/a/b.parquet", false, "b.parquet"),
            ("az://container/a", false, "a"),
            ("https://host/a/b.csv?download=1", false, "b.csv"),
            ("http://127.0.0.1:8000/x", false, "x"),
            ("http://[::1]:80/x", false, "x"),
            ("http://[::1]/x", false, "x"),
        ] {
            let url = InputUrl::parse(text).expect(text);
            assert_eq!(url.as_str(), text);
            assert_eq!(
                (url.is_folder(), url.file_name()),
                (is_folder, name),
                "{text}"
            );
        }
    }

    #[test]
    fn wrong_urls_say_what_is_wrong() {
        for (text, why, help) in [
            ("s4://bucket/key", "scheme `s4`", "Did you mean `s3`?"),
            ("S3://bucket/key", "scheme `S3`", "Did you mean `s3`?"),
            ("htps://host/x", "scheme `htps`", "Did you mean `https`?"),
            ("ftp://host/x", "scheme `ftp`", "Fetch it in a stage"),
            ("file:///x", "scheme `file`", "path itself"),
            ("://x", "scheme ``", "Known here"),
            ("s3://", "without a bucket", "s3://bucket/folder"),
            ("s3:///key", "without a bucket", "s3://bucket/folder"),
            ("gs://bucket", "without a key", "gs://bucket/ for all"),
            ("s3://b k/x", "bucket `b k`", "letters"),
            ("s3://id:secret@bucket/x", "credentials", "environment"),
            ("s3://bucket/a/../x", "`..`", "root"),
            ("s3://bucket/a//x", "empty part", "root"),
            ("s3://bucket//", "empty part", "root"),
            ("s3://bucket/x?versionId=1", "`?`", "no version"),
            ("s3://bucket/*.csv", "`*`", "End the URL in `/`"),
            ("s3://bucket/a\nb", "control character", "line break"),
            ("https://", "host", "https://host"),
            ("https:///x", "host", "https://host"),
            ("https://ho st/x", "host", "https://host"),
            ("https://host:port/x", "port", "65535"),
            ("https://host:99999/x", "port", "65535"),
            ("https://host:/x", "port", "65535"),
            ("https://host", "http has no folders", "List the files"),
            (
                "https://host/data/",
                "http has no folders",
                "List the files",
            ),
            ("https://host/a/../x", "`..`", "root"),
            ("https://host/a b", "stands in no URL", "%20"),
            ("https://host/a#b", "`#`", "Remove"),
            ("https://me:secret@host/x", "credentials", "environment"),
            ("https://me@host/x", "credentials", "environment"),
            ("https://me:secret@host", "credentials", "environment"),
            (
                "https://h/x?X-Amz-Signature=secret",
                "`X-Amz-Signature`",
                "without a",
            ),
            ("https://h/x?a=1&api_key=secret", "`api_key`", "without a"),
            ("https://h/x?key=secret", "`key`", "without a"),
            ("https://h/x?sv=2020&sig=secret", "`sig`", "without a"),
        ] {
            let found = InputUrl::parse(text).expect_err(text);
            assert!(found.why.contains(why), "{text}: {found:?}");
            assert!(found.help.contains(help), "{text}: {found:?}");
            assert!(
                !format!("{found:?}{}", shown(text)).contains("secret@"),
                "{text}"
            );
            assert!(!found.why.contains("=secret"), "{text}: {found:?}");
        }
        assert_eq!(shown("https://me:secret@host/x?k=secret"), "https://host/x");
        assert_eq!(shown("s3://bucket/a\nb"), "s3://bucket/a\u{fffd}b");
        assert_eq!(shown("s3://id:secret@bucket"), "s3://bucket");
    }
}
