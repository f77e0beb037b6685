//! An S3 server inside the test process: real HTTP, real signatures, a port of its own.

use std::path::Path;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use supermoe_store::Environment;

pub const ACCESS_KEY: &str = "TESTACCESSKEY";
pub const SECRET_KEY: &str = "test-secret-key";
pub const BUCKET: &str = "bucket";

/// Serves buckets out of a folder until the test's runtime ends. Gives the endpoint.
pub async fn serve(folder: &Path) -> String {
    std::fs::create_dir_all(folder.join(BUCKET)).expect("makes the bucket");
    let files = s3s_fs::FileSystem::new(folder).expect("serves a folder");
    let mut service = S3ServiceBuilder::new(files);
    service.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
    let service = service.build();
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .expect("binds a port");
    let address = listener.local_addr().expect("has an address");
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let service = service.clone();
            tokio::spawn(async move {
                let server = Builder::new(TokioExecutor::new());
                // A client that hangs up is no failure of the test.
                let _ = server.serve_connection(TokioIo::new(socket), service).await;
            });
        }
    });
    format!("http://{address}")
}

/// The variables with which the server lets one in.
pub fn environment(endpoint: &str) -> Environment {
    environment_with(endpoint, ACCESS_KEY, SECRET_KEY)
}

pub fn environment_with(endpoint: &str, access_key: &str, secret_key: &str) -> Environment {
    Environment::from_iter([
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", access_key),
        ("AWS_SECRET_ACCESS_KEY", secret_key),
    ])
}
