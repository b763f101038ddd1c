use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest::{StatusCode, header};
use serde_json::Value;
use tokio::net::TcpListener;

use super::{from_elsewhere, slow};
use crate::guarded::{Guarded, connect, raw, read_all};
use crate::receiver::Receiver;

#[tokio::test]
async fn silent_connections_of_one_address_leave_most_to_others() {
    let options = ["--max-connections", "32", "--header-timeout-sec", "600"];
    let guarded = Guarded::start(&options);
    let mut silent = Vec::new();
    for _ in 0..8 {
        silent.push(connect(&guarded.server).await);
    }
    let told = read_all(&mut connect(&guarded.server).await).await;
    assert!(
        told.starts_with("HTTP/1.1 429 ") && told.contains("max_share_percent"),
        "{told}"
    );
    let elsewhere = from_elsewhere()
        .get(format!("{}/healthz", guarded.server.url))
        .send()
        .await;
    assert_eq!(elsewhere.unwrap().status(), StatusCode::OK);
    silent.pop();
    while !raw(
        &guarded.server,
        b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    )
    .await
    .starts_with("HTTP/1.1 200 ")
    {}
}

#[tokio::test]
async fn a_trusted_proxy_s_connections_are_those_of_many() {
    let options = [
        "--max-connections",
        "32",
        "--header-timeout-sec",
        "600",
        "--trusted-proxy",
        "127.0.0.1",
    ];
    let guarded = Guarded::start(&options);
    let mut open = Vec::new();
    for _ in 0..31 {
        open.push(connect(&guarded.server).await);
    }
    let request = b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    assert!(raw(&guarded.server, request).await.starts_with("HTTP/1.1 200 "));
}

/// Takes connections and never answers; how many it has taken.
async fn hanging() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let taken = Arc::new(AtomicUsize::new(0));
    let count = taken.clone();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            held.push(stream);
        }
    });
    (url, taken)
}

#[tokio::test]
async fn callbacks_that_hang_keep_no_other_submitter_s_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "a secret of sixteen\n").unwrap();
    let guarded = Guarded::start(&[
        "--callback-http",
        "--callback-allow",
        "127.0.0.0/8:*",
        "--callback-secret-file",
        secret.to_str().unwrap(),
    ]);
    let (ada, bob) = (guarded.key("ada", "submitter"), guarded.key("bob", "submitter"));
    let ((hangs, taken), receiver) = (hanging().await, Receiver::start(&[204]).await);
    let with_callback = |url: &str| {
        let mut experiment = slow();
        experiment["callback_url"] = url.into();
        experiment
    };
    for _ in 0..48 {
        let id = guarded.accepted(&ada, &with_callback(&hangs)).await;
        guarded.cancel(&ada, &id).await;
    }
    while taken.load(Ordering::SeqCst) < 4 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let id = guarded.accepted(&bob, &with_callback(&receiver.url("/"))).await;
    guarded.cancel(&bob, &id).await;
    while receiver.calls().is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let tried = taken.load(Ordering::SeqCst);
    assert!(tried < 48, "it came before most of those that hang were tried: {tried}");
}

#[tokio::test]
async fn the_description_and_its_pages_are_kept_and_told_by_tags() {
    let guarded = Guarded::start(&[]);
    let client = reqwest::Client::new();
    for (path, coding) in [
        ("/openapi.json", "gzip"),
        ("/openapi.json", "zstd"),
        ("/docs/swagger-ui-bundle.js", "gzip"),
    ] {
        let url = format!("{}{path}", guarded.server.url);
        let ask = |coding: &str| client.get(&url).header(header::ACCEPT_ENCODING, coding);
        let packed = ask(coding).send().await.unwrap();
        assert_eq!(packed.headers()[header::CONTENT_ENCODING], coding, "{path}");
        let tag = packed.headers()[header::ETAG].clone();
        let plain = ask("identity").send().await.unwrap();
        assert!(!plain.headers().contains_key(header::CONTENT_ENCODING), "{path}");
        let strong = plain.headers()[header::ETAG].to_str().unwrap().to_owned();
        assert_eq!(tag.to_str().unwrap(), format!("W/{strong}"));
        let (packed, plain) = (packed.bytes().await.unwrap(), plain.bytes().await.unwrap());
        assert!(
            packed.len() * 2 < plain.len(),
            "{path}: {} of {}",
            packed.len(),
            plain.len()
        );
        if path == "/openapi.json" {
            let document: Value = serde_json::from_slice(&plain).unwrap();
            assert_eq!(document["servers"][0]["url"], "/");
        }
        for tag in [tag, strong.parse().unwrap()] {
            let again = ask(coding).header(header::IF_NONE_MATCH, tag).send().await.unwrap();
            assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{path}");
        }
    }
}
