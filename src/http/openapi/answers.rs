//! Schemas of answers: required keys, and the data of event streams.

use std::collections::BTreeSet;

use serde_json::{Value, json};

const STREAM: &str = "text/event-stream";
const SCHEMAS: &str = "#/components/schemas/";

/// Marks keys that may be null as required in schemas that occur only in answers. utoipa treats an `Option` as a key
/// that may be absent, but serde writes it as null. A key that serde omits has `nullable = false`, and is absent but
/// never null.
pub fn require_every_key(document: &mut Value) {
    let mut asked = BTreeSet::new();
    for (_, _, operation) in super::operations(document) {
        gather(&operation["requestBody"], &mut asked);
    }
    let schemas = document["components"]["schemas"].take();
    let mut unseen: Vec<String> = asked.iter().cloned().collect();
    while let Some(name) = unseen.pop() {
        let mut within = BTreeSet::new();
        gather(&schemas[&name], &mut within);
        unseen.extend(within.into_iter().filter(|name| asked.insert(name.clone())));
    }
    let mut schemas = schemas;
    for (name, schema) in schemas.as_object_mut().into_iter().flatten() {
        if !asked.contains(name) {
            require(schema);
        }
    }
    document["components"]["schemas"] = schemas;
}

/// Describes the `data` of an event stream, which OpenAPI itself treats as text.
pub fn type_events(document: &mut Value) {
    let schema = json!({
        "type": "string",
        "description": "Server-sent events: `event` names one of the schemas, `data` is that as JSON.",
        "contentMediaType": STREAM,
        "contentSchema": {"oneOf": [
            {"$ref": "#/components/schemas/StateEvent"}, {"$ref": "#/components/schemas/ProgressEvent"},
        ]},
    });
    for (_, _, operation) in super::operations(document) {
        if let Some(content) = operation.pointer_mut("/responses/200/content/text~1event-stream") {
            content["schema"] = schema.clone();
        }
    }
}

/// Collects the names of the schemas that a value refers to.
fn gather(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            let name = map
                .get("$ref")
                .and_then(Value::as_str)
                .and_then(|text| text.strip_prefix(SCHEMAS));
            names.extend(name.map(str::to_owned));
            map.values().for_each(|value| gather(value, names));
        }
        Value::Array(items) => items.iter().for_each(|value| gather(value, names)),
        _ => {}
    }
}

/// Marks the keys of a schema that may be null as required.
fn require(schema: &mut Value) {
    let parts = schema.get_mut("allOf").and_then(Value::as_array_mut);
    for part in parts.into_iter().flatten() {
        require(part);
    }
    let Some(properties) = schema["properties"].as_object() else {
        return;
    };
    let stated = schema["required"].as_array().cloned().unwrap_or_default();
    let all = properties.iter().filter(|(name, property)| {
        may_be_null(property) || stated.iter().any(|stated| stated.as_str() == Some(name.as_str()))
    });
    let required: Vec<Value> = all.map(|(name, _)| Value::from(name.as_str())).collect();
    if !required.is_empty() {
        schema["required"] = required.into();
    }
}

/// Returns whether a property may be null.
fn may_be_null(property: &Value) -> bool {
    let null = |value: &Value| value.as_str() == Some("null");
    let is_null_type = |value: &Value| null(&value["type"]);
    property["type"].as_array().is_some_and(|types| types.iter().any(null))
        || property["oneOf"]
            .as_array()
            .is_some_and(|choices| choices.iter().any(is_null_type))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nullable_keys_are_required_in_answers_but_not_in_requests() {
        let schema = || {
            json!({"properties": {"a": {"type": ["string", "null"]}, "b": {"oneOf": [{"type": "null"}, {"$ref": "x"}]},
                "c": {"type": "string"}, "d": {"type": "integer"}}, "required": ["d"]})
        };
        let body = json!({"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Outer"}}}});
        let mut document = json!({
            "paths": {"/x": {"post": {"requestBody": body}}},
            "components": {"schemas": {
                "Answer": {"allOf": [schema()]}, "Asked": schema(),
                "Outer": {"properties": {"inner": {"$ref": "#/components/schemas/Asked"}}},
            }},
        });
        require_every_key(&mut document);
        let schemas = &document["components"]["schemas"];
        assert_eq!(schemas["Answer"]["allOf"][0]["required"], json!(["a", "b", "d"]));
        assert_eq!(schemas["Asked"]["required"], json!(["d"]));
    }
}
