//! Properties that all parameters share.

use serde_json::{Value, json};

use super::problems::example_id;

const LABEL: &str = "^[^=]+=";

/// Completes all parameters: a parameter or a header is never null, since it can be left out; ids of experiments get an
/// example, and labels a pattern.
pub fn complete(document: &mut Value) {
    for (_, _, operation) in super::operations(document) {
        for (_, response) in operation["responses"].as_object_mut().into_iter().flatten() {
            let headers = response.get_mut("headers").and_then(Value::as_object_mut);
            headers
                .into_iter()
                .flatten()
                .for_each(|(_, header)| never_null(&mut header["schema"]));
        }
        let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
        for parameter in parameters.into_iter().flatten() {
            never_null(&mut parameter["schema"]);
            // utoipa ignores the doc comment of a field whose schema is made by a function.
            if parameter["description"].is_null() {
                parameter["description"] = parameter["schema"]["description"].clone();
            }
            if parameter["in"] == "path" && parameter["name"] == "id" {
                parameter["example"] = json!(example_id());
            }
            if parameter["name"] == "label" {
                parameter["schema"]["items"]["pattern"] = json!(LABEL);
            }
        }
    }
}

/// Removes null from the types of a schema.
fn never_null(schema: &mut Value) {
    let Some(types) = schema["type"].as_array() else { return };
    let named: Vec<Value> = types.iter().filter(|name| **name != "null").cloned().collect();
    schema["type"] = match <[Value; 1]>::try_from(named) {
        Ok([only]) => only,
        Err(several) => several.into(),
    };
}
