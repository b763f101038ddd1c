use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use crate::guarded::{Guarded, connect, raw, read_all};
use crate::server::Server;

fn slow() -> Value {
    json!({"model_name": "synthetic:decode_ms=5000", "prompts": ["a"], "max_output_tokens": 4})
}

#[tokio::test]
async fn a_key_that_asks_too_often_is_told_when_to_come_back_and_others_are_not_held() {
    let guarded = Guarded::start(&["--rate-limit-per-minute", "5"]);
    let (ada, bob) = (guarded.key("ada", "reader"), guarded.key("bob", "reader"));
    let mut passed = 0;
    let refused = loop {
        let response = guarded.send(Method::GET, "/v1/devices", &ada, None).await;
        if response.status() != StatusCode::OK {
            break response;
        }
        passed += 1;
        assert!(passed < 50, "there is no limit");
    };
    assert!(passed >= 5, "a minute's allowance may come at once, {passed} passed");
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    let retry_after: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=12).contains(&retry_after), "{retry_after}");
    let problem: Value = refused.json().await.unwrap();
    assert_eq!(problem["retry_after_sec"], retry_after);
    assert!(problem["type"].as_str().unwrap().ends_with(":rate-limit"), "{problem}");
    assert_eq!(guarded.get("/v1/devices", &bob).await.0, StatusCode::OK);
}

#[tokio::test]
async fn queue_and_quota_refuse_one_too_many_also_when_all_come_at_once() {
    let guarded = Guarded::start(&["--max-queued", "4", "--max-unfinished-per-user", "2"]);
    let keys = ["ada", "bob", "eve"].map(|name| guarded.key(name, "submitter"));
    let slow = slow();
    let submissions = (0..8).map(|_| guarded.submit(&keys[0], &slow));
    let answers = futures::future::join_all(submissions).await;
    let count = |status| answers.iter().filter(|answer| answer.0 == status).count();
    assert_eq!(
        (count(StatusCode::CREATED), count(StatusCode::TOO_MANY_REQUESTS)),
        (2, 6),
        "{answers:#?}"
    );
    let refused = answers
        .iter()
        .find(|answer| answer.0 == StatusCode::TOO_MANY_REQUESTS)
        .unwrap();
    assert!(
        refused.1["detail"]
            .as_str()
            .unwrap()
            .contains("max_unfinished_per_user"),
        "{}",
        refused.1
    );
    // One of them runs, or will: at most four wait.
    let mut stored = 2;
    let full = loop {
        let (status, body) = guarded.submit(&keys[1 + stored % 2], &slow).await;
        if status != StatusCode::CREATED {
            break (status, body);
        }
        stored += 1;
        assert!(stored <= 6, "there is no limit");
    };
    assert_eq!(full.0, StatusCode::SERVICE_UNAVAILABLE, "{:#}", full.1);
    assert!(full.1["detail"].as_str().unwrap().contains("max_queued"), "{}", full.1);
    let mine = answers.iter().find(|answer| answer.0 == StatusCode::CREATED).unwrap();
    guarded.cancel(&keys[0], mine.1["id"].as_str().unwrap()).await;
}

#[tokio::test]
async fn prompts_and_tokens_have_a_bound_that_the_answer_names() {
    let server = Server::start_with(&[
        "--allow-synthetic-engine",
        "--max-prompts",
        "3",
        "--max-total-tokens",
        "100",
    ]);
    let sized = |prompts: Value, output: u32, cycles: u32| json!({"model_name": "synthetic:", "prompts": prompts, "max_output_tokens": output, "num_cycles": cycles});
    for (experiment, expected) in [
        (sized(json!(["a", "b", "c", "d"]), 1, 1), "max_prompts"),
        (sized(json!({"dataset": "short-32"}), 1, 1), "max_prompts"),
        (sized(json!(["abcdefghij"]), 90, 2), "could take 200 tokens"),
        (sized(json!(["x".repeat(101)]), 1, 1), "could take 102 tokens"),
        (
            sized(json!({"synthetic": {"input_tokens": 60, "count": 2, "seed": 1}}), 1, 1),
            "could take 122 tokens",
        ),
    ] {
        let (status, problem) = server.submit(&experiment).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem:#}");
        assert!(problem.to_string().contains(expected), "{expected}: {problem:#}");
    }
    let (status, body) = server.submit(&sized(json!(["abcdefghij"]), 90, 1)).await;
    assert_eq!(status, StatusCode::CREATED, "exactly the bound: {body:#}");
}

#[tokio::test]
async fn hub_models_are_those_on_the_list() {
    let server = Server::start_with(&["--allow-hub", "--hub-allow", "good/*", "--hub-allow", "other/one"]);
    let (status, problem) = server.submit(&json!({"model_name": "evil/model"})).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let detail = problem["errors"][0]["detail"].as_str().unwrap();
    assert!(detail.contains("good/*, other/one (hub_allow)"), "{detail}");
    let (status, problem) = server.submit(&json!({"model_name": "goodness/model"})).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem:#}");
}

#[tokio::test]
async fn slow_headers_slow_bodies_and_idle_connections_are_ended() {
    let options = ["--header-timeout-sec", "1", "--body-timeout-sec", "1"];
    let server = Server::start_with(&options);
    let mut slow = connect(&server).await;
    slow.write_all(b"GET /healthz HTTP/1.1\r\nHost: loc").await.unwrap();
    assert_eq!(read_all(&mut slow).await, "");
    let mut silent = connect(&server).await;
    assert_eq!(read_all(&mut silent).await, "");
    let half = b"POST /v1/experiments HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
        Content-Length: 100\r\n\r\n{\"model_name\":";
    let answer = raw(&server, half).await;
    assert!(
        answer.starts_with("HTTP/1.1 408 ") && answer.contains("body_timeout_sec"),
        "{answer}"
    );
    assert_eq!(server.get("/healthz").await.0, StatusCode::OK);
}

#[tokio::test]
async fn connections_that_say_nothing_do_not_keep_others_out_for_good() {
    let server = Server::start_with(&["--header-timeout-sec", "1", "--max-connections", "8"]);
    let mut idle = Vec::new();
    // Three rounds of those that are let in.
    for _ in 0..24 {
        idle.push(connect(&server).await);
    }
    assert_eq!(server.get("/healthz").await.0, StatusCode::OK);
}

#[tokio::test]
async fn more_requests_at_a_time_than_allowed_are_told_so_at_once() {
    let server = Server::start_with(&["--max-concurrent-requests", "1"]);
    let mut holding = connect(&server).await;
    let half = b"POST /v1/experiments HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
        Content-Length: 100\r\n\r\n{";
    holding.write_all(half).await.unwrap();
    let refused = loop {
        let response = reqwest::get(format!("{}/v1/devices", server.url)).await.unwrap();
        if response.status() != StatusCode::OK {
            break response;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    };
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.headers().contains_key("retry-after"));
    assert!(refused.text().await.unwrap().contains("max_concurrent_requests"));
    for path in ["/healthz", "/readyz"] {
        assert_eq!(
            server.get(path).await.0,
            StatusCode::OK,
            "a supervisor is always answered"
        );
    }
    drop(holding);
    while server.get("/v1/devices").await.0 != StatusCode::OK {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}
