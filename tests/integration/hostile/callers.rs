//! Who asks: keys that are none, headers that only a proxy may send, pages of other sites.

use super::row::{Keys, Row, Target, asked, get, post};

pub fn rows(keys: &Keys, of_another: &str) -> Vec<Row> {
    let mut rows = keys_that_are_none(keys);
    rows.extend(roles(keys, of_another));
    rows.extend(forged(keys));
    rows.extend(other_sites(keys));
    rows
}

fn with(value: impl std::fmt::Display) -> Vec<u8> {
    get("/v1/devices", &format!("Authorization: {value}\r\n"))
}

fn keys_that_are_none(keys: &Keys) -> Vec<Row> {
    const INVALID: &[&str] = &["401 invalid-key"];
    let good = &keys.good;
    let id = good.split('_').nth(1).unwrap();
    let zeros = "0".repeat(64);
    let bearer = |key: &str| with(format!("Bearer {key}"));
    vec![
        Row::new("a key that has expired", INVALID, vec![bearer(&keys.expired)]),
        Row::new("a key that was revoked", INVALID, vec![bearer(&keys.revoked)]),
        Row::new(
            "a key's id with another secret, and an id that is not there",
            INVALID,
            vec![
                bearer(&format!("jm_{id}_{zeros}")),
                bearer(&format!("jm_{}_{zeros}", "0".repeat(16))),
            ],
        ),
        Row::new(
            "a key that is cut short, continued, in capitals, twice in one header, or not text",
            INVALID,
            vec![
                bearer(&good[..good.len() - 1]),
                bearer(&format!("{good}0")),
                bearer(&good.to_uppercase()),
                bearer(&format!("{good}, Bearer {good}")),
                bearer("\u{ff}\u{fe}"),
            ],
        ),
        Row::new(
            "a key without its scheme, by another scheme, a scheme without a key",
            INVALID,
            vec![with(good), with(format!("Basic {good}")), with("Bearer")],
        ),
        Row::new(
            "a JSON web token with the algorithm `none`",
            INVALID,
            vec![bearer("eyJhbGciOiJub25lIn0.eyJzdWIiOiJyb290In0.")],
        ),
        Row::new(
            "SQL in place of a key and in a key's id",
            INVALID,
            vec![bearer("jm_' OR '1'='1_x"), bearer(&format!("jm_' OR 1=1 --_{zeros}"))],
        ),
        Row::new(
            "a key in the query, in a cookie, in another header",
            &["401 unauthenticated"],
            vec![
                get(&format!("/v1/devices?key={good}"), ""),
                get("/v1/devices", &format!("Cookie: key={good}\r\n")),
                get("/v1/devices", &format!("X-Api-Key: {good}\r\n")),
            ],
        ),
        Row::new(
            "the Authorization header twice",
            &["400 bad-header"],
            vec![get("/v1/devices", &keys.header().repeat(2))],
        ),
    ]
}

fn roles(keys: &Keys, of_another: &str) -> Vec<Row> {
    let reader = format!("Authorization: Bearer {}\r\n", keys.reader);
    let cancel = format!("/v1/experiments/{of_another}/cancel");
    vec![
        Row::new(
            "a reader who submits and who cancels, a submitter who reads the audit log",
            &["403 role-too-low"],
            vec![
                post(&reader, "{\"model_name\": \"synthetic:\"}"),
                asked("POST", &cancel, &reader, ""),
                get("/v1/audit", &keys.header()),
            ],
        ),
        Row::new(
            "cancelling another's experiment",
            &["403 not-yours"],
            vec![asked("POST", &cancel, &keys.header(), "")],
        ),
        Row::new(
            "methods that the route does not have: PUT, DELETE, TRACE, PATCH, one of 200 letters",
            &["405 no-such-method"],
            ["PUT", "DELETE", "TRACE", "PATCH", &"A".repeat(200)]
                .map(|method| asked(method, "/v1/experiments", &keys.header(), ""))
                .to_vec(),
        ),
    ]
}

