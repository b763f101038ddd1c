use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::server::Server;

const QUICK: &str = r#"{"model_name": "synthetic:", "prompts": ["a"], "max_output_tokens": 4, "num_cycles": 1}"#;

#[tokio::test]
async fn a_submission_is_answered_with_the_whole_experiment_and_its_location() {
    let server = Server::start();
    let response = server.post("/v1/experiments", "application/json", QUICK).await;
    assert_eq!(response.status(), StatusCode::CREATED);
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    let body: Value = response.json().await.unwrap();
    let id = body["id"].as_str().unwrap();
    assert_eq!(location, format!("/v1/experiments/{id}"));
    assert_eq!(id.as_bytes()[14], b'7', "a UUIDv7");
    assert_eq!(body["state"], "queued");
    let filled_in = json!({
        "warmup_iterations": 3, "num_processes": 1, "batch_size": 1, "distribution": "shard", "device": "cpu",
        "fp_precision": "auto", "min_output_tokens": 0, "gpus": [], "labels": {}, "config_name": "synthetic:",
        "decoder": {"temperature": 0.0, "do_sample": false, "top_k": null, "top_p": null,
                    "repetition_penalty": null, "min_p": null, "no_repeat_ngram_size": null, "seed": null},
    });
    for (key, value) in filled_in.as_object().unwrap() {
        assert_eq!(body[key], *value, "{key}");
    }
    let codes = body["warnings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|warning| warning["code"].as_str().unwrap());
    assert_eq!(codes.collect::<Vec<_>>(), ["few_cycles", "synthetic_engine"]);
    server.until_state(id, "completed").await;
    assert_eq!(server.get(&location).await.0, StatusCode::OK);
}

#[tokio::test]
async fn results_of_an_unfinished_experiment_are_a_conflict_that_names_the_state() {
    let server = Server::start();
    let slow = json!({"model_name": "synthetic:decode_ms=5000", "prompts": ["a"], "max_output_tokens": 4});
    let id = server.accepted(&slow).await;
    for path in ["results", "processes"] {
        let (status, problem) = server.get(&format!("/v1/experiments/{id}/{path}")).await;
        assert_eq!(status, StatusCode::CONFLICT);
        assert!(
            ["queued", "starting", "warming_up"]
                .iter()
                .any(|state| problem["state"] == *state),
            "{problem:#}"
        );
    }
    server.cancel(&id).await;
    let (status, problem) = server.get(&format!("/v1/experiments/{id}/results")).await;
    assert_eq!((status, &problem["state"]), (StatusCode::CONFLICT, &json!("cancelled")));
}

#[tokio::test]
async fn the_list_is_newest_first_and_comes_in_pages() {
    let server = Server::start();
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(server.accepted(&serde_json::from_str(QUICK).unwrap()).await);
    }
    ids.reverse();
    let (mut seen, mut path) = (Vec::new(), "/v1/experiments?limit=2".to_owned());
    loop {
        let (status, page) = server.get(&path).await;
        assert_eq!(status, StatusCode::OK, "{page:#}");
        seen.extend(
            page["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|item| item["id"].as_str().unwrap().to_owned()),
        );
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/v1/experiments?limit=2&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(seen, ids);
    server.until_state(&ids[0], "completed").await;
    let (_, page) = server.get("/v1/experiments?state=completed").await;
    assert_eq!(page["items"].as_array().unwrap().len(), 5);
    assert_eq!(server.get("/v1/experiments?state=failed").await.1["items"], json!([]));
}

#[tokio::test]
async fn what_cannot_be_found_or_read_is_a_problem_document() {
    let server = Server::start();
    let unknown = "01938c5e-9a62-7c3f-8f0e-0d5f6f2b7c11";
    for (path, status) in [
        (format!("/v1/experiments/{unknown}"), 404),
        (format!("/v1/experiments/{unknown}/results"), 404),
        (format!("/v1/experiments/{unknown}/processes"), 404),
        ("/v1/experiments/not-a-uuid".to_owned(), 400),
        ("/v1/experiments?limit=0".to_owned(), 400),
        ("/v1/experiments?limit=many".to_owned(), 400),
        ("/v1/experiments?page=2".to_owned(), 400),
        ("/v1/experiments?cursor=x".to_owned(), 400),
        ("/v1/experiments?state=asleep".to_owned(), 400),
        ("/nowhere".to_owned(), 404),
    ] {
        let response = reqwest::get(format!("{}{path}", server.url)).await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{path}");
        assert_eq!(response.headers()["content-type"], "application/problem+json", "{path}");
        let problem: Value = response.json().await.unwrap();
        assert_eq!(problem["status"], status, "{path}");
        assert!(
            problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()),
            "{path}"
        );
    }
    let response = reqwest::Client::new()
        .delete(format!("{}/v1/experiments", server.url))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    assert!(response.headers().contains_key("allow"));
}

#[tokio::test]
async fn health_readiness_and_the_description_are_served() {
    let server = Server::start();
    for path in ["/healthz", "/readyz"] {
        let (status, body) = server.get(path).await;
        assert_eq!((status, &body["status"]), (StatusCode::OK, &json!("ok")), "{path}");
    }
    let (status, document) = server.get("/openapi.json").await;
    assert_eq!(status, StatusCode::OK);
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    assert!(document["paths"]["/v1/experiments"]["post"].is_object());
}

#[tokio::test]
async fn the_methodologys_sample_parses_and_is_refused_for_what_is_not_here() {
    let server = Server::start();
    let sample = include_str!("testdata/methodology_sample.yaml");
    let response = server.post("/v1/experiments", "application/yaml", sample).await;
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let problem: Value = response.json().await.unwrap();
    let errors = problem["errors"].as_array().unwrap();
    let pointers = errors
        .iter()
        .map(|error| error["pointer"].as_str().unwrap())
        .collect::<Vec<_>>();
    assert_eq!(pointers, ["/model_name", "/gpus/0", "/gpus/1"]);
    assert!(
        errors[0]["detail"].as_str().unwrap().contains("there is no model"),
        "{problem:#}"
    );
    assert!(
        errors[1]["detail"].as_str().unwrap().contains("there is no GPU here"),
        "{problem:#}"
    );
}

#[tokio::test]
async fn yaml_and_json_give_the_same_experiment() {
    let server = Server::start();
    let yaml = "model_name: 'synthetic:'\nprompts: [a]\nmax_output_tokens: 4\nnum_cycles: 1\n";
    let from_yaml: Value = server
        .post("/v1/experiments", "application/yaml", yaml)
        .await
        .json()
        .await
        .unwrap();
    let from_json: Value = server
        .post("/v1/experiments", "application/json", QUICK)
        .await
        .json()
        .await
        .unwrap();
    for key in ["prompts", "max_output_tokens", "num_cycles", "model_name"] {
        assert_eq!(from_yaml[key], from_json[key], "{from_yaml:#}");
    }
}
