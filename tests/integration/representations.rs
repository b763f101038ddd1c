//! The same thing asked for in other ways: a part of it, again, or packed.

use std::io::Read as _;

use flate2::read::GzDecoder;
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::guarded::Guarded;
use crate::server::Server;

fn quick() -> Value {
    json!({"model_name": "synthetic:", "prompts": ["a"], "max_output_tokens": 4, "num_cycles": 1,
           "warmup_iterations": 0, "idle_baseline_sec": 0, "labels": {"team": "nlp", "run": "1"}})
}

async fn ask(method: Method, url: &str, headers: &[(&str, &str)]) -> Response {
    let mut request = reqwest::Client::new().request(method, url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.expect("an answer")
}

fn header(response: &Response, name: &str) -> String {
    let value = response.headers().get(name);
    value
        .map(|value| value.to_str().unwrap().to_owned())
        .unwrap_or_default()
}

#[tokio::test]
async fn only_the_wanted_fields_are_in_the_answer() {
    let server = Server::start();
    let id = server.accepted(&quick()).await;
    server.until_state(&id, "completed").await;
    let item = json!({"id": id, "state": "completed", "decoder": {"seed": null}, "labels": {"team": "nlp"}});
    let fields = "fields=id,state,decoder.seed,labels.team";
    let (status, page) = server.get(&format!("/v1/experiments?{fields}")).await;
    assert_eq!(
        (status, page),
        (StatusCode::OK, json!({"items": [item], "next_cursor": null}))
    );
    assert_eq!(server.get(&format!("/v1/experiments/{id}?{fields}")).await.1, item);
    let results = server.results(&id).await;
    let path =
        format!("/v1/experiments/{id}/results?fields=inference.output_tokens,energy.sources.uncertainty_j,timing");
    let part = server.get(&path).await.1;
    assert_eq!(
        part["inference"],
        json!({"output_tokens": results["inference"]["output_tokens"]})
    );
    assert_eq!(part["timing"], results["timing"]);
    assert_eq!(part.as_object().unwrap().len(), 3);
    for source in part["energy"]["sources"].as_array().unwrap() {
        assert_eq!(
            source.as_object().unwrap().keys().collect::<Vec<_>>(),
            ["uncertainty_j"]
        );
    }
    for path in ["/v1/experiments?fields=colour", "/v1/experiments?fields=decoder.colour"] {
        let (status, problem) = server.get(path).await;
        assert_eq!(
            (status, &problem["errors"][0]["pointer"]),
            (StatusCode::BAD_REQUEST, &json!("fields"))
        );
        assert!(problem["detail"].as_str().unwrap().contains("accepted"), "{problem:#}");
    }
}

#[tokio::test]
async fn what_the_client_has_is_not_sent_again_until_it_changes() {
    let server = Server::start();
    let slow = json!({"model_name": "synthetic:decode_ms=60000", "prompts": ["a"], "max_output_tokens": 4});
    let running = server.accepted(&slow).await;
    server.until(&running, |shown| shown["state"] != "queued").await;
    let waiting = server.accepted(&quick()).await;
    let url = |path: &str| format!("{}/v1/experiments{path}", server.url);
    let shown = url(&format!("/{waiting}"));
    let first = ask(Method::GET, &shown, &[]).await;
    let tag = header(&first, "etag");
    assert!(tag.starts_with("W/\""), "it is not finished: {tag}");
    assert_eq!(header(&first, "cache-control"), "private, no-cache");
    assert!(header(&first, "vary").contains("authorization"));
    let again = ask(Method::GET, &shown, &[("if-none-match", &tag)]).await;
    assert_eq!(
        (again.status(), header(&again, "etag")),
        (StatusCode::NOT_MODIFIED, tag.clone())
    );
    assert_eq!(again.text().await.unwrap(), "");
    // Another part of it is another answer.
    let part = ask(
        Method::GET,
        &format!("{shown}?fields=state"),
        &[("if-none-match", &tag)],
    )
    .await;
    assert_eq!(part.status(), StatusCode::OK);

    server.cancel(&running).await;
    server.until_state(&waiting, "completed").await;
    let changed = ask(Method::GET, &shown, &[("if-none-match", &tag)]).await;
    assert_eq!(changed.status(), StatusCode::OK);
    for path in ["", "/results", "/export?format=parquet", "/export?what=tokens"] {
        let url = url(&format!("/{waiting}{path}"));
        let whole = ask(Method::GET, &url, &[]).await;
        let tag = header(&whole, "etag");
        assert!(tag.starts_with('"'), "{path}: {tag}");
        let list = format!("\"other\", {tag}");
        let again = ask(Method::GET, &url, &[("if-none-match", &list)]).await;
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{path}");
        let head = ask(Method::HEAD, &url, &[]).await;
        assert_eq!((head.status(), header(&head, "etag")), (StatusCode::OK, tag), "{path}");
    }
    let other_format = ask(Method::GET, &url(&format!("/{waiting}/export?format=csv")), &[]).await;
    let same_format = ask(Method::GET, &url(&format!("/{waiting}/export?format=jsonl")), &[]).await;
    assert_ne!(header(&other_format, "etag"), header(&same_format, "etag"));
}

#[tokio::test]
async fn a_list_is_not_sent_again_until_something_on_it_changes() {
    let server = Server::start();
    let slow = json!({"model_name": "synthetic:decode_ms=60000", "prompts": ["a"], "max_output_tokens": 4});
    let running = server.accepted(&slow).await;
    server.until(&running, |shown| shown["state"] != "queued").await;
    server.accepted(&quick()).await;
    let url = format!("{}/v1/experiments?state=queued", server.url);
    let tag = header(&ask(Method::GET, &url, &[]).await, "etag");
    let again = ask(Method::GET, &url, &[("if-none-match", &tag)]).await;
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    server.accepted(&quick()).await;
    let more = ask(Method::GET, &url, &[("if-none-match", &tag)]).await;
    assert_eq!(more.status(), StatusCode::OK);
    server.cancel(&running).await;
}

#[tokio::test]
async fn who_may_see_prompts_and_who_may_not_have_different_tags() {
    let guarded = Guarded::start(&[]);
    let (ada, bob) = (guarded.key("ada", "submitter"), guarded.key("bob", "reader"));
    let id = guarded.accepted(&ada, &quick()).await;
    let mut tags = Vec::new();
    loop {
        let (_, shown) = guarded.get(&format!("/v1/experiments/{id}"), &ada).await;
        if shown["state"] == "completed" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    for key in [&ada, &bob] {
        let response = guarded
            .send(Method::GET, &format!("/v1/experiments/{id}/results"), key, None)
            .await;
        tags.push(header(&response, "etag"));
    }
    assert_ne!(tags[0], tags[1]);
}

#[tokio::test]
async fn answers_are_packed_as_the_client_accepts() {
    let server = Server::start();
    let id = server.accepted(&quick()).await;
    server.until_state(&id, "completed").await;
    let url = format!("{}/v1/experiments/{id}/results", server.url);
    let plain = ask(Method::GET, &url, &[]).await;
    let strong = header(&plain, "etag");
    let whole = plain.bytes().await.unwrap();
    for (accepted, expected) in [
        ("gzip", "gzip"),
        ("zstd", "zstd"),
        ("gzip;q=0.2, zstd;q=0.9", "zstd"),
        ("gzip;q=0.9, zstd;q=0.2", "gzip"),
        ("gzip;q=0, zstd;q=0", ""),
        ("br, identity", ""),
    ] {
        let response = ask(Method::GET, &url, &[("accept-encoding", accepted)]).await;
        assert_eq!(header(&response, "content-encoding"), expected, "{accepted}");
        assert!(header(&response, "vary").contains("accept-encoding"), "{accepted}");
        let tag = header(&response, "etag");
        assert_eq!(
            tag,
            if expected.is_empty() {
                strong.clone()
            } else {
                format!("W/{strong}")
            },
            "{accepted}"
        );
        let again = ask(
            Method::GET,
            &url,
            &[("accept-encoding", accepted), ("if-none-match", &tag)],
        )
        .await;
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{accepted}");
        let bytes = response.bytes().await.unwrap();
        match expected {
            "gzip" => {
                let mut unpacked = Vec::new();
                GzDecoder::new(&*bytes).read_to_end(&mut unpacked).unwrap();
                assert_eq!(unpacked, whole);
                assert!(bytes.len() * 2 < whole.len());
            }
            // Its magic number.
            "zstd" => assert_eq!(bytes[..4], [0x28, 0xb5, 0x2f, 0xfd]),
            _ => assert_eq!(bytes, whole),
        }
    }
    for (path, accepted) in [
        ("/healthz", "gzip"),
        ("/v1/experiments/export?format=parquet", "gzip, zstd"),
    ] {
        let response = ask(
            Method::GET,
            &format!("{}{path}", server.url),
            &[("accept-encoding", accepted)],
        )
        .await;
        assert_eq!(header(&response, "content-encoding"), "", "{path}");
    }
    let refused = ask(Method::GET, &url, &[("accept-encoding", "identity;q=0, br")]).await;
    assert_eq!(refused.status(), StatusCode::NOT_ACCEPTABLE);
    assert_eq!(header(&refused, "content-type"), "application/problem+json");
}
