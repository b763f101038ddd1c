//! What an earlier release has stored is read, shown, exported and compared. `data/older_result.py` says what the dump is.

use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::{Connection as _, SqliteConnection};
use tempfile::TempDir;

use crate::client_command::run;
use crate::server::Server;

const DUMP: &str = include_str!("data/older_result.sql");
const ID: &str = "01a22be5-a2d8-713b-a118-4a38ce3300ac";

/// Starts a server on what the earlier release has left: it migrates first.
async fn restored(folder: &TempDir) -> Server {
    let url = format!("sqlite://{}?mode=rwc", folder.path().join("joulemark.db").display());
    let mut connection = SqliteConnection::connect(&url).await.expect("a database");
    // Its tables refer to others that come later.
    for text in ["PRAGMA foreign_keys = OFF", DUMP] {
        let restored = sqlx::raw_sql(text).execute(&mut connection).await;
        restored.expect("the dump is restored");
    }
    connection.close().await.expect("it is written");
    Server::start_in(folder.path(), &["--allow-synthetic-engine"])
}

async fn rows(server: &Server, query: &str) -> Vec<Value> {
    let (status, text) = server
        .get(&format!("/v1/experiments/{ID}/export?format=jsonl{query}"))
        .await;
    assert_eq!(status, StatusCode::OK, "{text:#}");
    let read = |line: &str| serde_json::from_str(line).expect("a line of JSON");
    match text.as_str() {
        Some(lines) => lines.lines().map(read).collect(),
        None => vec![text],
    }
}

#[tokio::test]
async fn what_an_earlier_release_stored_is_shown_exported_and_compared() {
    for later in [
        "steady_state",
        "repetition",
        "load_report",
        "statistics",
        "process_per_cycle",
    ] {
        assert!(!DUMP.contains(&format!("\"{later}\"")), "{later} is of later");
    }
    let folder = TempDir::new().expect("a folder");
    let server = restored(&folder).await;
    let (status, shown) = server.get(&format!("/v1/experiments/{ID}")).await;
    assert_eq!(
        (status, &shown["state"], &shown["load"]),
        (StatusCode::OK, &json!("completed"), &Value::Null)
    );
    let results = server.results(ID).await;
    for unknown in ["steady_state", "repetition", "load_report"] {
        assert_eq!(results[unknown], Value::Null, "{unknown}");
    }
    // What can be computed of it is.
    assert_eq!(results["statistics"]["mean_ttft_ms"]["n"], 3);
    assert_eq!(results["experiment"]["process_per_cycle"], false);
    let processes = server.processes(ID).await;
    let request = &processes["items"][0]["requests"][0];
    assert_eq!(
        request["token_monotonic_sec"].as_array().map(Vec::len),
        Some(5),
        "{request:#}"
    );
    assert_eq!(request["due_monotonic_sec"], Value::Null);

    let row = &rows(&server, "").await[0];
    assert_eq!(row["output_tokens"], results["inference"]["output_tokens"]);
    assert_eq!(
        (&row["steady_state_total_energy_j"], &row["repeated_cycles"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(row["process_per_cycle"], false);
    assert_eq!(rows(&server, "&what=requests").await.len(), 6);
    assert_eq!(rows(&server, "&what=cycles").await.len(), 3);
    assert_eq!(run(&server.url, &["results", ID]).code, Some(0));

    // It runs again as it is, and the two are compared.
    let again = server.accepted(&results["experiment"]).await;
    server.until_state(&again, "completed").await;
    let asked = json!({"ids": [ID, again]});
    let response = server.post("/v1/compare", "application/json", asked.to_string()).await;
    let status = response.status();
    let answer: Value = response.json().await.expect("JSON");
    assert_eq!(status, StatusCode::OK, "{answer:#}");
    let comparisons = answer["comparisons"].as_array().expect("a list");
    assert!(
        comparisons.iter().any(|of| of["metric"] == "mean_ttft_ms"),
        "{answer:#}"
    );
}
