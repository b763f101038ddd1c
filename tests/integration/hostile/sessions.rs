//! Who comes with a cookie, or with a form to sign in.

use super::row::{Keys, Row, asked, get};

const SIGN_IN: &str = "/sign-in";
const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";

fn with(cookie: &str) -> Vec<u8> {
    get("/v1/devices", &format!("Cookie: {cookie}\r\n"))
}

pub fn rows(keys: &Keys) -> Vec<Row> {
    let (id, secret) = ("0".repeat(16), "0".repeat(64));
    let good = &keys.good;
    let from_elsewhere = "Origin: https://evil.example\r\nSec-Fetch-Site: cross-site\r\n";
    vec![
        Row::new(
            "a session cookie with an unknown session, cut short, in capitals, with SQL, a key, nothing",
            &["401 session-ended"],
            vec![
                with(&format!("joulemark={id}.{secret}")),
                with(&format!("joulemark={id}.{}", &secret[1..])),
                with(&format!("joulemark={}.{}", "A".repeat(16), "F".repeat(64))),
                with("joulemark=' OR '1'='1"),
                with(&format!("joulemark={good}")),
                with("joulemark="),
            ],
        ),
        Row::new(
            "two session cookies, in one header and in two",
            &["400 bad-header"],
            vec![
                with(&format!("joulemark={id}.{secret}; joulemark=x")),
                with("joulemark=x\r\nCookie: a=b; joulemark=y"),
            ],
        ),
        Row::new(
            "a session under the cookie names of TLS, on a server without TLS",
            &["401 unauthenticated"],
            vec![
                with(&format!("__Host-joulemark={id}.{secret}")),
                with(&format!("__Secure-joulemark={id}.{secret}")),
            ],
        ),
        Row::new(
            "signing in with SQL, a script, an unknown key, a key with another secret",
            &["401"],
            vec![
                asked("POST", SIGN_IN, FORM, "key=%27+OR+%271%27%3D%271"),
                asked("POST", SIGN_IN, FORM, "key=%3Cscript%3Ealert(1)%3C/script%3E"),
                asked("POST", SIGN_IN, FORM, &format!("key=jm_{id}_{secret}")),
                asked("POST", SIGN_IN, FORM, &format!("key={}_{secret}", &good[..19])),
            ],
        ),
        Row::new(
            "signing in with JSON, with two keys, without a key, with 20 kB",
            &["400", "400 malformed-body"],
            vec![
                asked(
                    "POST",
                    SIGN_IN,
                    "Content-Type: application/json\r\n",
                    "{\"key\": \"a\"}",
                ),
                asked("POST", SIGN_IN, FORM, "key=a&key=b"),
                asked("POST", SIGN_IN, FORM, "next=experiments"),
                asked("POST", SIGN_IN, FORM, &format!("key={}", "a".repeat(20_000))),
            ],
        ),
        Row::new(
            "another site's page that signs its visitor in or out",
            &["403 cross-site"],
            [SIGN_IN, "/sign-out"]
                .map(|path| asked("POST", path, &format!("{FORM}{from_elsewhere}"), "key=a"))
                .to_vec(),
        ),
        Row::new(
            "signing out without a session",
            &["401 unauthenticated"],
            vec![asked("POST", "/sign-out", FORM, "csrf=x")],
        ),
        Row::new(
            "a page to continue with after signing in that leads elsewhere, contains a script or a line break: ignored",
            &["200"],
            [
                "//evil.example/v1",
                "https:evil.example/v1",
                "%2f%5cevil.example/v1",
                "x%0d%0aSet-Cookie:%20x=1",
                "%22%3E%3Cscript%3Ealert(1)%3C/script%3E",
            ]
            .map(|next| get(&format!("{SIGN_IN}?next={next}"), ""))
            .to_vec(),
        ),
    ]
}
