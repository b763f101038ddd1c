//! The rules of the comparison, each seen to find what it is for and to leave alone what it is not.

use serde_json::{Value, json};

use super::{changes, verdict};

fn api() -> Value {
    json!({
        "info": {"version": "1.4.0"},
        "paths": {"/v1/things": {
            "get": {
                "operationId": "listThings", "security": [],
                "parameters": [{"name": "limit", "in": "query", "required": false,
                    "schema": {"type": "integer", "minimum": 1, "maximum": 500}}],
                "responses": {
                    "200": {"headers": {"ETag": {}}, "content": {
                        "application/json": {"schema": {"$ref": "#/components/schemas/Thing"}},
                        "text/csv": {"schema": {"type": "string"}},
                    }},
                    "404": {"$ref": "#/components/responses/Missing"},
                },
            },
            "post": {
                "operationId": "makeThing", "security": [{"apiKey": []}],
                "requestBody": {"required": true, "content": {
                    "application/json": {"schema": {"$ref": "#/components/schemas/NewThing"}},
                }},
                "responses": {"201": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}}}},
            },
        }},
        "components": {
            "responses": {"Missing": {"content": {"application/problem+json": {"schema": {"type": "object"}}}}},
            "schemas": {
                "Thing": {"allOf": [
                    {"type": "object", "required": ["id", "power_w"], "properties": {
                        "id": {"type": "string", "format": "uuid"},
                        "power_w": {"type": ["number", "null"]},
                        "parts": {"type": "array", "items": {"$ref": "#/components/schemas/Thing"}},
                        "state": {"$ref": "#/components/schemas/State"},
                    }},
                ]},
                "State": {"type": "string", "enum": ["queued", "done"]},
                "NewThing": {"type": "object", "required": ["name"], "properties": {
                    "name": {"type": "string", "minLength": 1, "maxLength": 200},
                    "note": {"type": ["string", "null"]},
                    "state": {"oneOf": [{"type": "null"}, {"$ref": "#/components/schemas/State"}]},
                    "source": {"oneOf": [{"type": "integer"}, {"type": "string"}]},
                    "count": {"type": "number", "minimum": 0},
                }},
            },
        },
    })
}

/// The kinds of change that an edit makes, without the operation that each is told of.
fn found(edit: impl FnOnce(&mut Value)) -> Vec<String> {
    let mut new = api();
    edit(&mut new);
    let mut texts: Vec<String> = changes(&api(), &new).iter().map(ToString::to_string).collect();
    texts.dedup();
    texts
}

fn set(pointer: &'static str, value: Value) -> impl FnOnce(&mut Value) {
    move |document| {
        *document
            .pointer_mut(pointer)
            .unwrap_or_else(|| panic!("nothing at {pointer}")) = value;
    }
}

fn remove(pointer: &'static str) -> impl FnOnce(&mut Value) {
    move |document| {
        let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
        let parent = document.pointer_mut(parent).expect("a parent");
        let key = key.replace("~1", "/");
        let was = parent.as_object_mut().expect("an object").remove(&key);
        assert!(was.is_some(), "nothing at {pointer}");
    }
}

fn add(pointer: &'static str, key: &'static str, value: Value) -> impl FnOnce(&mut Value) {
    move |document| document.pointer_mut(pointer).expect("a parent")[key] = value
}

const GET: &str = "/paths/~1v1~1things/get";
const THING: &str = "/components/schemas/Thing/allOf/0/properties";

#[test]
fn the_same_is_no_change() {
    assert_eq!(found(|_| ()), Vec::<String>::new());
}

#[test]
fn what_a_client_called_sent_or_read_and_is_gone_breaks_it() {
    for (edit, expected) in [
        (remove(GET), "GET /v1/things is gone"),
        (
            remove("/paths/~1v1~1things/get/responses/200/headers/ETag"),
            "header ETag is gone",
        ),
        (
            remove("/paths/~1v1~1things/get/responses/200"),
            "the answer 200 is gone",
        ),
        (
            remove("/paths/~1v1~1things/get/responses/200/content/text~1csv"),
            "200 as text/csv is gone",
        ),
        (remove("/components/schemas/NewThing/properties/note"), "note is gone"),
        (
            remove("/components/schemas/Thing/allOf/0/properties/power_w"),
            "power_w is gone",
        ),
    ] {
        let found = found(edit);
        assert!(
            found
                .iter()
                .any(|text| text.starts_with("breaks") && text.contains(expected)),
            "{expected}: {found:#?}"
        );
    }
    let without_parameter = found(set("/paths/~1v1~1things/get/parameters", json!([])));
    assert_eq!(
        without_parameter,
        ["breaks: GET /v1/things: the parameter limit is gone"]
    );
    let values = found(set("/components/schemas/State/enum", json!(["queued"])));
    assert!(
        values.iter().any(|text| text.contains("no value \"done\"")),
        "{values:#?}"
    );
}

