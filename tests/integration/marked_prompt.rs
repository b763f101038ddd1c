//! A prompt that is marked, in experiments whose engine and template quote it, is searched for in all that the service tells
//! others: every route as each role, every format, events, callbacks, metrics, traces, the audit log and the log.

use std::path::Path;
use std::time::Duration;

use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::guarded::Guarded;
use crate::otlp::Collector;
use crate::receiver::Receiver;
use crate::server::is_finished;
use crate::sse::Follow;

const MARK: &str = "the-patient-is-Xanthippe";
/// Each tells the prompt in its own way: on standard output and error, in a panic, in what it says, before it exits, as a
/// template that refuses it.
const QUOTING: [&str; 5] = [
    "synthetic:echo=1",
    "synthetic:echo=1,panic_at=0",
    "synthetic:echo=1,error_at=1",
    "synthetic:echo=1,exit_at=0",
    "synthetic:refuse=1",
];

fn quoting(model: &str, callback: &str) -> Value {
    json!({"model_name": model, "prompts": [format!("Say nothing: {MARK}")], "max_output_tokens": 2, "num_cycles": 1,
           "warmup_iterations": 1, "idle_baseline_sec": 0, "callback_url": callback})
}

fn callback_secret(folder: &Path) -> String {
    let file = folder.join("secret");
    std::fs::write(&file, "a secret of sixteen").expect("a file");
    file.to_str().expect("text").to_owned()
}

/// Submits one of each as ada, and waits for their ends.
async fn finished(guarded: &Guarded, ada: &str, callback: &str) -> Vec<String> {
    let mut ids = Vec::new();
    for model in QUOTING {
        ids.push(guarded.accepted(ada, &quoting(model, callback)).await);
    }
    for id in &ids {
        while !is_finished(&guarded.get(&format!("/v1/experiments/{id}?wait=10"), ada).await.1) {}
    }
    ids
}

/// What an answer says, a Parquet file unpacked.
async fn text_of(response: reqwest::Response) -> String {
    let kind = response.headers().get("content-type").cloned();
    let headers = format!("{:?}", response.headers());
    let body = response.bytes().await.expect("a body");
    let text = if kind.is_some_and(|kind| kind == "application/vnd.apache.parquet") {
        let reader = ParquetRecordBatchReaderBuilder::try_new(body).expect("a file").build();
        reader
            .expect("rows")
            .map(|batch| format!("{:?}\n", batch.expect("a batch")))
            .collect()
    } else {
        String::from_utf8_lossy(&body).into_owned()
    };
    headers + &text
}

/// Every route that is read, with each experiment where it has one, and each table in each format.
fn targets(description: &Value, ids: &[String]) -> Vec<String> {
    let paths = description["paths"].as_object().expect("paths");
    let read = paths.iter().filter(|(_, operations)| operations.get("get").is_some());
    let mut targets = Vec::new();
    for (path, _) in read {
        // It does not end.
        if path == "/v1/events" {
            continue;
        }
        let path = path.replace("{field}", "energy.total_energy_j");
        let each = ids.iter().map(|id| path.replace("{id}", id));
        let each: Vec<_> = if path.contains("{id}") {
            each.collect()
        } else {
            vec![path.clone()]
        };
        assert!(
            each.iter().all(|path| !path.contains('{')),
            "{path}: a parameter that this test does not fill"
        );
        for path in each {
            if path.ends_with("/export") {
                for format in ["csv", "csv&spreadsheet=true", "jsonl", "parquet"] {
                    for what in ["summary", "cycles", "requests", "tokens", "timeseries"] {
                        targets.push(format!("{path}?format={format}&what={what}"));
                    }
                }
            }
            targets.push(path);
        }
    }
    targets.extend(ids.iter().flat_map(|id| {
        ["fields=failure", "fields=failure.message,failure.log_tail", "wait=1"]
            .map(|query| format!("/v1/experiments/{id}?{query}"))
    }));
    targets.extend(
        ["state=failed&limit=500", "fields=failure,model_name"].map(|query| format!("/v1/experiments?{query}")),
    );
    targets
}

