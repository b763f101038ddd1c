//! What is offered to an engine: when requests are sent, what waits, and what a result says of it.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::server::Server;

/// Two prompts of answers that take 5 tokens' time.
fn with(fields: Value) -> Value {
    let mut experiment = json!({
        "model_name": "synthetic:prefill_ms=4,decode_ms=2", "prompts": ["one", "three"], "max_output_tokens": 5,
        "min_output_tokens": 5, "num_cycles": 2, "warmup_iterations": 0, "idle_baseline_sec": 0,
    });
    for (key, value) in fields.as_object().expect("fields") {
        experiment[key] = value.clone();
    }
    experiment
}

async fn results(server: &Server, experiment: &Value) -> (String, Value) {
    let id = server.accepted(experiment).await;
    server.until_state(&id, "completed").await;
    let results = server.results(&id).await;
    (id, results)
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is a number"))
}

/// The requests of each rank and cycle.
async fn requests(server: &Server, id: &str) -> Vec<Vec<Value>> {
    let processes = server.processes(id).await;
    let items = processes["items"].as_array().expect("a list").iter();
    items
        .map(|item| item["requests"].as_array().expect("a list").clone())
        .collect()
}

#[tokio::test]
async fn an_open_load_sends_when_requests_are_due_and_tells_waiting_from_service() {
    let server = Server::start();
    let open = json!({"rate_per_sec": 20.0, "arrivals": "constant", "requests": 5});
    let asked = with(json!({"load": {"open": open}, "slo": {"e2e_ms": 60_000.0}, "num_processes": 2}));
    let (id, results) = results(&server, &asked).await;
    let offered = &results["load_report"];
    assert_eq!(
        (&offered["kind"], &offered["requests"], &offered["good_requests"]),
        (&json!("open"), &json!(10), &json!(10)),
        "{offered:#}"
    );
    assert!((number(&offered["offered_per_sec"]) - 20.0).abs() < 0.5, "{offered:#}");
    assert_eq!(offered["goodput"], results["inference"]["goodput"]);
    assert_eq!(offered["prompts_repeated"], true, "each rank has one prompt");
    let ranks = requests(&server, &id).await;
    // Over both ranks a request each 50 ms, in each cycle.
    let of_cycle = |cycle: usize| {
        let ranks = ranks[2 * cycle..2 * cycle + 2].iter().flatten();
        let mut due: Vec<f64> = ranks.map(|request| number(&request["due_monotonic_sec"])).collect();
        due.sort_by(f64::total_cmp);
        due
    };
    assert_eq!((of_cycle(0).len(), of_cycle(1).len()), (5, 5));
    for request in ranks.iter().flatten() {
        let sec = |name: &str| number(&request[name]);
        let waited_ms = (sec("sent_monotonic_sec") - sec("due_monotonic_sec")) * 1e3;
        assert!(
            waited_ms >= 0.0 && waited_ms >= sec("sender_lag_ms") - 1e-3,
            "{request:#}"
        );
        let first = number(&request["token_monotonic_sec"][0]);
        assert!(
            (sec("ttft_ms") - (first - sec("due_monotonic_sec")) * 1e3).abs() < 1e-3,
            "{request:#}"
        );
    }
    let export = format!("/v1/experiments/{id}/export?what=requests&format=jsonl");
    let (_, row) = server.get(&export).await;
    let row = row.as_str().and_then(|lines| lines.lines().next()).unwrap_or_default();
    let row: Value = serde_json::from_str(row).expect("a line of JSON");
    assert_eq!(row["due_monotonic_sec"], ranks[0][0]["due_monotonic_sec"], "{row:#}");
    // What was shown is accepted again.
    let again = server.accepted(&results["experiment"]).await;
    let shown = server.until_state(&again, "completed").await;
    assert_eq!(shown["load"], results["experiment"]["load"]);
}

#[tokio::test]
async fn a_load_that_is_more_than_the_engine_takes_is_told_as_saturated() {
    let server = Server::start();
    // An answer takes 12 ms at the least, and one comes every 3 ms.
    let open = json!({"open": {"rate_per_sec": 333.0, "requests": 80}});
    let (_, saturated) = results(&server, &with(json!({"load": open, "num_cycles": 1}))).await;
    let offered = &saturated["load_report"];
    assert_eq!(offered["saturated"], true, "{offered:#}");
    assert!(number(&offered["achieved_per_sec"]) < number(&offered["offered_per_sec"]));
    assert!(number(&offered["queueing_ms"]["mean"]) > number(&offered["service_ms"]["mean"]));
    let warnings = saturated["validation"]["warnings"].to_string();
    assert!(warnings.contains("open_load_saturated"), "{warnings}");
    // With as many in the engine at once as come, nothing waits for long.
    let (_, taken) = results(
        &server,
        &with(json!({"load": {"open": {"rate_per_sec": 100.0, "requests": 60}}, "batch_size": 64, "num_cycles": 1})),
    )
    .await;
    assert_eq!(taken["load_report"]["saturated"], false, "{:#}", taken["load_report"]);
    assert_eq!(taken["batch_steps"], Value::Null, "they are in no waves");
}