/// Headers that only a trusted proxy may send.
fn forged(keys: &Keys) -> Vec<Row> {
    let key = keys.header();
    let devices = |headers: &str| get("/v1/devices", &format!("{key}{headers}"));
    let prefixes = [
        "/<script>alert(1)</script>",
        "//evil.example",
        "/a/../b",
        "/a%0d%0aSet-Cookie:x=1",
        "javascript:alert(1)",
    ];
    let prefixed = |headers: &str| {
        prefixes
            .map(|prefix| get("/openapi.json", &format!("{headers}X-Forwarded-Prefix: {prefix}\r\n")))
            .to_vec()
    };
    vec![
        Row::new(
            "X-Forwarded-For, Forwarded and X-Real-IP of 127.0.0.1 from an untrusted client, without a key",
            &["401 unauthenticated"],
            [
                "X-Forwarded-For: 127.0.0.1",
                "Forwarded: for=127.0.0.1;proto=https",
                "X-Real-IP: 127.0.0.1",
            ]
            .map(|header| get("/v1/audit", &format!("{header}\r\n")))
            .to_vec(),
        ),
        Row::new(
            "the identity header from an untrusted client, also in lower case and with an underscore",
            &["401 unauthenticated"],
            [
                "X-Remote-User: root",
                "x-remote-user: root\r\nX-Forwarded-For: 192.0.2.1",
                "X-Remote_User: root",
            ]
            .map(|header| get("/v1/audit", &format!("{header}\r\n")))
            .to_vec(),
        ),
        Row::new(
            "the group header from an untrusted client beside a submitter's key, also in lower case",
            &["403 role-too-low"],
            ["X-Remote-Groups: ops", "x-remote-groups: ops\r\nX-Remote-User: root"]
                .map(|header| get("/v1/audit", &format!("{key}{header}\r\n")))
                .to_vec(),
        ),
        Row::new(
            "the identity header or the group header twice, X-Forwarded-Proto twice",
            &["400 bad-header"],
            vec![
                devices("X-Remote-Groups: a\r\nX-Remote-Groups: ops\r\n"),
                devices("X-Remote-User: a\r\nX-Remote-User: root\r\n"),
                devices("X-Forwarded-Proto: https\r\nX-Forwarded-Proto: http\r\n"),
            ],
        ),
        Row::new(
            "X-Forwarded-Prefix with HTML, a host, .. or a line break from an untrusted client: ignored",
            &["200"],
            prefixed(""),
        ),
        Row::new("the same from a trusted proxy", &["400 bad-header"], prefixed("")).to(Target::Proxied),
        Row::new(
            "an invalid X-Forwarded-Host, -Proto or -For from a trusted proxy",
            &["400 bad-header"],
            [
                "X-Forwarded-Proto: https\r\nX-Forwarded-Host: lab.example/@evil.example",
                "X-Forwarded-Proto: gopher",
                "X-Forwarded-For: ' OR 1=1 --",
            ]
            .map(|headers| get("/openapi.json", &format!("{headers}\r\n")))
            .to_vec(),
        )
        .to(Target::Proxied),
        Row::new(
            "a name of 300 characters, or with control characters, in a trusted proxy's identity header",
            &["400 bad-header"],
            vec![
                get("/v1/devices", &format!("X-Remote-User: {}\r\n", "a".repeat(300))),
                get("/v1/devices", "X-Remote-User: a\tb\r\n"),
            ],
        )
        .to(Target::Proxied),
        Row::new(
            "X-HTTP-Method-Override, X-Original-URL and X-Rewrite-URL: ignored",
            &["200"],
            [
                "X-HTTP-Method-Override: DELETE",
                "X-Original-URL: /v1/audit\r\nX-Rewrite-URL: /v1/audit",
            ]
            .map(|headers| devices(&format!("{headers}\r\n")))
            .to_vec(),
        ),
        Row::new(
            "an X-Request-Id with terminal codes, a script, 8 kB: replaced",
            &["200"],
            vec![
                devices("X-Request-Id: \u{1b}[31mred\r\n".replace('\u{1b}', "%1b").as_str()),
                devices("X-Request-Id: <script>alert(1)</script>\r\n"),
                devices(&format!("X-Request-Id: {}\r\n", "a".repeat(8000))),
            ],
        ),
    ]
}

fn other_sites(keys: &Keys) -> Vec<Row> {
    let body = "{\"model_name\": \"synthetic:\"}";
    let from_elsewhere = "Origin: https://evil.example\r\nSec-Fetch-Site: cross-site\r\n";
    vec![
        Row::new(
            "a POST from another site's page, with a key that the browser adds",
            &["403 cross-site"],
            vec![post(&format!("{}{from_elsewhere}", keys.header()), body)],
        ),
        Row::new(
            "the same on a server without keys",
            &["403 cross-site"],
            vec![post(from_elsewhere, body)],
        )
        .to(Target::Open),
        Row::new(
            "a form and plain text, which another site's page may post without a preflight",
            &["415 unsupported-media-type"],
            [
                "application/x-www-form-urlencoded",
                "text/plain",
                "multipart/form-data; boundary=x",
            ]
            .map(|kind| asked("POST", "/v1/experiments", &format!("Content-Type: {kind}\r\n"), body))
            .to_vec(),
        )
        .to(Target::Open),
        Row::new(
            "a preflight of another site: not allowed",
            &["401 unauthenticated"],
            vec![asked(
                "OPTIONS",
                "/v1/experiments",
                "Origin: https://evil.example\r\nAccess-Control-Request-Method: POST\r\n",
                "",
            )],
        ),
        Row::new(
            "another host name that resolves to 127.0.0.1 (DNS rebinding)",
            &["403 foreign-host"],
            [
                "evil.example",
                "evil.example:8080",
                "127.0.0.1.evil.example",
                "localhost.evil.example",
                "2130706433",
            ]
            .map(|host| format!("GET /v1/devices HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").into_bytes())
            .to_vec(),
        )
        .to(Target::Open),
        Row::new(
            "a request through a proxy to a server without keys",
            &["403 forwarded-without-authentication"],
            [
                "X-Forwarded-For: 127.0.0.1",
                "Forwarded: for=127.0.0.1",
                "X-Real-IP: 127.0.0.1",
            ]
            .map(|header| get("/v1/devices", &format!("{header}\r\n")))
            .to_vec(),
        )
        .to(Target::Open),
        Row::new(
            "cache poisoning: X-Forwarded-Host, -Scheme and -Port of an untrusted client appear in no answer",
            &["200"],
            vec![get(
                "/openapi.json",
                "X-Forwarded-Host: evil.example\r\nX-Forwarded-Scheme: http\r\nX-Forwarded-Port: 1\r\nX-Host: evil.example\r\n",
            )],
        ),
    ]
}
