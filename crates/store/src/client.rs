//! The object_store client for a store's address, with bounded patience.

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};

use crate::environment::Environment;
use crate::error::{Result, StoreError};
use crate::error_mapping::{StoreName, without_secrets};
use crate::store_url::{Cloud, StoreUrl};

/// A client and where in it the store begins.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) objects: Arc<dyn ObjectStore>,
    pub(crate) prefix: ObjectPath,
    pub(crate) store: StoreName,
}

impl Client {
    /// Sets a client up; asks nothing over the network.
    pub(crate) fn new(url: &StoreUrl, environment: &Environment) -> Result<Client> {
        match url {
            StoreUrl::Folder(path) => {
                let store = StoreName::new(url.to_string(), None);
                // The whole file system, because the folder need not exist yet.
                let prefix = ObjectPath::from_absolute_path(path)
                    .map_err(|error| misconfigured(url, &error.to_string()))?;
                Ok(Client {
                    objects: Arc::new(LocalFileSystem::new()),
                    prefix,
                    store,
                })
            }
            StoreUrl::Bucket {
                cloud,
                bucket,
                prefix,
            } => {
                let endpoint = endpoint(*cloud, environment);
                let store =
                    StoreName::new(url.to_string(), endpoint.as_deref().map(without_secrets));
                let objects = bucket_client(*cloud, bucket, endpoint.as_deref(), environment)
                    .map_err(|error| misconfigured(url, &error.to_string()))?;
                let prefix = ObjectPath::parse(prefix)
                    .map_err(|error| misconfigured(url, &error.to_string()))?;
                Ok(Client {
                    objects,
                    prefix,
                    store,
                })
            }
        }
    }
}

fn misconfigured(url: &StoreUrl, why: &str) -> StoreError {
    StoreError::Misconfigured {
        store: url.to_string(),
        why: without_secrets(why),
    }
}

/// An endpoint that the environment sets.
fn endpoint(cloud: Cloud, environment: &Environment) -> Option<String> {
    let names: &[&str] = match cloud {
        Cloud::S3 => &["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"],
        Cloud::Google => &["GOOGLE_BASE_URL"],
        Cloud::Azure => &["AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"],
    };
    names
        .iter()
        .find_map(|name| environment.get(name))
        .filter(|value| !value.is_empty())
        .map(str::to_owned)
}

fn bucket_client(
    cloud: Cloud,
    bucket: &str,
    endpoint: Option<&str>,
    environment: &Environment,
) -> object_store::Result<Arc<dyn ObjectStore>> {
    let options = client_options(endpoint.is_some_and(is_loopback));
    match cloud {
        Cloud::S3 => {
            let mut builder = AmazonS3Builder::new()
                .with_client_options(options)
                .with_retry(retry());
            for (key, value) in settings::<AmazonS3ConfigKey>(environment, "AWS_") {
                builder = builder.with_config(key, value);
            }
            if let Some(endpoint) = endpoint {
                builder = builder.with_endpoint(endpoint);
            }
            Ok(Arc::new(builder.with_bucket_name(bucket).build()?))
        }
        Cloud::Google => {
            let mut builder = GoogleCloudStorageBuilder::new()
                .with_client_options(options)
                .with_retry(retry());
            if let Some(path) = environment.get("SERVICE_ACCOUNT") {
                builder = builder.with_service_account_path(path);
            }
            for (key, value) in settings::<GoogleConfigKey>(environment, "GOOGLE_") {
                builder = builder.with_config(key, value);
            }
            Ok(Arc::new(builder.with_bucket_name(bucket).build()?))
        }
        Cloud::Azure => {
            let mut builder = MicrosoftAzureBuilder::new()
                .with_client_options(options)
                .with_retry(retry());
            for (key, value) in settings::<AzureConfigKey>(environment, "AZURE_") {
                builder = builder.with_config(key, value);
            }
            Ok(Arc::new(builder.with_container_name(bucket).build()?))
        }
    }
}

/// The variables that object_store knows; others of the same prefix mean something to others.
fn settings<'e, K: std::str::FromStr + 'e>(
    environment: &'e Environment,
    prefix: &'e str,
) -> impl Iterator<Item = (K, &'e str)> {
    let variables = environment.starting_with(prefix);
    variables.filter_map(|(name, value)| Some((name.to_ascii_lowercase().parse().ok()?, value)))
}

fn client_options(allow_http: bool) -> ClientOptions {
    let options = ClientOptions::new()
        .with_connect_timeout(Duration::from_secs(3))
        // Of one request, its body too: 8 MiB at 1.2 Mbit/s.
        .with_timeout(Duration::from_secs(60));
    // Only ever switched on here: AWS_ALLOW_HTTP must keep its say.
    if allow_http {
        options.with_allow_http(true)
    } else {
        options
    }
}

fn retry() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(2),
            base: 2.0,
        },
        max_retries: 5,
        retry_timeout: Duration::from_secs(8),
    }
}

/// Whether a URL's host is this machine, where HTTP without TLS gives nothing away.
fn is_loopback(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let host = match host.strip_prefix('[') {
        Some(address) => address.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn only_this_machine_is_loopback() {
        for url in [
            "http://127.0.0.1:9000",
            "http://localhost/x",
            "http://[::1]:80/",
            "http://a@localhost",
        ] {
            assert!(is_loopback(url), "{url}");
        }
        for url in [
            "http://127.0.0.1.evil.org",
            "http://localhost.evil.org",
            "http://10.0.0.1",
            "http://localhost@evil.org",
            "",
        ] {
            assert!(!is_loopback(url), "{url}");
        }
    }

    #[test]
    fn no_secret_is_printed() {
        let environment = Environment::from_iter([
            ("AWS_ACCESS_KEY_ID", "KEYKEYKEY"),
            ("AWS_SECRET_ACCESS_KEY", "SECRETSECRET"),
            ("AWS_SESSION_TOKEN", "TOKENTOKEN"),
            ("AWS_ENDPOINT_URL", "http://user:PASSWORD@127.0.0.1:1"),
        ]);
        let url = StoreUrl::parse("s3://bucket/prefix", Path::new("/")).expect("a valid address");
        let client = Client::new(&url, &environment).expect("is set up");
        let text = format!(
            "{:?} {:?} {:?}",
            client.store,
            environment,
            client.store.unreachable("x")
        );
        for secret in ["KEYKEYKEY", "SECRETSECRET", "TOKENTOKEN", "PASSWORD"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}
