//! A table of hostile requests and what each gets: `cargo test --release --test integration hostile -- --nocapture`
//! prints it from live servers, and with `WRITE_TABLE=1` writes `deploy/HOSTILE.md`, which is compared otherwise.
//! After all of them the servers still answer, have run nothing that was not asked for properly, hold nothing open and
//! have told nobody a secret.

mod callers;
mod documents;
mod framing;
mod leaks;
mod names;
mod row;
mod sessions;
mod table;

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use crate::exposition::read;
use crate::guarded::{Guarded, connect, raw, read_all};
use crate::server::Server;
use row::{Keys, Row, Sent, Target};

const DRIP: Duration = Duration::from_millis(50);

/// The servers that are asked, and what must not be told.
struct Scene {
    keyed: Guarded,
    proxied: Guarded,
    open: Server,
    keys: Keys,
    /// A running experiment of another submitter.
    of_another: String,
    another: String,
    /// A failed one of theirs, whose engine quoted its prompt.
    quoted: String,
    secrets: Vec<String>,
    _outside: tempfile::TempDir,
}

impl Scene {
    async fn set() -> Self {
        let mut options = vec![
            "--trusted-proxy",
            "192.0.2.0/24",
            "--identity-header",
            "X-Remote-User",
            "--identity-groups-header",
            "X-Remote-Groups",
            "--group-role",
            "ops=admin",
            "--allow-hub",
        ];
        options.extend([
            "--hub-allow",
            "good/*",
            "--max-body-bytes",
            "65536",
            "--rate-limit-per-minute",
            "0",
        ]);
        options.extend([
            "--body-timeout-sec",
            "1",
            "--header-timeout-sec",
            "1",
            "--request-timeout-sec",
            "3",
            "--stream-check-sec",
            "1",
        ]);
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret.gguf"), "what stands outside").unwrap();
        std::fs::write(outside.path().join("callback"), "the-secret-of-callbacks").unwrap();
        let callback_secret = outside.path().join("callback").display().to_string();
        options.extend([
            "--callback-allow",
            "hooks.example",
            "--callback-secret-file",
            &callback_secret,
        ]);
        let keyed = Guarded::start(&options);
        let proxied = Guarded::start(&[
            "--trusted-proxy",
            "127.0.0.0/8",
            "--identity-header",
            "X-Remote-User",
            "--public-url",
            "https://lab.example/energy",
        ]);
        lay_traps(&keyed.server.folder.join("models"), outside.path());
        let mut keys = Keys {
            good: keyed.key("ada", "submitter"),
            reader: keyed.key("rea", "reader"),
            expired: expired_key(&keyed).await,
            revoked: keyed.key("bob", "admin"),
            ending: String::new(),
        };
        assert!(
            keyed
                .key_command(&["revoke", keys.revoked.split('_').nth(1).unwrap()])
                .0
        );
        let another = keyed.key("mallory", "submitter");
        let quoting = json!({"model_name": "synthetic:echo=1,error_at=0", "prompts": ["another's prompt"]});
        let quoted = keyed.accepted(&another, &quoting).await;
        while keyed.get(&format!("/v1/experiments/{quoted}"), &another).await.1["state"] != "failed" {
            tokio::time::sleep(DRIP).await;
        }
        let slow =
            json!({"model_name": "synthetic:decode_ms=60000", "prompts": ["another's prompt"], "max_output_tokens": 4});
        let of_another = keyed.accepted(&another, &slow).await;
        let mut secrets: Vec<_> = [&keys.good, &keys.reader, &keys.expired, &keys.revoked, &another]
            .map(|key| key[20..].to_owned())
            .into();
        secrets.extend(
            [
                "another's prompt",
                "what stands outside",
                "the-secret-of-callbacks",
                "root:x:",
                "panicked",
                "evil.example/v1",
            ]
            .map(str::to_owned),
        );
        secrets.push(keyed.server.folder.display().to_string());
        keys.ending = ending_key(&keyed);
        Self {
            keyed,
            proxied,
            open: Server::start(),
            keys,
            of_another,
            another,
            quoted,
            secrets,
            _outside: outside,
        }
    }

    fn rows(&self) -> Vec<Row> {
        let mut rows = vec![leaks::stream(&self.keys)];
        rows.extend(callers::rows(&self.keys, &self.of_another));
        rows.extend(framing::rows(&self.keys));
        rows.extend(names::rows(&self.keys));
        rows.extend(documents::rows(&self.keys));
        rows.extend(documents::streams(&self.keys, &self.of_another));
        rows.extend(leaks::rows(&self.keys, &self.quoted));
        rows.extend(sessions::rows(&self.keys));
        rows
    }

