//! The API's description: what every operation, schema and example in it must have. Each test names all that is missing.

pub mod fits;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::LazyLock;

use serde_json::Value;

pub static DOCUMENT: LazyLock<Value> = LazyLock::new(joulemark::http::document);

const PROBLEM: &str = "application/problem+json";
/// Its example would hold itself.
const WITHOUT_EXAMPLE: [&str; 1] = ["openapi"];

/// Every operation: `GET /path`, and the operation.
pub fn operations(document: &Value) -> Vec<(String, &Value)> {
    let paths = document["paths"].as_object().expect("paths");
    paths
        .iter()
        .flat_map(|(path, item)| {
            let methods = item.as_object().expect("operations");
            methods
                .iter()
                .map(move |(method, operation)| (format!("{} {path}", method.to_uppercase()), operation))
        })
        .collect()
}

/// What a reference stands for.
pub fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str().and_then(|text| text.strip_prefix('#')) {
        Some(pointer) => document
            .pointer(pointer)
            .unwrap_or_else(|| panic!("nothing is at {pointer}")),
        None => value,
    }
}

fn answers(operation: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let responses = operation["responses"].as_object().expect("responses");
    responses
        .iter()
        .map(|(status, answer)| (status.as_str(), resolved(&DOCUMENT, answer)))
}

fn none_of(what: &str, lacking: &[String]) {
    assert!(lacking.is_empty(), "{what}:\n  {}", lacking.join("\n  "));
}

fn is_text(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.trim().is_empty())
}

/// Run the two commands after a change of the API.
#[test]
fn the_checked_in_descriptions_are_current() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi");
    let json = serde_json::to_string_pretty(&*DOCUMENT).expect("JSON");
    let yaml = joulemark::http::to_yaml(&DOCUMENT).expect("YAML");
    for (file, current) in [("openapi.json", json), ("openapi.yaml", yaml.clone())] {
        let checked_in = std::fs::read_to_string(folder.join(file)).unwrap_or_default();
        let format = file.rsplit('.').next().expect("an extension");
        assert!(
            checked_in.trim_end() == current.trim_end(),
            "openapi/{file} is stale: run `cargo run --release -- openapi --format {format} > openapi/{file}`"
        );
    }
    let read: Value = serde_saphyr::from_str(&yaml).expect("YAML");
    assert!(read == *DOCUMENT, "the YAML says something else than the JSON");
}

#[test]
fn every_operation_has_an_id_of_its_own_a_summary_a_description_and_a_described_tag() {
    let tags = DOCUMENT["tags"].as_array().expect("tags");
    let described = tags
        .iter()
        .filter(|tag| is_text(&tag["description"]))
        .map(|tag| &tag["name"]);
    let described: Vec<&Value> = described.collect();
    let (mut lacking, mut ids) = (Vec::new(), BTreeSet::new());
    for (name, operation) in operations(&DOCUMENT) {
        for key in ["operationId", "summary", "description"] {
            if !is_text(&operation[key]) {
                lacking.push(format!("{name}: {key}"));
            }
        }
        let id = operation["operationId"].as_str().unwrap_or_default();
        if !id.starts_with(|first: char| first.is_ascii_lowercase()) || !id.chars().all(|c| c.is_ascii_alphanumeric()) {
            lacking.push(format!("{name}: an operationId in camelCase, not {id:?}"));
        }
        if !ids.insert(id) {
            lacking.push(format!("{name}: an operationId that no other has, not {id:?}"));
        }
        let own = operation["tags"].as_array().map(Vec::as_slice).unwrap_or_default();
        if own.is_empty() || !own.iter().all(|tag| described.contains(&tag)) {
            lacking.push(format!("{name}: a tag that is described in src/http/openapi.rs"));
        }
        if operation["security"].is_null() {
            lacking.push(format!("{name}: security"));
        }
    }
    none_of("operations lack", &lacking);
}

#[test]
fn every_error_is_a_problem_with_an_example_and_its_status() {
    let mut lacking = Vec::new();
    for (name, operation) in operations(&DOCUMENT) {
        for (status, answer) in answers(operation).filter(|(status, _)| status.starts_with(['4', '5'])) {
            if !is_text(&answer["description"]) {
                lacking.push(format!("{name} {status}: a description"));
            }
            let content = &answer["content"][PROBLEM];
            if content["schema"]["$ref"] != "#/components/schemas/Problem" {
                lacking.push(format!("{name} {status}: body = Problem, content_type = \"{PROBLEM}\""));
            }
            let examples = content["examples"].as_object();
            if examples.is_none_or(serde_json::Map::is_empty) {
                lacking.push(format!(
                    "{name} {status}: an example, a line in src/http/openapi/problems.rs"
                ));
            }
            for (example, shown) in examples.into_iter().flatten() {
                if shown["value"]["status"].as_u64() != status.parse().ok() {
                    lacking.push(format!("{name} {status}: {example} has another status"));
                }
            }
        }
        let statuses: Vec<&str> = answers(operation).map(|(status, _)| status).collect();
        for status in ["400", "403", "414", "431", "500", "503"] {
            if !statuses.contains(&status) {
                lacking.push(format!("{name}: {status}, which any request may meet"));
            }
        }
    }
    none_of("errors lack", &lacking);
}

