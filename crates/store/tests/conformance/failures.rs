//! What a person reads when a store cannot do its work.

use std::fs;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use supermoe_store::{ArtifactKind, Environment, Store, StoreError, StoreUrl};

use crate::place::Place;
use crate::s3_server;

async fn open_s3(address: &str, environment: &Environment) -> StoreError {
    let local = tempfile::tempdir().expect("a temporary folder");
    let url = StoreUrl::parse(address, local.path()).expect("a valid address");
    Store::open_in(&url, local.path(), environment)
        .await
        .expect_err("cannot be opened")
}

fn assert_keeps_secrets(error: &StoreError) {
    for text in [error.to_string(), format!("{error:?}")] {
        for secret in [s3_server::SECRET_KEY, "wrong-secret", "PASSWORD"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_where_nobody_listens_is_unreachable() {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("binds");
    let address = listener.local_addr().expect("has an address");
    drop(listener);
    let environment = s3_server::environment(&format!("http://user:PASSWORD@{address}"));
    let error = open_s3("s3://bucket/x", &environment).await;
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error:?}");
    let text = error.to_string();
    assert!(
        text.contains("s3://bucket/x") && text.contains(&address.to_string()),
        "{text}"
    );
    assert_keeps_secrets(&error);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_no_object_store_is_not_taken_for_an_empty_one() {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .expect("binds a port");
    let address = listener.local_addr().expect("has an address");
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 4096];
                let _ = socket.read(&mut request).await;
                let answer =
                    "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                let _ = socket.write_all(answer.as_bytes()).await;
            });
        }
    });
    let error = open_s3(
        "s3://bucket/x",
        &s3_server::environment(&format!("http://{address}")),
    )
    .await;
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_are_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let endpoint = s3_server::serve(folder.path()).await;
    for (access, secret) in [
        (s3_server::ACCESS_KEY, "wrong-secret"),
        ("NOBODY", s3_server::SECRET_KEY),
    ] {
        let error = open_s3(
            "s3://bucket/x",
            &s3_server::environment_with(&endpoint, access, secret),
        )
        .await;
        assert!(matches!(error, StoreError::Denied { .. }), "{error:?}");
        assert!(error.to_string().contains("credentials"), "{error}");
        assert_keeps_secrets(&error);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let endpoint = s3_server::serve(folder.path()).await;
    let environment = s3_server::environment(&endpoint);
    let local = tempfile::tempdir().expect("a temporary folder");
    let url = StoreUrl::parse("s3://nowhere/x", local.path()).expect("a valid address");
    let error = match Store::open_in(&url, local.path(), &environment).await {
        Err(error) => error,
        Ok(store) => store.list_runs().await.expect_err("there is no bucket"),
    };
    assert!(matches!(error, StoreError::NoBucket { .. }), "{error:?}");
    assert!(error.to_string().contains("s3://nowhere/x"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_a_newer_program_is_left_alone() {
    for place in Place::all().await {
        place.stage("stage").await;
        fs::write(place.object("format.json"), "{\"format\":2}").expect("writes");
        let opened = Store::open_in(&place.url, &place.path("local"), &place.environment).await;
        assert!(
            matches!(
                opened,
                Err(StoreError::NewerFormat {
                    found: 2,
                    known: 1,
                    ..
                })
            ),
            "{opened:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_in_the_way_of_a_store_is_said() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("file"), "x").expect("writes");
    for address in ["file", "file/store"] {
        let url = StoreUrl::parse(address, folder.path()).expect("a valid address");
        let error =
            Store::open_in(&url, &folder.path().join("local"), &Environment::default()).await;
        assert!(
            matches!(error, Err(StoreError::Misconfigured { .. })),
            "{error:?}"
        );
    }
}

/// Not even root may write in a folder of the kernel's.
#[tokio::test(flavor = "multi_thread")]
#[cfg(target_os = "linux")]
async fn a_folder_that_takes_no_files_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("a"), "a").expect("writes");
    let url = StoreUrl::parse("/proc/self/fdinfo", folder.path()).expect("a valid address");
    let store = Store::open_in(&url, &folder.path().join("local"), &Environment::default())
        .await
        .expect("opens");
    let error = store
        .put(&folder.path().join("a"), ArtifactKind::File)
        .await
        .expect_err("cannot be written");
    assert!(error.to_string().contains("/proc/self/fdinfo"), "{error}");
}
