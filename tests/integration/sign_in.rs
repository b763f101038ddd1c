//! Signing in to the pages: what a session opens, what it asks for, and how it ends.

mod browser;
mod ends;
mod expired;
mod refused;

use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};

use crate::guarded::Guarded;
use crate::postgres_cluster::PostgresCluster;
use browser::{Browser, cookie_of, hidden};

fn experiment() -> Value {
    json!({"model_name": "synthetic:decode_ms=5000", "prompts": ["a"], "max_output_tokens": 4})
}

#[tokio::test]
async fn who_signs_in_reads_pages_and_the_api_changes_things_by_token_and_signs_out() {
    let guarded = Guarded::start(&[]);
    let (ada, root) = (guarded.key("ada", "submitter"), guarded.key("root", "admin"));
    let mut browser = Browser::of(&guarded.server.url);

    let sent = browser.page("/experiments?state=queued").await;
    assert_eq!(sent.status(), StatusCode::SEE_OTHER);
    assert_eq!(
        sent.headers()[header::LOCATION],
        "sign-in?next=experiments%3Fstate%3Dqueued"
    );
    let form = browser.page("/sign-in?next=experiments%3Fstate%3Dqueued").await;
    assert_eq!(form.status(), StatusCode::OK);
    let policy = form.headers()[header::CONTENT_SECURITY_POLICY]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(
        policy.contains("form-action 'self'") && !policy.contains("unsafe"),
        "{policy}"
    );
    assert_eq!(form.headers()[header::CACHE_CONTROL], "no-store");
    let text = form.text().await.unwrap();
    assert_eq!(hidden(&text, "next"), "experiments?state=queued");
    crate::pages::obeys_its_policy(&text);

    let signed_in = browser.sign_in(&ada, "experiments?state=queued").await;
    assert_eq!(signed_in.status(), StatusCode::SEE_OTHER);
    let check = "sign-in?next=experiments%3Fstate%3Dqueued&checked=1";
    assert_eq!(signed_in.headers()[header::LOCATION], check);
    let set = signed_in.headers()[header::SET_COOKIE].to_str().unwrap().to_owned();
    let port = guarded.server.url.rsplit(':').next().unwrap();
    for part in [
        &*format!("joulemark-{port}="),
        "; Path=/;",
        "; HttpOnly",
        "; SameSite=Lax",
        "; Max-Age=43200;",
    ] {
        assert!(set.contains(part), "{part} is not in {set}");
    }
    assert!(
        !set.contains("Secure"),
        "by plain HTTP a browser would not keep it: {set}"
    );
    // A browser that does not keep the cookie is told so.
    let dropped = browser.page(&format!("/{check}")).await;
    assert_eq!(dropped.status(), StatusCode::OK);
    let text = dropped.text().await.unwrap();
    assert!(
        text.contains("did not send the session&#39;s cookie back") && text.contains("Allow cookies"),
        "{text}"
    );
    assert_eq!(hidden(&text, "next"), "experiments?state=queued");
    browser.keep(&signed_in);
    let led = browser.page(&format!("/{check}")).await;
    assert_eq!(led.headers()[header::LOCATION], "./experiments?state=queued");

    assert_ne!(browser.page("/experiments").await.status(), StatusCode::SEE_OTHER);
    let (status, limits) = browser.get("/v1/limits").await;
    assert_eq!((status, &limits["name"]), (StatusCode::OK, &json!("ada")), "{limits:#}");
    let text = browser.page("/sign-in").await.text().await.unwrap();
    assert!(
        text.contains("ada") && text.contains("submitter") && !text.contains("type=\"password\""),
        "{text}"
    );
    let token = hidden(&text, "csrf");

    for (token, expected) in [("", 403), ("0", 403), (&token[1..], 403), (&*token, 201)] {
        let (status, body) = browser.post("/v1/experiments", token, &experiment()).await;
        assert_eq!(status, expected, "{token:?}: {body:#}");
        if expected == 403 {
            assert_eq!(body["type"], "urn:problem-type:joulemark:csrf-token");
            continue;
        }
        assert_eq!(body["submitter"], "ada");
        let cancel = format!("/v1/experiments/{}/cancel", body["id"].as_str().unwrap());
        assert_eq!(browser.post(&cancel, "", &json!({})).await.0, StatusCode::FORBIDDEN);
        assert_eq!(browser.post(&cancel, token, &json!({})).await.0, StatusCode::OK);
    }

    for wrong in ["", "csrf=", "csrf=0", &format!("csrf={token}&csrf={token}")] {
        let refused = browser.form("/sign-out", wrong).await;
        assert_eq!(refused.status(), StatusCode::FORBIDDEN, "{wrong}");
    }
    assert_eq!(
        browser.get("/v1/limits").await.0,
        StatusCode::OK,
        "nobody else signs one out"
    );
    let out = browser.form("/sign-out", &format!("csrf={token}")).await;
    assert_eq!(out.status(), StatusCode::SEE_OTHER);
    assert_eq!(out.headers()[header::LOCATION], "sign-in");
    let removal = out.headers()[header::SET_COOKIE].to_str().unwrap();
    let expected = format!("joulemark-{port}=; Path=/; Max-Age=0;");
    assert!(removal.starts_with(&expected), "{removal}");
    // A copy of the cookie opens nothing either.
    let (status, problem) = browser.get("/v1/limits").await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        problem["type"], "urn:problem-type:joulemark:session-ended",
        "{problem:#}"
    );
    assert_eq!(browser.page("/experiments").await.status(), StatusCode::SEE_OTHER);

    nothing_told(&guarded, &[&ada, &cookie_of(&set), &token], &root).await;
}