#[test]
fn every_body_has_an_example_that_fits_its_schema_to_the_last_key() {
    let mut lacking = Vec::new();
    for (name, operation) in operations(&DOCUMENT) {
        if WITHOUT_EXAMPLE.iter().any(|id| operation["operationId"] == *id) {
            continue;
        }
        let question = ("request", resolved(&DOCUMENT, &operation["requestBody"]));
        let all = answers(operation).chain([question]);
        for (of, body) in all.filter(|(of, _)| !of.starts_with(['4', '5'])) {
            let contents = body["content"].as_object().into_iter().flatten();
            // Bytes show nobody anything, OpenMetrics is another notation's text, and a page is to be looked at.
            let unshown = ["parquet", "openmetrics-text", "x-tar", "html"];
            let shown = |media_type: &str| !unshown.iter().any(|ending| media_type.ends_with(ending));
            for (media_type, content) in contents.filter(|(media_type, _)| shown(media_type)) {
                let named = content["examples"].as_object().into_iter().flatten();
                let examples: Vec<&Value> = named
                    .map(|(_, example)| &example["value"])
                    .chain(content.get("example"))
                    .collect();
                if examples.is_empty() || examples.iter().any(|example| **example == serde_json::json!({})) {
                    let id = operation["operationId"].as_str().unwrap_or_default();
                    lacking.push(format!(
                        "{name} {of} {media_type}: src/http/openapi/examples/{id}.{of}.* by openapi/capture-examples.py, \
                         and its line in src/http/openapi/examples.rs"
                    ));
                    continue;
                }
                for example in examples.into_iter().filter(|_| media_type.ends_with("json")) {
                    let found = fits::check(&DOCUMENT, &content["schema"], example);
                    lacking.extend(found.into_iter().map(|at| format!("{name} {of}: {at}")));
                }
            }
        }
    }
    none_of("examples are missing or do not fit", &lacking);
}

#[test]
fn every_event_of_an_example_stream_fits_the_schema_that_it_names() {
    let (mut wrong, mut events) = (Vec::new(), 0);
    for (name, operation) in operations(&DOCUMENT) {
        let stream = &operation["responses"]["200"]["content"]["text/event-stream"];
        for event in stream["example"].as_str().unwrap_or_default().split("\n\n") {
            let field = |field: &str| event.lines().find_map(|line| line.strip_prefix(field));
            let (Some(kind), Some(data)) = (field("event: "), field("data: ")) else {
                continue;
            };
            let schema = match kind {
                "state" => "#/components/schemas/StateEvent",
                "progress" => "#/components/schemas/ProgressEvent",
                other => panic!("{name}: no schema of {other}"),
            };
            let data = serde_json::from_str(data).expect("JSON");
            wrong.extend(fits::check(&DOCUMENT, &serde_json::json!({"$ref": schema}), &data));
            events += 1;
        }
    }
    assert!(events >= 4, "{events}");
    none_of("events do not fit", &wrong);
}

#[test]
fn every_problems_example_fits_its_schema() {
    let mut wrong = Vec::new();
    for (name, operation) in operations(&DOCUMENT) {
        for (status, answer) in answers(operation) {
            let content = &answer["content"][PROBLEM];
            for (example, shown) in content["examples"].as_object().into_iter().flatten() {
                let found = fits::check(&DOCUMENT, &content["schema"], &shown["value"]);
                wrong.extend(found.into_iter().map(|at| format!("{name} {status} {example}: {at}")));
            }
        }
    }
    none_of("examples of problems do not fit", &wrong);
}

#[test]
fn every_parameter_and_every_property_says_what_it_is() {
    let mut lacking = Vec::new();
    for (name, operation) in operations(&DOCUMENT) {
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            if !is_text(&parameter["description"]) {
                lacking.push(format!("{name}: parameter {}", parameter["name"]));
            }
        }
    }
    for (name, schema) in DOCUMENT["components"]["schemas"].as_object().expect("schemas") {
        if !is_text(&schema["description"]) {
            lacking.push(format!("{name}: a description of the type"));
        }
        properties(schema, &mut |property, value| {
            if !says_what_it_is(value) {
                lacking.push(format!("{name}.{property}"));
            }
        });
        let text = schema["description"].as_str().unwrap_or_default();
        for value in schema["enum"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
        {
            if !text.contains(&format!("`{value}`")) {
                lacking.push(format!("{name}: what `{value}` means, in the type's own doc comment"));
            }
        }
    }
    none_of("descriptions are missing (units included)", &lacking);
}

fn properties(schema: &Value, visit: &mut impl FnMut(&str, &Value)) {
    for (name, value) in schema["properties"].as_object().into_iter().flatten() {
        visit(name, value);
    }
    for key in ["allOf", "oneOf"] {
        for part in schema[key].as_array().into_iter().flatten() {
            properties(part, visit);
        }
    }
}

/// A type that is referred to has a description of its own.
fn says_what_it_is(value: &Value) -> bool {
    let choices = value["oneOf"].as_array().map(Vec::as_slice).unwrap_or_default();
    is_text(&value["description"]) || !value["$ref"].is_null() || choices.iter().any(says_what_it_is)
}

#[test]
fn what_a_client_relies_on_has_a_licence_servers_and_a_version() {
    for pointer in [
        "/info/title",
        "/info/description",
        "/info/license/identifier",
        "/info/contact/name",
        "/servers/0/url",
    ] {
        assert!(DOCUMENT.pointer(pointer).is_some_and(is_text), "{pointer}");
    }
    let schemes = DOCUMENT["components"]["securitySchemes"].as_object().expect("schemes");
    assert!(schemes.values().all(|scheme| is_text(&scheme["description"])));
}
