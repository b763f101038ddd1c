//! The form that an experiment is submitted by: made of the table of a submission's fields, held to the API's words, and taken
//! as the API takes the same experiment.

use reqwest::{StatusCode, header};
use serde_json::{Map, Value, json};

use crate::guarded::Guarded;
use crate::pages::{obeys_its_policy, view};
use crate::server::Server;

const MODEL: &str = "synthetic:decode_ms=1";

/// Sends the form as a browser does, and follows nothing.
async fn send(server: &Server, key: Option<&str>, inputs: &[(&str, &str)]) -> reqwest::Response {
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    let body = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(inputs)
        .finish();
    let request = client
        .build()
        .unwrap()
        .post(format!("{}/submit", server.url))
        .header(header::ACCEPT, "text/html")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(body);
    let request = match key {
        Some(key) => request.bearer_auth(key),
        None => request,
    };
    request.send().await.expect("an answer")
}

/// Sends what must be accepted; the experiment's id.
async fn queued(server: &Server, inputs: &[(&str, &str)]) -> String {
    let answer = send(server, None, inputs).await;
    assert_eq!(
        answer.status(),
        StatusCode::SEE_OTHER,
        "{}",
        answer.text().await.unwrap()
    );
    let location = answer.headers()[header::LOCATION].to_str().unwrap();
    let id = location
        .strip_prefix("./experiments/")
        .expect("a relative way to the experiment");
    id.to_owned()
}

/// Returns the fields of a submission, as the API's description lists them.
async fn field_names(server: &Server) -> Vec<String> {
    let (_, described) = server.get("/openapi.json").await;
    let properties = described["components"]["schemas"]["ExperimentRequest"]["properties"].as_object();
    properties.expect("fields").keys().cloned().collect()
}

/// Returns what a submission decided of an experiment.
fn decided(experiment: &Value, names: &[String]) -> Map<String, Value> {
    let there = names
        .iter()
        .filter_map(|name| Some((name.clone(), experiment.get(name)?.clone())));
    there.collect()
}

/// Returns what a browser would send of a form that nobody changed.
fn inputs_of(html: &str) -> Vec<(String, String)> {
    let form = html.split("<form class=\"submit\"").nth(1).expect("a form");
    let form = form.split("</form>").next().unwrap();
    let mut inputs = Vec::new();
    for tag in form.split('<') {
        let (tag, text) = tag.split_once('>').unwrap_or((tag, ""));
        let name = || attribute(tag, "name").unwrap_or_default();
        match tag.split([' ', '\n']).next().unwrap_or_default() {
            "input" if attribute(tag, "type").as_deref() == Some("radio") && !tag.contains(" checked") => {}
            "input" => inputs.push((name(), attribute(tag, "value").unwrap_or_default())),
            "textarea" => inputs.push((name(), plain(text.strip_prefix('\n').unwrap_or(text)))),
            "select" => inputs.push((name(), String::new())),
            "option" if tag.contains(" selected") => {
                if let Some(select) = inputs.last_mut() {
                    select.1 = attribute(tag, "value").unwrap_or_default();
                }
            }
            _ => {}
        }
    }
    inputs
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let rest = tag.split_once(&format!(" {name}=\""))?.1;
    rest.split('"').next().map(plain)
}

fn plain(html: &str) -> String {
    let marks = [
        ("&#34;", "\""),
        ("&#39;", "'"),
        ("&#60;", "<"),
        ("&#62;", ">"),
        ("&#38;", "&"),
    ];
    marks
        .iter()
        .fold(html.to_owned(), |text, (mark, letter)| text.replace(mark, letter))
}

/// Returns the part of a page from the input of a field on.
fn beside<'a>(html: &'a str, field: &str) -> &'a str {
    let start = html
        .find(&format!("id=\"f-{field}\""))
        .unwrap_or_else(|| panic!("{field} has no input"));
    let rest = &html[start..];
    &rest[..rest.find(&format!("id=\"h-{field}\"")).unwrap_or(rest.len())]
}