    fn server(&self, to: Target) -> &Server {
        match to {
            Target::Keys => &self.keyed.server,
            Target::Open => &self.open,
            Target::Proxied => &self.proxied.server,
        }
    }

    /// Every outcome of a row, and what of it is wrong.
    async fn play(&self, row: &Row) -> (Vec<String>, Vec<String>) {
        let (mut outcomes, mut wrong) = (Vec::new(), Vec::new());
        for sent in &row.requests {
            let answer = match sent {
                Sent::Whole(bytes) => raw(self.server(row.to), bytes).await,
                Sent::Dripping(bytes) => drip(self.server(row.to), bytes).await,
            };
            let outcome = outcome(&answer);
            // Only one answer: what was hidden behind a request was not taken for another one.
            let answers = answers_in(&answer);
            let told = self.secrets.iter().find(|secret| answer.contains(*secret));
            let injected =
                answer.to_ascii_lowercase().contains("\r\nset-cookie:") || answer.contains("access-control-allow");
            let is_bare =
                outcome != "closed" && outcome != "400" && !answer.contains("\r\nx-content-type-options: nosniff\r\n");
            let is_bare = is_bare && answer.contains("\r\nx-request-id: ");
            if !row.expected.contains(&outcome.as_str()) || answers > 1 || told.is_some() || injected || is_bare {
                let (Sent::Whole(bytes) | Sent::Dripping(bytes)) = sent;
                let start: String = String::from_utf8_lossy(bytes).chars().take(300).collect();
                wrong.push(format!(
                    "{}: {:?} expected, {told:?} told, not\n{start}\n-> {answer}",
                    row.what, row.expected
                ));
            }
            if !outcomes.contains(&outcome) {
                outcomes.push(outcome);
            }
        }
        (outcomes, wrong)
    }
}

/// Links that lead out of the models folder, a circle of them, and a pipe that nobody writes into.
fn lay_traps(models: &std::path::Path, outside: &std::path::Path) {
    use std::os::unix::fs::symlink;
    symlink(outside, models.join("out")).unwrap();
    symlink(outside.join("secret.gguf"), models.join("linked.gguf")).unwrap();
    symlink(models.join("loop.gguf"), models.join("loop.gguf")).unwrap();
    nix::unistd::mkfifo(&models.join("pipe.gguf"), nix::sys::stat::Mode::S_IRWXU).unwrap();
}

async fn expired_key(guarded: &Guarded) -> String {
    let (made, key, errors) = guarded.key_command(&["create", "--name", "eve", "--role", "admin", "--expires", "1s"]);
    assert!(made, "{errors}");
    while guarded.get("/v1/devices", &key).await.0 == StatusCode::OK {
        tokio::time::sleep(DRIP).await;
    }
    key
}

fn ending_key(guarded: &Guarded) -> String {
    let (made, key, errors) = guarded.key_command(&["create", "--name", "eve", "--role", "reader", "--expires", "5s"]);
    assert!(made, "{errors}");
    key
}

async fn drip(server: &Server, bytes: &[u8]) -> String {
    let stream = connect(server).await;
    let (mut reading, mut writing) = stream.into_split();
    // The head at once where there is a body: it is the body that drips.
    let head = bytes
        .windows(4)
        .position(|end| end == b"\r\n\r\n")
        .map_or(0, |at| at + 4);
    let at_once = if head < bytes.len() { head } else { 0 };
    let (first, rest) = bytes.split_at(at_once);
    let writer = async {
        writing.write_all(first).await?;
        for byte in rest {
            writing.write_all(&[*byte]).await?;
            tokio::time::sleep(DRIP).await;
        }
        std::io::Result::Ok(())
    };
    let mut answer = Vec::new();
    let reader = tokio::io::AsyncReadExt::read_to_end(&mut reading, &mut answer);
    tokio::select! {
        _ = reader => {}
        _ = async { let _ = writer.await; std::future::pending::<()>().await } => {}
    }
    String::from_utf8_lossy(&answer).into_owned()
}

/// Status lines, wherever they stand.
fn answers_in(answer: &str) -> usize {
    let is_status = |rest: &&str| rest.len() > 3 && rest.as_bytes()[..3].iter().all(u8::is_ascii_digit);
    answer.split("HTTP/1.1 ").skip(1).filter(is_status).count()
}

