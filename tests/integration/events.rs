//! Events as they happen: each state once and in order, also for who comes late, comes again, or reads slowly.

use std::time::Duration;

use joulemark_measurement::clock::Monotonic;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::exposition::read;
use crate::guarded::{connect, read_all, read_until};
use crate::postgres_cluster::PostgresCluster;
use crate::server::Server;
use crate::sse::{Follow, states_of};
use tokio::io::AsyncWriteExt as _;

fn quick() -> Value {
    json!({
        "model_name": "synthetic:decode_ms=20", "prompts": ["a", "b"], "max_output_tokens": 40, "num_cycles": 2,
        "warmup_iterations": 1, "idle_baseline_sec": 0,
    })
}

fn slow() -> Value {
    json!({"model_name": "synthetic:decode_ms=600000", "prompts": ["a"], "max_output_tokens": 4})
}

const WAY: [&str; 6] = [
    "queued",
    "starting",
    "warming_up",
    "measuring",
    "aggregating",
    "completed",
];

#[tokio::test]
async fn an_experiment_is_followed_from_its_acceptance_to_its_end() {
    let server = Server::start();
    let blocker = server.accepted(&slow()).await;
    let id = server.accepted(&quick()).await;
    let mut follow = Follow::open(&server, &format!("/v1/experiments/{id}/events"), None).await;
    assert_eq!(follow.header("content-type"), "text/event-stream");
    assert_eq!(follow.header("cache-control"), "no-cache, no-transform");
    assert_eq!(follow.header("x-accel-buffering"), "no");
    let first = follow.next().await.expect("the present state at once");
    assert_eq!((first.name.as_str(), &first.data["state"]), ("state", &json!("queued")));
    server.cancel(&blocker).await;
    let mut events = vec![first];
    events.extend(follow.rest().await);
    assert_eq!(states_of(&events), WAY);
    let last = events.last().unwrap();
    assert_eq!((&last.data["final"], &last.data["id"]), (&json!(true), &json!(id)));
    let progress: Vec<_> = events.iter().filter(|event| event.name == "progress").collect();
    assert!(!progress.is_empty(), "it runs for seconds");
    let mut measuring = progress.iter().filter(|event| event.data["phase"] == "measuring");
    let last = measuring.next_back().expect("a second of measuring is seen");
    assert!(last.data["tokens_per_second"].as_f64().unwrap() > 1.0, "{}", last.data);
    assert!(
        last.data["power_w"].as_f64().unwrap() > 0.0 && last.data["eta_sec"].is_number(),
        "{}",
        last.data
    );
    assert_eq!(
        (&last.data["state"], &last.data["num_cycles"]),
        (&json!("measuring"), &json!(2))
    );
    // The ids of states grow; progress has that of the state before it.
    let mut id_before = 0;
    for event in &events {
        assert!(
            event.id >= id_before && (event.name == "state") == (event.id > id_before),
            "{event:?}"
        );
        id_before = event.id;
    }
}

