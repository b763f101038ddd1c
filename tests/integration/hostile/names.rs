//! Names that lead elsewhere: paths, models, addresses that the server itself would call.

use serde_json::json;

use super::row::{Keys, Row, asked, get, post};

pub fn rows(keys: &Keys) -> Vec<Row> {
    let key = keys.header();
    let climbing = [
        "/v1/../healthz/../v1/audit",
        "/v1/experiments/..%2f..%2fetc%2fpasswd",
        "/v1/experiments/%2e%2e/%2e%2e/etc/passwd",
        "/v1/experiments/%252e%252e%252fetc",
        "//etc/passwd",
        "/healthz/..;/v1/audit",
        "/V1/EXPERIMENTS",
        "/v1/experiments/",
    ];
    let odd_ids = [
        "%00",
        "%27%20OR%20%271%27=%271",
        "%0d%0aSet-Cookie:%20x=1",
        "%e2%80%ae",
        "%ff%fe",
        "../01938c5e",
    ];
    let paths = |paths: &[&str], headers: &str| paths.iter().map(|path| get(path, headers)).collect::<Vec<_>>();
    let of_ids = odd_ids.map(|id| format!("/v1/experiments/{id}"));
    let mut rows = vec![
        Row::new(
            "paths that climb: plain, encoded, encoded twice, with semicolons, in capitals",
            &["404 no-such-route", "400 invalid-parameter"],
            paths(&climbing, &key),
        ),
        Row::new(
            "the same without a key: the answer does not show whether they exist",
            &["401 unauthenticated"],
            paths(&climbing, ""),
        ),
        Row::new(
            "ids with a null byte, SQL, a line break, right-to-left text, bytes that are not text",
            &["400 invalid-parameter", "404 no-such-route"],
            of_ids.iter().map(|path| get(path, &key)).collect(),
        ),
    ];
    rows.extend(models(keys));
    rows.extend(callbacks(keys));
    rows
}

fn models(keys: &Keys) -> Vec<Row> {
    const REFUSED: &[&str] = &["422 invalid-experiment"];
    let key = keys.header();
    let submitted = |names: &[&str]| -> Vec<Vec<u8>> {
        let each = names
            .iter()
            .map(|name| post(&key, &json!({"model_name": name, "prompts": ["a"]}).to_string()));
        each.collect()
    };
    let climbing = [
        "../../etc/passwd",
        "a/../../b",
        "./../x.gguf",
        "models/../../joulemark.db",
        ".",
        "..",
    ];
    let encoded = [
        "..%2f..%2fetc%2fpasswd",
        "..\\..\\etc\\passwd",
        "%2e%2e/x",
        "..%c0%af..%c0%afetc",
    ];
    let elsewhere = [
        "/etc/passwd",
        "/proc/self/environ",
        "file:///etc/passwd",
        "https://evil.example/m.gguf",
        "\\\\evil\\m.gguf",
    ];
    let linked = ["out", "out/secret.gguf", "linked.gguf", "loop.gguf"];
    let odd = [
        "models\u{0}.gguf",
        "m\u{202e}fugg.gguf",
        "m\r\nx: y.gguf",
        "ｍ．．／．．／ｅｔｃ",
        "",
        " ",
        "con",
        "-rf",
    ];
    let all = [&climbing[..], &encoded, &elsewhere, &linked, &odd].concat();
    let questions = all.iter().map(|name| {
        let headers = format!("Content-Type: application/json\r\n{key}");
        asked("POST", "/v1/flops", &headers, &json!({"model": name}).to_string())
    });
    vec![
        Row::new(
            "models whose names climb out of the folder",
            REFUSED,
            submitted(&climbing),
        ),
        Row::new("the same encoded, and with backslashes", REFUSED, submitted(&encoded)),
        Row::new(
            "models by an absolute path, a URL, a network share",
            REFUSED,
            submitted(&elsewhere),
        ),
        Row::new(
            "symbolic links in the folder that lead out of it, and a loop of links",
            REFUSED,
            submitted(&linked),
        ),
        Row::new(
            "a pipe in the folder, which would never end",
            REFUSED,
            submitted(&["pipe.gguf"]),
        ),
        Row::new(
            "names with a null byte, right-to-left text, a line break, wide dots, and empty ones",
            REFUSED,
            submitted(&odd),
        ),
        Row::new("FLOPs of each of these", &["422 invalid-question"], questions.collect()),
        Row::new(
            "Hugging Face ids that the admin has not listed",
            REFUSED,
            submitted(&["evil/model", "goodness/model", "good", "GOOD%2fx/y"]),
        ),
    ]
}

/// Callbacks to `hooks.example` alone are allowed.
fn callbacks(keys: &Keys) -> Vec<Row> {
    let key = keys.header();
    let called = |urls: &[&str]| {
        let body = |url: &&str| json!({"model_name": "synthetic:", "prompts": ["a"], "callback_url": url}).to_string();
        urls.iter().map(|url| post(&key, &body(url))).collect::<Vec<_>>()
    };
    const REFUSED: &[&str] = &["422 invalid-experiment"];
    vec![
        Row::new(
            "a callback to this host: by name, address, number, IPv6, in other notations",
            REFUSED,
            called(&[
                "http://localhost:8080/",
                "https://127.0.0.1/",
                "https://[::1]/",
                "https://[::ffff:127.0.0.1]/",
                "https://2130706433/",
                "https://0x7f.1/",
                "https://0177.0.0.1/",
                "https://0/",
            ]),
        ),
        Row::new(
            "a callback to a cloud's metadata address, to private networks",
            REFUSED,
            called(&[
                "http://169.254.169.254/latest/meta-data/",
                "https://10.0.0.1/",
                "https://[fd00::1]/",
                "https://metadata.google.internal/",
            ]),
        ),
        Row::new(
            "a callback with another URL scheme",
            REFUSED,
            called(&[
                "file:///etc/passwd",
                "gopher://evil.example/",
                "ftp://evil.example/",
                "javascript:alert(1)",
                "unix:/run/x",
                "//evil.example/",
            ]),
        ),
        Row::new(
            "a callback whose host only looks allowed: user part, suffix, line break",
            REFUSED,
            called(&[
                "https://hooks.example@evil.example/",
                "https://hooks.example.evil.example/",
                "https://evil.example/#hooks.example",
                "https://hooks.example\\@evil.example/",
                "https://hooks.example\r\nX: y/",
                "https://hooks.example:99999/",
            ]),
        ),
    ]
}
