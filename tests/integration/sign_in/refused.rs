//! What a session cookie, a key in the form and a page to go on to may not be.

use reqwest::{Method, StatusCode, header};
use serde_json::json;

use super::browser::{Browser, encoded, hidden};
use super::experiment;
use crate::guarded::Guarded;

#[tokio::test]
async fn wrong_keys_are_refused_in_the_form_and_counted_by_address() {
    let guarded = Guarded::start(&["--trusted-proxy", "127.0.0.0/8", "--rate-limit-per-minute", "5"]);
    let (ada, bob) = (guarded.key("ada", "reader"), guarded.key("bob", "reader"));
    assert!(guarded.key_command(&["revoke", bob.split('_').nth(1).unwrap()]).0);
    let id = ada.split('_').nth(1).unwrap();
    let unknown = format!("jm_{id}_{}", "0".repeat(64));
    let from = |address: &'static str| Browser::by(&guarded.server.url, &[("x-forwarded-for", address)]);
    let browser = from("192.0.2.1");
    for (key, why) in [
        ("", "not one of this server"),
        ("<script>", "not one of this server"),
        (&*unknown, "not one of this server"),
        (&*bob, "was revoked at"),
    ] {
        let answer = browser.sign_in(key, "experiments").await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{key}");
        assert!(!answer.headers().contains_key(header::SET_COOKIE));
        let text = answer.text().await.unwrap();
        assert!(text.contains(why) && text.contains("role=\"alert\""), "{text}");
        assert_eq!(hidden(&text, "next"), "experiments", "it is not lost");
        assert!(
            !text.contains("<script>") && (key.len() < 10 || !text.contains(key)),
            "{text}"
        );
    }
    assert_eq!(
        browser.sign_in(&ada, "").await.status(),
        StatusCode::SEE_OTHER,
        "the fifth"
    );
    for key in [&unknown, &ada] {
        let answer = browser.sign_in(key, "").await;
        assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
        assert!(answer.headers().contains_key(header::RETRY_AFTER));
        assert!(!answer.headers().contains_key(header::SET_COOKIE));
    }
    assert_eq!(
        from("192.0.2.2").sign_in(&ada, "").await.status(),
        StatusCode::SEE_OTHER
    );
    let (status, _) = guarded.get("/v1/limits", &ada).await;
    assert_eq!(status, StatusCode::OK, "the key's own allowance is another");
}

