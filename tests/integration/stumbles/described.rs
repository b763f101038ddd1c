//! Every answer fits what the API's description says of it, whatever parameters it was asked with.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::quick;
use crate::description::{DOCUMENT, fits, operations, resolved};
use crate::server::Server;

/// Values for each query parameter: those that are taken, and one that is not.
fn values() -> BTreeMap<&'static str, Vec<String>> {
    let of = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>();
    BTreeMap::from([
        ("limit", of(&["1", "500", "0"])),
        ("cursor", of(&["x"])),
        ("state", of(&["completed", "failed", "queued", "x"])),
        ("model", of(&["synthetic:decode_ms=0", "x"])),
        ("engine", of(&["synthetic", "x"])),
        ("user", of(&["ada"])),
        ("submitter", of(&["ada"])),
        ("label", of(&["team=a", "x"])),
        ("created_after", of(&["2020-01-01T00:00:00Z", "x"])),
        ("created_before", of(&["9999-12-31T23:59:59Z", "x"])),
        ("finished_after", of(&["2020-01-01T00:00:00Z", "x"])),
        ("finished_before", of(&["9999-12-31T23:59:59Z", "x"])),
        ("sort", of(&["-created_at", "finished_at", "x"])),
        ("wait", of(&["0", "1", "x"])),
        ("resolution_ms", of(&["1000", "x"])),
        ("format", of(&["jsonl", "x"])),
        (
            "what",
            of(&["summary", "cycles", "requests", "tokens", "timeseries", "x"]),
        ),
        ("label_columns", of(&["team", "team,paper"])),
        ("spreadsheet", of(&["true", "x"])),
        ("sweep", of(&["01a22bfa-d115-715b-949e-56a8385a8860", "x"])),
        ("metrics", of(&["mean_ttft_ms,p99_ttft_ms", "x"])),
        ("x", of(&["mean_ttft_ms", "x"])),
        ("y", of(&["output_throughput", "x"])),
    ])
}

/// Every path of fields within a schema, down to lists and objects within it.
fn paths(schema: &Value, at: &str, depth: usize, found: &mut BTreeSet<String>) {
    let schema = resolved(&DOCUMENT, schema);
    for key in ["allOf", "oneOf", "anyOf"] {
        for part in schema[key].as_array().into_iter().flatten() {
            paths(part, at, depth, found);
        }
    }
    if schema["items"].is_object() {
        paths(&schema["items"], at, depth, found);
    }
    for (name, within) in schema["properties"].as_object().into_iter().flatten() {
        let path = if at.is_empty() {
            name.clone()
        } else {
            format!("{at}.{name}")
        };
        if depth < 4 {
            paths(within, &path, depth + 1, found);
        }
        found.insert(path);
    }
}

/// Of each operation that has `fields`, the schema whose fields they are.
fn schema_of_fields(operation: &Value) -> Value {
    let name = match operation["operationId"].as_str().expect("an id") {
        "listExperiments" | "getExperiment" => "Experiment",
        "getResults" => "Results",
        "getSweep" => "Sweep",
        other => panic!("say here whose fields those of {other} are"),
    };
    json!({"$ref": format!("#/components/schemas/{name}")})
}

fn misfits(operation: &Value, status: u16, content_type: &str, body: &str) -> Vec<String> {
    let essence = content_type.split(';').next().unwrap_or_default();
    let answer = resolved(&DOCUMENT, &operation["responses"][status.to_string()]);
    let content = &answer["content"][essence];
    if content.is_null() {
        return vec![format!("{status} as {essence} is not described")];
    }
    let lines: Vec<&str> = match essence {
        "application/json" | "application/problem+json" => vec![body],
        "application/x-ndjson" => body.lines().collect(),
        _ => Vec::new(),
    };
    let values = lines
        .iter()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    values
        .flat_map(|value| fits::check(&DOCUMENT, &content["schema"], &value))
        .collect()
}

/// Queries of an operation: none, each parameter by itself, all that it cannot do without, and for `fields` each field and all at
/// once.
fn queries(name: &str, operation: &Value) -> Vec<String> {
    let known = values();
    let mut queries = vec![String::new()];
    let mut required = Vec::new();
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let parameter_name = parameter["name"].as_str().expect("a name");
        if parameter["in"] != "query" {
            continue;
        }
        if parameter_name == "fields" {
            let mut fields = BTreeSet::new();
            paths(&schema_of_fields(operation), "", 0, &mut fields);
            assert!(fields.len() > 30, "{name}: {fields:?}");
            let all = fields.iter().cloned().collect::<Vec<_>>().join(",");
            queries.extend(fields.iter().map(|path| format!("?fields={path}")));
            queries.extend([format!("?fields={all}"), "?fields=x".to_owned()]);
            continue;
        }
        let values = known.get(parameter_name);
        let values = values.unwrap_or_else(|| panic!("{name}: say here what to ask with as {parameter_name}"));
        queries.extend(values.iter().map(|value| format!("?{parameter_name}={value}")));
        if parameter["required"] == true {
            required.push(format!("{parameter_name}={}", values[0]));
        }
    }
    if !required.is_empty() {
        queries.push(format!("?{}", required.join("&")));
    }
    queries
}

