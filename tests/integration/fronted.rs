//! The service as a lab uses it: behind nginx and behind Caddy, over TLS, under a prefix, by the files of `deploy/`.

use std::net::SocketAddr;

use axum::{Router, http::HeaderMap, response::IntoResponse, routing::get};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::front::{Front, HOST, Identity, Proxy, USER};
use crate::sse::{Event, Follow, states_of};

fn quick() -> Value {
    json!({
        "model_name": "synthetic:decode_ms=5", "prompts": ["a"], "max_output_tokens": 20, "num_cycles": 1,
        "warmup_iterations": 0, "idle_baseline_sec": 0,
    })
}

fn endless() -> Value {
    json!({
        "model_name": "synthetic:decode_ms=600000", "prompts": ["a"], "max_output_tokens": 4, "warmup_iterations": 0,
        "idle_baseline_sec": 0,
    })
}

async fn accepted(front: &Front, experiment: &Value) -> (String, Value) {
    let request = front.by_user(Method::POST, "/v1/experiments").json(experiment);
    let response = request.send().await.expect("an answer");
    assert_eq!(
        response.status(),
        StatusCode::CREATED,
        "{}",
        response.text().await.unwrap()
    );
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    (location, response.json().await.unwrap())
}

#[tokio::test]
async fn an_experiment_is_submitted_awaited_and_read_by_links_that_carry_the_prefix() {
    for proxy in Proxy::installed() {
        let front = Front::start(proxy, &[]);
        let root = front.guarded.key("root", "admin");
        let (location, body) = accepted(&front, &quick()).await;
        let id = body["id"].as_str().unwrap();
        assert_eq!(location, format!("{}/v1/experiments/{id}", front.url), "{proxy:?}");
        assert_eq!(body["submitter"], USER);
        let get = |url: String| {
            front
                .client
                .get(url)
                .basic_auth(USER, Some(crate::front::PASSWORD))
                .send()
        };
        let shown: Value = get(format!("{location}?wait=60")).await.unwrap().json().await.unwrap();
        assert_eq!(shown["state"], "completed", "{proxy:?}: {shown:#}");
        let results = get(format!("{location}/results")).await.unwrap();
        assert_eq!(results.status(), StatusCode::OK);
        let results: Value = results.json().await.unwrap();
        assert_eq!(results["inference"]["output_tokens"], 20, "{proxy:?}: {results:#}");
        // The server alone compresses and tags, and an export has no length that a proxy could wait for.
        let packed = front
            .client
            .get(format!("{location}/results"))
            .header("accept-encoding", "zstd");
        let packed = packed
            .basic_auth(USER, Some(crate::front::PASSWORD))
            .send()
            .await
            .unwrap();
        assert_eq!(packed.headers()["content-encoding"], "zstd", "{proxy:?}");
        let tag = packed.headers()["etag"].clone();
        let known = front
            .client
            .get(format!("{location}/results"))
            .header("if-none-match", tag);
        let known = known
            .basic_auth(USER, Some(crate::front::PASSWORD))
            .send()
            .await
            .unwrap();
        assert_eq!(known.status(), StatusCode::NOT_MODIFIED, "{proxy:?}");
        let export = get(format!("{}/v1/experiments/export?format=csv", front.url))
            .await
            .unwrap();
        assert_eq!(export.status(), StatusCode::OK, "{proxy:?}");
        assert!(!export.headers().contains_key("content-length"), "{proxy:?}");
        let table = export.text().await.unwrap();
        assert!(table.lines().count() == 2 && table.contains(id), "{proxy:?}: {table}");
        // What tells nothing of anybody is open, and says how to reach the rest.
        let document = front.request(Method::GET, "/openapi.json").send().await.unwrap();
        assert_eq!(document.headers()["strict-transport-security"], "max-age=31536000");
        let document: Value = document.json().await.unwrap();
        assert_eq!(document["servers"][0]["url"], format!("{}/", front.url));
        let log = front
            .request(Method::GET, "/v1/audit?limit=1")
            .bearer_auth(&root)
            .send()
            .await
            .unwrap();
        let log: Value = log.json().await.unwrap();
        assert_eq!(
            (&log["items"][0]["name"], &log["items"][0]["address"]),
            (&json!(USER), &json!("127.0.0.1"))
        );
    }
}

