//! Engines are programs beside the service: found, described, offered to other nodes, and refused where they do not fit.

use std::path::Path;
use std::time::Duration;

use joulemark_testkit::{fake_engine, program};
use joulemark_worker::protocol;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::server::Server;
use crate::tiny_llama;

/// A server whose program stands alone in a folder, where no engine is found but in `engine_dir`.
fn server(folder: &Path) -> Server {
    let alone = folder.join("program");
    std::fs::create_dir_all(&alone).expect("a folder");
    std::fs::copy(program(), alone.join("joulemark")).expect("a copy of the program");
    let engines = folder.join("engines");
    std::fs::create_dir_all(&engines).expect("a folder");
    let engines = engines.to_str().expect("UTF-8").to_owned();
    Server::start_program_in(
        &alone.join("joulemark"),
        folder,
        &["--allow-synthetic-engine", "--lease-sec", "3", "--engine-dir", &engines],
    )
}

fn experiment() -> Value {
    json!({"model_name": "tiny", "prompts": ["a"], "max_output_tokens": 1, "num_cycles": 1, "warmup_iterations": 0,
        "idle_baseline_sec": 0})
}

#[tokio::test]
async fn a_model_is_refused_until_an_engine_is_installed_and_then_taken_without_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server(folder.path());
    tiny_llama::write(&server.folder.join("models/tiny"), 1);
    let (status, problem) = server.submit(&experiment()).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem:#}");
    let error = &problem["errors"][0];
    assert_eq!(error["pointer"], "/model_name", "{problem:#}");
    let detail = error["detail"].as_str().expect("a detail");
    assert!(detail.contains("cargo build --release"), "{detail}");
    for inner in ["joulemark-mistral", "engines", "program", "libexec"] {
        assert!(!detail.contains(inner), "a client is told of no folder: {detail}");
    }
    assert_eq!(server.get("/v1/nodes").await.1["items"][0]["engines"], json!([]));
    // What needs no engine is not kept from running.
    let id = server
        .accepted(&json!({"model_name": "synthetic:", "prompts": ["a"], "num_cycles": 1}))
        .await;
    server.until_state(&id, "completed").await;

    fake_engine::write(&folder.path().join("engines"), protocol::VERSION);
    server.accepted(&experiment()).await;
    // Told with the next heartbeat.
    let engines = loop {
        let engines = server.get("/v1/nodes").await.1["items"][0]["engines"].clone();
        if engines != json!([]) {
            break engines;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(engines[0]["name"], "mistral", "{engines:#}");
    assert_eq!(engines[0]["engine_version"], "0.8.1", "{engines:#}");
}

#[tokio::test]
async fn an_engine_of_another_protocol_is_not_started_and_the_mend_is_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir_all(folder.path().join("engines")).expect("a folder");
    fake_engine::write(&folder.path().join("engines"), protocol::VERSION + 1);
    let server = server(folder.path());
    tiny_llama::write(&server.folder.join("models/tiny"), 1);
    let (status, problem) = server.submit(&experiment()).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem:#}");
    let detail = problem["errors"][0]["detail"].as_str().expect("a detail");
    assert!(detail.contains("restart the service"), "{detail}");
}

#[tokio::test]
async fn what_waits_goes_on_waiting_with_the_reason_where_its_engine_is_replaced_by_another_protocol_s() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir_all(folder.path().join("engines")).expect("a folder");
    fake_engine::write(&folder.path().join("engines"), protocol::VERSION);
    let server = server(folder.path());
    tiny_llama::write(&server.folder.join("models/tiny"), 1);
    let before = server
        .accepted(
            &json!({"model_name": "synthetic:decode_ms=500", "prompts": ["a"], "max_output_tokens": 4,
        "min_output_tokens": 4, "num_cycles": 1, "warmup_iterations": 0, "idle_baseline_sec": 0}),
        )
        .await;
    let waiting = server.accepted(&experiment()).await;
    fake_engine::write(&folder.path().join("engines"), protocol::VERSION + 1);
    server.until_state(&before, "completed").await;
    let shown = server
        .until(&waiting, |shown| {
            shown["waiting_for"].to_string().contains("restart the service")
        })
        .await;
    assert_eq!(shown["state"], "queued", "{shown:#}");
    assert_eq!(shown["queue_wait"]["reason"], "engine_missing", "{shown:#}");
    assert_eq!(shown["queue_wait"]["message"], shown["waiting_for"], "{shown:#}");
    assert!(
        !shown.to_string().contains("joulemark-mistral"),
        "a program of the server: {shown:#}"
    );
}