#[tokio::test]
async fn a_marked_prompt_is_told_to_nobody_else_by_any_route_format_stream_callback_metric_trace_or_log() {
    let (collector, receiver) = (Collector::start().await, Receiver::start(&[500, 200]).await);
    let folder = tempfile::tempdir().unwrap();
    let secret = callback_secret(folder.path());
    let guarded = Guarded::start(&[
        "--otlp-endpoint",
        &collector.url,
        "--callback-http",
        "--callback-allow",
        "127.0.0.1:*",
        "--callback-secret-file",
        &secret,
        "--callback-retry-sec",
        "1",
        "--rate-limit-per-minute",
        "0",
        "--log",
        "trace",
    ]);
    let ada = guarded.key("ada", "submitter");
    let ids = finished(&guarded, &ada, &receiver.url("/hook")).await;
    let (_, description) = guarded.get("/openapi.json", &ada).await;
    let targets = targets(&description, &ids);
    assert!(targets.len() > 100, "{}", targets.len());

    for (name, role) in [("bob", "reader"), ("sue", "submitter")] {
        let key = guarded.key(name, role);
        for target in &targets {
            let told = text_of(guarded.send(Method::GET, target, &key, None).await).await;
            assert!(!told.contains(MARK), "{role}: {target}: {told}");
        }
        for id in &ids {
            let path = format!("/v1/experiments/{id}/cancel");
            let told = text_of(guarded.send(Method::POST, &path, &key, None).await).await;
            assert!(!told.contains(MARK), "{role}: {path}: {told}");
        }
        assert_reason_rank_and_phase_alone(&guarded, &key, &ids[1..]).await;
        assert!(!all_events(&guarded, &key, &ids).await.contains(MARK));
    }

    // Its owner and an admin are told all of it, so that the search above would have found it.
    let root = guarded.key("root", "admin");
    for key in [&ada, &root] {
        for id in &ids[1..] {
            let told = text_of(
                guarded
                    .send(Method::GET, &format!("/v1/experiments/{id}"), key, None)
                    .await,
            )
            .await;
            assert!(told.matches(MARK).count() > 1, "the prompt and the failure: {told}");
        }
        let rows = text_of(
            guarded
                .send(Method::GET, "/v1/experiments/export?format=parquet", key, None)
                .await,
        )
        .await;
        assert!(rows.contains(MARK), "what was said: {rows}");
    }
    // Keeps nothing of it whoever asks.
    for target in ["/v1/audit?limit=500", "/metrics", "/v1/nodes", "/v1/devices"] {
        let told = text_of(guarded.send(Method::GET, target, &root, None).await).await;
        assert!(!told.contains(MARK), "{target}: {told}");
    }
    let attempts = |spans: &[crate::otlp::Span]| spans.iter().filter(|span| span.name == "experiment").count();
    let spans = collector
        .until(|span| span.attributes.get("joulemark.experiment_id") == ids.last())
        .await;
    assert!(attempts(&spans) > 0 && !format!("{spans:?}").contains(MARK));
    while receiver.calls().len() <= ids.len() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(!format!("{:?}", receiver.calls()).contains(MARK));
    let log = guarded.server.log();
    assert!(
        log.contains("worker_error in rank 0 while"),
        "reason, rank and phase: {log}"
    );
    let line = log.lines().find(|line| line.contains(MARK));
    assert_eq!(line, None, "it is in the log");
}

async fn assert_reason_rank_and_phase_alone(guarded: &Guarded, key: &str, ids: &[String]) {
    for id in ids {
        let (_, shown) = guarded.get(&format!("/v1/experiments/{id}"), key).await;
        let failure = &shown["failure"];
        let (reason, phase) = (failure["reason"].as_str().unwrap(), failure["phase"].as_str().unwrap());
        assert_eq!(failure["rank"], 0, "{failure:#}");
        assert_eq!(
            (&failure["signal"], &failure["exit_code"], &failure["log_tail"]),
            (&Value::Null, &Value::Null, &json!([]))
        );
        let message = format!("{reason} in rank 0 while {phase}; details are withheld, as the prompts are");
        assert_eq!(failure["message"], json!(message));
        let (status, problem) = guarded.get(&format!("/v1/experiments/{id}/results"), key).await;
        assert_eq!((status, &problem["failure"]), (StatusCode::CONFLICT, failure));
    }
}

/// Everything since the database's beginning, to the last of the ends.
async fn all_events(guarded: &Guarded, key: &str, ids: &[String]) -> String {
    let request = reqwest::Client::new().get(format!("{}/v1/events", guarded.server.url));
    let response = request
        .bearer_auth(key)
        .header("last-event-id", "0")
        .send()
        .await
        .unwrap();
    let mut left: Vec<_> = ids.iter().collect();
    let mut follow = Follow::of(response);
    let mut told = String::new();
    while !left.is_empty() {
        let event = follow.next().await.expect("the stream goes on");
        if event.data["final"] == true {
            left.retain(|id| event.data["id"] != json!(id));
        }
        told.push_str(&format!("{event:?}"));
    }
    told
}

#[tokio::test]
async fn an_admin_may_have_what_workers_say_in_the_log() {
    let guarded = Guarded::start(&["--log-worker-output"]);
    let ada = guarded.key("ada", "submitter");
    let mut experiment = quoting(QUOTING[2], "");
    experiment.as_object_mut().unwrap().remove("callback_url");
    let id = guarded.accepted(&ada, &experiment).await;
    while !is_finished(&guarded.get(&format!("/v1/experiments/{id}?wait=10"), &ada).await.1) {}
    let log = guarded.server.log();
    assert!(
        log.lines()
            .any(|line| line.contains("worker_output") && line.contains(MARK)),
        "{log}"
    );
    assert!(
        log.lines().any(|line| line.contains("failed: ") && line.contains(MARK)),
        "{log}"
    );
}