#[tokio::test]
async fn events_come_one_by_one_and_a_wait_ends_when_its_time_is_up() {
    for proxy in Proxy::installed() {
        let front = Front::start(proxy, &[]);
        let (location, _) = accepted(&front, &endless()).await;
        let path = location.strip_prefix(&front.url).unwrap();
        let response = front
            .by_user(Method::GET, &format!("{path}/events"))
            .send()
            .await
            .unwrap();
        let mut follow = Follow::of(response);
        assert_eq!(follow.header("content-type"), "text/event-stream", "{proxy:?}");
        // It runs for weeks: what is held back until a buffer is full or the answer is whole never comes.
        let is_measuring = |event: &Event| event.name == "state" && event.data["state"] == "measuring";
        let events = follow.until(is_measuring).await;
        assert!(states_of(&events).contains(&"measuring"), "{proxy:?}: {events:?}");
        let shown = front
            .by_user(Method::GET, &format!("{path}?wait=1"))
            .send()
            .await
            .unwrap();
        assert_eq!(shown.json::<Value>().await.unwrap()["state"], "measuring");
        let cancel = front
            .by_user(Method::POST, &format!("{path}/cancel"))
            .send()
            .await
            .unwrap();
        assert_eq!(cancel.status(), StatusCode::OK);
        let rest = follow.rest().await;
        assert_eq!(rest.last().unwrap().data["state"], "cancelled", "{proxy:?}: {rest:?}");
        // Who comes again says what they have heard already, and a proxy lets that pass.
        let request = front
            .by_user(Method::GET, &format!("{path}/events"))
            .header("last-event-id", "0");
        let again = Follow::of(request.send().await.unwrap()).rest().await;
        assert_eq!(states_of(&again).first(), Some(&"queued"), "{proxy:?}: {again:?}");
    }
}

/// Stands for oauth2-proxy: whoever has a cookie of theirs is known by it, `session=USER` or `session=USER/GROUP,GROUP`.
async fn provider() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answer = |headers: HeaderMap| async move {
        let cookie = headers
            .get("cookie")
            .and_then(|cookie| cookie.to_str().ok())
            .unwrap_or_default();
        let session = cookie.strip_prefix("session=").map(|session| session.split_once('/'));
        match session {
            Some(Some((user, groups))) => {
                let headers = [("x-auth-request-user", user), ("x-auth-request-groups", groups)];
                (
                    StatusCode::ACCEPTED,
                    headers.map(|(name, text)| (name, text.to_owned())),
                )
                    .into_response()
            }
            Some(None) => {
                let user = cookie.trim_start_matches("session=").to_owned();
                (StatusCode::ACCEPTED, [("x-auth-request-user", user)]).into_response()
            }
            None => StatusCode::UNAUTHORIZED.into_response(),
        }
    };
    let router = Router::new()
        .route("/oauth2/auth", get(answer))
        .route("/oauth2/sign_in", get(sign_in));
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// Answers as the sign-in page of oauth2-proxy: it leads back to the address in a header, and sets long cookies.
async fn sign_in(headers: HeaderMap) -> impl IntoResponse {
    let back = headers
        .get("x-auth-request-redirect")
        .map_or("", |value| value.to_str().unwrap());
    let cookie = format!("_oauth2_proxy_csrf={}", "x".repeat(6000));
    ([("set-cookie", cookie)], format!("sign in for {back}"))
}

#[tokio::test]
async fn users_are_those_of_an_identity_provider_where_there_is_one_and_keys_pass_it_by() {
    for proxy in Proxy::installed() {
        let front = Front::start_with(proxy, Identity::Provider(provider().await), &[]);
        let submit = || front.request(Method::POST, "/v1/experiments").json(&endless());
        let forged = submit().header("x-remote-user", "root").send().await.unwrap();
        assert_eq!(
            forged.status(),
            StatusCode::UNAUTHORIZED,
            "{proxy:?}: nobody has logged in"
        );
        let known = submit()
            .header("cookie", "session=heidi")
            .header("x-remote-user", "root")
            .send()
            .await
            .unwrap();
        assert_eq!(known.status(), StatusCode::CREATED, "{proxy:?}");
        assert_eq!(known.json::<Value>().await.unwrap()["submitter"], "heidi", "{proxy:?}");
        let ada = front.guarded.key("ada", "submitter");
        let by_key = submit()
            .bearer_auth(&ada)
            .header("x-remote-user", "root")
            .send()
            .await
            .unwrap();
        assert_eq!(by_key.status(), StatusCode::CREATED, "{proxy:?}");
        assert_eq!(by_key.json::<Value>().await.unwrap()["submitter"], "ada", "{proxy:?}");
    }
}

