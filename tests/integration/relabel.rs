//! Labels that are changed after the submission, by the API and by the client.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::client_command::{run, submit, synthetic};
use crate::guarded::Guarded;
use crate::server::Server;

async fn patch(server: &Server, id: &str, content_type: &str, body: &str) -> (u16, Value) {
    let url = format!("{}/v1/experiments/{id}/labels", server.url);
    let request = reqwest::Client::new().patch(url).header("content-type", content_type);
    let response = request.body(body.to_owned()).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

fn labelled() -> Value {
    let mut experiment = synthetic("decode_ms=0");
    experiment["labels"] = json!({"team": "a", "draft": "yes"});
    experiment
}

async fn lines(server: &Server, query: &str) -> Vec<Value> {
    let url = format!("{}/v1/experiments/export?format=jsonl&{query}", server.url);
    let text = reqwest::get(url).await.unwrap().text().await.unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn a_relabelled_experiment_is_shown_listed_exported_and_repeated_with_its_new_labels() {
    let server = Server::start();
    let id = server.accepted(&labelled()).await;
    server.until_state(&id, "completed").await;
    let results_path = format!("{}/v1/experiments/{id}/results", server.url);
    let tag_of = async |path: &str| {
        let response = reqwest::get(path).await.unwrap();
        response.headers()["etag"].to_str().unwrap().to_owned()
    };
    let before = tag_of(&results_path).await;
    let expected = json!({"team": "b", "paper": "fig3"});
    for content_type in ["application/merge-patch+json", "application/json; charset=utf-8"] {
        let body = r#"{"team": "b", "paper": "fig3", "draft": null}"#;
        let (status, shown) = patch(&server, &id, content_type, body).await;
        assert_eq!((status, &shown["labels"]), (200, &expected), "{shown:#}");
        assert_eq!(shown["state"], "completed");
    }
    assert_ne!(tag_of(&results_path).await, before, "who has the old answer is told");
    let asked = reqwest::Client::new()
        .get(&results_path)
        .header("if-none-match", before);
    assert_eq!(asked.send().await.unwrap().status(), 200);
    assert_eq!(server.show(&id).await["labels"], expected);
    assert_eq!(server.results(&id).await["experiment"]["labels"], expected);
    for (query, count) in [
        ("label=team=a", 0),
        ("label=team=b", 1),
        ("label=paper=fig3&sort=-finished_at", 1),
    ] {
        let (_, page) = server.get(&format!("/v1/experiments?{query}")).await;
        assert_eq!(page["items"].as_array().unwrap().len(), count, "{query}");
        assert_eq!(lines(&server, query).await.len(), count, "{query}");
    }
    let line = &lines(&server, "label=team=b").await[0];
    assert_eq!(line["labels"], expected, "{line:#}");
    // What is answered is accepted again.
    let again = server.accepted(&server.results(&id).await["experiment"]).await;
    assert_eq!(server.show(&again).await["labels"], expected);
}

#[tokio::test]
async fn a_patch_of_labels_that_is_none_is_refused_by_name_and_changes_nothing() {
    let server = Server::start();
    let id = server.accepted(&labelled()).await;
    let many: serde_json::Map<_, _> = (0..64).map(|n| (format!("n{n}"), json!("x"))).collect();
    for (content_type, body, status, pointer) in [
        ("application/json", json!({"a": 7}).to_string(), 422, "/a"),
        ("application/json", json!({"a": ""}).to_string(), 422, "/a"),
        ("application/json", json!({"": "a"}).to_string(), 422, "/"),
        ("application/json", json!({"a": "\0"}).to_string(), 422, "/a"),
        ("application/json", json!({"a\n": null}).to_string(), 422, "/a\n"),
        ("application/json", json!({"a": "x".repeat(501)}).to_string(), 422, "/a"),
        ("application/json", json!(["a"]).to_string(), 422, ""),
        ("application/json", json!(many).to_string(), 422, ""),
        ("application/json", r#"{"a": "1", "a": "2"}"#.to_owned(), 400, ""),
        ("application/json", String::new(), 400, ""),
        ("application/yaml", "a: b".to_owned(), 415, ""),
        ("text/plain", "{}".to_owned(), 415, ""),
    ] {
        let (found, problem) = patch(&server, &id, content_type, &body).await;
        assert_eq!(found, status, "{content_type} {body}: {problem:#}");
        if status == 422 {
            assert_eq!(problem["errors"][0]["pointer"], pointer, "{body}: {problem:#}");
        }
    }
    let (status, problem) = patch(
        &server,
        "01938c5e-9a62-7c3f-8f0e-0d5f6f2b7c11",
        "application/json",
        "{}",
    )
    .await;
    assert!(
        status == 404 && problem["type"].to_string().contains("no-such-experiment"),
        "{problem:#}"
    );
    assert_eq!(server.show(&id).await["labels"], labelled()["labels"]);
}

#[tokio::test]
async fn one_relabels_ones_own_an_admin_anybodys_and_the_log_says_who_did() {
    let guarded = Guarded::start(&[]);
    let keys = [
        ("ada", "submitter"),
        ("bob", "submitter"),
        ("root", "admin"),
        ("rea", "reader"),
    ];
    let [ada, bob, root, rea] = keys.map(|(name, role)| guarded.key(name, role));
    let id = guarded.accepted(&ada, &labelled()).await;
    let path = format!("/v1/experiments/{id}/labels");
    for (key, team, expected) in [(&bob, "x", 403), (&rea, "x", 403), (&ada, "b", 200), (&root, "c", 200)] {
        let response = guarded
            .send(Method::PATCH, &path, key, Some(&json!({"team": team})))
            .await;
        assert_eq!(response.status().as_u16(), expected, "{team}");
    }
    let (status, shown) = guarded.get(&format!("/v1/experiments/{id}"), &rea).await;
    assert_eq!((status, &shown["labels"]["team"]), (StatusCode::OK, &json!("c")));
    let (_, log) = guarded.get("/v1/audit?limit=3", &root).await;
    let told =
        |line: usize| [&log["items"][line]["action"], &log["items"][line]["name"]].map(|text| text.as_str().unwrap());
    assert_eq!(
        [told(0), told(1), told(2)],
        [["relabel", "root"], ["relabel", "ada"], ["submit", "ada"]]
    );
}

#[test]
fn the_client_sets_and_removes_labels() {
    let server = Server::start();
    let id = submit(&server.url, &labelled());
    let said = run(&server.url, &["label", &id, "team=b=c", "draft-", "paper=fig3"]).ended(0);
    assert_eq!(said.lines()[0]["labels"], json!({"team": "b=c", "paper": "fig3"}));
    let said = run(&server.url, &["label", "--table", &id, "team-", "paper-"]).ended(0);
    assert_eq!(said.out.trim(), format!("{id} has no labels"));
    let said = run(&server.url, &["label", "--table", &id, "größe=½"]).ended(0);
    assert_eq!(said.out.trim(), format!("{id} has the labels größe=½"));
    let said = run(&server.url, &["label", &id, "a=", "b=1"]).ended(2);
    assert!(said.errors.contains("/a"), "{}", said.errors);
    for changes in [&["a=1", "a-"][..], &["a"], &[]] {
        let all = [&["label", id.as_str()][..], changes].concat();
        assert_ne!(run(&server.url, &all).code, Some(0), "{changes:?}");
    }
}