#[tokio::test]
async fn every_field_of_a_submission_is_on_the_form_with_its_words() {
    let server = Server::start();
    let (status, _, html) = view(&server, "/submit").await;
    assert_eq!(status, StatusCode::OK, "{html}");
    obeys_its_policy(&html);
    let (_, described) = server.get("/openapi.json").await;
    let properties = &described["components"]["schemas"]["ExperimentRequest"]["properties"];
    for name in field_names(&server).await {
        assert!(html.contains(&format!(" name=\"{name}\"")), "{name}");
        assert!(
            html.contains(&format!("id=\"f-{name}\"")) && html.contains(&format!("id=\"h-{name}\"")),
            "{name}"
        );
        let said = properties[&name]["description"].as_str().unwrap_or_default();
        let first = said.split(['`', '\n', '\'', ':', '"', '<', '>', '&']).next().unwrap();
        assert!(html.contains(first), "{name}: {first}");
    }
    for shown in [
        "placeholder=\"128\"",
        "value=\"replicate\"",
        "short-32, 32 prompts",
        "action=\"./submit\"",
    ] {
        assert!(html.contains(shown), "{shown} in {html}");
    }
}

#[tokio::test]
async fn a_bad_form_is_shown_again_with_the_api_s_words_beside_the_fields_and_all_that_was_typed() {
    let server = Server::start();
    let inputs = [
        ("model_name", "no \"such\" model"),
        ("num_cycles", "0"),
        ("decoder", "top_p: 2\n# kept"),
        ("prompts.kind", "dataset"),
        ("prompts.dataset", "short-32"),
        ("prompts.count", "many"),
        ("labels", "run: 2"),
    ];
    let answer = send(&server, None, &inputs).await;
    assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let html = answer.text().await.unwrap();
    obeys_its_policy(&html);
    let bad = json!({"model_name": "no \"such\" model", "num_cycles": 0, "decoder": {"top_p": 2},
        "prompts": {"dataset": "short-32", "count": "many"}});
    let (status, problem) = server.submit(&bad).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let told = problem["errors"].as_array().unwrap();
    assert_eq!(told.len(), 3, "{problem:#}");
    for error in told {
        let (pointer, detail) = (error["pointer"].as_str().unwrap(), error["detail"].as_str().unwrap());
        let field = pointer.split('/').nth(1).unwrap();
        assert!(
            plain(beside(&html, field)).contains(detail) || field == "prompts",
            "{pointer} {detail}: {html}"
        );
        assert_eq!(plain(&html).matches(detail).count(), 2, "{detail}");
        assert!(html.contains(&format!("href=\"#f-{field}\"")), "{field}");
    }
    assert!(
        plain(&html)
            .contains("is 2; accepted is a text of 1 to 500 characters without control characters: put it in quotes")
    );
    assert!(beside(&html, "num_cycles").contains("aria-invalid=\"true\""));
    assert!(!beside(&html, "batch_size").contains("aria-invalid"));
    let kept = inputs_of(&html);
    for (name, typed) in inputs {
        assert!(
            kept.contains(&(name.to_owned(), typed.to_owned())),
            "{name} in {kept:?}"
        );
    }
    // What only the host can tell is told the same way.
    let answer = send(&server, None, &[("model_name", "nowhere.gguf"), ("num_cycles", "2")]).await;
    assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let html = answer.text().await.unwrap();
    let (_, problem) = server
        .submit(&json!({"model_name": "nowhere.gguf", "num_cycles": 2}))
        .await;
    let detail = problem["errors"][0]["detail"].as_str().unwrap();
    assert!(plain(beside(&html, "model_name")).contains(detail), "{detail}: {html}");
}

