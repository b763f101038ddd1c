//! What is answered where `fields` asks for some fields only: a schema beside that of the whole answer, with the same
//! fields, none of them required. A description cannot say which of the two a parameter leads to.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

const SCHEMAS: &str = "#/components/schemas/";
const JSON: &str = "/responses/200/content/application~1json/schema";
/// Before the name of a whole schema.
const PREFIX: &str = "Selected";

/// Adds the schemas, each where an operation has the parameter `fields`.
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
        schema["description"] = json!(format!("`{name}`, of its fields those that `fields` asks for."));
        narrowed.push((format!("{PREFIX}{name}"), schema));
    }
    schemas.extend(narrowed);
}

/// Returns whether `fields` is asked of each of its items, and all else of it is there.
fn is_page(schema: &Value) -> bool {
    schema["properties"]["items"].is_object() && schema["properties"]["next_cursor"].is_object()
}

fn referred(schema: &Value) -> Option<String> {
    let name = schema["$ref"].as_str()?.strip_prefix(SCHEMAS)?;
    Some(name.to_owned())
}

/// Of fields none is required; of several choices a part may fit more than one.
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

/// Turns each reference to a schema of which a part may be asked for into one to that part's, and notes it in `open`.
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
