//! From what a disk or a server said to what a person can do about it. No credential passes.

use std::error::Error;
use std::io;
use std::path::Path;
use std::sync::Arc;

use nix::errno::Errno;
use object_store::client::{HttpError, HttpErrorKind};

use crate::error::StoreError;

/// How the messages call a store.
#[derive(Debug, Clone)]
pub(crate) struct StoreName {
    /// Its address, without credentials.
    pub(crate) url: Arc<str>,
    /// Host and port of a remote store that is not at the cloud's own address.
    pub(crate) endpoint: Option<Arc<str>>,
}

/// What was tried when a disk failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
}

impl StoreName {
    pub(crate) fn new(url: String, endpoint: Option<String>) -> StoreName {
        StoreName {
            url: url.into(),
            endpoint: endpoint.map(Arc::from),
        }
    }

    pub(crate) fn damaged(&self, object: &str, what: impl Into<String>) -> StoreError {
        StoreError::Damaged {
            store: self.url.to_string(),
            object: object.to_owned(),
            what: what.into(),
        }
    }

    pub(crate) fn missing(&self, object: &str) -> StoreError {
        StoreError::Missing {
            store: self.url.to_string(),
            object: object.to_owned(),
        }
    }

    pub(crate) fn failed(&self, object: &str, cause: impl Into<String>) -> StoreError {
        StoreError::Failed {
            store: self.url.to_string(),
            object: object.to_owned(),
            cause: cause.into(),
        }
    }

    pub(crate) fn unreachable(&self, cause: impl Into<String>) -> StoreError {
        let endpoint = self
            .endpoint
            .as_ref()
            .map(|endpoint| format!(" at {endpoint}"))
            .unwrap_or_default();
        StoreError::Unreachable {
            store: self.url.to_string(),
            endpoint,
            cause: cause.into(),
        }
    }

    /// What the disk under a store, or under its cache, said.
    pub(crate) fn disk(&self, access: Access, object: &str, error: &io::Error) -> StoreError {
        let store = self.url.to_string();
        let object = object.to_owned();
        let cause = error.to_string();
        match (errno(error), access) {
            (Some(Errno::ENOSPC | Errno::EDQUOT), _) => StoreError::Full {
                store,
                object,
                cause,
            },
            (Some(Errno::EROFS), _) => StoreError::ReadOnly {
                store,
                object,
                cause,
            },
            (Some(Errno::EACCES | Errno::EPERM), Access::Write) => StoreError::ReadOnly {
                store,
                object,
                cause,
            },
            (Some(Errno::EACCES | Errno::EPERM), Access::Read) => StoreError::Denied {
                store,
                object,
                cause,
            },
            (Some(Errno::ENOENT), Access::Read) => StoreError::Missing { store, object },
            _ => StoreError::Failed {
                store,
                object,
                cause,
            },
        }
    }

    /// What a server, or the client in front of it, said.
    pub(crate) fn remote(&self, object: &str, error: object_store::Error) -> StoreError {
        let text = chain_text(&error);
        let server = ServerAnswer::find(&text);
        let cause = server.as_ref().map_or_else(
            || without_secrets(&last_cause(&error)),
            ServerAnswer::to_string,
        );
        let store = self.url.to_string();
        let object = object.to_owned();
        let code = server
            .as_ref()
            .map(|answer| answer.code.as_str())
            .unwrap_or_default();
        match error {
            _ if matches!(code, "NoSuchBucket" | "ContainerNotFound") => {
                StoreError::NoBucket { store }
            }
            object_store::Error::NotFound { .. } => StoreError::Missing { store, object },
            object_store::Error::PermissionDenied { .. }
            | object_store::Error::Unauthenticated { .. } => StoreError::Denied {
                store,
                object,
                cause,
            },
            _ if is_refusal(code) => StoreError::Denied {
                store,
                object,
                cause,
            },
            _ if is_full(code) => StoreError::Full {
                store,
                object,
                cause,
            },
            // The address where cloud machines ask for their own credentials.
            _ if text.contains("169.254.169.254") || text.contains("metadata.google.internal") => {
                StoreError::Denied {
                    store,
                    object,
                    cause: "no credentials are set in the environment".to_owned(),
                }
            }
            _ if is_transport_failure(&error) => self.unreachable(cause),
            _ => StoreError::Failed {
                store,
                object,
                cause,
            },
        }
    }
}

/// Whether an error document of an object store is in an answer.
pub(crate) fn has_server_code(error: &object_store::Error) -> bool {
    ServerAnswer::find(&chain_text(error)).is_some()
}

/// What a path outside the store said.
pub(crate) fn local_error(path: &Path, action: &'static str, source: io::Error) -> StoreError {
    StoreError::Local {
        path: path.to_owned(),
        action,
        source,
    }
}

fn errno(error: &io::Error) -> Option<Errno> {
    error.raw_os_error().map(Errno::from_raw)
}

fn is_refusal(code: &str) -> bool {
    matches!(
        code,
        "AccessDenied"
            | "AllAccessDisabled"
            | "AuthenticationFailed"
            | "AuthorizationFailure"
            | "AuthorizationHeaderMalformed"
            | "ExpiredToken"
            | "InvalidAccessKeyId"
            | "InvalidToken"
            | "NotSignedUp"
            | "SignatureDoesNotMatch"
    )
}

fn is_full(code: &str) -> bool {
    matches!(
        code,
        "InsufficientStorage"
            | "QuotaExceeded"
            | "StorageFull"
            | "XMinioStorageFull"
            | "AccountQuotaExceeded"
    )
}

