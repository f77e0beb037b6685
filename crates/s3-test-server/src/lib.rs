//! An S3 server inside the process of a test: real HTTP, real signatures, a port of its own.

use std::io;
use std::path::Path;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;

pub const ACCESS_KEY: &str = "TESTACCESSKEY";
pub const SECRET_KEY: &str = "test-secret-key-0815";
/// The bucket that there is; its objects are the files of a folder of this name.
pub const BUCKET: &str = "bucket";

/// Serves buckets out of a folder until the runtime ends. Gives the endpoint.
///
/// # Errors
/// A folder that cannot be used, or no free port.
pub async fn serve(folder: &Path) -> io::Result<String> {
    std::fs::create_dir_all(folder.join(BUCKET))?;
    let files = s3s_fs::FileSystem::new(folder)
        .map_err(|error| io::Error::other(format!("{}: {error:?}", folder.display())))?;
    let mut service = S3ServiceBuilder::new(files);
    service.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
    let service = service.build();
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
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
    Ok(format!("http://{address}"))
}

/// The variables of the environment that name a server and let one in with these keys.
pub fn variables<'a>(
    endpoint: &'a str,
    access_key: &'a str,
    secret_key: &'a str,
) -> [(&'static str, &'a str); 4] {
    [
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", access_key),
        ("AWS_SECRET_ACCESS_KEY", secret_key),
    ]
}
