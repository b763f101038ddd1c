use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use crate::server::Server;

const WAITING: &str = r#"{"model_name": "synthetic:decode_ms=60000", "prompts": ["a"], "labels": {"team": "a=b"}}"#;

async fn submit(server: &Server, key: &str, content_type: &str, body: &str) -> Response {
    let request = reqwest::Client::new()
        .post(format!("{}/v1/experiments", server.url))
        .header("content-type", content_type)
        .header("idempotency-key", key)
        .body(body.to_owned());
    request.send().await.expect("an answer")
}

#[tokio::test]
async fn a_submission_sent_again_gives_the_same_experiment_also_as_yaml_and_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_in(folder.path(), &["--allow-synthetic-engine"]);
    let first = submit(&server, "key-1", "application/json", WAITING).await;
    assert_eq!(first.status(), StatusCode::CREATED);
    assert!(!first.headers().contains_key("idempotent-replayed"));
    let location = first.headers()["location"].clone();
    let id = first.json::<Value>().await.unwrap()["id"].clone();
    drop(server);
    let server = Server::start_in(folder.path(), &["--allow-synthetic-engine"]);
    let yaml = "labels: {team: a=b}\nprompts: [a]\nmodel_name: 'synthetic:decode_ms=60000'\n";
    for (content_type, body, key) in [
        ("application/json", WAITING, "key-1"),
        ("application/yaml", yaml, "\"key-1\""),
    ] {
        let again = submit(&server, key, content_type, body).await;
        assert_eq!(again.status(), StatusCode::CREATED);
        assert_eq!(again.headers()["idempotent-replayed"], "true");
        assert_eq!(again.headers()["location"], location);
        assert_eq!(again.json::<Value>().await.unwrap()["id"], id);
    }
    let (_, listed) = server.get("/v1/experiments?label=team=a%3Db").await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_same_key_with_another_experiment_is_refused_and_a_refused_one_leaves_its_key_free() {
    let server = Server::start();
    let refused = submit(&server, "key", "application/json", r#"{"model_name": "none"}"#).await;
    assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(submit(&server, "key", "application/json", WAITING).await.status(), 201);
    let other = WAITING.replace("\"a\"]", "\"b\"]");
    let refused = submit(&server, "key", "application/json", &other).await;
    assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(refused.headers()["content-type"], "application/problem+json");
    let problem: Value = refused.json().await.unwrap();
    assert_eq!(problem["type"], "urn:problem-type:joulemark:idempotency-key-taken");
    let bad = submit(&server, "a b", "application/json", WAITING).await;
    assert_eq!(bad.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn of_many_who_send_the_same_at_once_all_get_one_experiment() {
    let server = Server::start();
    let tries = (0..20).map(|_| submit(&server, "key", "application/json", WAITING));
    let mut ids = std::collections::HashSet::new();
    for answer in futures::future::join_all(tries).await {
        assert_eq!(answer.status(), StatusCode::CREATED);
        ids.insert(answer.json::<Value>().await.unwrap()["id"].to_string());
    }
    assert_eq!(ids.len(), 1);
    let (_, listed) = server.get("/v1/experiments").await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn lists_are_narrowed_by_model_label_and_time() {
    let server = Server::start();
    let mut accepted = Vec::new();
    for (model, team, run) in [("4", "a", "1"), ("5", "a", "2"), ("4", "b", "1")] {
        let experiment = json!({
            "model_name": format!("synthetic:decode_ms=6000{model}"), "prompts": ["a"],
            "labels": {"team": team, "run": run},
        });
        let (_, shown) = server.submit(&experiment).await;
        accepted.push((shown["id"].clone(), shown["created_at"].as_str().unwrap().to_owned()));
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let ids = async |query: &str| {
        let (status, page) = server.get(&format!("/v1/experiments?{query}")).await;
        assert_eq!(status, StatusCode::OK, "{page:#}");
        let items = page["items"].as_array().unwrap();
        let at = |item: &Value| accepted.iter().position(|(id, _)| *id == item["id"]).unwrap();
        items.iter().map(at).collect::<Vec<_>>()
    };
    assert_eq!(ids("model=synthetic:decode_ms%3D60004").await, [2, 0]);
    assert_eq!(ids("label=team%3Da").await, [1, 0]);
    assert_eq!(ids("label=team=a&label=run=1").await, [0]);
    assert_eq!(
        ids("label=run=1&model=synthetic:decode_ms%3D60004&state=queued&label=team=b").await,
        [2]
    );
    let second = &accepted[1].1;
    assert_eq!(ids(&format!("created_after={second}")).await, [2, 1]);
    assert_eq!(ids(&format!("created_before={second}")).await, [0]);
    assert_eq!(
        ids(&format!("created_after={second}&created_before={}", accepted[2].1)).await,
        [1]
    );
}
