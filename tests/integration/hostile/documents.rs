//! Bodies and parameters: bombs, numbers that are none, SQL and what else means something to somebody, forged cursors and
//! keys of other submissions.

use serde_json::{Value, json};

use super::row::{Keys, Row, asked, get, post, yaml};

const SQL: &str = "x'); DELETE FROM experiments; DROP TABLE audit_log; --";

pub fn rows(keys: &Keys) -> Vec<Row> {
    let mut rows = json_bombs(keys);
    rows.extend(yaml_bombs(keys));
    rows.extend(values(keys));
    rows.extend(strings(keys));
    rows.extend(tokens(keys));
    rows
}

fn json_bombs(keys: &Keys) -> Vec<Row> {
    const MALFORMED: &[&str] = &["400 malformed-body"];
    let key = keys.header();
    let each = |bodies: &[&str]| bodies.iter().map(|body| post(&key, body)).collect::<Vec<_>>();
    let deep = [
        "[".repeat(60_000),
        "{\"a\":".repeat(10_000),
        format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000)),
    ];
    vec![
        Row::new(
            "JSON nested 60,000 deep, closed and unclosed",
            MALFORMED,
            each(&deep.each_ref().map(String::as_str)),
        ),
        Row::new(
            "a duplicate key in JSON, also nested and escaped",
            MALFORMED,
            each(&[
                r#"{"model_name": "a", "model_name": "synthetic:"}"#,
                r#"{"decoder": {"seed": 1, "seed": 2}}"#,
                r#"{"model_name": "a", "model_n\u0061me": "b"}"#,
            ]),
        ),
        Row::new(
            "NaN, Infinity, 1e999, a number with a leading zero, half a surrogate, two documents",
            MALFORMED,
            each(&[
                r#"{"priority": NaN}"#,
                r#"{"priority": Infinity}"#,
                r#"{"priority": 1e999}"#,
                r#"{"priority": 007}"#,
                r#"{"model_name": "\ud800"}"#,
                r#"{"model_name": "a"} {"model_name": "b"}"#,
            ]),
        ),
        Row::new(
            "UTF-16, a byte order mark, bytes that are not text, an empty body",
            MALFORMED,
            vec![
                post(&key, "\u{feff}{}"),
                post(&key, "{\0\"\0a\0\"\0:\0 \0}\0"),
                [
                    post(&key, "{\"model_name\": \"??\"}").strip_suffix(b"??\"}").unwrap(),
                    b"\xff\xfe\"}",
                ]
                .concat(),
                post(&key, ""),
            ],
        ),
    ]
}

fn yaml_bombs(keys: &Keys) -> Vec<Row> {
    let key = keys.header();
    let mut laughs = "a: &a [x,x,x,x,x,x,x,x,x]\n".to_owned();
    for (name, last) in ('b'..='i').zip('a'..='h') {
        laughs.push_str(&format!(
            "{name}: &{name} [{}]\n",
            vec![format!("*{last}"); 9].join(",")
        ));
    }
    let wide = format!("a: &a {}\nb: [{}]\n", "x".repeat(1000), "*a,".repeat(5000));
    vec![
        Row::new(
            "YAML aliases that multiply (a billion laughs), or repeat 5 MB",
            &["400 malformed-body", "422 invalid-experiment"],
            vec![yaml(&key, &laughs), yaml(&key, &wide)],
        ),
        Row::new(
            "YAML with recursion, merge keys, type tags, nesting of 10,000 levels",
            &["400 malformed-body", "422 invalid-experiment"],
            vec![
                yaml(&key, "a: &a [*a]\n"),
                yaml(&key, "x: &x {model_name: a}\n<<: *x\nmodel_name: b\n"),
                yaml(&key, "model_name: !!python/object/apply:os.system ['id']\n"),
                yaml(&key, &"[".repeat(10_000)),
                yaml(&key, &"- ".repeat(10_000)),
            ],
        ),
        Row::new(
            "a duplicate key in YAML, two documents, an unknown alias",
            &["400 malformed-body"],
            vec![
                yaml(&key, "model_name: a\nmodel_name: b\n"),
                yaml(&key, "model_name: a\n---\nmodel_name: b\n"),
                yaml(&key, "model_name: *gone\n"),
            ],
        ),
    ]
}