/// `401 invalid-key`: the status, and the problem's type where the answer is a problem.
fn outcome(answer: &str) -> String {
    let after_version = ["HTTP/1.1 ", "HTTP/1.0 "]
        .iter()
        .find_map(|version| answer.strip_prefix(version));
    let Some(status) = after_version.and_then(|rest| rest.get(..3)) else {
        return "closed".to_owned();
    };
    let (head, problem) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
    if !head.contains("application/problem+json") {
        return status.to_owned();
    }
    let kind = problem
        .split_once("\"urn:problem-type:joulemark:")
        .and_then(|(_, rest)| rest.split_once('"'));
    kind.map_or(status.to_owned(), |(kind, _)| format!("{status} {kind}"))
}

#[tokio::test]
async fn each_hostile_request_gets_what_it_deserves() {
    let scene = Scene::set().await;
    let admin = scene.keyed.key("root", "admin");
    let before = read(scrape(&scene, &admin).await.as_str());
    let rows = scene.rows();
    assert!(rows.len() >= 60, "{}", rows.len());
    let mut wrong = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        let (outcomes, of_row) = scene.play(row).await;
        println!("{:3}  {:45}  {}", number + 1, outcomes.join(", "), row.what);
        wrong.extend(of_row);
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n\n"));
    table::compare(&rows);
    nothing_is_left_behind(&scene, &admin, before).await;
}

async fn scrape(scene: &Scene, admin: &str) -> String {
    let response = scene.keyed.send(reqwest::Method::GET, "/metrics", admin, None).await;
    assert_eq!(response.status(), StatusCode::OK);
    response.text().await.unwrap()
}

async fn nothing_is_left_behind(scene: &Scene, admin: &str, before: crate::exposition::Exposition) {
    for server in [&scene.keyed.server, &scene.proxied.server, &scene.open] {
        assert_eq!(server.get("/healthz").await.0, StatusCode::OK);
        let log = server.log();
        assert!(!log.contains("panicked"), "{log}");
    }
    let log = scene.keyed.server.log();
    let told = scene.secrets.iter().take(5).find(|secret| log.contains(*secret));
    assert_eq!(told, None, "a key is in the log");
    assert!(!log.contains("another's prompt"), "a prompt is in the log");
    let (_, page) = scene.keyed.get("/v1/experiments", admin).await;
    let items: &Vec<Value> = page["items"].as_array().unwrap();
    assert_eq!(
        items.len(),
        3,
        "another's two, and the one that is a proper experiment: {page:#}"
    );
    assert!(
        items[0]["config_name"].as_str().unwrap().contains("DROP TABLE"),
        "as it was sent"
    );
    let (_, log) = scene.keyed.get("/v1/audit?limit=500", admin).await;
    let entries = log["items"].as_array().unwrap();
    let count = |action: &str| entries.iter().filter(|entry| entry["action"] == action).count();
    assert_eq!((count("submit"), count("cancel")), (3, 0), "{log:#}");
    // Connections, files and requests that hang would be seen here.
    let open_fds = |of: &crate::exposition::Exposition| of.one("process_open_fds", &[]);
    let after = loop {
        let after = read(scrape(scene, admin).await.as_str());
        if open_fds(&after) <= open_fds(&before) + 4.0 {
            break after;
        }
        tokio::time::sleep(DRIP).await;
    };
    assert_eq!(
        after.one("joulemark_http_requests_in_flight", &[]),
        1.0,
        "the scrape itself"
    );
    scene.keyed.cancel(&scene.another, &scene.of_another).await;
}

/// Who tries keys learns nothing from an answer: a wrong secret and an id that is not there are told in the same words.
#[tokio::test]
async fn a_wrong_secret_and_an_unknown_id_are_answered_alike() {
    let guarded = Guarded::start(&[]);
    let good = guarded.key("ada", "submitter");
    let id = good.split('_').nth(1).unwrap();
    let mut bodies = Vec::new();
    for id in [id, &"0".repeat(id.len())] {
        let (status, body) = guarded.get("/v1/devices", &format!("jm_{id}_{}", "0".repeat(64))).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        bodies.push(body);
    }
    assert_eq!(bodies[0], bodies[1]);
    let mut stream = connect(&guarded.server).await;
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    assert!(read_all(&mut stream).await.starts_with("HTTP/1.1 200 "));
}
