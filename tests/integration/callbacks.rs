//! Who asked for it is told of an experiment's end: signed, again and again, once it works no more, and nobody else.

use std::path::Path;
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::guarded::Guarded;
use crate::receiver::{Call, Receiver};
use crate::server::Server;

const SECRET: &str = "a secret of sixteen";

fn secret(folder: &Path) -> String {
    let file = folder.join("secret");
    std::fs::write(&file, format!("{SECRET}\n")).expect("a file");
    file.to_str().expect("text").to_owned()
}

fn quick(url: &str) -> Value {
    json!({
        "model_name": "synthetic:decode_ms=2", "prompts": ["a"], "max_output_tokens": 4, "num_cycles": 1,
        "warmup_iterations": 0, "idle_baseline_sec": 0, "callback_url": url,
    })
}

fn slow(url: &str) -> Value {
    json!({"model_name": "synthetic:decode_ms=600000", "prompts": ["a"], "max_output_tokens": 4, "callback_url": url})
}

/// Servers one after the other, on one database.
struct Lives {
    folder: tempfile::TempDir,
    secret: String,
}

impl Lives {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let secret = secret(folder.path());
        Self { folder, secret }
    }

    fn start(&self, options: &[&str]) -> Server {
        let mut all = vec![
            "--allow-synthetic-engine",
            "--callback-http",
            "--callback-retry-sec",
            "1",
            "--callback-timeout-sec",
            "3",
        ];
        all.extend(["--callback-secret-file", &self.secret]);
        all.extend(options);
        Server::start_in(self.folder.path(), &all)
    }
}

const LOOPBACK: [&str; 2] = ["--callback-allow", "127.0.0.0/8:*"];

async fn until_callback(server: &Server, id: &str, state: &str) -> Value {
    let shown = server.until(id, |shown| shown["callback"]["state"] == state).await;
    shown["callback"].clone()
}

fn assert_signed(call: &Call) {
    let expected = crate::receiver::signature(SECRET, call);
    assert_eq!(call.header("x-joulemark-signature"), expected);
}

#[tokio::test]
async fn the_end_is_told_with_a_signature_and_again_until_it_is_taken() {
    let (lives, receiver) = (Lives::new(), Receiver::start(&[500, 503, 204]).await);
    let server = lives.start(&LOOPBACK);
    let url = receiver.url("/hook?token=x");
    let (status, accepted) = server.submit(&quick(&url)).await;
    assert_eq!(status, StatusCode::CREATED, "{accepted:#}");
    assert_eq!(
        (&accepted["callback"]["state"], &accepted["callback"]["url"]),
        (&json!("waiting"), &json!(url))
    );
    let id = accepted["id"].as_str().unwrap().to_owned();
    let callback = until_callback(&server, &id, "delivered").await;
    assert_eq!(
        (&callback["attempts"], &callback["last_status"]),
        (&json!(3), &json!(204)),
        "{callback:#}"
    );
    assert_eq!(
        (&callback["last_error"], &callback["next_attempt_at"]),
        (&Value::Null, &Value::Null)
    );
    let calls = receiver.calls();
    assert_eq!(calls.len(), 3);
    for (index, call) in calls.iter().enumerate() {
        assert_signed(call);
        assert_eq!(call.target, "/hook?token=x");
        assert_eq!(call.header("x-joulemark-attempt"), (index + 1).to_string());
        assert_eq!(
            call.header("x-joulemark-delivery"),
            callback["delivery_id"].as_str().unwrap()
        );
        assert_eq!(call.body, calls[0].body, "the same in every try");
    }
    let body: Value = serde_json::from_str(&calls[0].body).unwrap();
    assert_eq!(
        (&body["id"], &body["state"], &body["event"]),
        (&json!(id), &json!("completed"), &json!("experiment.finished"))
    );
    assert_eq!(body["delivery_id"], callback["delivery_id"]);
    assert!(
        body["finished_at"].is_string() && body["started_at"].is_string(),
        "{body:#}"
    );
    let (status, _) = server.get(body["links"]["results"].as_str().unwrap()).await;
    assert_eq!(status, StatusCode::OK, "{body:#}");
}

#[tokio::test]
async fn what_is_never_taken_is_given_up_and_says_why() {
    let (lives, failing) = (Lives::new(), Receiver::start(&[500]).await);
    let (redirecting, elsewhere) = (Receiver::start(&[302]).await, Receiver::start(&[200]).await);
    redirecting.redirect_to(&elsewhere.url("/"));
    let gone = Receiver::start(&[410]).await;
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = format!("http://{}/", silent.local_addr().unwrap());
    drop(silent);
    let mut options = LOOPBACK.to_vec();
    options.extend(["--callback-attempts", "2"]);
    let server = lives.start(&options);
    for (url, attempts, status, why) in [
        (failing.url("/"), 2, json!(500), "answers 500"),
        (redirecting.url("/"), 2, json!(302), "not followed"),
        (gone.url("/"), 1, json!(410), "answers 410"),
        (closed, 2, Value::Null, "no connection"),
    ] {
        let id = server.accepted(&quick(&url)).await;
        let callback = until_callback(&server, &id, "failed").await;
        assert_eq!(
            (&callback["attempts"], &callback["last_status"]),
            (&json!(attempts), &status),
            "{callback:#}"
        );
        assert!(callback["last_error"].as_str().unwrap().contains(why), "{callback:#}");
        assert_eq!(
            server.show(&id).await["state"],
            "completed",
            "the experiment is as good as ever"
        );
    }
    assert_eq!(elsewhere.calls().len(), 0, "the redirect was followed");
}

