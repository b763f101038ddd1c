use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{ask_narrowly, half_a_body, slow};
use crate::guarded::{Guarded, read_all};
use crate::sse::Follow;

/// Waits for a place: the server gives back that of an answer a moment after its client has read the answer's end.
async fn waits_for_a_place(guarded: &Guarded, key: &str) {
    while guarded.get("/v1/devices", key).await.0 != StatusCode::OK {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn assert_told_of_the_share(refused: reqwest::Response) {
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(refused.headers().contains_key("retry-after"));
    let problem: serde_json::Value = refused.json().await.unwrap();
    assert!(problem["type"].as_str().unwrap().ends_with(":share"), "{problem}");
    assert!(
        problem["detail"].as_str().unwrap().contains("max_share_percent"),
        "{problem}"
    );
}

#[tokio::test]
async fn slow_bodies_of_some_keep_health_readiness_and_others_answered() {
    let guarded = Guarded::start(&["--max-concurrent-requests", "8", "--body-timeout-sec", "2"]);
    let keys = ["ada", "bob", "cy", "dan"].map(|name| guarded.key(name, "reader"));
    let eve = guarded.key("eve", "reader");
    let mut halves = Vec::new();
    // More than are answered at a time, of more callers than have a share of it together.
    for _ in 0..4 {
        for key in &keys {
            halves.push(half_a_body(&guarded, key).await);
        }
    }
    let refused = loop {
        let asked = guarded.send(Method::GET, "/v1/devices", &keys[0], None).await;
        if asked.status() != StatusCode::OK {
            break asked;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_told_of_the_share(refused).await;
    for path in ["/healthz", "/readyz"] {
        assert_eq!(guarded.server.get(path).await.0, StatusCode::OK, "{path}");
    }
    assert_eq!(guarded.get("/v1/devices", &eve).await.0, StatusCode::OK);
    let answered = futures::future::join_all(halves.iter_mut().map(read_all)).await;
    let late = answered.iter().filter(|answer| answer.starts_with("HTTP/1.1 408 "));
    assert_eq!(late.count(), 8, "those that had a place are told: {answered:#?}");
    waits_for_a_place(&guarded, &keys[0]).await;
}

/// Sends a request's head until its body is waited for: what was asked before it may still hold a place.
async fn waited_for(guarded: &Guarded, head: &str) -> tokio::net::TcpStream {
    loop {
        let mut stream = crate::guarded::connect(&guarded.server).await;
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = [0; 25];
        stream.read_exact(&mut answer).await.unwrap();
        if answer.starts_with(b"HTTP/1.1 100 Continue") {
            return stream;
        }
        assert!(answer.starts_with(b"HTTP/1.1 429 "));
    }
}

#[tokio::test]
async fn large_bodies_of_one_caller_count_by_their_size() {
    let guarded = Guarded::start(&["--max-concurrent-requests", "64", "--rate-limit-per-minute", "0"]);
    let key = guarded.key("ada", "reader");
    // A share of 16: once with a length, once of any length.
    for length in ["Content-Length: 16777216", "Transfer-Encoding: chunked"] {
        let head = format!(
            "POST /v1/flops HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n\
             {length}\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
        );
        let stream = waited_for(&guarded, &head).await;
        let refused = loop {
            let asked = guarded.send(Method::GET, "/v1/devices", &key, None).await;
            if asked.status() != StatusCode::OK {
                break asked;
            }
        };
        assert_told_of_the_share(refused).await;
        drop(stream);
        waits_for_a_place(&guarded, &key).await;
    }
}

#[tokio::test]
async fn an_answer_that_is_not_read_holds_its_caller_s_share_and_is_given_up() {
    // Long enough that the share is asked for while the answer waits, also on a busy host.
    let guarded = Guarded::start(&["--max-concurrent-requests", "4", "--answer-timeout-sec", "4"]);
    let (ada, bob) = (guarded.key("ada", "submitter"), guarded.key("bob", "reader"));
    // Together more than the kernel takes of an answer.
    let mut large = slow();
    large["prompts"] = json!(vec!["x".repeat(100_000); 10]);
    for _ in 0..9 {
        // Its share is one request.
        waits_for_a_place(&guarded, &ada).await;
        guarded.accepted(&ada, &large).await;
    }
    waits_for_a_place(&guarded, &ada).await;
    let mut unread = ask_narrowly(&guarded, "/v1/experiments", &ada).await;
    let refused = loop {
        let asked = guarded.send(Method::GET, "/v1/devices", &ada, None).await;
        if asked.status() != StatusCode::OK {
            break asked;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_told_of_the_share(refused).await;
    assert_eq!(guarded.get("/v1/devices", &bob).await.0, StatusCode::OK);
    waits_for_a_place(&guarded, &ada).await;
    let mut read = Vec::new();
    let _ = unread.read_to_end(&mut read).await;
    let text = String::from_utf8_lossy(&read);
    assert!(
        text.starts_with("HTTP/1.1 200 ") && !text.ends_with('}'),
        "it was cut short: {}",
        read.len()
    );
}

/// As many and as long as an experiment may have.
fn labels() -> serde_json::Value {
    let labels = (0..64).map(|number| (format!("{number:0>100}"), json!("x".repeat(500))));
    serde_json::Value::Object(labels.collect())
}

#[tokio::test]
async fn exports_that_are_read_slowly_keep_nobody_else_s_waiting() {
    let guarded = Guarded::start(&["--max-concurrent-exports", "1", "--answer-timeout-sec", "3"]);
    let keys = ["ada", "bob", "cy"].map(|name| guarded.key(name, "submitter"));
    let labels = labels();
    for _ in 0..100 {
        guarded
            .accepted(
                &keys[0],
                &json!({"model_name": "synthetic:decode_ms=600000", "prompts": ["a"], "labels": labels}),
            )
            .await;
    }
    let path = "/v1/experiments/export?format=jsonl";
    let mut held = Vec::new();
    for key in &keys[..2] {
        let mut stream = ask_narrowly(&guarded, path, key).await;
        let mut first = [0; 12];
        stream.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 200");
        held.push(stream);
        let again = guarded.send(Method::GET, path, key, None).await;
        assert_eq!(
            again.status(),
            StatusCode::SERVICE_UNAVAILABLE,
            "a caller has one of one"
        );
    }
    let whole = guarded.send(Method::GET, path, &keys[2], None).await;
    assert_eq!(whole.status(), StatusCode::OK);
    assert_eq!(whole.text().await.unwrap().lines().count(), 100);
    // The others are given up in their time, and are not whole.
    for (key, mut stream) in keys.iter().zip(held) {
        while guarded.send(Method::GET, path, key, None).await.status() != StatusCode::OK {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let mut read = Vec::new();
        let _ = stream.read_to_end(&mut read).await;
        assert!(!read.ends_with(b"\r\n0\r\n\r\n"));
    }
}

#[tokio::test]
async fn streams_and_waits_of_one_reader_are_a_share_of_all() {
    let guarded = Guarded::start(&["--max-streams", "20"]);
    let (ada, bob) = (guarded.key("ada", "submitter"), guarded.key("bob", "reader"));
    let id = guarded.accepted(&ada, &slow()).await;
    let mut open = Vec::new();
    let refused = loop {
        let stream = guarded.send(Method::GET, "/v1/events", &ada, None).await;
        if stream.status() != StatusCode::OK {
            break stream;
        }
        open.push(stream);
    };
    assert_eq!(open.len(), 5);
    assert_told_of_the_share(refused).await;
    for path in [
        format!("/v1/experiments/{id}/events"),
        format!("/v1/experiments/{id}?wait=300"),
        format!("/v1/experiments/{id}/results?wait=300"),
    ] {
        assert_told_of_the_share(guarded.send(Method::GET, &path, &ada, None).await).await;
    }
    let of_bob = Follow::of(guarded.send(Method::GET, "/v1/events", &bob, None).await);
    assert_eq!(of_bob.status(), StatusCode::OK);
    drop(open);
    while guarded.send(Method::GET, "/v1/events", &ada, None).await.status() != StatusCode::OK {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    guarded.cancel(&ada, &id).await;
}
