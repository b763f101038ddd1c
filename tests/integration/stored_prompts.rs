//! How much one submitter may store, and how it is dropped again.

use std::process::Command;

use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::{Connection as _, SqliteConnection};

use crate::guarded::Guarded;

const LIMIT_BYTES: usize = 100_000;

fn large() -> Value {
    json!({
        "model_name": "synthetic:decode_ms=60000", "prompts": ["x".repeat(15_000), "y".repeat(15_000)],
        "max_output_tokens": 4,
    })
}

fn command(guarded: &Guarded, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_joulemark"));
    let database = format!("sqlite://{}", guarded.server.folder.join("joulemark.db").display());
    command.args(arguments).args(["--database-url", &database]);
    command
}

/// Makes all that is finished three days older.
async fn age(guarded: &Guarded) {
    let url = format!("sqlite://{}", guarded.server.folder.join("joulemark.db").display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    sqlx::raw_sql("PRAGMA busy_timeout = 5000; UPDATE experiments SET finished_at_us = finished_at_us - 259200000000")
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn a_submitter_cannot_fill_the_disk_by_submitting_and_cancelling() {
    let guarded = Guarded::start(&["--max-stored-bytes-per-user", &LIMIT_BYTES.to_string()]);
    let [ada, eve] = ["ada", "eve"].map(|name| guarded.key(name, "submitter"));
    let mut ids = Vec::new();
    let refused = loop {
        let (status, answer) = guarded.submit(&ada, &large()).await;
        if status != StatusCode::CREATED {
            break (status, answer);
        }
        let id = answer["id"].as_str().unwrap().to_owned();
        guarded.cancel(&ada, &id).await;
        ids.push(id);
        assert!(ids.len() < 10, "there is no limit");
    };
    assert_eq!((refused.0, ids.len()), (StatusCode::FORBIDDEN, 3), "{:#}", refused.1);
    assert_eq!(refused.1["type"], "urn:problem-type:joulemark:storage-quota");
    let detail = refused.1["detail"].as_str().unwrap();
    for told in ["100000", "max_stored_bytes_per_user", "prompt_retention_days"] {
        assert!(detail.contains(told), "{told}: {detail}");
    }
    let used: usize = detail.split(' ').find_map(|word| word.parse().ok()).unwrap();
    assert!((90_000..LIMIT_BYTES).contains(&used), "{detail}");
    // Another's room is their own, and what takes none is accepted.
    guarded.accepted(&eve, &large()).await;
    let small = json!({"model_name": "synthetic:", "prompts": {"dataset": "short-32", "count": 1}});
    guarded.accepted(&ada, &small).await;

    for id in &ids {
        while guarded.get(&format!("/v1/experiments/{id}"), &ada).await.1["state"] != "cancelled" {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
    age(&guarded).await;
    let pruned = command(&guarded, &["db", "prune", "--prompt-retention-days", "2"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&pruned.stdout);
    assert!(pruned.status.success() && said.contains("the prompts of 3;"), "{said}");
    guarded.accepted(&ada, &large()).await;
    assert_dropped_is_told(&guarded, [&ada, &eve], &ids[0]).await;
}

async fn assert_dropped_is_told(guarded: &Guarded, [ada, eve]: [&str; 2], id: &str) {
    let (_, shown) = guarded.get(&format!("/v1/experiments/{id}"), ada).await;
    assert_eq!(
        (&shown["prompts"], &shown["prompts_withheld"]),
        (&json!([]), &Value::Null)
    );
    let dropped = &shown["prompts_dropped"];
    assert_eq!(dropped["count"], 2, "{shown:#}");
    assert!(dropped["dropped_at"].is_string() && dropped["sha256"].as_str().unwrap().len() == 64);
    // Their hash would tell another whether a guess is right.
    let (_, of_eve) = guarded.get(&format!("/v1/experiments/{id}"), eve).await;
    assert_eq!(
        (&of_eve["prompts"], &of_eve["prompts_dropped"]["sha256"]),
        (&json!([]), &Value::Null)
    );
    assert_eq!(of_eve["prompts_dropped"]["count"], 2);
    let (_, lines) = guarded
        .get(&format!("/v1/experiments/{id}/export?format=jsonl"), ada)
        .await;
    assert_eq!(lines["prompt_count"], 2, "{lines:#}");

    let file = guarded.server.folder.join("shown.json");
    std::fs::write(&file, shown.to_string()).unwrap();
    let mut again = Command::new(env!("CARGO_BIN_EXE_joulemark"));
    again.args(["submit", "--server", &guarded.server.url]).arg(&file);
    let output = again.env("JOULEMARK_API_KEY", ada).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{said}");
    assert!(
        said.contains("no longer has its 2 prompts") && said.contains("the server deleted them"),
        "{said}"
    );
}

/// The description's schema holds it too, and without authentication nobody is limited.
#[tokio::test]
async fn what_the_server_was_set_to_drop_it_drops_by_itself() {
    let guarded = Guarded::start(&[]);
    let ada = guarded.key("ada", "submitter");
    let id = guarded.accepted(&ada, &large()).await;
    guarded.cancel(&ada, &id).await;
    while guarded.get(&format!("/v1/experiments/{id}"), &ada).await.1["state"] != "cancelled" {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    age(&guarded).await;
    let guarded = guarded.restarted(&["--prompt-retention-days", "2"]);
    let dropped = loop {
        let (_, shown) = guarded.get(&format!("/v1/experiments/{id}"), &ada).await;
        if !shown["prompts_dropped"].is_null() {
            break shown["prompts_dropped"].clone();
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    assert_eq!(dropped["count"], 2);
}