#[tokio::test]
async fn a_closed_load_keeps_as_many_in_flight_as_it_says() {
    let server = Server::start();
    let asked = with(
        json!({"load": {"closed": {"concurrency": 3}}, "prompts": {"dataset": "short-32", "count": 6},
        "num_cycles": 1}),
    );
    let (id, results) = results(&server, &asked).await;
    let offered = &results["load_report"];
    assert_eq!(
        (&offered["kind"], &offered["concurrency"]),
        (&json!("closed"), &json!(3))
    );
    let mut requests = requests(&server, &id).await.concat();
    let sec = |request: &Value, name: &str| number(&request[name]);
    requests.sort_by(|a, b| sec(a, "due_monotonic_sec").total_cmp(&sec(b, "due_monotonic_sec")));
    // The fourth is due when the first has its answer, and so on.
    for pair in requests.windows(4) {
        let (before, due) = (
            sec(&pair[0], "completed_monotonic_sec"),
            sec(&pair[3], "due_monotonic_sec"),
        );
        assert!(due >= before, "{pair:#?}");
    }
    assert!(number(&offered["queueing_ms"]["mean"]) > number(&offered["service_ms"]["mean"]));
}

/// A server with a folder of files, which goes with it.
fn server_with(files: &[(&str, &str)]) -> (Server, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).expect("a file");
    }
    let prompts = folder.path().to_str().expect("a path").to_owned();
    let server = Server::start_with(&["--allow-synthetic-engine", "--prompts-dir", &prompts]);
    (server, folder)
}

const TRACE: &str = "{\"timestamp\": 5000, \"input_length\": 40, \"output_length\": 3, \"hash_ids\": [1, 2]}\n\
    {\"timestamp\": 5060, \"input_length\": 7, \"output_length\": 2, \"hash_ids\": [1]}\n\
    {\"timestamp\": 5090, \"input_length\": 9, \"output_length\": 1, \"hash_ids\": [3]}\n";

#[tokio::test]
async fn a_trace_is_replayed_with_its_times_and_lengths() {
    let (server, folder) = server_with(&[
        ("trace.jsonl", TRACE),
        ("times.jsonl", "{\"timestamp\": 0}\n{\"timestamp\": 9}\n"),
    ]);
    let mut of_trace =
        with(json!({"load": {"replay": {"file": "trace.jsonl"}}, "min_output_tokens": 0, "num_cycles": 1}));
    of_trace.as_object_mut().expect("an object").remove("prompts");
    let (id, results) = results(&server, &of_trace).await;
    let requests = requests(&server, &id).await.concat();
    let lengths: Vec<_> = requests
        .iter()
        .map(|request| (number(&request["input_tokens"]), number(&request["output_tokens"])))
        .collect();
    assert_eq!(lengths, [(40.0, 3.0), (7.0, 2.0), (9.0, 1.0)]);
    let due = |place: usize| number(&requests[place]["due_monotonic_sec"]) - number(&requests[0]["due_monotonic_sec"]);
    assert!((due(1) - 0.06).abs() < 1e-6 && (due(2) - 0.09).abs() < 1e-6);
    let shown = &results["experiment"];
    assert_eq!((&shown["prompts"], &shown["prompt_lines"]), (&json!([]), &json!([])));
    assert_eq!(shown["load"]["replay"]["requests"], 3);
    assert_eq!(shown["load"]["replay"]["due_sec"], Value::Null);
    // As it was shown it is run again, and no longer once the file has changed.
    let again = server.accepted(shown).await;
    server.until_state(&again, "completed").await;
    let times = with(json!({"load": {"replay": {"file": "times.jsonl"}}, "num_cycles": 1}));
    let (id, _) = self::results(&server, &times).await;
    assert_eq!(self::requests(&server, &id).await.concat().len(), 2);
    std::fs::write(folder.path().join("trace.jsonl"), "{\"timestamp\": 0}\n").expect("a file");
    let (status, body) = server.submit(shown).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(body["errors"][0]["pointer"], "/load/replay/sha256", "{body:#}");
}

#[tokio::test]
async fn a_load_that_cannot_be_is_refused_with_what_can() {
    let (server, _folder) = server_with(&[("trace.jsonl", TRACE), ("bad.jsonl", "{\"timestamp\": -1}\n")]);
    for (fields, pointer) in [
        (
            json!({"load": {"closed": {"concurrency": 3}}, "batch_size": 4}),
            "/load/closed/concurrency",
        ),
        (
            json!({"load": {"closed": {"concurrency": 1}}, "num_processes": 2}),
            "/load/closed/concurrency",
        ),
        (
            json!({"load": {"open": {"rate_per_sec": 1, "requests": 1}}, "num_processes": 2}),
            "/load/open",
        ),
        (json!({"load": {"open": {"rate_per_sec": 1}}}), "/load/open/requests"),
        (json!({"load": {"replay": {"file": "none.jsonl"}}}), "/load/replay/file"),
        (
            json!({"load": {"replay": {"file": "../trace.jsonl"}}}),
            "/load/replay/file",
        ),
        (json!({"load": {"replay": {"file": "bad.jsonl"}}}), "/load/replay/file"),
        (json!({"load": {"replay": {"file": "trace.jsonl"}}}), "/prompts"),
        (
            json!({"load": {"replay": {"file": "trace.jsonl", "requests": 4}}}),
            "/load/replay/requests",
        ),
        (json!({"slo": {}}), "/slo"),
    ] {
        let (status, body) = server.submit(&with(fields.clone())).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{fields}");
        assert_eq!(body["errors"][0]["pointer"], pointer, "{body:#}");
    }
}

