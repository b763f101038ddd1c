use std::path::Path;

/// Run `cargo run --release -- openapi > openapi/openapi.json` after a change of the API.
#[test]
fn the_checked_in_description_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi/openapi.json");
    let checked_in = std::fs::read_to_string(&path).expect("openapi/openapi.json is there");
    let current = serde_json::to_string_pretty(&joulemark::http::document()).expect("a document");
    assert!(
        checked_in.trim_end() == current,
        "{} is stale: run `cargo run --release -- openapi > openapi/openapi.json`",
        path.display()
    );
}

#[test]
fn every_operation_has_an_id_a_summary_and_a_tag() {
    let document = serde_json::to_value(joulemark::http::document()).expect("a document");
    let paths = document["paths"].as_object().expect("paths");
    assert!(paths.len() >= 8, "{paths:?}");
    for (path, operations) in paths {
        for (method, operation) in operations.as_object().expect("operations") {
            for key in ["operationId", "summary", "tags"] {
                assert!(!operation[key].is_null(), "{method} {path} has no {key}");
            }
        }
    }
}