#[tokio::test]
async fn a_browser_without_a_session_gets_the_page_of_the_identity_provider_and_a_program_is_refused() {
    for proxy in Proxy::installed() {
        let front = Front::start_with(proxy, Identity::Provider(provider().await), &[]);
        let page = front.request(Method::GET, "/experiments?state=queued&user=ada");
        let shown = page.header("accept", "text/html,*/*;q=0.8").send().await.unwrap();
        assert_eq!(shown.status(), StatusCode::OK, "{proxy:?}");
        let expected = "sign in for /joulemark/experiments?state=queued&user=ada";
        assert_eq!(shown.text().await.unwrap(), expected, "{proxy:?}");
        let site = front.url.strip_suffix("/joulemark").unwrap();
        let direct = front.client.get(format!("{site}/oauth2/sign_in")).send().await.unwrap();
        assert!(direct.text().await.unwrap().starts_with("sign in"), "{proxy:?}");
        let refused = front.request(Method::GET, "/v1/experiments").send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::UNAUTHORIZED, "{proxy:?}");
        let kind = &refused.headers()["content-type"];
        assert_eq!(kind, "application/problem+json", "{proxy:?}");
    }
}

#[tokio::test]
async fn roles_are_those_of_the_groups_that_the_identity_provider_tells() {
    for proxy in Proxy::installed() {
        let options = [
            "--identity-groups-header",
            "X-Remote-Groups",
            "--group-role",
            "ops=admin",
            "--group-role",
            "lab=submitter",
            "--identity-role",
            "reader",
        ];
        let front = Front::start_with(proxy, Identity::Provider(provider().await), &options);
        for (cookie, audit, cancel) in [
            ("session=heidi/guests,ops", 200, 404),
            ("session=heidi/lab,guests", 403, 404),
            ("session=heidi/guests", 403, 403),
            ("session=heidi", 403, 403),
        ] {
            // What a client says itself is not believed, whatever the provider says.
            let request = |method, path: &str| {
                let request = front.request(method, path).header("cookie", cookie);
                request.header("x-remote-groups", "ops")
            };
            let asked = request(Method::GET, "/v1/audit").send().await.unwrap();
            assert_eq!(asked.status().as_u16(), audit, "{proxy:?} {cookie}");
            let path = "/v1/experiments/01938c5e-9a62-7c3f-8f0e-0d5f6f2b7c11/cancel";
            let cancelled = request(Method::POST, path).send().await.unwrap();
            assert_eq!(cancelled.status().as_u16(), cancel, "{proxy:?} {cookie}");
        }
    }
}

#[tokio::test]
async fn the_prefix_without_its_slash_and_the_plain_site_lead_to_the_right_place() {
    for proxy in Proxy::installed() {
        let front = Front::start(proxy, &[]);
        let moved = front.request(Method::GET, "").send().await.unwrap();
        assert_eq!(moved.status(), StatusCode::PERMANENT_REDIRECT, "{proxy:?}");
        assert_eq!(moved.headers()["location"], "/joulemark/", "{proxy:?}");
        if proxy == Proxy::Nginx {
            let plain = reqwest::Client::builder()
                .unix_socket(front.folder.path().join("plain.sock"))
                .redirect(reqwest::redirect::Policy::none())
                .build()
                .unwrap();
            let moved = plain
                .get(format!("http://{HOST}/joulemark/v1/devices"))
                .send()
                .await
                .unwrap();
            assert_eq!(
                moved.headers()["location"],
                format!("https://{HOST}/joulemark/v1/devices")
            );
        }
    }
}

#[tokio::test]
async fn a_server_that_is_away_is_told_as_a_problem_with_a_time_to_try_again() {
    for proxy in Proxy::installed() {
        let mut front = Front::start(proxy, &[]);
        front.guarded.server.stop();
        let response = front.by_user(Method::GET, "/v1/experiments").send().await.unwrap();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "{proxy:?}");
        assert_eq!(response.headers()["retry-after"], "5");
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        let problem: Value = response.json().await.unwrap();
        assert_eq!(
            (&problem["status"], &problem["retry_after_sec"]),
            (&json!(503), &json!(5))
        );
    }
}
