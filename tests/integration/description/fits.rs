use serde_json::Value;

use super::resolved;

/// Where a value does not fit its schema: other types, keys that are missing or that the schema does not know. The
/// linters check the rest; to them a key that nobody described is none of their business.
pub fn check(document: &Value, schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    walk(document, schema, value, "", &mut found);
    found
}

fn walk(document: &Value, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    let schema = resolved(document, schema);
    let choices = ["oneOf", "anyOf"].into_iter().find_map(|key| schema[key].as_array());
    if let Some(choices) = choices {
        let tried: Vec<_> = choices.iter().map(|choice| check(document, choice, value)).collect();
        if !tried.iter().any(Vec::is_empty) {
            let nearest = tried.into_iter().flatten().last().unwrap_or_default();
            found.push(format!("{at}{nearest}: fits none of the choices"));
        }
        return;
    }
    if !has_type(schema, value) {
        found.push(format!("{at}: is {}, not {}", brief(value), schema["type"]));
        return;
    }
    if schema["enum"]
        .as_array()
        .is_some_and(|accepted| !accepted.contains(value))
    {
        found.push(format!("{at}: is {value}, not one of {}", schema["enum"]));
    }
    if let Some(items) = value.as_array() {
        for (index, item) in items.iter().enumerate() {
            walk(document, &schema["items"], item, &format!("{at}/{index}"), found);
        }
    }
    if let Some(map) = value.as_object() {
        let (properties, required) = keys(document, schema);
        let missing = required.iter().filter(|name| !map.contains_key(**name));
        found.extend(missing.map(|name| format!("{at}: {name} is missing")));
        for (name, inner) in map {
            let at = format!("{at}/{name}");
            match properties.iter().find(|(known, _)| *known == name) {
                Some((_, schema)) => walk(document, schema, inner, &at, found),
                None if schema["additionalProperties"].is_object() => {
                    walk(document, &schema["additionalProperties"], inner, &at, found);
                }
                // A schema that names no key takes them all.
                None if properties.is_empty() => {}
                None => found.push(format!("{at}: is no key of the schema")),
            }
        }
    }
}

/// Properties and required keys, those of all parts together.
fn keys<'a>(document: &'a Value, schema: &'a Value) -> (Vec<(&'a String, &'a Value)>, Vec<&'a str>) {
    let mut properties: Vec<_> = schema["properties"].as_object().into_iter().flatten().collect();
    let mut required: Vec<_> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    for part in schema["allOf"].as_array().into_iter().flatten() {
        let (more, more_required) = keys(document, resolved(document, part));
        properties.extend(more);
        required.extend(more_required);
    }
    (properties, required)
}

fn has_type(schema: &Value, value: &Value) -> bool {
    let is = |name: &str| match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    };
    match &schema["type"] {
        Value::String(name) => is(name),
        Value::Array(names) => names.iter().filter_map(Value::as_str).any(is),
        _ => true,
    }
}

fn brief(value: &Value) -> String {
    value.to_string().chars().take(40).collect()
}

#[test]
fn missing_unknown_and_mistyped_keys_are_told_apart() {
    let document = serde_json::json!({"A": {"type": "object", "required": ["a"], "properties": {
        "a": {"type": ["integer", "null"]}, "b": {"oneOf": [{"type": "null"}, {"$ref": "#/B"}]}}},
        "B": {"type": "string", "enum": ["x"]}});
    let of = |value: Value| check(&document, &serde_json::json!({"allOf": [{"$ref": "#/A"}]}), &value).join("; ");
    assert_eq!(of(serde_json::json!({"a": null, "b": "x"})), "");
    assert_eq!(of(serde_json::json!({"b": null})), ": a is missing");
    assert_eq!(
        of(serde_json::json!({"a": 1.5})),
        "/a: is 1.5, not [\"integer\",\"null\"]"
    );
    assert!(of(serde_json::json!({"a": 1, "b": "y"})).contains("fits none"));
    assert_eq!(of(serde_json::json!({"a": 1, "c": 1})), "/c: is no key of the schema");
}