fn values(keys: &Keys) -> Vec<Row> {
    let key = keys.header();
    let with = |field: &str, value: Value| {
        post(
            &key,
            &json!({"model_name": "synthetic:", "prompts": ["a"], (field): value}).to_string(),
        )
    };
    let labels: Value = (0..5000)
        .map(|number| (format!("l{number}"), json!("v")))
        .collect::<serde_json::Map<_, _>>()
        .into();
    vec![
        Row::new(
            "numbers that are negative, fractional, beyond 64 bits, or strings",
            &["422 invalid-experiment"],
            vec![
                with("num_cycles", json!(-1)),
                with("num_cycles", json!(1.5)),
                with("num_cycles", json!(1e30)),
                with("max_output_tokens", json!(u64::MAX)),
                with("batch_size", json!("8")),
                with("num_processes", json!(4_000_000_000_u32)),
                with("priority", json!(1000)),
            ],
        ),
        Row::new(
            "endless work: tokens beyond the limit, 5,000 labels, an object in place of a string",
            &["422 invalid-experiment"],
            vec![
                with("num_cycles", json!(4_000_000_000_u32)),
                with("labels", labels),
                with("model_name", json!({"$ne": null})),
                with("prompts", json!([["a"], {"b": 1}])),
            ],
        ),
        Row::new(
            "`__proto__`, and fields that only the server sets",
            &["422 invalid-experiment"],
            [
                "__proto__",
                "constructor",
                "id",
                "state",
                "submitter",
                "attempt",
                "node_name",
            ]
            .map(|field| with(field, json!("x")))
            .to_vec(),
        ),
    ]
}

fn strings(keys: &Keys) -> Vec<Row> {
    let key = keys.header();
    let stored = json!({"model_name": "synthetic:", "config_name": SQL, "user": SQL,
        "prompts": [SQL, "\u{0} {{7*7}} ${jndi:ldap://x} <script>alert(1)</script> \u{202e} \r\nSet-Cookie: x=1"],
        "labels": {(SQL): SQL}, "max_output_tokens": 1, "num_cycles": 1});
    let encoded = "x%27%29%3BDROP%20TABLE%20experiments%3B--";
    let parameters = [
        "cursor",
        "state",
        "limit",
        "label",
        "order",
        "created_after",
        "created_before",
        "sort",
        "fields",
        "submitter[]",
    ];
    let typed = [
        "device",
        "distribution",
        "fp_precision",
        "quantization",
        "gpus",
        "decoder",
        "num_cycles",
        "isolation",
        "node_labels",
        "unknown",
    ];
    vec![
        Row::new(
            "SQL, templates, scripts and line breaks in every text that is stored: stored unchanged",
            &["201"],
            vec![post(&key, &stored.to_string())],
        ),
        Row::new(
            "SQL in every query parameter that is read",
            &["400 invalid-parameter"],
            parameters
                .map(|parameter| get(&format!("/v1/experiments?{parameter}={encoded}"), &key))
                .to_vec(),
        ),
        Row::new(
            "SQL in parameters that are compared as text: finds nothing",
            &["200"],
            ["model", "user", "label"]
                .map(|parameter| {
                    let value = if parameter == "label" {
                        format!("a={encoded}")
                    } else {
                        encoded.to_owned()
                    };
                    get(&format!("/v1/experiments?{parameter}={value}"), &key)
                })
                .to_vec(),
        ),
        Row::new(
            "SQL in every field that is not free text",
            &["422 invalid-experiment"],
            typed
                .map(|field| post(&key, &json!({"model_name": "synthetic:", (field): SQL}).to_string()))
                .to_vec(),
        ),
        Row::new(
            "a duplicate parameter, an unknown one, an array, one that is not text",
            &["400 invalid-parameter"],
            [
                "state=queued&state=failed",
                "page=2",
                "limit[]=5",
                "limit=%ff",
                "limit=99999999999999999999",
                "limit=-1",
            ]
            .map(|query| get(&format!("/v1/experiments?{query}"), &key))
            .to_vec(),
        ),
    ]
}