#[tokio::test]
async fn what_is_no_form_with_a_key_is_refused() {
    let guarded = Guarded::start(&[]);
    let browser = Browser::of(&guarded.server.url);
    let too_long = format!("key={}", "a".repeat(20_000));
    for form in ["", "next=experiments", "key=a&key=b", "key=%ff", &too_long] {
        let answer = browser.form("/sign-in", form).await;
        let is_refused = [400, 401].contains(&answer.status().as_u16());
        assert!(
            is_refused && !answer.headers().contains_key(header::SET_COOKIE),
            "{form:.40}"
        );
    }
    let request = browser.request(Method::POST, "/sign-in").json(&json!({"key": "a"}));
    assert_eq!(request.send().await.unwrap().status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn who_signed_in_is_sent_nowhere_else() {
    let guarded = Guarded::start(&["--rate-limit-per-minute", "0"]);
    let ada = guarded.key("ada", "reader");
    let browser = Browser::of(&guarded.server.url);
    let here = reqwest::Url::parse("https://lab.example/energy/sign-in").unwrap();
    for next in [
        "",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "https://evil.example",
        "https:evil.example",
        "javascript:alert(1)",
        "..//evil.example",
        "../other",
        "%2e%2e/other",
        "%2f%2fevil.example",
        "%5c%5cevil.example",
        "experiments\r\nLocation: https://evil.example",
        "experiments%0d%0aLocation:%20https://evil.example",
        "\t//evil.example",
        "experiments@evil.example",
        "v1/audit",
        "sign-out",
    ] {
        let answer = browser.sign_in(&ada, next).await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{next:?}");
        let locations: Vec<_> = answer.headers().get_all(header::LOCATION).iter().collect();
        assert_eq!(locations, ["sign-in?next=&checked=1"], "{next:?}");
        let mut signed_in = Browser::of(&guarded.server.url);
        signed_in.keep(&answer);
        let check = reqwest::Url::parse_with_params("http://a/sign-in", [("next", next), ("checked", "1")]).unwrap();
        let answer = signed_in.page(&format!("/sign-in?{}", check.query().unwrap())).await;
        let locations: Vec<_> = answer.headers().get_all(header::LOCATION).iter().collect();
        assert_eq!(locations, ["./"], "{next:?}");
        let seen = here.join(locations[0].to_str().unwrap()).unwrap();
        assert_eq!(seen.as_str(), "https://lab.example/energy/");
        let query: String = reqwest::Url::parse_with_params("http://a/sign-in", [("next", next)])
            .unwrap()
            .query()
            .unwrap_or_default()
            .to_owned();
        let text = browser.page(&format!("/sign-in?{query}")).await.text().await.unwrap();
        assert_eq!(hidden(&text, "next"), "", "{next:?}");
    }
}

#[tokio::test]
async fn a_key_and_a_proxy_s_name_go_before_a_session() {
    let guarded = Guarded::start(&["--trusted-proxy", "127.0.0.0/8", "--identity-header", "X-Remote-User"]);
    let (ada, bob) = (guarded.key("ada", "admin"), guarded.key("bob", "reader"));
    let mut browser = Browser::of(&guarded.server.url);
    let signed_in = browser.sign_in(&ada, "").await;
    browser.keep(&signed_in);
    let limits = async |headers: &[(&str, &str)]| {
        let mut request = browser.request(Method::GET, "/v1/limits");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let body: serde_json::Value = answer.json().await.unwrap();
        (status, body["name"].as_str().unwrap_or_default().to_owned())
    };
    let name = |name: &str| name.to_owned();
    let by_bob = format!("Bearer {bob}");
    assert_eq!(limits(&[]).await, (200, name("ada")));
    assert_eq!(limits(&[("authorization", &by_bob)]).await, (200, name("bob")));
    for bad in ["Bearer jm_x", "Basic YTpi", ""] {
        assert_eq!(
            limits(&[("authorization", bad)]).await.0,
            401,
            "a bad key is not made good: {bad}"
        );
    }
    assert_eq!(limits(&[("x-remote-user", "grace")]).await, (200, name("grace")));
    // Of who is known by the proxy or a key no token is asked.
    let post = browser
        .request(Method::POST, "/v1/experiments")
        .header("x-remote-user", "grace");
    let answer = post.json(&experiment()).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::CREATED);
    let created: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(created["submitter"], "grace");
    guarded.cancel(&ada, created["id"].as_str().unwrap()).await;

    let by_proxy = Browser::by(&guarded.server.url, &[("x-remote-user", "grace")]);
    let text = by_proxy.page("/sign-in").await.text().await.unwrap();
    assert!(
        text.contains("grace") && text.contains("proxy") && !text.contains("type=\"password\""),
        "{text}"
    );
    let answer = by_proxy.sign_in(&ada, "").await;
    assert!(
        !answer.headers().contains_key(header::SET_COOKIE),
        "it would count for nothing"
    );
}

#[tokio::test]
async fn cookies_that_are_no_session_of_this_server_open_nothing() {
    let guarded = Guarded::start(&[]);
    let ada = guarded.key("ada", "reader");
    let mut browser = Browser::of(&guarded.server.url);
    let signed_in = browser.sign_in(&ada, "").await;
    browser.keep(&signed_in);
    let set = signed_in.headers()[header::SET_COOKIE].to_str().unwrap();
    let good = super::cookie_of(set);
    let (name, value) = good.split_once('=').unwrap();
    let (id, secret) = value.split_once('.').unwrap();
    let stranger = Browser::of(&guarded.server.url);
    for (cookie, expected) in [
        (format!("{name}={id}.{}", "0".repeat(64)), "session-ended"),
        (format!("{name}={}.{secret}", "0".repeat(16)), "session-ended"),
        (format!("{name}={id}"), "session-ended"),
        (format!("{name}=' OR 1=1 --"), "session-ended"),
        (format!("{name}={ada}"), "session-ended"),
        (format!("{good}0"), "session-ended"),
        (good.to_uppercase(), "unauthenticated"),
        (format!("__Host-{good}"), "unauthenticated"),
        (format!("{good}; {name}=x"), "bad-header"),
        (format!("{name}=x; {good}"), "bad-header"),
    ] {
        let answer = stranger.with("cookie", &cookie, Method::GET, "/v1/limits").await;
        let text = answer.text().await.unwrap();
        assert!(text.contains(&format!(":{expected}\"")), "{cookie}: {text}");
        assert!(!text.contains(secret), "{text}");
    }
    let answer = stranger.with("cookie", &good, Method::GET, "/v1/limits").await;
    assert_eq!(answer.status(), StatusCode::OK);
}

#[tokio::test]
async fn another_site_s_page_signs_nobody_in_or_out() {
    let guarded = Guarded::start(&[]);
    let ada = guarded.key("ada", "reader");
    let mut browser = Browser::of(&guarded.server.url);
    let signed_in = browser.sign_in(&ada, "").await;
    browser.keep(&signed_in);
    let token = hidden(&browser.page("/sign-in").await.text().await.unwrap(), "csrf");
    for path in ["/sign-in", "/sign-out"] {
        for (name, value) in [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("origin", "https://evil.example"),
            ("origin", "null"),
        ] {
            let form = encoded(&[("key", &ada), ("csrf", &token)]);
            let answer = browser.form_with(&[(name, value)], path, &form).await;
            assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{path} {name}: {value}");
            assert!(answer.text().await.unwrap().contains("cross-site"));
        }
    }
    assert_eq!(browser.get("/v1/limits").await.0, StatusCode::OK);
}
