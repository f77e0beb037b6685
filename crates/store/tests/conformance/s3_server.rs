//! The S3 server as an environment of a store.

use std::path::Path;

use supermoe_s3_test_server::variables;
pub use supermoe_s3_test_server::{ACCESS_KEY, SECRET_KEY};
use supermoe_store::Environment;

/// Serves buckets out of a folder until the test's runtime ends. Gives the endpoint.
pub async fn serve(folder: &Path) -> String {
    let endpoint = supermoe_s3_test_server::serve(folder).await;
    endpoint.expect("serves a folder")
}

/// The variables with which the server lets one in.
pub fn environment(endpoint: &str) -> Environment {
    environment_with(endpoint, ACCESS_KEY, SECRET_KEY)
}

pub fn environment_with(endpoint: &str, access_key: &str, secret_key: &str) -> Environment {
    Environment::from_iter(variables(endpoint, access_key, secret_key))
}
