//! A session ends with its time, its key, the next one of its browser, and what it opened ends with it.

use std::time::Duration;

use reqwest::{Method, StatusCode, header};
use serde_json::json;
use sqlx::{Connection as _, Executor as _, SqliteConnection};

use super::browser::{Browser, cookie_of, encoded, hidden};
use super::experiment;
use crate::guarded::Guarded;
use crate::sse::Follow;

async fn signed_in(guarded: &Guarded, key: &str) -> Browser {
    let mut browser = Browser::of(&guarded.server.url);
    let answer = browser.sign_in(key, "").await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    browser.keep(&answer);
    browser
}

async fn change(guarded: &Guarded, statement: &str) {
    let database = format!("sqlite://{}", guarded.server.folder.join("joulemark.db").display());
    let mut connection = SqliteConnection::connect(&database).await.unwrap();
    let changed = connection
        .execute(sqlx::query(sqlx::AssertSqlSafe(statement)))
        .await
        .unwrap();
    assert!(changed.rows_affected() > 0, "{statement}");
}

async fn token(browser: &Browser) -> String {
    hidden(&browser.page("/sign-in").await.text().await.unwrap(), "csrf")
}

#[tokio::test]
async fn a_session_lasts_as_long_as_the_admin_says_and_no_longer_than_its_key() {
    let guarded = Guarded::start(&["--session-hours", "2"]);
    let ada = guarded.key("ada", "reader");
    let browser = Browser::of(&guarded.server.url);
    let max_age = async |key: &str| {
        let answer = browser.sign_in(key, "").await;
        let set = answer.headers()[header::SET_COOKIE].to_str().unwrap().to_owned();
        let (_, rest) = set.split_once("Max-Age=").unwrap();
        (rest.split(';').next().unwrap().parse::<u32>().unwrap(), cookie_of(&set))
    };
    assert_eq!(max_age(&ada).await.0, 7200);
    let (made, short, errors) =
        guarded.key_command(&["create", "--name", "eve", "--role", "reader", "--expires", "3s"]);
    assert!(made, "{errors}");
    let (age, cookie) = max_age(&short).await;
    assert!((1..=3).contains(&age), "{age}");
    loop {
        let answer = browser.with("cookie", &cookie, Method::GET, "/v1/limits").await;
        if answer.status() == StatusCode::UNAUTHORIZED {
            let text = answer.text().await.unwrap();
            assert!(text.contains("session-ended") && text.contains("expired at"), "{text}");
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // A session whose own time is over, of a key that still stands.
    let browser = signed_in(&guarded, &ada).await;
    assert_eq!(browser.get("/v1/limits").await.0, StatusCode::OK);
    change(&guarded, "UPDATE sessions SET expires_at_us = 1").await;
    let (status, problem) = browser.get("/v1/limits").await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "{problem:#}");
    assert_eq!(guarded.get("/v1/limits", &ada).await.0, StatusCode::OK);
    let text = browser.page("/sign-in").await.text().await.unwrap();
    assert!(
        text.contains("session has ended") && text.contains("type=\"password\""),
        "{text}"
    );
}

#[tokio::test]
async fn a_session_may_what_its_key_may_at_the_moment_and_ends_with_it() {
    let guarded = Guarded::start(&[]);
    let ada = guarded.key("ada", "submitter");
    let browser = signed_in(&guarded, &ada).await;
    let token = token(&browser).await;
    change(&guarded, "UPDATE api_keys SET role = 'reader' WHERE name = 'ada'").await;
    let (status, problem) = browser.post("/v1/experiments", &token, &experiment()).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "{problem:#}");
    assert_eq!(problem["type"], "urn:problem-type:joulemark:role-too-low");
    assert!(guarded.key_command(&["revoke", ada.split('_').nth(1).unwrap()]).0);
    let (status, problem) = browser.get("/v1/limits").await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert!(
        problem["detail"].as_str().unwrap().contains("was revoked"),
        "{problem:#}"
    );
}

#[tokio::test]
async fn signing_in_anew_gives_a_new_session_and_ends_the_one_that_was_brought() {
    let guarded = Guarded::start(&[]);
    let (ada, bob) = (guarded.key("ada", "reader"), guarded.key("bob", "reader"));
    let before = signed_in(&guarded, &ada).await;
    let untouched = signed_in(&guarded, &ada).await;
    let answer = before.sign_in(&bob, "").await;
    let mut after = Browser::of(&guarded.server.url);
    after.keep(&answer);
    assert_eq!(after.get("/v1/limits").await.1["name"], "bob");
    assert_eq!(before.get("/v1/limits").await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(untouched.get("/v1/limits").await.1["name"], "ada");
    // A session of one's own making is none: what a browser brings is never taken over.
    let stranger = Browser::of(&guarded.server.url);
    let port = guarded.server.url.rsplit(':').next().unwrap();
    let made_up = format!("joulemark-{port}={}.{}", "0".repeat(16), "0".repeat(64));
    let form = encoded(&[("key", &ada)]);
    let answer = stranger.form_with(&[("cookie", &made_up)], "/sign-in", &form).await;
    let given = cookie_of(answer.headers()[header::SET_COOKIE].to_str().unwrap());
    assert_ne!(given, made_up);
}

#[tokio::test]
async fn a_stream_ends_with_the_session_that_opened_it() {
    let guarded = Guarded::start(&["--stream-check-sec", "1"]);
    let ada = guarded.key("ada", "submitter");
    let mut streams = Vec::new();
    for _ in 0..3 {
        let browser = signed_in(&guarded, &ada).await;
        let request = browser.request(Method::GET, "/v1/events?user=nobody");
        let stream = Follow::of(request.send().await.unwrap());
        assert_eq!(stream.status(), StatusCode::OK);
        streams.push((browser, stream));
    }
    let by_key = guarded.send(Method::GET, "/v1/experiments?limit=1", &ada, None).await;
    assert_eq!(by_key.status(), StatusCode::OK);
    let (mut stays_by_key, [first, second, third]) = (
        Follow::of(guarded.send(Method::GET, "/v1/events", &ada, None).await),
        streams.try_into().ok().unwrap(),
    );
    let (browser, mut stream) = first;
    let own = token(&browser).await;
    let out = browser.form("/sign-out", &format!("csrf={own}")).await;
    assert_eq!(out.status(), StatusCode::SEE_OTHER);
    assert!(stream.rest().await.is_empty());
    // The other sessions of the same key, and the key itself, go on until the key ends.
    let (browser, mut stream) = second;
    assert_eq!(browser.get("/v1/limits").await.0, StatusCode::OK);
    change(&guarded, "UPDATE sessions SET expires_at_us = 1").await;
    assert!(stream.rest().await.is_empty());
    let (_, mut stream) = third;
    assert!(stream.rest().await.is_empty());
    let id = guarded.accepted(&ada, &experiment()).await;
    let told = stays_by_key.until(|event| event.data["state"] == "queued").await;
    assert!(told.iter().any(|event| event.data["id"] == json!(id)), "{told:?}");
    guarded.cancel(&ada, &id).await;
}
