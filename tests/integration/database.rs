//! `joulemark db`, beside a server that runs.

use std::path::Path;
use std::process::{Command, Output};

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::installed;
use crate::postgres_cluster::PostgresCluster;
use crate::server::Server;

fn command(url: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_joulemark"));
    command.arg("db").args(arguments).args(["--database-url", url]);
    command
}

fn db(url: &str, arguments: &[&str]) -> (bool, String) {
    said(&mut command(url, arguments))
}

fn said(command: &mut Command) -> (bool, String) {
    let Output { status, stdout, stderr } = command.output().expect("it starts");
    let text = [stdout, stderr]
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .concat();
    (status.success(), text)
}

fn sqlite(folder: &Path) -> String {
    format!("sqlite://{}", folder.join("joulemark.db").display())
}

async fn completed(server: &Server) -> String {
    let quick = json!({
        "model_name": "synthetic:decode_ms=2", "prompts": ["a"], "max_output_tokens": 8, "num_cycles": 2,
        "idle_baseline_sec": 0,
    });
    let id = server.accepted(&quick).await;
    server.until_state(&id, "completed").await;
    id
}

async fn assert_checked_and_pruned(server: &Server, url: &str) {
    let id = completed(server).await;
    let (good, text) = db(url, &["check"]);
    assert!(
        good && text.contains("1 completed") && text.contains("16 tokens in"),
        "{text}"
    );
    assert!(
        text.contains("bytes each") && text.contains("no problem found"),
        "{text}"
    );
    let (good, text) = db(url, &["migrate"]);
    assert!(good && text.contains("already"), "{text}");
    let (good, text) = db(url, &["prune"]);
    assert!(good && text.contains("all raw data is kept"), "{text}");
    let (good, text) = db(url, &["prune", "--retention-bytes", "1", "--vacuum"]);
    assert!(
        good && text.contains("of 1 experiments") && text.contains("0 bytes of raw data are kept"),
        "{text}"
    );
    let (status, problem) = server.get(&format!("/v1/experiments/{id}/timeseries")).await;
    assert_eq!(status, StatusCode::GONE, "{problem:#}");
    assert_eq!(problem["type"], "urn:problem-type:joulemark:time-series-dropped");
    let (_, processes) = server.get(&format!("/v1/experiments/{id}/processes")).await;
    assert!(processes["raw_data_dropped_at"].is_string(), "{processes:#}");
    let items = processes["items"].as_array().unwrap();
    assert!(
        items.len() == 2 && items.iter().all(|item| item["requests"].is_null()),
        "{processes:#}"
    );
    assert_eq!(items[0]["inference"]["output_tokens"], 8);
    let (status, _) = server.get(&format!("/v1/experiments/{id}/results")).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn an_sqlite_database_is_checked_backed_up_and_pruned_beside_its_server() {
    let server = Server::start();
    let url = sqlite(&server.folder);
    let id = completed(&server).await;
    let copy = server.folder.join("copy.db");
    let (good, text) = db(&url, &["backup", copy.to_str().unwrap()]);
    assert!(good, "{text}");
    let (good, text) = db(&url, &["backup", copy.to_str().unwrap()]);
    assert!(!good && text.contains("already exists"), "{text}");
    let (good, text) = db(&format!("sqlite://{}", copy.display()), &["check"]);
    assert!(good && text.contains("1 completed"), "{text}");
    server.cancel(&id).await;
    drop(server);
    let server = Server::start();
    assert_checked_and_pruned(&server, &sqlite(&server.folder)).await;
}

#[tokio::test]
async fn a_postgres_database_is_checked_backed_up_and_pruned_beside_its_server() {
    let cluster = PostgresCluster::start();
    let folder = tempfile::tempdir().unwrap();
    let url = cluster.url();
    let server = Server::start_in(folder.path(), &["--allow-synthetic-engine", "--database-url", &url]);
    assert_checked_and_pruned(&server, &url).await;
    let archive = folder.path().join("joulemark.dump");
    let mut backup = command(&url, &["backup", archive.to_str().unwrap()]);
    let (good, text) = said(backup.env("PATH", "/nowhere"));
    assert!(!good && text.contains("pg_dump --format=custom"), "{text}");
    installed("pg_dump", "postgresql-client");
    let (good, text) = db(&url, &["backup", archive.to_str().unwrap()]);
    assert!(good, "{text}");
    assert!(std::fs::read(&archive).unwrap().starts_with(b"PGDMP"));
}

#[tokio::test]
async fn a_database_that_is_not_there_or_of_another_time_is_said_to_be() {
    let folder = tempfile::tempdir().unwrap();
    let (good, text) = db(&sqlite(folder.path()), &["check"]);
    assert!(!good && !folder.path().join("joulemark.db").exists(), "{text}");
    let empty = folder.path().join("joulemark.db");
    std::fs::write(&empty, "").unwrap();
    let (good, text) = db(&sqlite(folder.path()), &["check"]);
    assert!(!good && text.contains("run `joulemark db migrate`"), "{text}");
    let (good, text) = db(&sqlite(folder.path()), &["migrate"]);
    assert!(good && text.contains("from 0 to"), "{text}");
    let (good, text) = db(&sqlite(folder.path()), &["check"]);
    assert!(good && text.contains("0 experiments"), "{text}");
}

#[tokio::test]
async fn raw_data_beyond_its_bound_is_dropped_by_the_server_itself() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_in(folder.path(), &["--allow-synthetic-engine"]);
    let id = completed(&server).await;
    drop(server);
    let server = Server::start_in(folder.path(), &["--allow-synthetic-engine", "--retention-bytes", "1"]);
    let path = format!("/v1/experiments/{id}/timeseries");
    for _ in 0..200 {
        let (status, body): (StatusCode, Value) = server.get(&path).await;
        if status == StatusCode::GONE {
            return;
        }
        assert_eq!(status, StatusCode::OK, "{body:#}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("it is still there\n{}", server.log());
}

#[test]
fn the_help_of_each_database_command_shows_its_own_options_alone() {
    for (name, own) in [
        ("check", &[][..]),
        ("backup", &[]),
        ("migrate", &[]),
        (
            "prune",
            &[
                "--vacuum",
                "--retention-days",
                "--retention-bytes",
                "--prompt-retention-days",
                "--event-retention-days",
                "--audit-retention-days",
            ],
        ),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_joulemark"))
            .args(["db", name, "--help"])
            .output();
        let text = String::from_utf8(output.unwrap().stdout).unwrap();
        let flags = text.split_whitespace().filter(|word| word.starts_with("--"));
        let flags = flags
            .map(|flag| flag.trim_end_matches(','))
            .collect::<std::collections::BTreeSet<_>>();
        let common = ["--config", "--database-url", "--help", "--version"];
        assert_eq!(flags, common.iter().chain(own).copied().collect(), "{name}");
    }
}