#[test]
fn what_is_narrowed_in_a_question_or_widened_in_an_answer_breaks_clients() {
    for (edit, expected) in [
        (
            set("/paths/~1v1~1things/get/operationId", json!("things")),
            "clients call it",
        ),
        (
            set("/paths/~1v1~1things/get/security", json!([{"apiKey": []}])),
            "needs a key now",
        ),
        (
            set("/paths/~1v1~1things/get/parameters/0/required", json!(true)),
            "limit is required now",
        ),
        (
            set("/paths/~1v1~1things/get/parameters/0/schema/maximum", json!(100)),
            "limit has the maximum 100",
        ),
        (
            set("/paths/~1v1~1things/get/parameters/0/schema/type", json!("string")),
            "limit takes no [\"integer\"]",
        ),
        (
            set("/components/schemas/NewThing/required", json!(["name", "note"])),
            "note is required now",
        ),
        (
            set("/components/schemas/NewThing/properties/name/minLength", json!(2)),
            "name has the minLength 2",
        ),
        (
            set("/components/schemas/NewThing/properties/note/type", json!("string")),
            "note takes no [\"null\"]",
        ),
        (
            set("/components/schemas/NewThing/properties/count/type", json!("integer")),
            "count takes no [\"number\"]",
        ),
        (
            set(
                "/components/schemas/NewThing/properties/source/oneOf/1/type",
                json!("array"),
            ),
            "choice 1 is not taken",
        ),
        (
            set("/components/schemas/Thing/allOf/0/required", json!(["id"])),
            "power_w may be absent now",
        ),
        (
            set(
                "/components/schemas/Thing/allOf/0/properties/id/type",
                json!(["string", "null"]),
            ),
            "id may be [\"null\"]",
        ),
        (
            set("/components/schemas/Thing/allOf/0/properties/id/format", json!("date")),
            "id has the format \"date\"",
        ),
    ] {
        let found = found(edit);
        assert!(
            found
                .iter()
                .any(|text| text.starts_with("breaks") && text.contains(expected)),
            "{expected}: {found:#?}"
        );
    }
    for (pointer, key, value, expected) in [
        (
            "/components/schemas/NewThing/properties/name",
            "pattern",
            json!("^a"),
            "must match \"^a\" now",
        ),
        (
            "/components/schemas/NewThing/properties/name",
            "enum",
            json!(["a"]),
            "takes some values only now",
        ),
        (
            "/components/schemas/NewThing",
            "additionalProperties",
            json!(false),
            "takes no other keys now",
        ),
    ] {
        let found = found(add(pointer, key, value));
        assert!(
            found
                .iter()
                .any(|text| text.starts_with("breaks") && text.contains(expected)),
            "{expected}: {found:#?}"
        );
    }
    let needed = found(|document| {
        document["components"]["schemas"]["NewThing"]["required"] = json!(["name", "owner"]);
        document["components"]["schemas"]["NewThing"]["properties"]["owner"] = json!({"type": "string"});
    });
    assert_eq!(needed, ["breaks: POST /v1/things: the body.owner is new and required"]);
}

#[test]
fn what_only_adds_breaks_nobody() {
    let new_state = found(set("/components/schemas/State/enum", json!(["queued", "done", "lost"])));
    let new_key = found(add(THING, "energy_j", json!({"type": "number"})));
    let optional = found(add(
        "/components/schemas/NewThing/properties",
        "owner",
        json!({"type": "string"}),
    ));
    let wider = found(set("/paths/~1v1~1things/get/parameters/0/schema/maximum", json!(1000)));
    let operation = found(add(
        "/paths",
        "/v1/more",
        json!({"get": {"operationId": "more", "responses": {}}}),
    ));
    let answer = found(add(
        "/paths/~1v1~1things/get/responses",
        "304",
        json!({"description": "the same"}),
    ));
    let refusal = found(remove("/paths/~1v1~1things/get/responses/404"));
    for (found, is_an_addition) in [
        (new_state, true),
        (new_key, true),
        (optional, true),
        (wider, false),
        (operation, true),
        (answer, true),
        (refusal, false),
    ] {
        assert!(found.iter().all(|text| text.starts_with("adds")), "{found:#?}");
        assert_eq!(!found.is_empty(), is_an_addition, "{found:#?}");
    }
}

#[test]
fn an_answer_that_a_parameter_narrows_is_compared_by_what_it_is_without() {
    const SCHEMA: &str = "/paths/~1v1~1things/get/responses/200/content/application~1json/schema";
    let part = |name: &str| json!({"$ref": format!("#/components/schemas/{name}")});
    let described = |parts: [&str; 2]| {
        found(|document| {
            document["components"]["schemas"]["SelectedThing"] = json!({"type": "object"});
            set(SCHEMA, json!({"anyOf": parts.map(part)}))(document);
        })
    };
    assert_eq!(described(["Thing", "SelectedThing"]), Vec::<String>::new());
    for parts in [["SelectedThing", "Thing"], ["Thing", "State"]] {
        let found = described(parts);
        assert!(
            found.iter().any(|text| text.starts_with("breaks")),
            "{parts:?}: {found:#?}"
        );
    }
}

#[test]
fn a_break_needs_the_next_major_version_and_an_addition_the_next_minor_one() {
    let of = |version: &str, edit: fn(&mut Value)| {
        let mut new = api();
        edit(&mut new);
        new["info"]["version"] = json!(version);
        verdict(&api(), &new)
    };
    let breaks: fn(&mut Value) = |document| remove(GET)(document);
    let adds: fn(&mut Value) = |document| add(THING, "energy_j", json!({"type": "number"}))(document);
    assert!(of("1.4.0", breaks).unwrap_err().contains("2.0.0"));
    assert!(of("1.5.0", breaks).is_err());
    assert_eq!(of("2.0.0", breaks), Ok(()));
    assert!(of("1.4.0", adds).unwrap_err().contains("1.5.0"));
    assert!(of("1.4.1", adds).is_err());
    assert_eq!(of("1.5.0", adds), Ok(()));
    assert_eq!(of("1.4.0", |_| ()), Ok(()));
    assert!(of("1.3.0", |_| ()).is_err());
}