/// What the server gave out and gets back.
fn tokens(keys: &Keys) -> Vec<Row> {
    let key = keys.header();
    let body = json!({"model_name": "synthetic:", "prompts": ["a"]}).to_string();
    let resolved = "/v1/experiments/01938c5e-9a62-7c3f-8f0e-0d5f6f2b7c11/timeseries?resolution_ms=";
    vec![
        Row::new(
            "cursors that the server never gave: a path, a number, an encoded object, one of the future",
            &["400 invalid-parameter", "200"],
            [
                "..%2f..%2f",
                "-1",
                "eyJpZCI6MX0%3D",
                "ffffffff-ffff-7fff-bfff-ffffffffffff",
            ]
            .map(|cursor| get(&format!("/v1/experiments?cursor={cursor}"), &key))
            .to_vec(),
        ),
        Row::new(
            "idempotency keys that are empty, duplicate, 300 characters long, or contain a line break",
            &["400 invalid-parameter"],
            [
                "Idempotency-Key: \"\"".to_owned(),
                "Idempotency-Key: a\r\nIdempotency-Key: b".to_owned(),
                format!("Idempotency-Key: {}", "k".repeat(300)),
                "Idempotency-Key: a b".to_owned(),
                "Idempotency-Key: a\u{e9}".to_owned(),
            ]
            .map(|header| post(&format!("{key}{header}\r\n"), &body))
            .to_vec(),
        ),
        Row::new(
            "another user's idempotency key: it counts as the caller's own",
            &["422 invalid-experiment"],
            vec![post(
                &format!("{key}Idempotency-Key: of-another\r\n"),
                "{\"model_name\": \"no-such.gguf\"}",
            )],
        ),
        Row::new(
            "steps of a time series that are 0, negative, or have very many digits",
            &["400 invalid-parameter", "404 no-such-experiment"],
            ["0", "-5", "1e9", &"9".repeat(400)]
                .map(|step| get(&format!("{resolved}{step}"), &key))
                .to_vec(),
        ),
        Row::new(
            "an unknown experiment: read, cancelled, its results",
            &["404 no-such-experiment"],
            vec![
                get("/v1/experiments/01938c5e-9a62-7c3f-8f0e-0d5f6f2b7c11", &key),
                get("/v1/experiments/01938c5e-9a62-7c3f-8f0e-0d5f6f2b7c11/results", &key),
                asked(
                    "POST",
                    "/v1/experiments/01938c5e-9a62-7c3f-8f0e-0d5f6f2b7c11/cancel",
                    &key,
                    "",
                ),
            ],
        ),
    ]
}

/// Streams of events, and waiting for an end.
pub fn streams(keys: &Keys, of_another: &str) -> Vec<Row> {
    let key = keys.header();
    let forged = [
        "-1",
        "' OR 1=1 --",
        "99999999999999999999",
        "1; DROP TABLE transitions",
        "0x10",
        "1.5",
    ];
    let path = format!("/v1/experiments/{of_another}/events");
    let asked = |path: &str| forged.map(|id| get(path, &format!("{key}Last-Event-ID: {id}\r\n")));
    vec![
        Row::new(
            "a Last-Event-ID that the server never gave",
            &["400 bad-header"],
            [asked(&path), asked("/v1/events")].concat(),
        ),
        Row::new(
            "waits of 10 years, -1 s, NaN",
            &["400 invalid-parameter"],
            ["315360000", "-1", "NaN", "1e3"]
                .map(|wait| get(&format!("/v1/experiments/{of_another}?wait={wait}"), &key))
                .to_vec(),
        ),
    ]
}