/// The log, the traces of the audit and the database have nothing that would open anything.
async fn nothing_told(guarded: &Guarded, secrets: &[&str], root: &str) {
    let (_, audit) = guarded.get("/v1/audit?limit=50", root).await;
    let entries = audit["items"].as_array().unwrap();
    let of = |action: &str| entries.iter().find(|entry| entry["action"] == action).unwrap();
    let (signed_in, signed_out) = (of("sign_in"), of("sign_out"));
    assert_eq!(signed_in["subject"], signed_out["subject"], "{audit:#}");
    for entry in [signed_in, signed_out] {
        assert_eq!(
            (&entry["name"], &entry["address"]),
            (&json!("ada"), &json!("127.0.0.1"))
        );
        assert_eq!(entry["key_id"], secrets[0].split('_').nth(1).unwrap());
    }
    let folder = &guarded.server.folder;
    let stored = ["joulemark.db", "joulemark.db-wal"].map(|file| std::fs::read(folder.join(file)).unwrap_or_default());
    let stored = String::from_utf8_lossy(&stored.concat()).into_owned();
    let session = signed_in["subject"].as_str().unwrap();
    assert!(stored.contains(session), "what was looked through?");
    let log = guarded.server.log();
    for secret in secrets {
        let secret = secret.rsplit(['_', '.']).next().unwrap();
        assert!(secret.len() >= 64, "{secret}");
        for (place, text) in [("log", &log), ("database", &stored), ("audit", &audit.to_string())] {
            assert!(!text.contains(secret), "a secret is in the {place}");
        }
    }
}

