//! The pages for people through the real server: what runs and waits, the list of experiments, files that they load, and
//! refusals in words.

use reqwest::{StatusCode, header};
use serde_json::json;

use crate::guarded::Guarded;
use crate::mock_nvml::MockNvml;
use crate::server::Server;
use crate::timeseries::{metering, server_with};

const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

/// Asks for a view as a browser does.
pub async fn view(server: &Server, path: &str) -> (StatusCode, header::HeaderMap, String) {
    let asked = reqwest::Client::new()
        .get(format!("{}{path}", server.url))
        .header(header::ACCEPT, BROWSER);
    let answer = asked.send().await.expect("an answer");
    let (status, headers) = (answer.status(), answer.headers().clone());
    (status, headers, answer.text().await.expect("a text"))
}

/// Holds a view to what its policy allows: styles and scripts come from files alone.
pub fn obeys_its_policy(html: &str) {
    for forbidden in [
        " style=",
        "<style",
        " onclick=",
        " onload=",
        "javascript:",
        "http-equiv=\"refresh\"",
    ] {
        assert!(!html.contains(forbidden), "{forbidden} in {html}");
    }
    for script in html.split("<script").skip(1) {
        assert!(script.trim_start().starts_with("src="), "a script within the page");
    }
}

#[tokio::test]
async fn what_runs_and_what_waits_is_shown_with_power_and_why() {
    let mock = MockNvml::new("devices=2\nshape=constant:210,constant:90");
    let server = server_with(&mock);
    let running = server.accepted(&metering(&[1], 30_000, 1)).await;
    server.until_state(&running, "measuring").await;
    let waiting = server.accepted(&metering(&[1], 30_000, 1)).await;
    let (status, headers, html) = view(&server, "/").await;
    assert_eq!(status, StatusCode::OK, "{html}");
    assert!(headers[header::CONTENT_TYPE].to_str().unwrap().starts_with("text/html"));
    assert!(
        !headers[header::CONTENT_SECURITY_POLICY]
            .to_str()
            .unwrap()
            .contains("unsafe")
    );
    obeys_its_policy(&html);
    for shown in [
        "GPU 0: Mock GPU 80GB",
        &format!("href=\"./experiments/{running}\""),
        &format!("href=\"./experiments/{waiting}\""),
        &format!("action=\"./experiments/{running}/cancel\""),
        "<svg",
        "measuring, cycle 1 of 1",
    ] {
        assert!(html.contains(shown), "{shown} in {html}");
    }
    let held = format!("devices that are used by <a href=\"./experiments/{running}\">synthetic:decode_ms=50</a>");
    assert!(html.contains(&held), "{held} in {html}");
    for id in [waiting, running] {
        server.cancel(&id).await;
    }
}

#[tokio::test]
async fn the_files_of_a_page_are_named_by_their_content_and_kept() {
    let server = Server::start();
    let (_, _, html) = view(&server, "/").await;
    let paths = html
        .split("\"./assets/")
        .skip(1)
        .filter_map(|rest| rest.split('"').next());
    let paths: Vec<_> = paths.map(|path| format!("/assets/{path}")).collect();
    assert_eq!(paths.len(), 3, "{html}");
    for path in &paths {
        let (status, headers, text) = view(&server, path).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        assert!(headers[header::CACHE_CONTROL].to_str().unwrap().contains("immutable"));
        assert!(!text.is_empty() && !text.contains("http://localhost"));
    }
    let (status, _, _) = view(&server, "/assets/0000000000000000/joulemark.js").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_list_is_filtered_and_paged_by_its_address_alone() {
    let server = Server::start();
    let mut ids = Vec::new();
    for team in ["nlp", "vision", "nlp"] {
        let experiment = json!({"model_name": "synthetic:decode_ms=1", "prompts": {"dataset": "short-32", "count": 1},
            "max_output_tokens": 4, "labels": {"team": team}});
        ids.push(server.accepted(&experiment).await);
    }
    for id in &ids {
        server.until_state(id, "completed").await;
    }
    let (status, _, html) = view(
        &server,
        "/experiments?state=completed&model=&label=team%3Dnlp&sort=created_at&limit=1",
    )
    .await;
    assert_eq!(status, StatusCode::OK, "{html}");
    obeys_its_policy(&html);
    assert!(html.contains(&ids[0]) && !html.contains(&ids[1]) && !html.contains(&ids[2]));
    let next = html
        .split("rel=\"next\" href=\"./")
        .nth(1)
        .and_then(|rest| rest.split('"').next())
        .expect("a next page");
    let (_, _, second) = view(
        &server,
        &format!("/{}", next.replace("&amp;", "&").replace("&#38;", "&")),
    )
    .await;
    assert!(second.contains(&ids[2]) && !second.contains("rel=\"next\""), "{second}");
    let (status, _, refused) = view(&server, "/experiments?state=asleep").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(
        refused.contains("<h1>A parameter is not valid</h1>") && refused.contains("queued, starting"),
        "{refused}"
    );
}

#[tokio::test]
async fn programs_are_told_as_before_and_people_in_a_page() {
    let server = Server::start();
    let (status, problem) = server.get("/nowhere").await;
    assert_eq!(
        (status, &problem["title"]),
        (StatusCode::NOT_FOUND, &json!("No such route"))
    );
    let (status, headers, html) = view(&server, "/nowhere").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(
        html.contains("<h1>No such route</h1>") && html.contains("<nav"),
        "{html}"
    );
    assert!(headers.contains_key(header::CONTENT_SECURITY_POLICY));
    let asked = reqwest::Client::new()
        .get(&server.url)
        .header(header::ACCEPT, "application/json");
    assert_eq!(asked.send().await.unwrap().status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_reader_sees_no_button_that_is_not_for_readers() {
    let guarded = Guarded::start(&[]);
    let reader = guarded.key("rae", "reader");
    let asked = reqwest::Client::new()
        .get(&guarded.server.url)
        .header(header::ACCEPT, BROWSER);
    let html = asked.bearer_auth(reader).send().await.unwrap().text().await.unwrap();
    assert!(html.contains("rae, reader") && !html.contains("/submit\""), "{html}");
}