fn is_transport_failure(error: &object_store::Error) -> bool {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(http) = error.downcast_ref::<HttpError>() {
            return matches!(
                http.kind(),
                HttpErrorKind::Connect
                    | HttpErrorKind::Request
                    | HttpErrorKind::Timeout
                    | HttpErrorKind::Interrupted
            );
        }
        next = error.source();
    }
    false
}

fn chain_text(error: &object_store::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        text.push_str(": ");
        text.push_str(&error.to_string());
        next = error.source();
    }
    text
}

fn last_cause(error: &object_store::Error) -> String {
    let mut last: &(dyn Error + 'static) = error;
    while let Some(error) = last.source() {
        last = error;
    }
    last.to_string()
}

/// The error document of S3, Google or Azure.
struct ServerAnswer {
    code: String,
    message: String,
}

impl ServerAnswer {
    fn find(text: &str) -> Option<ServerAnswer> {
        let code = between(text, "<Code>", "</Code>")?;
        let message = between(text, "<Message>", "</Message>").unwrap_or_default();
        Some(ServerAnswer {
            code,
            message: without_secrets(&message),
        })
    }
}

impl std::fmt::Display for ServerAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.code)?;
        if !self.message.is_empty() {
            write!(f, " ({})", self.message.trim_end_matches('.'))?;
        }
        Ok(())
    }
}

fn between(text: &str, start: &str, end: &str) -> Option<String> {
    let rest = &text[text.find(start)? + start.len()..];
    Some(rest[..rest.find(end)?].to_owned())
}

/// Takes user names, passwords and queries (which may hold a signature) out of the URLs in a
/// text, and bounds its length.
pub(crate) fn without_secrets(text: &str) -> String {
    const LONGEST: usize = 300;
    let mut words = Vec::new();
    for word in text.split_whitespace() {
        words.push(match word.find("://") {
            Some(at) => {
                let (scheme, rest) = word.split_at(at + 3);
                let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
                let rest = match rest[..authority_end].rfind('@') {
                    Some(at) => &rest[at + 1..],
                    None => rest,
                };
                let rest = rest.split(['?', '#']).next().unwrap_or_default();
                format!("{scheme}{rest}")
            }
            None => word.to_owned(),
        });
    }
    let text = words.join(" ");
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn name() -> StoreName {
        StoreName::new("/data/store".to_owned(), None)
    }

    #[test]
    fn disks_are_told_apart() {
        let from =
            |access, errno| name().disk(access, "trees/ab", &io::Error::from_raw_os_error(errno));
        assert!(matches!(
            from(Access::Write, Errno::ENOSPC as i32),
            StoreError::Full { .. }
        ));
        assert!(matches!(
            from(Access::Write, Errno::EDQUOT as i32),
            StoreError::Full { .. }
        ));
        assert!(matches!(
            from(Access::Write, Errno::EROFS as i32),
            StoreError::ReadOnly { .. }
        ));
        assert!(matches!(
            from(Access::Write, Errno::EACCES as i32),
            StoreError::ReadOnly { .. }
        ));
        assert!(matches!(
            from(Access::Write, Errno::EPERM as i32),
            StoreError::ReadOnly { .. }
        ));
        assert!(matches!(
            from(Access::Read, Errno::EACCES as i32),
            StoreError::Denied { .. }
        ));
        assert!(matches!(
            from(Access::Read, Errno::ENOENT as i32),
            StoreError::Missing { .. }
        ));
        assert!(matches!(
            from(Access::Write, Errno::ENOTDIR as i32),
            StoreError::Failed { .. }
        ));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_real_full_disk_is_full() {
        let mut full = std::fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .expect("/dev/full is part of Linux");
        let error = full.write_all(b"x").expect_err("/dev/full takes nothing");
        let error = name().disk(Access::Write, "blobs/ab/ab12", &error);
        assert!(matches!(error, StoreError::Full { .. }));
        let text = error.to_string();
        assert!(
            text.contains("/data/store") && text.contains("blobs/ab/ab12") && text.contains("gc"),
            "{text}"
        );
    }

    #[test]
    fn servers_are_told_apart() {
        let generic = |body: &str| object_store::Error::Generic {
            store: "S3",
            source: body.to_owned().into(),
        };
        let of = |body: &str| name().remote("results/ab", generic(body));
        let denied = of(
            "status 403: <Error><Code>SignatureDoesNotMatch</Code><Message>Check it.</Message><StringToSign>AWS4 KEYID</StringToSign></Error>",
        );
        assert!(matches!(denied, StoreError::Denied { .. }));
        assert!(!denied.to_string().contains("KEYID"), "{denied}");
        assert!(matches!(
            of("<Code>NoSuchBucket</Code>"),
            StoreError::NoBucket { .. }
        ));
        assert!(matches!(
            of("<Code>XMinioStorageFull</Code>"),
            StoreError::Full { .. }
        ));
        assert!(matches!(
            of("error sending request to http://169.254.169.254/latest"),
            StoreError::Denied { .. }
        ));
        assert!(matches!(of("something else"), StoreError::Failed { .. }));
    }

    #[test]
    fn addresses_lose_their_secrets() {
        assert_eq!(
            without_secrets(
                "GET https://me:secret@host:9000/bucket/key?X-Amz-Signature=abc failed"
            ),
            "GET https://host:9000/bucket/key failed"
        );
        assert_eq!(without_secrets("plain text"), "plain text");
        assert_eq!(without_secrets(&"é".repeat(400)).chars().count(), 301);
    }
}