#[tokio::test]
async fn a_good_form_is_queued_once_and_is_what_the_same_json_is() {
    let server = Server::start();
    let (_, _, html) = view(&server, "/submit").await;
    let form = inputs_of(&html);
    let key = &form.iter().find(|(name, _)| name == "key").expect("a key").1;
    let inputs = [
        ("key", key.as_str()),
        ("action", "submit"),
        ("model_name", MODEL),
        ("prompts.kind", "texts"),
        ("prompts.texts", "one\r\n\r\ntwo words\r\n"),
        ("max_output_tokens", "4"),
        ("num_cycles", "2"),
        ("raw_prompt", "true"),
        ("decoder", "temperature: 0.5\r\nseed: 7"),
        ("labels", "team: nlp"),
        ("pue", "1.25"),
        ("gpu_count", ""),
    ];
    let id = queued(&server, &inputs).await;
    let same = json!({"model_name": MODEL, "prompts": ["one", "two words"], "max_output_tokens": 4, "num_cycles": 2,
        "raw_prompt": true, "decoder": {"temperature": 0.5, "seed": 7}, "labels": {"team": "nlp"}, "pue": 1.25});
    let other = server.accepted(&same).await;
    let names = field_names(&server).await;
    assert_eq!(
        decided(&server.show(&id).await, &names),
        decided(&server.show(&other).await, &names)
    );
    assert_eq!(queued(&server, &inputs).await, id, "pressed twice");
    let mut changed = inputs;
    changed[5].1 = "5";
    assert_ne!(queued(&server, &changed).await, id, "changed by whoever went back");
    let (_, listed) = server.get("/v1/experiments?engine=synthetic").await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 3, "{listed:#}");
    let (_, listed) = server.get("/v1/experiments?engine=mistral").await;
    assert_eq!(listed["items"], json!([]));
    let (_, exported) = server.get("/v1/experiments/export?format=jsonl&engine=synthetic").await;
    assert_eq!(
        exported.as_str().map(|lines| lines.lines().count()),
        Some(3),
        "{exported}"
    );
    let (_, _, html) = view(&server, "/experiments?engine=mistral").await;
    assert!(html.contains("No experiments found") && html.contains("name=\"engine\" value=\"mistral\""));
}