#[tokio::test]
async fn every_answer_of_every_operation_fits_the_description_with_every_parameter() {
    let server = Server::start();
    let completed = server.accepted(&quick()).await;
    server.until_state(&completed, "completed").await;
    let mut of_a_set = quick();
    of_a_set["prompts"] = json!({"dataset": "short-32", "count": 1});
    of_a_set["decoder"] = json!({"do_sample": true, "top_k": 3});
    let of_a_set = server.accepted(&of_a_set).await;
    server.until_state(&of_a_set, "completed").await;
    let failed = server
        .accepted(&json!({"model_name": "synthetic:error_at=0", "prompts": ["a"]}))
        .await;
    server.until_state(&failed, "failed").await;
    let nobody = "01938c5e-9a62-7c3f-8f0e-0d5f6f2b7c11".to_owned();
    let ids = [completed, of_a_set, failed, nobody, "x".to_owned()];
    let mut wrong = Vec::new();
    let mut asked = 0;
    for (name, operation) in operations(&DOCUMENT) {
        // An endless stream's events are held to their schemas elsewhere.
        let is_stream = !operation["responses"]["200"]["content"]["text/event-stream"].is_null();
        let Some(path) = name.strip_prefix("GET ").filter(|_| !is_stream) else {
            continue;
        };
        let filled = |part: &str, values: &[&str]| values.iter().map(|value| path.replace(part, value)).collect();
        let targets: Vec<String> = match path {
            _ if path.contains("{id}") => filled("{id}", &ids.each_ref().map(String::as_str)),
            _ if path.contains("{field}") => filled("{field}", &["output_throughput", "x"]),
            _ => vec![path.to_owned()],
        };
        for query in queries(&name, operation) {
            // A field by itself is asked of one experiment; all of them together of each.
            let is_one_field = query.starts_with("?fields=") && !query.contains(',');
            let targets = if is_one_field { &targets[..1] } else { &targets };
            for target in targets {
                let response = reqwest::get(format!("{}{target}{query}", server.url))
                    .await
                    .expect("an answer");
                let status = response.status().as_u16();
                let header = |name: &str| {
                    response
                        .headers()
                        .get(name)
                        .map(|value| value.to_str().unwrap().to_owned())
                };
                let content_type = header("content-type").unwrap_or_default();
                let body = response.bytes().await.expect("a body");
                let body = String::from_utf8_lossy(&body).into_owned();
                asked += 1;
                let found = misfits(operation, status, &content_type, &body);
                wrong.extend(found.into_iter().map(|what| format!("{target}{query}: {what}")));
            }
        }
    }
    assert!(asked > 300, "{asked}");
    wrong.truncate(40);
    assert!(wrong.is_empty(), "{asked} answers:\n  {}", wrong.join("\n  "));
}

/// Asked by what watches the service, in ways that are not ours to say.
const FOR_MONITORING: [&str; 4] = ["/healthz", "/readyz", "/metrics", "/openapi.json"];

#[tokio::test]
async fn every_operation_refuses_a_query_parameter_that_it_does_not_have() {
    let server = Server::start();
    let id = server.accepted(&quick()).await;
    server.until_state(&id, "completed").await;
    let client = reqwest::Client::new();
    let mut asked = 0;
    for (name, operation) in operations(&DOCUMENT) {
        let (method, path) = name.split_once(' ').expect("a method and a path");
        if FOR_MONITORING.contains(&path) {
            continue;
        }
        let path = path.replace("{id}", &id).replace("{field}", "output_throughput");
        for query in ["nonsense=1", "nonsense", "%00=1"] {
            let url = format!("{}{path}?{query}", server.url);
            let request = client.request(method.parse().expect("a method"), url).json(&json!({}));
            let response = request.send().await.expect("an answer");
            let status = response.status();
            let text = response.text().await.expect("a body");
            assert_eq!(status, 400, "{name}?{query}: {text}");
            let problem: Value = serde_json::from_str(&text).expect("a problem");
            let pointer = problem["errors"][0]["pointer"].as_str().unwrap_or_default().to_owned();
            assert!(
                query.starts_with(&pointer) || pointer == "\0",
                "{name}?{query}: {problem:#}"
            );
            assert!(
                operation["responses"]["400"].is_object(),
                "{name}: 400 is not described"
            );
            asked += 1;
        }
    }
    assert!(asked > 30, "{asked}");
}
