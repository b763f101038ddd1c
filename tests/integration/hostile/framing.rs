//! Requests that two programs may read as different ones, and what is too large or too slow.

use super::row::{Keys, Row, asked, get, post};

pub fn rows(keys: &Keys) -> Vec<Row> {
    let mut rows = smuggled(keys);
    rows.extend(other_protocols(keys));
    rows.extend(oversize(keys));
    rows.extend(slow(keys));
    rows
}

fn smuggled(keys: &Keys) -> Vec<Row> {
    const BAD: &[&str] = &["400"];
    let start = format!("POST /v1/flops HTTP/1.1\r\nHost: localhost\r\n{}", keys.header());
    let with = |rest: &str| format!("{start}{rest}").into_bytes();
    let second = "GET /v1/audit HTTP/1.1\r\nHost: localhost\r\n\r\n";
    vec![
        Row::new(
            "Content-Length and chunks in one request, followed by another request",
            &["400", "415 unsupported-media-type"],
            vec![
                with(&format!("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{second}")),
                with(&format!("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n{second}")),
            ],
        ),
        Row::new(
            "two Content-Length headers, a list of lengths",
            BAD,
            vec![
                with("Content-Length: 2\r\nContent-Length: 60\r\n\r\n{}"),
                with("Content-Length: 2, 60\r\n\r\n{}"),
            ],
        ),
        Row::new(
            "a Content-Length with a sign, negative, beyond 64 bits, in hexadecimal",
            BAD,
            ["+2", "-1", "99999999999999999999", "0x2"]
                .map(|length| with(&format!("Content-Length: {length}\r\n\r\n{{}}")))
                .to_vec(),
        ),
        Row::new(
            "an unknown transfer coding, and chunked in another place than the last",
            BAD,
            ["xchunked", "chunked, identity"]
                .map(|coding| with(&format!("Transfer-Encoding: {coding}\r\n\r\n0\r\n\r\n")))
                .to_vec(),
        ),
        Row::new(
            "a chunk size that is no number or beyond 64 bits",
            &["400 malformed-body", "400"],
            ["zz", "fffffffffffffffff", "-1"]
                .map(|size| {
                    with(&format!("Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n{size}\r\n{{}}\r\n0\r\n\r\n"))
                })
                .to_vec(),
        ),
        Row::new(
            "a space before the colon, a folded header, a bare line feed, a null byte",
            BAD,
            ["Content-Length : 2", "X-A: b\r\n Content-Length: 2", "X-A: b\nX-B", "X-A: b\0c"]
                .map(|headers| with(&format!("{headers}\r\n\r\n")))
                .to_vec(),
        ),
        Row::new(
            "two Host headers, none",
            &["400 bad-header"],
            vec![
                b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n".to_vec(),
                b"GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n".to_vec(),
            ],
        ),
        Row::new(
            "a key in a trailer, behind the body",
            &["401 unauthenticated"],
            vec![
                format!(
                    "POST /v1/flops HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nTrailer: Authorization\r\n\
                     Connection: close\r\n\r\n0\r\n{}\r\n",
                    keys.header()
                )
                .into_bytes(),
            ],
        ),
    ]
}

fn other_protocols(keys: &Keys) -> Vec<Row> {
    let devices = |headers: &str| get("/v1/devices", &format!("{}{headers}", keys.header()));
    vec![
        Row::new(
            "TLS, HTTP/2 without an upgrade, HTTP/0.9, an invalid version",
            &["400", "closed"],
            vec![
                b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
                b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
                b"GET /v1/audit\r\n\r\n".to_vec(),
                b"GET /v1/audit HTTP/9.9\r\n\r\n".to_vec(),
            ],
        ),
        Row::new(
            "an upgrade to HTTP/2 and to a web socket: ignored",
            &["200"],
            vec![
                devices("Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"),
                devices("Upgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"),
            ],
        ),
        Row::new(
            "a tunnel (CONNECT), another server's address as the target",
            &["401 unauthenticated"],
            vec![
                b"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n".to_vec(),
                get("http://evil.example/v1/audit", ""),
            ],
        ),
        Row::new(
            "Expect: 100-continue without a key, for a body that is too large",
            &["401 unauthenticated"],
            vec![
                b"POST /v1/experiments HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 999999999\r\n\
                  Content-Type: application/json\r\nConnection: close\r\n\r\n"
                    .to_vec(),
            ],
        ),
        Row::new(
            "ranges: overlapping ones by the hundred, beyond the end, negative: not served in parts",
            &["200"],
            [format!("bytes={}", "0-,".repeat(300)), "bytes=99999999999-".to_owned(), "bytes=-1".to_owned()]
                .map(|range| devices(&format!("Range: {}\r\n", range.trim_end_matches(','))))
                .to_vec(),
        ),
        Row::new(
            "conditions on tags and times that the server never sent: the whole answer",
            &["200"],
            ["If-None-Match: \"' OR 1=1 --\"", "If-None-Match: W/\"x\", \"y\"", "If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT"]
                .map(|condition| devices(&format!("{condition}\r\n")))
                .to_vec(),
        ),
    ]
}