#[tokio::test]
async fn a_copy_that_nobody_changes_is_the_same_experiment() {
    let server = Server::start();
    let names = field_names(&server).await;
    for experiment in [
        json!({"model_name": MODEL, "prompts": {"dataset": "short-32", "count": 2}, "max_output_tokens": 3}),
        json!({"model_name": MODEL, "prompts": ["a <b> & \"c\"", "two\nlines", "- no"], "config_name": "c: d", "num_cycles": 5,
            "decoder": {"temperature": 0.5, "top_k": 3, "seed": u64::MAX}, "labels": {"on": "yes", "v": "1.10"},
            "load": {"open": {"rate_per_sec": 50.0, "requests": 3}}, "slo": {"ttft_ms": 500.0},
            "stop_rule": {"metric": "output_throughput", "relative_ci": 0.5, "min_cycles": 3}, "raw_prompt": true,
            "priority": -3, "cooldown_sec": 1, "pue": 1.1, "isolation": "host", "idle_baseline_sec": 0, "max_output_tokens": 2}),
        json!({"model_name": MODEL, "prompts": {"synthetic": {"input_tokens": 8, "count": 3, "seed": 5,
            "shared_prefix_tokens": 4}}, "max_output_tokens": 2, "distribution": "replicate", "num_processes": 2}),
        json!({"model_name": MODEL, "prompt_lines": [{"prompt": "x: y", "max_output_tokens": 2}], "max_output_tokens": 3}),
    ] {
        let id = server.accepted(&experiment).await;
        let (status, _, html) = view(&server, &format!("/submit?from={id}")).await;
        assert_eq!(status, StatusCode::OK, "{html}");
        assert!(html.contains("This is a copy of"), "{html}");
        let form = inputs_of(&html);
        let inputs: Vec<_> = form.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let copy = queued(&server, &inputs).await;
        assert_ne!(copy, id);
        let (was, is) = (server.show(&id).await, server.show(&copy).await);
        assert_eq!(decided(&was, &names), decided(&is, &names));
    }
    let (status, _, html) = view(&server, "/submit?from=yesterday").await;
    assert!(
        status == StatusCode::BAD_REQUEST && plain(&html).contains("accepted is the UUID of an experiment"),
        "{html}"
    );
    let (status, _, _) = view(&server, "/submit?from=01938c5e-9a62-7c3f-8f0e-0d5f6f2b7c11").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_same_is_shown_for_elsewhere_and_nothing_is_queued() {
    let server = Server::start();
    let inputs = [
        ("action", "preview"),
        ("model_name", MODEL),
        ("num_cycles", "2"),
        ("labels", "{team: it's}"),
    ];
    let answer = send(&server, None, &inputs).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let html = answer.text().await.unwrap();
    obeys_its_policy(&html);
    let written = |id: &str| {
        let text = html
            .split(&format!("<pre id=\"{id}\""))
            .nth(1)
            .and_then(|rest| rest.split_once('>'));
        plain(text.expect(id).1.split("</pre>").next().unwrap())
    };
    let expected = json!({"model_name": MODEL, "num_cycles": 2, "labels": {"team": "it's"}});
    assert_eq!(serde_json::from_str::<Value>(&written("as-json")).unwrap(), expected);
    let answer = server
        .post("/v1/experiments", "application/yaml", written("as-yaml"))
        .await;
    assert_eq!(answer.status(), StatusCode::CREATED, "{}", written("as-yaml"));
    assert!(
        written("as-curl").contains(&format!("'{}/v1/experiments'", server.url)),
        "{}",
        written("as-curl")
    );
    for way in ["as-curl", "as-command"] {
        let mut command = written(way);
        if way == "as-command" {
            command = command.replacen("joulemark ", concat!(env!("CARGO_BIN_EXE_joulemark"), " "), 1);
        }
        let ran = tokio::process::Command::new("sh")
            .arg("-c")
            .arg(&command)
            .output()
            .await
            .unwrap();
        let said: Value = serde_json::from_slice(&ran.stdout).unwrap_or_else(|_| panic!("{command}: {ran:?}"));
        assert_eq!(
            (&said["model_name"], &said["labels"]["team"]),
            (&json!(MODEL), &json!("it's")),
            "{command}"
        );
    }
    let (_, listed) = server.get("/v1/experiments").await;
    assert_eq!(
        listed["items"].as_array().unwrap().len(),
        3,
        "one by YAML, one by curl, one by the command"
    );
    let refused = send(&server, None, &[("action", "preview"), ("num_cycles", "0")]).await;
    assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn a_reader_is_refused_a_submitter_sees_no_prompts_of_others_and_limits_hold() {
    let guarded = Guarded::start(&["--max-unfinished-per-user", "1"]);
    let (reader, ada, bob) = (
        guarded.key("rae", "reader"),
        guarded.key("ada", "submitter"),
        guarded.key("bob", "submitter"),
    );
    let page = async |path: &str, key: &str| {
        let asked = reqwest::Client::new().get(format!("{}{path}", guarded.server.url));
        let asked = asked.header(header::ACCEPT, "text/html").bearer_auth(key);
        let answer = asked.send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    };
    let (status, html) = page("/submit", &reader).await;
    assert!(status == StatusCode::FORBIDDEN && html.contains("<h1>"), "{html}");
    let refused = send(&guarded.server, Some(&reader), &[("model_name", MODEL)]).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    let experiment = json!({"model_name": "synthetic:decode_ms=500", "prompts": ["my secret prompt"], "num_cycles": 9});
    let id = guarded.accepted(&ada, &experiment).await;
    let (status, html) = page(&format!("/submit?from={id}"), &bob).await;
    assert_eq!(status, StatusCode::OK);
    assert!(
        !html.contains("my secret prompt") && html.contains("belong to another user"),
        "{html}"
    );
    let (_, html) = page(&format!("/submit?from={id}"), &ada).await;
    assert!(html.contains("my secret prompt"), "{html}");
    let over = send(
        &guarded.server,
        Some(&ada),
        &[("model_name", MODEL), ("config_name", "kept")],
    )
    .await;
    let api = guarded.submit(&ada, &json!({"model_name": MODEL})).await;
    assert_eq!(
        (over.status(), over.status().is_client_error()),
        (api.0, true),
        "{:#}",
        api.1
    );
    let html = over.text().await.unwrap();
    assert!(
        plain(&html).contains(api.1["detail"].as_str().unwrap()) && html.contains("value=\"kept\""),
        "{html}"
    );
    guarded.cancel(&ada, &id).await;
}