/// However fast this machine is: what waits is compared with what the same arrivals wait for at the service times that were
/// measured. That such arrivals wait as M/D/1 has it is a test of theirs.
#[tokio::test]
async fn what_waits_for_an_engine_waits_as_long_as_a_queue_before_it_does() {
    let server = Server::start();
    let asked = with(json!({"load": {"open": {"rate_per_sec": 36.0, "requests": 400, "seed": 5}}, "num_cycles": 1}));
    let (id, results) = results(&server, &asked).await;
    let offered = &results["load_report"];
    let waited_ms = number(&offered["queueing_ms"]["mean"]);
    // Lindley's recursion over the same requests.
    let requests = requests(&server, &id).await.concat();
    let sec = |request: &Value, name: &str| number(&request[name]);
    let (mut free, mut expected_ms) = (0.0_f64, 0.0);
    for request in &requests {
        let due = sec(request, "due_monotonic_sec");
        let begun = free.max(due);
        free = begun + sec(request, "completed_monotonic_sec") - sec(request, "sent_monotonic_sec");
        expected_ms += (begun - due) * 1e3 / requests.len() as f64;
    }
    let lag_ms = number(&offered["sender_lag_ms"]["mean"]);
    let close = |found: f64, expected: f64, by: f64| (found - expected).abs() <= by * expected + lag_ms;
    assert!(
        close(waited_ms, expected_ms, 0.2),
        "{waited_ms} of {expected_ms}: {offered:#}"
    );
}

#[tokio::test]
async fn the_part_in_which_the_load_is_full_stands_beside_the_whole() {
    let server = Server::start();
    let asked = with(json!({"prompts": {"dataset": "short-32", "count": 12}, "load": {"closed": {"concurrency": 3}}}));
    let (id, closed) = results(&server, &asked).await;
    let steady = &closed["steady_state"];
    assert_eq!(
        (&steady["method"], &steady["why_none"]),
        (&json!("full_concurrency"), &Value::Null)
    );
    let processes = server.processes(&id).await;
    for (cycle, pass) in steady["cycles"]
        .as_array()
        .expect("cycles")
        .iter()
        .zip(processes["items"].as_array().expect("a list"))
    {
        let sec = |name: &str| number(&pass["window"][name]);
        let (begin, end) = (
            number(&cycle["begin_monotonic_sec"]),
            number(&cycle["end_monotonic_sec"]),
        );
        assert!(
            sec("start_monotonic_sec") <= begin && begin < end && end <= sec("end_monotonic_sec"),
            "{cycle:#}"
        );
        assert!(
            (number(&cycle["share_of_cycle"])
                - (end - begin) / (sec("end_monotonic_sec") - sec("start_monotonic_sec")))
            .abs()
                < 1e-9
        );
        // The last two of twelve answers come while it drains; the tenth, at whose end it does, has its last token then.
        let tokens = number(&cycle["inference"]["output_tokens"]);
        assert!((45.0..=50.0).contains(&tokens), "{cycle:#}");
    }
    assert!(number(&steady["energy"]["duration_sec"]) < number(&closed["energy"]["duration_sec"]));
    assert!(steady["energy"]["total_energy_uncertainty_j"].is_number(), "{steady:#}");
    assert!(
        steady["efficiency"]["joules_per_output_token"].is_number() && steady["efficiency"]["flop_per_token"].is_null()
    );
    let (_, row) = server.get(&format!("/v1/experiments/{id}/export?format=jsonl")).await;
    // A single line is a document by itself.
    assert_eq!(row["steady_state_total_energy_j"], steady["energy"]["total_energy_j"]);
    assert_eq!(row["steady_state_why_none"], Value::Null);
    // Too few, and saturated.
    let few = json!({"open": {"rate_per_sec": 100.0, "requests": 10}});
    let (_, few) = results(&server, &with(json!({"load": few, "num_cycles": 1}))).await;
    let steady = &few["steady_state"];
    assert_eq!(
        (&steady["method"], &steady["inference"], &steady["energy"]),
        (&json!("mser5"), &Value::Null, &Value::Null)
    );
    assert!(
        steady["why_none"]
            .as_str()
            .expect("a reason")
            .contains("at least 50 answered requests"),
        "{steady:#}"
    );
}
