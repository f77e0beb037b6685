//! The address of a store.

use std::fmt;
use std::path::{Component, Path, PathBuf};

use crate::error::{Result, StoreError};

/// Where a store is. Holds no credentials: those come from the environment when it is opened.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum StoreUrl {
    /// An absolute path.
    Folder(PathBuf),
    Bucket {
        cloud: Cloud,
        bucket: String,
        /// Without slashes at its ends; may be empty.
        prefix: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cloud {
    S3,
    Google,
    Azure,
}

impl Cloud {
    pub fn scheme(self) -> &'static str {
        match self {
            Cloud::S3 => "s3",
            Cloud::Google => "gs",
            Cloud::Azure => "az",
        }
    }
}

impl StoreUrl {
    /// Reads `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix`, or a folder,
    /// which is taken from `base` where it is relative. `base` is absolute.
    pub fn parse(text: &str, base: &Path) -> Result<StoreUrl> {
        let wrong = |why: &str| StoreError::BadUrl {
            url: without_user(text),
            why: why.to_owned(),
        };
        if text.trim().is_empty() {
            return Err(wrong("it is empty"));
        }
        if text.contains('\0') {
            return Err(wrong("it holds a zero byte"));
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Ok(StoreUrl::Folder(normal(&base.join(text))));
        };
        let cloud = match scheme {
            "s3" => Cloud::S3,
            "gs" => Cloud::Google,
            "az" => Cloud::Azure,
            _ => return Err(wrong(&format!("the scheme `{scheme}` is not known"))),
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.contains('@') {
            return Err(wrong(
                "credentials do not belong into an address; set them in the environment",
            ));
        }
        if bucket.is_empty() {
            return Err(wrong("the bucket is missing"));
        }
        if !bucket
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
        {
            return Err(wrong(
                "a bucket's name has letters, digits, `.`, `-` and `_` only",
            ));
        }
        let prefix = prefix.trim_matches('/');
        if prefix.contains(['?', '#']) {
            return Err(wrong("a prefix has no `?` and no `#`"));
        }
        if !prefix.is_empty()
            && prefix
                .split('/')
                .any(|part| matches!(part, "" | "." | ".."))
        {
            return Err(wrong("a prefix has no empty parts, no `.` and no `..`"));
        }
        if prefix.chars().any(char::is_control) {
            return Err(wrong("a prefix has no control characters"));
        }
        Ok(StoreUrl::Bucket {
            cloud,
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
        })
    }

    /// Whether the store is a folder of this machine.
    pub fn is_local(&self) -> bool {
        matches!(self, StoreUrl::Folder(_))
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreUrl::Folder(path) => write!(f, "{}", path.display()),
            StoreUrl::Bucket {
                cloud,
                bucket,
                prefix,
            } if prefix.is_empty() => {
                write!(f, "{}://{bucket}", cloud.scheme())
            }
            StoreUrl::Bucket {
                cloud,
                bucket,
                prefix,
            } => write!(f, "{}://{bucket}/{prefix}", cloud.scheme()),
        }
    }
}

/// Takes `.` and `..` out by their text, so that one folder has one name.
fn normal(path: &Path) -> PathBuf {
    let mut parts = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                parts.pop();
            }
            other => parts.push(other),
        }
    }
    parts
}

fn without_user(text: &str) -> String {
    match text.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let host = authority.rsplit('@').next().unwrap_or(authority);
            let path = path.split(['?', '#']).next().unwrap_or_default();
            format!("{scheme}://{host}{path}")
        }
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<String, String> {
        StoreUrl::parse(text, Path::new("/project"))
            .map(|url| url.to_string())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn folders_are_taken_from_the_base() {
        assert_eq!(
            parse(".supermoe/store").as_deref(),
            Ok("/project/.supermoe/store")
        );
        assert_eq!(parse("../x/./y/").as_deref(), Ok("/x/y"));
        assert_eq!(parse("/data/a b").as_deref(), Ok("/data/a b"));
    }

    #[test]
    fn buckets_have_a_prefix_or_none() {
        assert_eq!(parse("s3://bucket").as_deref(), Ok("s3://bucket"));
        assert_eq!(parse("s3://bucket/").as_deref(), Ok("s3://bucket"));
        assert_eq!(parse("gs://bucket/a/b/").as_deref(), Ok("gs://bucket/a/b"));
        assert_eq!(parse("az://box/a").as_deref(), Ok("az://box/a"));
    }

    #[test]
    fn wrong_addresses_say_why_and_keep_secrets() {
        for wrong in [
            "",
            "http://x/y",
            "s3://",
            "s3:///a",
            "s3://b/a//c",
            "s3://b/../c",
            "s3://b k",
            "s3://b/a?x=1",
            "a\0b",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        let message = parse("s3://key:secret@bucket/x").expect_err("credentials are refused");
        assert!(
            message.contains("environment") && !message.contains("secret"),
            "{message}"
        );
    }
}