#[tokio::test]
async fn who_comes_again_gets_what_came_since_once_and_in_order_also_from_another_life_of_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start_in(folder.path(), &["--allow-synthetic-engine"]);
    let id = server.accepted(&quick()).await;
    let path = format!("/v1/experiments/{id}/events");
    server.until_state(&id, "completed").await;
    let whole = Follow::open(&server, &path, Some("0")).await.rest().await;
    assert_eq!(states_of(&whole), WAY);
    server.stop();
    let server = Server::start_in(folder.path(), &["--allow-synthetic-engine"]);
    for (index, event) in whole.iter().enumerate().take(5) {
        let rest = Follow::open(&server, &path, Some(&event.id.to_string()))
            .await
            .rest()
            .await;
        assert_eq!(rest, whole[index + 1..], "after {event:?}");
    }
    // The final state at once, and nothing more for who has it.
    let at_once = Follow::open(&server, &path, None).await.rest().await;
    assert_eq!(at_once, whole[5..]);
    for seen in [whole[5].id, whole[5].id + 1000] {
        let again = Follow::open(&server, &path, Some(&seen.to_string())).await;
        assert_eq!(again.status(), StatusCode::NO_CONTENT);
    }
    for wrong in ["x", "-1", "1.5"] {
        assert_eq!(
            Follow::open(&server, &path, Some(wrong)).await.status(),
            StatusCode::BAD_REQUEST
        );
    }
    let unknown = "/v1/experiments/01938c5e-9a62-7c3f-8f0e-0d5f6f2b7c11/events";
    assert_eq!(
        Follow::open(&server, unknown, None).await.status(),
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn the_stream_of_all_tells_of_all_and_is_narrowed_by_state_user_and_label() {
    let server = Server::start();
    let mut all = Follow::open(&server, "/v1/events", None).await;
    let mut ends = Follow::open(&server, "/v1/events?state=completed&state=failed", None).await;
    let mut labelled = Follow::open(&server, "/v1/events?label=team%3Da&user=ada", None).await;
    let of = |label: &str, user: &str| {
        let mut experiment = quick();
        experiment["labels"] = json!({"team": label});
        experiment["user"] = json!(user);
        experiment
    };
    let one = server.accepted(&of("a", "ada")).await;
    let two = server.accepted(&of("b", "ada")).await;
    let three = server.accepted(&of("a", "bob")).await;
    let mut ended = Vec::new();
    for _ in 0..3 {
        let events = ends.until(|event| event.data["final"] == true).await;
        assert_eq!(states_of(&events), ["completed"]);
        ended.push(events[0].data["id"].as_str().unwrap().to_owned());
    }
    ended.sort();
    assert_eq!(ended, [one.clone(), two, three]);
    let events = labelled.until(|event| event.data["final"] == true).await;
    assert_eq!(states_of(&events), WAY);
    assert!(events.iter().all(|event| event.data["id"] == one));
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.extend(all.until(|event| event.data["final"] == true).await);
    }
    assert_eq!(states_of(&seen).len(), 18);
    assert!(seen.iter().any(|event| event.name == "progress"));
    // From any point on, by pages of the database's log.
    let middle = seen.iter().rfind(|event| event.data["state"] == "queued").unwrap().id;
    let mut again = Follow::open(&server, "/v1/events", Some(&middle.to_string())).await;
    let last = seen.last().unwrap();
    let repeated = again.until(|event| event.id == last.id).await;
    let expected: Vec<_> = seen
        .iter()
        .filter(|event| event.name == "state" && event.id > middle)
        .collect();
    assert_eq!(repeated.iter().collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn a_server_that_stops_closes_its_streams_and_answers_who_waits() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start_in(folder.path(), &["--allow-synthetic-engine"]);
    let id = server.accepted(&slow()).await;
    server.until_state(&id, "warming_up").await;
    let mut all = Follow::open(&server, "/v1/events", None).await;
    let mut one = Follow::open(&server, &format!("/v1/experiments/{id}/events"), None).await;
    one.until(|event| event.name == "state").await;
    let waiting = reqwest::get(format!("{}/v1/experiments/{id}?wait=300", server.url));
    let waiting = tokio::spawn(waiting);
    until_streams(&server, 3.0).await;
    server.stop();
    all.rest().await;
    one.rest().await;
    let answer = waiting.await.unwrap().expect("an answer");
    assert_eq!(answer.status(), StatusCode::OK);
}

/// Waits until so many streams and requests that wait are open.
async fn until_streams(server: &Server, count: f64) {
    let start = Monotonic::now();
    loop {
        let (status, text) = server.get("/metrics").await;
        let is_refused = status == StatusCode::SERVICE_UNAVAILABLE;
        if !is_refused && read(text.as_str().expect("text")).one("joulemark_http_streams_open", &[]) == count {
            return;
        }
        assert!(
            Monotonic::now().sec_since(start) < 60.0,
            "never {count} streams: {text}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_wait_ends_with_the_experiment_and_no_later_and_outlasts_the_limit_on_requests() {
    let server = Server::start_with(&[
        "--allow-synthetic-engine",
        "--request-timeout-sec",
        "1",
        "--max-concurrent-requests",
        "2",
    ]);
    let blocker = server.accepted(&slow()).await;
    let id = server.accepted(&slow()).await;
    let urls = ["", "/results"].map(|rest| format!("{}/v1/experiments/{id}{rest}?wait=300", server.url));
    // More than are answered at a time.
    let waiting = (0..8).map(|index| tokio::spawn(patiently(urls[index % 2].clone())));
    let waiting: Vec<_> = waiting.collect();
    until_streams(&server, 8.0).await;
    // By the time this one's is up, the others have waited for longer than a request may take.
    let (status, shown) = server.get(&format!("/v1/experiments/{blocker}?wait=1")).await;
    assert_eq!(status, StatusCode::OK, "the time is up: {shown:#}");
    assert_ne!(shown["state"], "completed");
    assert!(waiting.iter().all(|answer| !answer.is_finished()), "they wait");
    server.cancel(&id).await;
    for (index, answer) in waiting.into_iter().enumerate() {
        let answer = answer.await.unwrap();
        let expected = [StatusCode::OK, StatusCode::CONFLICT][index % 2];
        assert_eq!(answer.status(), expected);
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["state"], "cancelled", "{body:#}");
    }
    for wrong in ["wait=301", "wait=soon", "weit=3"] {
        let (status, _) = server.get(&format!("/v1/experiments/{id}?{wrong}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{wrong}");
    }
}

/// Until there is a place to begin; no other refusal is put up with.
async fn patiently(url: String) -> reqwest::Response {
    loop {
        let response = reqwest::get(&url).await.expect("an answer");
        if response.status() != StatusCode::SERVICE_UNAVAILABLE {
            return response;
        }
        let refusal = response.text().await.expect("text");
        assert!(refusal.contains("max_concurrent_requests"), "{refusal}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn streams_have_a_limit_of_their_own_and_give_their_places_back() {
    let server = Server::start_with(&[
        "--allow-synthetic-engine",
        "--max-streams",
        "3",
        // The server gives a place back a moment after its answer has been read.
        "--max-concurrent-requests",
        "2",
    ]);
    let mut open = Vec::new();
    for _ in 0..3 {
        let stream = Follow::open(&server, "/v1/events", None).await;
        assert_eq!(stream.status(), StatusCode::OK);
        open.push(stream);
    }
    let refused = Follow::open(&server, "/v1/events", None).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.header("retry-after"), "5");
    assert!(refused.text().await.contains("max_streams"));
    assert_eq!(
        server.get("/healthz").await.0,
        StatusCode::OK,
        "streams are not requests that are answered"
    );
    open.pop();
    // Once the server has noticed.
    server.accepted(&quick()).await;
    for _ in 0..500 {
        if Follow::open(&server, "/v1/events", None).await.status() == StatusCode::OK {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the place is not given back");
}

#[tokio::test]
async fn a_client_that_does_not_read_misses_progress_and_no_state() {
    let server = Server::start();
    let mut stream = connect(&server).await;
    let request = "GET /v1/events HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    // More than the buffers on the way hold, most of it before the client reads a byte.
    let mut ids = Vec::new();
    for _ in 0..400 {
        let id = server.accepted(&slow()).await;
        ids.push(id);
    }
    for id in &ids {
        server.cancel(id).await;
    }
    let last = format!("{{\"id\":\"{}\",\"state\":\"cancelled\"", ids.last().expect("many"));
    let mut text = read_until(&mut stream, &last).await;
    drop(server);
    text.push_str(&read_all(&mut stream).await);
    for id in &ids {
        for state in ["queued", "cancelled"] {
            let data = format!("{{\"id\":\"{id}\",\"state\":\"{state}\"");
            assert_eq!(text.matches(&data).count(), 1, "{id} {state}");
        }
    }
}

#[tokio::test]
async fn what_another_server_runs_is_heard_of_as_well_and_ids_mean_the_same_on_both() {
    let cluster = PostgresCluster::start();
    let (url, folders) = (
        cluster.url(),
        [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()],
    );
    let start = |index: usize| {
        let name = ["one", "two"][index];
        let options = ["--database-url", &url, "--allow-synthetic-engine", "--node-name", name];
        Server::start_in(folders[index].path(), &options)
    };
    let (one, two) = (start(0), start(1));
    let mut all = Follow::open(&two, "/v1/events", None).await;
    let mut experiment = quick();
    experiment["node"] = json!("one");
    let id = one.accepted(&experiment).await;
    let path = format!("/v1/experiments/{id}/events");
    let waiting = tokio::spawn(reqwest::get(format!("{}/v1/experiments/{id}?wait=200", two.url)));
    let mut elsewhere = Follow::open(&two, &path, Some("0")).await;
    let here = Follow::open(&one, &path, Some("0")).await.rest().await;
    let elsewhere = elsewhere.rest().await;
    assert_eq!(states_of(&here), WAY);
    assert!(here.iter().any(|event| event.name == "progress"));
    let states: Vec<_> = here.iter().filter(|event| event.name == "state").cloned().collect();
    assert_eq!(elsewhere, states, "progress is told by the server that runs it");
    assert_eq!(all.until(|event| event.data["final"] == true).await, states);
    let shown: Value = waiting.await.unwrap().expect("an answer").json().await.unwrap();
    assert_eq!(shown["state"], "completed");
    let rest = Follow::open(&two, &path, Some(&states[2].id.to_string()))
        .await
        .rest()
        .await;
    assert_eq!(rest, states[3..]);
}
