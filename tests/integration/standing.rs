//! Streams end with what opened them: with their caller's key, at their time, whatever else happens on the server; and one
//! that is silent says that it lives, however busy the server is.

use std::time::Duration;

use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};
use sqlx::{Connection as _, Executor as _, SqliteConnection};

use crate::guarded::Guarded;
use crate::sse::Follow;

/// Runs for minutes and tells of its progress each second.
fn endless() -> Value {
    json!({"model_name": "synthetic:decode_ms=20", "prompts": ["a"], "max_output_tokens": 100_000, "num_cycles": 1,
           "warmup_iterations": 0, "idle_baseline_sec": 0})
}

async fn follow(guarded: &Guarded, key: &str, path: &str) -> Follow {
    let follow = Follow::of(guarded.send(Method::GET, path, key, None).await);
    assert_eq!(follow.status(), StatusCode::OK, "{path}");
    follow
}

fn id_of(key: &str) -> &str {
    key.split('_').nth(1).expect("an id")
}

async fn lose_role(guarded: &Guarded, key: &str) {
    let database = format!("sqlite://{}", guarded.server.folder.join("joulemark.db").display());
    let mut connection = SqliteConnection::connect(&database).await.unwrap();
    let changed = sqlx::query("UPDATE api_keys SET role = 'reader' WHERE id = $1").bind(id_of(key));
    assert_eq!(connection.execute(changed).await.unwrap().rows_affected(), 1);
}

#[tokio::test]
async fn a_stream_and_a_wait_end_with_the_key_that_was_revoked_expired_or_lost_its_role_idle_or_busy() {
    let guarded = Guarded::start(&["--stream-check-sec", "1"]);
    let ada = guarded.key("ada", "submitter");
    let (revoked, demoted) = (guarded.key("bob", "reader"), guarded.key("carol", "admin"));
    let id = guarded.accepted(&ada, &endless()).await;
    let (made, expiring, errors) =
        guarded.key_command(&["create", "--name", "eve", "--role", "reader", "--expires", "5s"]);
    assert!(made, "{errors}");
    let own = format!("/v1/experiments/{id}/events");
    let mut stays = follow(&guarded, &ada, &own).await;
    let mut streams = Vec::new();
    for key in [&expiring, &revoked, &demoted] {
        // Busy with progress, and one that nothing passes.
        for path in [&*own, "/v1/events", "/v1/events?user=nobody"] {
            streams.push(follow(&guarded, key, path).await);
        }
    }
    let path = format!("/v1/experiments/{id}?wait=300");
    let wait = guarded.send(Method::GET, &path, &revoked, None);
    let ended = async {
        assert!(guarded.key_command(&["revoke", id_of(&revoked)]).0);
        lose_role(&guarded, &demoted).await;
        futures::future::join_all(streams.iter_mut().map(Follow::rest)).await
    };
    let (wait, ended) = tokio::join!(wait, ended);
    assert_eq!(ended.len(), 9);
    assert_eq!(wait.status(), StatusCode::UNAUTHORIZED);
    let problem: Value = wait.json().await.unwrap();
    assert_eq!(problem["type"], "urn:problem-type:joulemark:invalid-key", "{problem:#}");
    // What nobody took a key from goes on.
    let later = stays.until(|event| event.name == "progress").await;
    assert!(!later.is_empty());
    guarded.cancel(&ada, &id).await;
    let last = stays.rest().await;
    assert_eq!(last.last().unwrap().data["state"], "cancelled");
}

#[tokio::test]
async fn a_narrowed_stream_on_a_busy_server_gets_its_keep_alive() {
    let guarded = Guarded::start(&["--stream-keep-alive-sec", "1", "--rate-limit-per-minute", "0"]);
    let ada = guarded.key("ada", "submitter");
    let id = guarded.accepted(&ada, &endless()).await;
    let busy = async {
        // Changes come faster than the stream would be silent for.
        loop {
            let waiting = guarded.accepted(&ada, &endless()).await;
            guarded.cancel(&ada, &waiting).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let listening = async {
        let mut stream = guarded.send(Method::GET, "/v1/events?user=nobody", &ada, None).await;
        assert_eq!(stream.headers()[header::CONTENT_TYPE], "text/event-stream");
        let mut text = String::new();
        while text.lines().filter(|line| line.starts_with(':')).count() < 3 {
            let chunk = stream
                .chunk()
                .await
                .expect("it does not break off")
                .expect("it goes on");
            text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
        assert!(!text.contains("data:"), "nobody's: {text}");
    };
    let patience = Duration::from_secs(60);
    tokio::select! {
        () = busy => unreachable!("it goes on"),
        heard = tokio::time::timeout(patience, listening) => heard.expect("a comment each second"),
    }
    guarded.cancel(&ada, &id).await;
}

#[tokio::test]
async fn a_stream_ends_at_its_time_also_on_a_busy_server_and_goes_on_where_it_was() {
    let guarded = Guarded::start(&["--stream-lifetime-sec", "2"]);
    let ada = guarded.key("ada", "submitter");
    let id = guarded.accepted(&ada, &endless()).await;
    let path = format!("/v1/experiments/{id}/events");
    let [one, narrowed] = [&*path, "/v1/events?user=nobody"];
    let (mut one, mut narrowed) = (
        follow(&guarded, &ada, one).await,
        follow(&guarded, &ada, narrowed).await,
    );
    let (events, none) = tokio::join!(one.rest(), narrowed.rest());
    assert!(none.is_empty() && events.iter().all(|event| event.data["final"] != true));
    let last = events.last().expect("its state").id.to_string();
    guarded.cancel(&ada, &id).await;
    let request = reqwest::Client::new().get(format!("{}{path}", guarded.server.url));
    let again = request
        .bearer_auth(&ada)
        .header("last-event-id", last)
        .send()
        .await
        .unwrap();
    let rest = Follow::of(again).rest().await;
    assert_eq!(rest.last().unwrap().data["state"], "cancelled");
}

#[tokio::test]
async fn an_answer_that_goes_out_piece_by_piece_is_whole_however_it_is_packed() {
    let guarded = Guarded::start(&[]);
    let ada = guarded.key("ada", "submitter");
    let quick = json!({"model_name": "synthetic:", "prompts": ["a"], "max_output_tokens": 4, "num_cycles": 1,
                       "warmup_iterations": 0, "idle_baseline_sec": 0});
    let id = guarded.accepted(&ada, &quick).await;
    let path = format!("/v1/experiments/{id}/results?wait=60");
    let results = guarded.send(Method::GET, &path, &ada, None);
    assert_eq!(results.await.status(), StatusCode::OK);
    let client = reqwest::Client::new();
    let of_one = ["export", "processes", "timeseries"].map(|what| format!("{id}/{what}"));
    for path in std::iter::once("export").chain(of_one.iter().map(String::as_str)) {
        for coding in ["identity", "gzip", "zstd"] {
            let url = format!("{}/v1/experiments/{path}", guarded.server.url);
            let asked = client
                .get(url)
                .bearer_auth(&ada)
                .header(header::ACCEPT_ENCODING, coding);
            let answer = asked.send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK, "{path}");
            let whole = answer.bytes().await;
            assert!(
                whole.is_ok_and(|bytes| !bytes.is_empty()),
                "{path} as {coding} breaks off"
            );
        }
    }
}