#[tokio::test]
async fn what_was_to_be_told_is_told_by_the_next_life_of_the_server() {
    let (lives, receiver) = (Lives::new(), Receiver::start(&[200]).await);
    let server = lives.start(&LOOPBACK);
    let mut blocked = quick("http://192.0.2.1/");
    blocked["callback_url"] = json!(receiver.url("/"));
    let blocker = server.accepted(&slow(&receiver.url("/blocker"))).await;
    let id = server.accepted(&blocked).await;
    server.until_state(&blocker, "warming_up").await;
    receiver.pause();
    server.cancel(&id).await;
    server.kill();
    receiver.resume();
    let server = lives.start(&LOOPBACK);
    // A try that was under way when the server died is made again once its lease is over.
    let callback = server
        .until(&id, |shown| shown["callback"]["state"] == "delivered")
        .await;
    assert!(callback["callback"]["attempts"].as_u64().unwrap() >= 1);
    let last = receiver
        .calls()
        .into_iter()
        .find(|call| call.target == "/")
        .expect("a call");
    assert_signed(&last);
    assert!(
        last.body.contains("\"state\":\"cancelled\"") && last.body.contains("\"results\":null"),
        "{}",
        last.body
    );
}

#[tokio::test]
async fn nobody_is_called_who_is_not_on_the_list_neither_at_submission_nor_later() {
    let (lives, receiver) = (Lives::new(), Receiver::start(&[200]).await);
    let port = receiver.port();
    let mut server = lives.start(&["--callback-allow", "localhost", "--callback-allow", "10.0.0.0/8"]);
    for url in [
        receiver.url("/"),
        format!("http://localhost:{port}/"),
        format!("http://LOCALHOST.:{port}/"),
        format!("http://[::1]:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        format!("http://2130706433:{port}/"),
        format!("http://0x7f.1:{port}/"),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "http://0.0.0.0/".to_owned(),
        "http://10.0.0.1@127.0.0.1/".to_owned(),
        "http://user:secret@10.0.0.1/".to_owned(),
        "ftp://10.0.0.1/".to_owned(),
        "file:///etc/passwd".to_owned(),
        "gopher://10.0.0.1/".to_owned(),
        "http://no-such-host.invalid/".to_owned(),
        "not a url".to_owned(),
        "http://".to_owned(),
    ] {
        let (status, problem) = server.submit(&quick(&url)).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{url}: {problem:#}");
        assert_eq!(problem["errors"][0]["pointer"], "/callback_url", "{problem:#}");
        assert!(
            !problem.to_string().contains("127.0.0.1 "),
            "addresses are not told: {problem:#}"
        );
    }
    server.stop();
    // Accepted by a server that may, due at one that may not any more: as when the name has moved in between.
    let mut server = lives.start(&[
        "--callback-allow",
        "localhost:*",
        "--callback-allow",
        "127.0.0.0/8",
        "--callback-allow",
        "::1",
    ]);
    let id = server.accepted(&slow(&format!("http://localhost:{port}/"))).await;
    server.stop();
    let server = lives.start(&["--callback-allow", "localhost:*", "--callback-attempts", "1"]);
    server.cancel(&id).await;
    let callback = until_callback(&server, &id, "failed").await;
    assert!(
        callback["last_error"].as_str().unwrap().contains("callback_allow"),
        "{callback:#}"
    );
    assert_eq!(receiver.calls().len(), 0, "somebody was called");
}

#[tokio::test]
async fn a_server_without_a_list_calls_nobody_and_one_without_a_secret_does_not_start() {
    let server = Server::start();
    let (status, problem) = server.submit(&quick("https://hooks.example/")).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        problem["errors"][0]["detail"]
            .as_str()
            .unwrap()
            .contains("callback_allow is empty"),
        "{problem:#}"
    );
    let serve = |options: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_joulemark"));
        command.args(["serve", "--listen", "127.0.0.1:0", "--database-url", "sqlite::memory:"]);
        let output = command.args(options).output().expect("it runs");
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(serve(&["--callback-allow", "ci"]).contains("callback_secret_file"));
    let folder = tempfile::tempdir().unwrap();
    let short = folder.path().join("short");
    std::fs::write(&short, "too short").unwrap();
    let text = serve(&[
        "--callback-allow",
        "ci",
        "--callback-secret-file",
        short.to_str().unwrap(),
    ]);
    assert!(text.contains("9 bytes; it needs at least 16"), "{text}");
}

#[tokio::test]
async fn a_callback_is_shown_to_its_submitter_and_to_admins_alone() {
    let folder = tempfile::tempdir().unwrap();
    let secret = secret(folder.path());
    let receiver = Receiver::start(&[200]).await;
    let guarded = Guarded::start(&[
        "--callback-http",
        "--callback-allow",
        "127.0.0.0/8:*",
        "--share-prompts",
        "--callback-secret-file",
        &secret,
    ]);
    let [ada, bob, eve] =
        [("ada", "submitter"), ("bob", "submitter"), ("eve", "admin")].map(|(name, role)| guarded.key(name, role));
    let id = guarded.accepted(&ada, &quick(&receiver.url("/"))).await;
    let path = format!("/v1/experiments/{id}?wait=60");
    for (key, is_shown) in [(&ada, true), (&bob, false), (&eve, true)] {
        let (_, shown) = guarded.get(&path, key).await;
        assert_eq!(shown["callback"].is_object(), is_shown, "{shown:#}");
    }
    let listed = guarded.send(Method::GET, "/v1/experiments", &bob, None).await;
    assert!(!listed.text().await.unwrap().contains(&receiver.url("/")));
    for _ in 0..1000 {
        if !receiver.calls().is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("nobody was called");
}
