//! Schemas of answers that `fields` narrows. Each stands beside the schema of the whole answer and has the same fields,
//! none of them required. OpenAPI cannot express which of the two a parameter selects.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

const SCHEMAS: &str = "#/components/schemas/";
const JSON: &str = "/responses/200/content/application~1json/schema";
/// Prefix of the names of these schemas.
const PREFIX: &str = "Selected";

/// Adds a schema for each operation that has the parameter `fields`.
pub fn add(document: &mut Value) {
    let mut wholes = BTreeSet::new();
    for (_, _, operation) in super::operations(document) {
        let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
        if !parameters.iter().any(|parameter| parameter["name"] == "fields") {
            continue;
        }
        if let Some(schema) = operation.pointer_mut(JSON)
            && let Some(name) = referred(schema)
        {
            *schema = json!({"anyOf": [
                {"$ref": format!("{SCHEMAS}{name}")}, {"$ref": format!("{SCHEMAS}{PREFIX}{name}")},
            ]});
            wholes.insert(name);
        }
    }
    let Some(schemas) = document["components"]["schemas"].as_object_mut() else {
        return;
    };
    let pages: BTreeSet<_> = wholes.iter().filter(|name| is_page(&schemas[*name])).cloned().collect();
    let mut open: Vec<_> = wholes.into_iter().collect();
    let mut narrowed = Vec::new();
    let mut seen = BTreeSet::new();
    while let Some(name) = open.pop() {
        if !seen.insert(name.clone()) {
            continue;
        }
        let mut schema = schemas[&name].clone();
        if !pages.contains(&name) {
            make_optional(&mut schema);
        }
        refer(&mut schema, schemas, &mut open);
        schema["description"] = json!(format!("`{name}`, with only those fields that `fields` selects."));
        narrowed.push((format!("{PREFIX}{name}"), schema));
    }
    schemas.extend(narrowed);
}

/// Returns whether a schema is a page, whose items `fields` narrows and whose other keys stay.
fn is_page(schema: &Value) -> bool {
    schema["properties"]["items"].is_object() && schema["properties"]["next_cursor"].is_object()
}

/// Returns the name of the schema that a reference points to.
fn referred(schema: &Value) -> Option<String> {
    let name = schema["$ref"].as_str()?.strip_prefix(SCHEMAS)?;
    Some(name.to_owned())
}

/// Makes all keys of a schema optional. Parts of an object may fit several alternatives, so `oneOf` becomes `anyOf`.
fn make_optional(schema: &mut Value) {
    let Some(schema) = schema.as_object_mut() else {
        return;
    };
    schema.remove("required");
    schema.remove("example");
    let choices = schema.get("oneOf").and_then(Value::as_array);
    let more_than_one = |choices: &Vec<Value>| choices.iter().filter(|choice| choice["type"] != "null").count() > 1;
    if choices.is_some_and(more_than_one)
        && let Some(choices) = schema.remove("oneOf")
    {
        schema.insert("anyOf".to_owned(), choices);
    }
    for key in ["oneOf", "anyOf", "allOf"] {
        schema
            .get_mut(key)
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
            .for_each(make_optional);
    }
    for key in ["properties", "patternProperties"] {
        let within = schema.get_mut(key).and_then(Value::as_object_mut);
        within.into_iter().flat_map(Map::values_mut).for_each(make_optional);
    }
    schema.get_mut("items").into_iter().for_each(make_optional);
}

/// Replaces each reference to a schema that can be narrowed by one to its narrowed schema, and adds that to `open`.
fn refer(schema: &mut Value, schemas: &Map<String, Value>, open: &mut Vec<String>) {
    if let Some(name) = referred(schema).filter(|name| can_be_narrowed(&schemas[name], schemas)) {
        schema["$ref"] = json!(format!("{SCHEMAS}{PREFIX}{name}"));
        open.push(name);
        return;
    }
    match schema {
        Value::Object(map) => map.values_mut().for_each(|value| refer(value, schemas, open)),
        Value::Array(items) => items.iter_mut().for_each(|value| refer(value, schemas, open)),
        _ => {}
    }
}

/// Returns whether a schema, or one of its alternatives, has properties.
fn can_be_narrowed(schema: &Value, schemas: &Map<String, Value>) -> bool {
    let within = ["oneOf", "anyOf", "allOf"].map(|key| schema[key].as_array());
    let is_object = |schema: &Value| match referred(schema) {
        Some(name) => can_be_narrowed(&schemas[&name], schemas),
        None => can_be_narrowed(schema, schemas),
    };
    schema["properties"].is_object() || within.into_iter().flatten().flatten().any(is_object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_an_answer_has_its_fields_and_none_is_required() {
        let part = |name: &str| json!({"$ref": format!("{SCHEMAS}{name}")});
        let mut document = json!({
            "paths": {"/x": {"get": {
                "parameters": [{"name": "fields"}],
                "responses": {"200": {"content": {"application/json": {"schema": part("Page")}}}},
            }}},
            "components": {"schemas": {
                "Page": {"type": "object", "required": ["items", "next_cursor"], "properties": {
                    "items": {"type": "array", "items": part("Thing")}, "next_cursor": {"type": ["string", "null"]}}},
                "Thing": {"type": "object", "required": ["id", "inner"], "properties": {
                    "id": {"type": "string"}, "state": part("State"),
                    "source": {"oneOf": [part("Inner"), part("Other")]},
                    "inner": {"oneOf": [{"type": "null"}, part("Inner")]}}},
                "State": {"type": "string", "enum": ["a"]},
                "Other": {"type": "object", "required": ["c"], "properties": {"c": {"type": "integer"}}},
                "Inner": {"allOf": [{"type": "object", "required": ["b"], "properties": {"b": {"type": "integer"}}}]},
            }},
        });
        add(&mut document);
        let schema = document["paths"]["/x"]["get"].pointer(JSON).unwrap();
        assert_eq!(*schema, json!({"anyOf": [part("Page"), part("SelectedPage")]}));
        let schemas = &document["components"]["schemas"];
        assert_eq!(schemas["SelectedPage"]["required"], json!(["items", "next_cursor"]));
        assert_eq!(
            schemas["SelectedPage"]["properties"]["items"]["items"],
            part("SelectedThing")
        );
        let thing = &schemas["SelectedThing"];
        assert!(thing["required"].is_null());
        assert_eq!(thing["properties"]["state"], part("State"));
        assert_eq!(
            thing["properties"]["inner"]["oneOf"],
            json!([{"type": "null"}, part("SelectedInner")])
        );
        let parts = json!([part("SelectedInner"), part("SelectedOther")]);
        assert_eq!(thing["properties"]["source"]["anyOf"], parts);
        assert!(schemas["SelectedInner"]["allOf"][0]["required"].is_null());
        assert!(schemas["SelectedState"].is_null());
        assert_eq!(schemas["Thing"]["required"], json!(["id", "inner"]));
    }
}
