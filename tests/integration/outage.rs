//! The database goes away, or its disk is full, while an experiment runs.

use std::path::Path;
use std::process::Command;

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::postgres_cluster::PostgresCluster;
use crate::server::Server;

/// About four seconds of decoding.
fn running() -> Value {
    json!({
        "model_name": "synthetic:decode_ms=40", "prompts": ["a"], "max_output_tokens": 30, "warmup_iterations": 0,
        "num_cycles": 3, "idle_baseline_sec": 0,
    })
}

/// A submission is refused as one to be sent again.
async fn assert_unavailable(server: &Server, expected: &str) {
    let answer = server
        .post("/v1/experiments", "application/json", running().to_string())
        .await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    assert!(answer.headers()["retry-after"].to_str().unwrap().parse::<u32>().is_ok());
    let problem: Value = answer.json().await.unwrap();
    assert!(problem["detail"].as_str().unwrap().contains(expected), "{problem:#}");
}

async fn until_spooled(spool: &Path, server: &Server) {
    for _ in 0..1200 {
        let files = std::fs::read_dir(spool).unwrap().flatten();
        if files
            .map(|file| file.path())
            .any(|path| path.extension().is_some_and(|suffix| suffix == "json"))
        {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("nothing was spooled\n{}", server.log());
}

async fn assert_whole(server: &Server, id: &str) {
    let shown = server.until_state(id, "completed").await;
    assert_eq!(shown["attempt"], 1, "it ran once: {shown:#}");
    let (status, results) = server.get(&format!("/v1/experiments/{id}/results")).await;
    assert_eq!(
        (status, &results["inference"]["output_tokens"]),
        (StatusCode::OK, &json!(90))
    );
    let (_, processes) = server.get(&format!("/v1/experiments/{id}/processes")).await;
    let requests = processes["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| &item["requests"][0]);
    let tokens = requests.map(|request| request["token_monotonic_sec"].as_array().unwrap().len());
    assert_eq!(tokens.collect::<Vec<_>>(), [30, 30, 30]);
    let (status, _) = server.get(&format!("/v1/experiments/{id}/timeseries")).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn what_ends_while_postgres_is_away_is_stored_by_the_next_server() {
    let Some(mut cluster) = PostgresCluster::start() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let spool = folder.path().join("spool");
    let url = cluster.url();
    let options = [
        "--allow-synthetic-engine",
        "--database-url",
        &url,
        "--spool-dir",
        spool.to_str().unwrap(),
    ];
    let server = Server::start_in(folder.path(), &options);
    let id = server.accepted(&running()).await;
    server.until_state(&id, "measuring").await;
    cluster.stop();
    assert_unavailable(&server, "cannot be reached").await;
    until_spooled(&spool, &server).await;
    server.kill();
    cluster.start_again();
    let server = Server::start_in(folder.path(), &options);
    assert_whole(&server, &id).await;
    assert_eq!(std::fs::read_dir(&spool).unwrap().count(), 0);
}

#[tokio::test]
async fn what_ends_while_postgres_is_away_is_stored_once_it_is_back() {
    let Some(mut cluster) = PostgresCluster::start() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let spool = folder.path().join("spool");
    let url = cluster.url();
    let options = [
        "--allow-synthetic-engine",
        "--database-url",
        &url,
        "--spool-dir",
        spool.to_str().unwrap(),
    ];
    let server = Server::start_in(folder.path(), &options);
    let id = server.accepted(&running()).await;
    server.until_state(&id, "measuring").await;
    cluster.stop();
    until_spooled(&spool, &server).await;
    cluster.start_again();
    assert_whole(&server, &id).await;
}

/// By a limit on the size of files, which needs no file system of its own: SQLite's log cannot grow, as on a full disk.
#[tokio::test]
async fn what_ends_while_the_disk_is_full_is_stored_once_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_in(folder.path(), &["--allow-synthetic-engine"]);
    let spool = folder.path().join("joulemark.db.spool");
    let id = server.accepted(&running()).await;
    server.until_state(&id, "measuring").await;
    let limit = |pid: u32, bytes: &str| {
        let limited = Command::new("prlimit")
            .arg(format!("--pid={pid}"))
            .arg(format!("--fsize={bytes}:"))
            .status();
        assert!(limited.expect("prlimit is there").success());
    };
    let written = std::fs::metadata(folder.path().join("joulemark.db-wal")).unwrap().len();
    limit(server.pid(), &written.to_string());
    assert_unavailable(&server, "nothing was changed").await;
    until_spooled(&spool, &server).await;
    let (status, _) = server.get(&format!("/v1/experiments/{id}")).await;
    assert_eq!(status, StatusCode::OK, "what is stored can be read");
    limit(server.pid(), "unlimited");
    assert_whole(&server, &id).await;
    assert!(!server.accepted(&running()).await.is_empty());
    server.kill();
}
