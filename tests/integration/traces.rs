use std::collections::BTreeMap;

use joulemark_measurement::clock::Monotonic;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::otlp::{Collector, Span};
use crate::server::Server;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

fn traced(collector_url: &str) -> Server {
    Server::start_with(&["--allow-synthetic-engine", "--otlp-endpoint", collector_url])
}

fn experiment(model: &str) -> Value {
    json!({"model_name": model, "prompts": ["my secret prompt", "another secret"], "max_output_tokens": 2, "num_cycles": 2,
           "num_processes": 2, "warmup_iterations": 1, "idle_baseline_sec": 1})
}

async fn submit(server: &Server, experiment: &Value, flags: &str) -> (String, String) {
    let request = reqwest::Client::new()
        .post(format!("{}/v1/experiments", server.url))
        .header("traceparent", format!("00-{TRACE}-{CALLER}-{flags}"))
        .json(experiment);
    let response = request.send().await.unwrap();
    let status = response.status();
    assert_eq!(status, StatusCode::CREATED);
    let request_id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    let body: Value = response.json().await.unwrap();
    (body["id"].as_str().unwrap().to_owned(), request_id)
}

fn named<'a>(spans: &'a [Span], name: &str) -> Vec<&'a Span> {
    spans.iter().filter(|span| span.name == name).collect()
}

#[tokio::test]
async fn a_request_is_a_span_of_its_callers_trace_and_its_experiment_a_trace_linked_to_it() {
    let collector = Collector::start().await;
    let server = traced(&collector.url);
    let (id, request_id) = submit(&server, &experiment("synthetic:"), "01").await;
    server.until_state(&id, "completed").await;
    let spans = collector.until(|span| span.name == "experiment").await;
    assert!(
        spans
            .iter()
            .all(|span| span.service == "joulemark" && span.end_ns >= span.start_ns),
        "{spans:#?}"
    );

    let submitted = named(&spans, "POST /v1/experiments")[0];
    assert_eq!((submitted.trace.as_str(), submitted.parent.as_str()), (TRACE, CALLER));
    assert_eq!(submitted.attributes["http.response.status_code"], "201");
    assert_eq!(submitted.attributes["joulemark.request_id"], request_id);
    assert!(
        named(&spans, "GET /v1/experiments/{id}")
            .iter()
            .all(|span| span.parent.is_empty() && span.trace != TRACE)
    );

    let root = named(&spans, "experiment")[0];
    assert!(root.parent.is_empty() && root.trace != TRACE);
    assert_eq!(root.links, [(submitted.trace.clone(), submitted.id.clone())]);
    let told =
        ["experiment_id", "request_id", "state"].map(|name| root.attributes[&format!("joulemark.{name}")].as_str());
    assert_eq!(told, [id.as_str(), request_id.as_str(), "completed"]);
    let mut legs: Vec<_> = spans.iter().filter(|span| span.parent == root.id).collect();
    legs.sort_by_key(|leg| leg.start_ns);
    let names: Vec<_> = legs.iter().map(|leg| leg.name.as_str()).collect();
    let expected = [
        "queue wait",
        "start",
        "load",
        "warm-up",
        "idle baseline",
        "cycle",
        "cycle",
        "aggregate",
        "store",
    ];
    assert_eq!(names, expected);
    for leg in &legs {
        assert_eq!((&leg.trace, leg.status), (&root.trace, 0), "{leg:?}");
        assert!(
            leg.start_ns >= root.start_ns && leg.end_ns <= root.end_ns,
            "{leg:?} is not within {root:?}"
        );
        let ranks = spans.iter().filter(|span| span.parent == leg.id).count();
        assert_eq!(
            ranks,
            if ["load", "warm-up", "cycle"].contains(&leg.name.as_str()) {
                2
            } else {
                0
            },
            "{leg:?}"
        );
    }
    let rest_sec = legs
        .iter()
        .find(|leg| leg.name == "idle baseline")
        .map(|leg| (leg.end_ns - leg.start_ns) as f64 / 1e9);
    assert!(rest_sec.unwrap() >= 0.9, "what was asked for: {rest_sec:?}");
    assert!(
        !format!("{spans:?}").contains("secret"),
        "no prompt goes to a collector"
    );
}

#[tokio::test]
async fn a_failed_leg_and_its_experiment_are_errors_with_a_word_for_the_reason() {
    let collector = Collector::start().await;
    let server = traced(&collector.url);
    let (id, _) = submit(&server, &experiment("synthetic:panic_at=1"), "01").await;
    server.until_state(&id, "failed").await;
    let spans = collector.until(|span| span.name == "experiment").await;
    let status: BTreeMap<_, _> = spans
        .iter()
        .map(|span| (span.name.as_str(), (span.status, span.message.as_str())))
        .collect();
    assert_eq!(status["experiment"], (2, "worker_exited"), "{spans:#?}");
    assert_eq!(status["load"], (0, ""));
    assert_eq!(status["warm-up"], (0, ""));
    assert_eq!(status["cycle"].0, 2, "the second request is in it: {spans:#?}");
    assert!(!status.contains_key("aggregate"));
}

#[tokio::test]
async fn who_asks_for_no_trace_leaves_none() {
    let collector = Collector::start().await;
    let server = traced(&collector.url);
    let (id, _) = submit(&server, &experiment("synthetic:"), "00").await;
    server.until_state(&id, "completed").await;
    server.get("/readyz").await;
    let spans = collector.until(|span| span.name == "GET /readyz").await;
    assert!(
        spans
            .iter()
            .all(|span| span.trace != TRACE && span.name != "experiment"),
        "{spans:#?}"
    );
}

/// A port where nobody listens, and one where connections are taken and nothing is ever answered.
#[tokio::test]
async fn a_collector_that_is_away_or_mute_neither_slows_nor_stops_the_service() {
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mute = format!("http://{}", mute.local_addr().unwrap());
    for url in ["http://127.0.0.1:1".to_owned(), mute] {
        let mut server = traced(&url);
        let start = Monotonic::now();
        for _ in 0..3000 {
            assert_eq!(server.get("/healthz").await.0, StatusCode::OK);
        }
        let (id, _) = submit(&server, &experiment("synthetic:"), "01").await;
        server.until_state(&id, "completed").await;
        println!(
            "{url}: 3,000 requests and an experiment in {:.1} s",
            Monotonic::now().sec_since(start)
        );
        let stopping = Monotonic::now();
        server = tokio::task::spawn_blocking(move || {
            server.stop();
            server
        })
        .await
        .unwrap();
        let took_sec = Monotonic::now().sec_since(stopping);
        println!("{url}: stopped in {took_sec:.1} s");
    }
}

#[tokio::test]
async fn the_last_spans_go_out_when_the_server_stops() {
    let collector = Collector::start().await;
    let mut server = traced(&collector.url);
    server.get("/openapi.json").await;
    tokio::task::spawn_blocking(move || server.stop()).await.unwrap();
    let spans = collector.until(|span| span.name == "GET /openapi.json").await;
    assert_eq!(spans[0].attributes["http.request.method"], "GET");
}
