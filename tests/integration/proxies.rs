use std::process::Command;
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::UnixStream;

use crate::guarded::{Guarded, connect, raw};
use crate::server::Server;

const BEHIND: [&str; 5] = [
    "--trusted-proxy",
    "127.0.0.0/8",
    "--identity-header",
    "X-Remote-User",
    "--share-prompts",
];

fn experiment() -> Value {
    json!({"model_name": "synthetic:decode_ms=5000", "prompts": ["a"], "max_output_tokens": 4})
}

#[test]
fn a_server_without_authentication_listens_on_a_loopback_address_or_not_at_all() {
    for listen in ["0.0.0.0:0", "[::]:0"] {
        let folder = tempfile::tempdir().unwrap();
        let database = format!("sqlite://{}", folder.path().join("a.db").display());
        let output = Command::new(env!("CARGO_BIN_EXE_joulemark"))
            .args(["serve", "--listen", listen, "--database-url", &database])
            .env_remove("JOULEMARK_CONFIG")
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && output.stdout.is_empty(), "{errors}");
        for part in ["auth is none", "auth to keys", "joulemark key create", "127.0.0.1:8080"] {
            assert!(errors.contains(part), "{part} is not in: {errors}");
        }
        assert!(!folder.path().join("a.db").exists(), "nothing was touched");
    }
}

#[tokio::test]
async fn without_authentication_nothing_is_answered_that_came_through_a_proxy_or_by_another_name() {
    let server = Server::start();
    for (header, kind) in [
        ("Forwarded: for=192.0.2.1", "forwarded-without-authentication"),
        ("X-Forwarded-For: 127.0.0.1", "forwarded-without-authentication"),
        ("x-forwarded-anything: 1", "forwarded-without-authentication"),
        ("X-Real-IP: 127.0.0.1", "forwarded-without-authentication"),
        (
            "X-Other: 1\r\nX-Forwarded-Proto: https",
            "forwarded-without-authentication",
        ),
    ] {
        let request = format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\n{header}\r\nConnection: close\r\n\r\n");
        let answer = raw(&server, request.as_bytes()).await;
        assert!(
            answer.starts_with("HTTP/1.1 403 ") && answer.contains(kind),
            "{header}: {answer}"
        );
        assert!(answer.contains("--auth keys"), "it says what to do: {answer}");
    }
    let rebound = b"GET /v1/devices HTTP/1.1\r\nHost: evil.example:8080\r\nConnection: close\r\n\r\n";
    let answer = raw(&server, rebound).await;
    assert!(
        answer.starts_with("HTTP/1.1 403 ") && answer.contains("foreign-host"),
        "{answer}"
    );
    let own = b"GET /v1/devices HTTP/1.1\r\nHost: localhost:8080\r\nConnection: close\r\n\r\n";
    assert!(raw(&server, own).await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn links_and_the_audit_log_go_by_what_a_trusted_proxy_says() {
    let guarded = Guarded::start(&BEHIND);
    let (ada, root) = (guarded.key("ada", "submitter"), guarded.key("root", "admin"));
    let response = reqwest::Client::new()
        .post(format!("{}/v1/experiments", guarded.server.url))
        .bearer_auth(&ada)
        .header("x-forwarded-for", "6.6.6.6, 192.0.2.77, 127.0.0.9")
        .header("x-forwarded-proto", "https")
        .header("x-forwarded-host", "lab.example")
        .header("x-forwarded-prefix", "/energy")
        .json(&experiment())
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::CREATED);
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    let id = response.json::<Value>().await.unwrap()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(location, format!("https://lab.example/energy/v1/experiments/{id}"));
    let (_, log) = guarded.get("/v1/audit?limit=1", &root).await;
    assert_eq!(log["items"][0]["address"], "192.0.2.77", "{log:#}");
    let document = reqwest::Client::new()
        .get(format!("{}/openapi.json", guarded.server.url))
        .header("x-forwarded-prefix", "/energy");
    let document: Value = document.send().await.unwrap().json().await.unwrap();
    assert_eq!(document["servers"][0]["url"], "/energy/");
    guarded.cancel(&ada, &id).await;
}

#[tokio::test]
async fn a_stranger_s_forwarded_headers_and_names_are_as_if_they_were_not_there() {
    let guarded = Guarded::start(&["--trusted-proxy", "192.0.2.0/24", "--identity-header", "X-Remote-User"]);
    let (ada, root) = (guarded.key("ada", "submitter"), guarded.key("root", "admin"));
    let forged = |request: reqwest::RequestBuilder| {
        request
            .header("x-forwarded-for", "192.0.2.77")
            .header("x-forwarded-proto", "https")
            .header("x-forwarded-prefix", "/energy")
            .header("x-remote-user", "root")
    };
    let url = format!("{}/v1/experiments", guarded.server.url);
    let client = reqwest::Client::new();
    let response = forged(client.get(&url)).send().await.unwrap();
    assert_eq!(
        response.status(),
        StatusCode::UNAUTHORIZED,
        "a name without a trusted proxy is nothing"
    );
    let response = forged(client.post(&url).bearer_auth(&ada).json(&experiment()))
        .send()
        .await
        .unwrap();
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    let id = response.json::<Value>().await.unwrap()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(location, format!("/v1/experiments/{id}"));
    let (_, log) = guarded.get("/v1/audit?limit=1", &root).await;
    assert_eq!(
        (&log["items"][0]["address"], &log["items"][0]["name"]),
        (&json!("127.0.0.1"), &json!("ada"))
    );
    guarded.cancel(&ada, &id).await;
}

#[tokio::test]
async fn a_trusted_proxy_names_the_user_who_then_owns_what_they_submit() {
    let guarded = Guarded::start(&BEHIND);
    let url = format!("{}/v1/experiments", guarded.server.url);
    let client = reqwest::Client::new();
    let by = |method: Method, url: &str, name: &str| client.request(method, url).header("x-remote-user", name);
    let response = by(Method::POST, &url, "grace")
        .json(&experiment())
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::CREATED);
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["submitter"], "grace");
    let cancel = format!("{url}/{}/cancel", body["id"].as_str().unwrap());
    assert_eq!(
        by(Method::POST, &cancel, "heidi").send().await.unwrap().status(),
        StatusCode::FORBIDDEN
    );
    let audit = format!("{}/v1/audit", guarded.server.url);
    let refused = by(Method::GET, &audit, "grace").send().await.unwrap();
    assert_eq!(
        refused.status(),
        StatusCode::FORBIDDEN,
        "named users are submitters unless the admin says otherwise"
    );
    // A key in the same request goes before the name.
    let root = guarded.key("root", "admin");
    let as_root = by(Method::GET, &audit, "grace")
        .bearer_auth(&root)
        .send()
        .await
        .unwrap();
    assert_eq!(as_root.status(), StatusCode::OK);
    let wrong = by(Method::GET, &url, "grace")
        .bearer_auth("jm_wrong")
        .send()
        .await
        .unwrap();
    assert_eq!(
        wrong.status(),
        StatusCode::UNAUTHORIZED,
        "a bad key is not made good by a name"
    );
    assert_eq!(
        by(Method::POST, &cancel, "grace").send().await.unwrap().status(),
        StatusCode::OK
    );
}