#[tokio::test]
async fn a_session_holds_on_every_server_of_one_database() {
    let cluster = PostgresCluster::start();
    let one = Guarded::start_on(&cluster.url(), &["--node-name", "one"]);
    let other = Guarded::start_on(&cluster.url(), &["--node-name", "other"]);
    let ada = one.key("ada", "reader");
    // Behind a proxy both have one address.
    let host = [("host", "lab.example")];
    let (mut here, mut there) = (
        Browser::by(&one.server.url, &host),
        Browser::by(&other.server.url, &host),
    );
    let signed_in = here.sign_in(&ada, "").await;
    here.keep(&signed_in);
    there.keep(&signed_in);
    assert_eq!(there.get("/v1/limits").await.1["name"], "ada");
    let token = hidden(&there.page("/sign-in").await.text().await.unwrap(), "csrf");
    let out = there.form("/sign-out", &format!("csrf={token}")).await;
    assert_eq!(out.status(), StatusCode::SEE_OTHER);
    assert_eq!(here.get("/v1/limits").await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn behind_tls_and_a_prefix_the_cookie_is_of_that_place_alone() {
    let guarded = Guarded::start(&["--trusted-proxy", "127.0.0.0/8"]);
    let ada = guarded.key("ada", "reader");
    let tls = [("x-forwarded-proto", "https"), ("x-forwarded-host", "lab.example")];
    let prefixed = [tls[0], tls[1], ("x-forwarded-prefix", "/energy")];
    let plain = format!("joulemark-{}=", guarded.server.url.rsplit(':').next().unwrap());
    let mut cookies = Vec::new();
    for (way, begins, ends) in [
        (
            &tls[..],
            "__Host-joulemark=",
            "; Path=/; Max-Age=43200; HttpOnly; SameSite=Lax; Secure",
        ),
        (
            &prefixed,
            "__Secure-joulemark=",
            "; Path=/energy/; Max-Age=43200; HttpOnly; SameSite=Lax; Secure",
        ),
        (
            &prefixed[2..],
            &*plain,
            "; Path=/energy/; Max-Age=43200; HttpOnly; SameSite=Lax",
        ),
    ] {
        let mut browser = Browser::by(&guarded.server.url, way);
        let signed_in = browser.sign_in(&ada, "experiments").await;
        let set = signed_in.headers()[header::SET_COOKIE].to_str().unwrap();
        assert!(set.starts_with(begins) && set.ends_with(ends), "{set}");
        assert_eq!(
            signed_in.headers()[header::LOCATION],
            "sign-in?next=experiments&checked=1",
            "relative, so below the prefix"
        );
        browser.keep(&signed_in);
        assert_eq!(browser.get("/v1/limits").await.0, StatusCode::OK);
        cookies.push(cookie_of(set));
    }
    // What was set by plain HTTP, or under another name, is no session by TLS.
    let value = |cookie: &str| cookie.split_once('=').unwrap().1.to_owned();
    let by_tls = Browser::by(&guarded.server.url, &tls);
    for cookie in [
        cookies[1].clone(),
        cookies[2].clone(),
        format!("joulemark={}", value(&cookies[0])),
    ] {
        let answered = by_tls.with("cookie", &cookie, Method::GET, "/v1/limits").await;
        assert_eq!(answered.status(), StatusCode::UNAUTHORIZED, "{cookie}");
    }
}

#[tokio::test]
async fn who_reaches_a_server_of_https_by_plain_http_is_shown_its_address() {
    let guarded = Guarded::start(&["--public-url", "https://lab.example/energy"]);
    let ada = guarded.key("ada", "reader");
    let browser = Browser::of(&guarded.server.url);
    let signed_in = browser.sign_in(&ada, "").await;
    assert!(
        signed_in.headers()[header::SET_COOKIE]
            .to_str()
            .unwrap()
            .contains("; Secure")
    );
    let check = signed_in.headers()[header::LOCATION].to_str().unwrap();
    let text = browser.page(&format!("/{check}")).await.text().await.unwrap();
    assert!(
        text.contains("role=\"alert\"") && text.contains("open https://lab.example/energy/sign-in instead"),
        "{text}"
    );
}

#[tokio::test]
async fn servers_on_two_ports_of_one_host_keep_their_sessions_apart() {
    let servers = [Guarded::start(&[]), Guarded::start(&[])];
    let mut cookies = Vec::new();
    for server in &servers {
        let ada = server.key("ada", "reader");
        let signed_in = Browser::of(&server.server.url).sign_in(&ada, "").await;
        cookies.push(cookie_of(signed_in.headers()[header::SET_COOKIE].to_str().unwrap()));
    }
    // A browser sends the cookies of all ports.
    let both = cookies.join("; ");
    for server in &servers {
        let browser = Browser::of(&server.server.url);
        let answered = browser.with("cookie", &both, Method::GET, "/v1/limits").await;
        assert_eq!(answered.status(), StatusCode::OK, "{both}");
    }
}

#[tokio::test]
async fn without_authentication_there_is_nothing_to_sign_in_to() {
    let server = crate::server::Server::start();
    let browser = Browser::of(&server.url);
    let text = browser.page("/sign-in").await.text().await.unwrap();
    assert!(
        text.contains("--auth none") && !text.contains("type=\"password\""),
        "{text}"
    );
    let posted = browser.sign_in("jm_x", "").await;
    assert_eq!(posted.status(), StatusCode::SEE_OTHER);
    assert!(!posted.headers().contains_key(header::SET_COOKIE));
    let (status, limits) = browser.get("/v1/limits").await;
    assert_eq!((status, &limits["role"]), (StatusCode::OK, &json!("admin")));
}
