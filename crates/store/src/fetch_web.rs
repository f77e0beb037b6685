//! Files of web servers: asked for by HEAD, fetched by GET, with bounded patience.

use std::time::Duration;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_LENGTH, DATE, ETAG, HeaderMap, HeaderName, LAST_MODIFIED,
};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Client, Method, Response, StatusCode};

use crate::error_mapping::without_secrets;
use crate::fetch::FIRST_ANSWER;
use crate::fetch_error::{FetchError, WEB_ADVICE};
use crate::fetched::{Copy, FetchedFolder, Seen};

const CONNECT_PATIENCE: Duration = Duration::from_secs(3);
/// How long a server may be silent in the middle of a body.
const SILENCE: Duration = Duration::from_secs(30);
const ATTEMPTS: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const MOST_REDIRECTS: usize = 10;
/// `Last-Modified` counts whole seconds: a file so young may change once more within them.
const SETTLED: SignedDuration = SignedDuration::from_secs(2);

pub(crate) struct Web {
    client: Client,
}

impl Web {
    pub(crate) fn new() -> Result<Web, String> {
        let client = Client::builder()
            .user_agent(concat!("supermoe/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_PATIENCE)
            .redirect(Policy::custom(redirect))
            .referer(false)
            .build();
        let client = client.map_err(|error| last_cause(&error))?;
        Ok(Web { client })
    }

    /// How a file looks now. None: the server does not say without sending it.
    pub(crate) async fn ask(&self, url: &str) -> Result<Option<Seen>, FetchError> {
        let answer = self.send(Method::HEAD, url).await?;
        Ok(answer.status().is_success().then(|| seen(answer.headers())))
    }

    /// Fetches a file whole; tries again where it breaks off.
    pub(crate) async fn fetch(&self, url: &str, into: &FetchedFolder) -> Result<Copy, FetchError> {
        let mut attempt = 1;
        loop {
            match self.try_fetch(url, into).await {
                Err(FetchError::BrokeOff { .. }) if attempt < ATTEMPTS => {
                    tracing::debug!(url, attempt, "broke off, is fetched again");
                    attempt += 1;
                }
                done => return done,
            }
        }
    }

    async fn try_fetch(&self, url: &str, into: &FetchedFolder) -> Result<Copy, FetchError> {
        let mut answer = self.send(Method::GET, url).await?;
        if answer.status() != StatusCode::OK {
            return Err(refused(url, answer.status()));
        }
        let seen = seen(answer.headers());
        let size = seen.size_bytes;
        let mut incoming = into.begin(url, size)?;
        let broke_off = |got_bytes, cause| FetchError::BrokeOff {
            url: url.to_owned(),
            got_bytes,
            expected: size.map_or_else(
                || "an unknown number of".to_owned(),
                |size| size.to_string(),
            ),
            cause,
        };
        loop {
            match next_piece(&mut answer).await {
                Ok(Some(piece)) => incoming.write(&piece).await?,
                Ok(None) if size.is_none_or(|size| size == incoming.got_bytes()) => {
                    return incoming.finish(seen, "").await;
                }
                Ok(None) => {
                    let cause = "its length is another one".to_owned();
                    return Err(broke_off(incoming.got_bytes(), cause));
                }
                Err(cause) => return Err(broke_off(incoming.got_bytes(), cause)),
            }
        }
    }

    /// The answer to one request, whatever its status; a server that is overloaded or does not
    /// answer is asked again.
    async fn send(&self, method: Method, url: &str) -> Result<Response, FetchError> {
        let asked = tokio::time::timeout(FIRST_ANSWER, self.send_patiently(method, url)).await;
        asked.unwrap_or_else(|_| {
            let seconds = FIRST_ANSWER.as_secs();
            Err(unreachable(
                url,
                format!("no answer within {seconds} seconds"),
            ))
        })
    }

    async fn send_patiently(&self, method: Method, url: &str) -> Result<Response, FetchError> {
        let mut pause = FIRST_PAUSE;
        let mut attempt = 1;
        loop {
            let request = self.client.request(method.clone(), url);
            // The content's own bytes, and the length that they have.
            let error = match request.header(ACCEPT_ENCODING, "identity").send().await {
                Ok(answer) if attempt < ATTEMPTS && is_passing(answer.status()) => None,
                Ok(answer) => return Ok(answer),
                Err(error) => Some(error),
            };
            match error {
                Some(error) if error.is_redirect() => {
                    return Err(FetchError::Redirects {
                        url: url.to_owned(),
                        cause: last_cause(&error),
                    });
                }
                Some(error) if error.is_builder() => {
                    return Err(FetchError::NotAUrl {
                        url: url.to_owned(),
                        why: last_cause(&error),
                    });
                }
                Some(error) if attempt >= ATTEMPTS => {
                    return Err(unreachable(url, last_cause(&error)));
                }
                _ => {}
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
            attempt += 1;
        }
    }
}

fn redirect(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let was_secure = attempt
        .previous()
        .last()
        .is_some_and(|url| url.scheme() == "https");
    if attempt.previous().len() > MOST_REDIRECTS {
        attempt.error(format!("it redirects more than {MOST_REDIRECTS} times"))
    } else if was_secure && attempt.url().scheme() != "https" {
        attempt.error("it redirects from https to http")
    } else {
        attempt.follow()
    }
}

async fn next_piece(answer: &mut Response) -> Result<Option<Bytes>, String> {
    match tokio::time::timeout(SILENCE, answer.chunk()).await {
        Ok(piece) => piece.map_err(|error| last_cause(&error)),
        Err(_) => Err(format!("nothing came for {} seconds", SILENCE.as_secs())),
    }
}

fn seen(headers: &HeaderMap) -> Seen {
    let text = |name: HeaderName| Some(headers.get(name)?.to_str().ok()?.to_owned());
    let etag = text(ETAG);
    let last_modified = text(LAST_MODIFIED)
        .filter(|modified| etag.is_some() || is_settled(modified, text(DATE).as_deref()));
    Seen {
        size_bytes: text(CONTENT_LENGTH).and_then(|length| length.trim().parse().ok()),
        etag,
        version: None,
        last_modified,
    }
}

/// Whether a later write would give the file another time, as the server's clock has it.
fn is_settled(last_modified: &str, date: Option<&str>) -> bool {
    let parse = |text: &str| {
        jiff::fmt::rfc2822::parse(text)
            .ok()
            .map(|at| at.timestamp())
    };
    let now = date.and_then(parse).unwrap_or_else(Timestamp::now);
    parse(last_modified).is_some_and(|modified| now.duration_since(modified) >= SETTLED)
}

fn is_passing(status: StatusCode) -> bool {
    status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED
        || status == StatusCode::TOO_MANY_REQUESTS
}

fn refused(url: &str, status: StatusCode) -> FetchError {
    let url = url.to_owned();
    match status.as_u16() {
        404 | 410 => FetchError::NotFound { url },
        401 | 403 | 407 => FetchError::Denied {
            url,
            cause: status.to_string(),
            advice: WEB_ADVICE,
        },
        _ => FetchError::Failed {
            url,
            cause: format!("the server answers {status}"),
        },
    }
}

fn unreachable(url: &str, cause: String) -> FetchError {
    FetchError::Unreachable {
        url: url.to_owned(),
        endpoint: String::new(),
        cause,
    }
}

fn last_cause(error: &reqwest::Error) -> String {
    let mut last: &dyn std::error::Error = error;
    while let Some(source) = last.source() {
        last = source;
    }
    without_secrets(&last.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_alone_counts_once_the_second_is_over() {
        let modified = "Wed, 21 Oct 2015 07:28:00 GMT";
        assert!(is_settled(modified, Some("Wed, 21 Oct 2015 07:28:02 GMT")));
        assert!(!is_settled(modified, Some("Wed, 21 Oct 2015 07:28:01 GMT")));
        assert!(is_settled(modified, None));
        assert!(!is_settled("yesterday", None));
    }

    #[test]
    fn refusals_are_told_apart() {
        let of = |status: u16| {
            let status = StatusCode::from_u16(status).expect("a status");
            refused("https://host/x", status)
        };
        assert!(matches!(of(404), FetchError::NotFound { .. }));
        assert!(matches!(of(403), FetchError::Denied { .. }));
        assert!(matches!(of(204), FetchError::Failed { .. }));
        assert!(of(500).to_string().contains("500 Internal Server Error"));
    }
}