fn oversize(keys: &Keys) -> Vec<Row> {
    let key = keys.header();
    let long = "x".repeat(9_000);
    let large = format!("{{\"model_name\": \"{}\"}}", "y".repeat(70_000));
    let chunk = format!("{:x}\r\n{}\r\n", 8192, "z".repeat(8192)).repeat(20);
    vec![
        Row::new(
            "a target of 9,000 bytes",
            &["414 uri-too-long"],
            vec![get(&format!("/v1/devices?{long}"), &key)],
        ),
        Row::new(
            "a target of 200 kB",
            &["414", "414 uri-too-long", "431", "closed"],
            vec![get(&"/x".repeat(100_000), &key)],
        ),
        Row::new(
            "headers of 36 kB",
            &["431 headers-too-large"],
            vec![get(
                "/v1/devices",
                &format!("{key}{}", format!("X-A: {long}\r\n").repeat(4)),
            )],
        ),
        Row::new(
            "headers of 360 kB, 1,000 headers",
            &["431", "closed"],
            vec![
                get("/v1/devices", &format!("X-A: {long}\r\n").repeat(40)),
                get("/v1/devices", &format!("{key}{}", "X-A: b\r\n".repeat(1000))),
            ],
        ),
        Row::new(
            "a body of 70 kB where 64 are allowed",
            &["413 body-too-large"],
            vec![post(&key, &large)],
        ),
        Row::new(
            "the same in chunks",
            &["413 body-too-large"],
            vec![
                format!(
                    "POST /v1/experiments HTTP/1.1\r\nHost: localhost\r\n{key}Content-Type: application/json\r\n\
                     Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n{chunk}0\r\n\r\n"
                )
                .into_bytes(),
            ],
        ),
        Row::new(
            "the same without a key: not read",
            &["401 unauthenticated"],
            vec![post("", &large)],
        ),
        Row::new(
            "a body compressed with gzip, deflate, br or zstd, which may be a bomb: not decompressed",
            &["415 unsupported-encoding"],
            ["gzip", "deflate", "br", "zstd", "gzip, gzip"]
                .map(|coding| post(&format!("{key}Content-Encoding: {coding}\r\n"), "\u{1f}bomb"))
                .to_vec(),
        ),
    ]
}

fn slow(keys: &Keys) -> Vec<Row> {
    let head = format!(
        "POST /v1/experiments HTTP/1.1\r\nHost: localhost\r\n{}Content-Type: application/json\r\nContent-Length: 100\r\n\
         Connection: close\r\n\r\n",
        keys.header()
    );
    let endless = asked(
        "POST",
        "/v1/experiments",
        &format!("{}Content-Type: application/json\r\n", keys.header()),
        &" ".repeat(60_000),
    );
    vec![
        Row::new(
            "headers that stop halfway, a connection that says nothing",
            &["closed", "408"],
            vec![b"GET /healthz HTTP/1.1\r\nHost: loc".to_vec(), Vec::new()],
        ),
        Row::dripping(
            "headers a byte at a time (slowloris)",
            &["closed", "408"],
            get("/healthz", &"X-A: b\r\n".repeat(100)),
        ),
        Row::new(
            "a body that stops halfway",
            &["408 body-too-slow"],
            vec![format!("{head}{{\"model_name\":").into_bytes()],
        ),
        Row::dripping("a body a byte at a time", &["408 body-too-slow"], endless),
    ]
}