#[tokio::test]
async fn a_trusted_proxy_s_groups_give_roles_and_nobody_else_s_do() {
    const ROLES: [&str; 8] = [
        "--identity-groups-header",
        "X-Remote-Groups",
        "--group-role",
        "ops=admin",
        "--user-role",
        "intern=reader",
        "--identity-role",
        "submitter",
    ];
    let trusting = Guarded::start(&[&BEHIND[..], &ROLES].concat());
    let stranger = ["--trusted-proxy", "192.0.2.0/24", "--identity-header", "X-Remote-User"];
    let distrusting = Guarded::start(&[&stranger[..], &ROLES].concat());
    let (key, other_key) = (trusting.key("ada", "submitter"), distrusting.key("ada", "submitter"));
    let get = async |guarded: &Guarded, headers: &[(&str, &str)]| {
        let mut request = reqwest::Client::new().get(format!("{}/v1/audit", guarded.server.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap().status().as_u16()
    };
    let (by_key, by_other_key) = (format!("Bearer {key}"), format!("Bearer {other_key}"));
    let user = ("x-remote-user", "grace");
    for (headers, expected) in [
        (&[user, ("x-remote-groups", "lab, ops")][..], 200),
        (&[user, ("x-remote-groups", "lab")], 403),
        (&[user], 403),
        (&[("x-remote-user", "intern"), ("x-remote-groups", "ops")], 403),
        (&[("x-remote-groups", "ops")], 401),
        (&[user, ("x-remote-groups", "lab"), ("x-remote-groups", "ops")], 400),
        (&[("authorization", &by_key), ("x-remote-groups", "ops")], 403),
        (&[("authorization", &by_key), user, ("x-remote-groups", "ops")], 403),
    ] {
        assert_eq!(get(&trusting, headers).await, expected, "{headers:?}");
    }
    for (headers, expected) in [
        (&[user, ("x-remote-groups", "ops")][..], 401),
        (
            &[("authorization", &by_other_key), user, ("x-remote-groups", "ops")],
            403,
        ),
    ] {
        assert_eq!(get(&distrusting, headers).await, expected, "of a stranger: {headers:?}");
    }
    let url = format!("{}/v1/limits", trusting.server.url);
    let asked = reqwest::Client::new().get(url).header("x-remote-user", "grace");
    let told: Value = asked
        .header("x-remote-groups", "ops")
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(
        (&told["name"], &told["role"]),
        (&json!("grace"), &json!("admin")),
        "{told:#}"
    );
}

#[tokio::test]
async fn pages_of_other_sites_get_nothing_unless_their_origin_is_named() {
    let closed = Server::start();
    let opened = Server::start_with(&["--allow-synthetic-engine", "--cors-origin", "https://lab.example"]);
    let client = reqwest::Client::new();
    let preflight = |server: &Server, origin: &str| {
        client
            .request(Method::OPTIONS, format!("{}/v1/experiments", server.url))
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "content-type")
            .send()
    };
    let allowed = |response: &reqwest::Response| response.headers().contains_key("access-control-allow-origin");
    assert!(!allowed(&preflight(&closed, "https://lab.example").await.unwrap()));
    assert!(!allowed(&preflight(&opened, "https://evil.example").await.unwrap()));
    let response = preflight(&opened, "https://lab.example").await.unwrap();
    assert_eq!(response.headers()["access-control-allow-origin"], "https://lab.example");
    // What needs no preflight is refused by where it comes from.
    let posted = |server: &Server, origin: &str| {
        let url = format!(
            "{}/v1/experiments/01938c5e-9a62-7c3f-8f0e-0d5f6f2b7c11/cancel",
            server.url
        );
        client
            .post(url)
            .header("origin", origin)
            .header("sec-fetch-site", "cross-site")
            .send()
    };
    let response = posted(&closed, "https://lab.example").await.unwrap();
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    assert!(response.text().await.unwrap().contains("cross-site"));
    assert_eq!(
        posted(&opened, "https://lab.example").await.unwrap().status(),
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        posted(&opened, "https://evil.example").await.unwrap().status(),
        StatusCode::FORBIDDEN
    );
}

#[tokio::test]
async fn who_is_refused_before_their_body_was_read_is_told_that_the_connection_ends() {
    let guarded = Guarded::start(&[]);
    let key = guarded.key("ada", "submitter");
    let post = |headers: &str, body: &str| {
        format!(
            "POST /v1/experiments HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{headers}\
             Content-Length: 2\r\n\r\n{body}"
        )
    };
    let unread = raw(&guarded.server, post("", "").as_bytes()).await;
    assert!(unread.starts_with("HTTP/1.1 401 "), "{unread}");
    assert!(unread.contains("\r\nconnection: close\r\n"), "{unread}");
    // Read and then refused: the connection stays, and the next request on it is answered.
    let next = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let read = post(&format!("Authorization: Bearer {key}\r\n"), "{}") + next;
    let answers = raw(&guarded.server, read.as_bytes()).await;
    let (first, second) = answers.split_once("HTTP/1.1 200 OK").expect("both are answered");
    assert!(
        first.starts_with("HTTP/1.1 422 ") && !first.contains("connection: close"),
        "{answers}"
    );
    assert!(second.contains("\"ok\""), "{answers}");
}

/// A part of a body that nobody reads, and how many of them are promised.
const PART: &[u8] = &[b' '; 4096];
const PARTS: usize = 20;

/// Sends the head of a request that another site's page made, and reads its refusal to the end.
async fn refused_by_its_head(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    let head = format!(
        "POST /v1/experiments HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example\r\n\
         Sec-Fetch-Site: cross-site\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        PART.len() * PARTS
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
}

/// Caddy sends the body in a write of its own, nginx a large one: where that fails, they answer 502 for the refusal.
#[tokio::test]
async fn who_is_refused_before_their_body_was_read_can_still_send_it() {
    async fn send_it_late(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
        refused_by_its_head(&mut stream).await;
        for part in 1..=PARTS {
            // A connection that was closed at once fails a later write at the latest.
            tokio::time::sleep(Duration::from_millis(5)).await;
            let sent = stream.write_all(PART).await;
            assert!(sent.is_ok(), "part {part} of the body: {sent:?}");
        }
        let rest = stream.read(&mut [0; 1]).await;
        assert!(matches!(rest, Ok(0)), "the connection was reset: {rest:?}");
    }
    let patient = ["--body-timeout-sec", "60"];
    let on_a_port = Guarded::start(&patient);
    send_it_late(connect(&on_a_port.server).await).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("http.sock");
    let listen = format!("unix:{}", path.display());
    let _on_a_socket = Guarded::start(&[&patient[..], &["--listen", &listen]].concat());
    send_it_late(UnixStream::connect(&path).await.unwrap()).await;
}

#[tokio::test]
async fn who_sends_a_refused_body_for_ever_is_cut_off() {
    let guarded = Guarded::start(&["--body-timeout-sec", "1"]);
    let mut stream = connect(&guarded.server).await;
    refused_by_its_head(&mut stream).await;
    let sending = async {
        while stream.write_all(b" ").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let cut_off = tokio::time::timeout(Duration::from_secs(60), sending).await;
    assert!(cut_off.is_ok(), "the connection is still open");
}
