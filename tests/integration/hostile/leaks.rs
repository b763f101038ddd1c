//! What is found out without being told: others' prompts in what engines say, names and ports by callbacks, names that only
//! look alike, links to elsewhere, a server without keys behind a proxy that says little.

use serde_json::json;

use super::row::{Keys, Row, Target, get, post};

/// `quoted` is another's failed experiment whose engine said the prompt.
pub fn rows(keys: &Keys, quoted: &str) -> Vec<Row> {
    let mut rows = vec![failures(keys, quoted)];
    rows.extend(callbacks(keys));
    rows.extend(names(keys));
    rows.extend(origins());
    rows
}

/// To be sent first: the key ends soon.
pub fn stream(keys: &Keys) -> Row {
    let key = format!("Authorization: Bearer {}\r\n", keys.ending);
    Row::new(
        "an event stream whose key expires while it runs: it ends",
        &["200"],
        vec![get("/v1/events?user=nobody", &key)],
    )
}

fn failures(keys: &Keys, quoted: &str) -> Row {
    let reader = format!("Authorization: Bearer {}\r\n", keys.reader);
    let paths = [
        format!("/v1/experiments/{quoted}"),
        format!("/v1/experiments/{quoted}?fields=failure"),
        format!("/v1/experiments/{quoted}/results"),
        format!("/v1/experiments/{quoted}/processes"),
        format!("/v1/experiments/{quoted}/events"),
        format!("/v1/experiments/{quoted}/export?format=jsonl"),
        "/v1/experiments".to_owned(),
        "/v1/experiments/export?format=csv".to_owned(),
        "/metrics".to_owned(),
    ];
    Row::new(
        "another user's failure, whose engine quoted the prompt: only reason, rank and phase",
        &["200", "409 not-completed"],
        paths.iter().map(|path| get(path, &reader)).collect(),
    )
}

/// Callbacks to `hooks.example` on port 443 alone are allowed.
fn callbacks(keys: &Keys) -> Vec<Row> {
    let called = |url: &str| {
        let body = json!({"model_name": "synthetic:", "prompts": ["a"], "callback_url": url});
        post(&keys.header(), &body.to_string())
    };
    let urls = [
        "https://hooks.example:22/",
        "https://hooks.example:8443/",
        "https://localhost:5432/",
        "https://no-such-host.invalid/",
        "https://gpubox/",
    ];
    vec![Row::new(
        "a callback to another port of an allowed host, to existing and unknown names: the same answer, no lookup",
        &["422 invalid-experiment"],
        urls.map(called).to_vec(),
    )]
}

/// Each shows as `root` does, or nearly.
const LOOK_ALIKE: [&str; 8] = [
    "ro\u{200b}ot",
    "\u{202e}toor",
    "root\u{a0}",
    "root\u{3164}",
    "ro\u{ad}ot",
    "root\u{feff}",
    "ro\u{e000}ot",
    "roo\u{34f}t",
];

fn names(keys: &Keys) -> Vec<Row> {
    let submitted = |name: &str, field: &str| {
        let mut body = json!({"model_name": "synthetic:", "prompts": ["a"]});
        body[field] = if field == "labels" {
            json!({name: "x"})
        } else {
            json!(name)
        };
        post(&keys.header(), &body.to_string())
    };
    vec![
        Row::new(
            "a trusted proxy's identity header with a name that looks like another: zero-width, right-to-left, \
             blank, private-use characters",
            &["400 bad-header"],
            LOOK_ALIKE
                .map(|name| get("/v1/devices", &format!("X-Remote-User: {name}\r\n")))
                .to_vec(),
        )
        .to(Target::Proxied),
        Row::new(
            "the same names as user and as a label's name",
            &["422 invalid-experiment"],
            LOOK_ALIKE
                .iter()
                .flat_map(|name| [submitted(name, "user"), submitted(name, "labels")])
                .collect(),
        ),
    ]
}

fn origins() -> Vec<Row> {
    let local = "Host: localhost\r\nConnection: close\r\n";
    let evil = "X-Remote-User: ada\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil.example\r\n";
    vec![
        Row::new(
            "a client's host that a trusted proxy passed on: links begin with public_url",
            &["201"],
            vec![post(evil, "{\"model_name\": \"synthetic:\", \"prompts\": [\"a\"]}")],
        )
        .to(Target::Proxied),
        Row::new(
            "a request to a server without keys with a proxy's other headers, or by HTTP/1.0 as a bare proxy_pass sends it",
            &["403 forwarded-without-authentication"],
            vec![
                get("/v1/audit", "Via: 1.1 lab\r\n"),
                get("/v1/audit", "X-Forwarded-Server: lab\r\n"),
                get("/v1/audit", "CF-Connecting-IP: 192.0.2.1\r\n"),
                format!("GET /v1/audit HTTP/1.0\r\n{local}\r\n").into_bytes(),
                format!("GET /healthz HTTP/1.0\r\n{local}\r\n").into_bytes(),
                b"GET /v1/audit HTTP/1.0\r\n\r\n".to_vec(),
            ],
        )
        .to(Target::Open),
        Row::new(
            "the same for another server by its whole URL as the target",
            &["403 foreign-host"],
            ["http://evil.example/v1/audit", "http://localhost@evil.example/v1/audit"]
                .map(|target| format!("GET {target} HTTP/1.1\r\n{local}\r\n").into_bytes())
                .to_vec(),
        )
        .to(Target::Open),
    ]
}
