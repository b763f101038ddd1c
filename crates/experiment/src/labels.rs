use std::collections::BTreeMap;

use utoipa::openapi::schema::{AdditionalProperties, SchemaType};
use utoipa::openapi::{Object, ObjectBuilder, Schema, Type};

use super::field::{Fields, is_plain};
use super::name::check_characters;
use super::table::{Asked, Bounds, Kind};

const MAX_LABELS: usize = 64;

impl Asked for BTreeMap<String, String> {
    const KIND: Kind = Kind::Document;

    fn read(fields: &mut Fields<'_>, name: &str, _: &Bounds) -> Option<Self> {
        let object = fields.object(name, "an object of texts")?;
        if object.len() > MAX_LABELS {
            fields.problem(
                name,
                format!("has {} labels; accepted are at most {MAX_LABELS}", object.len()),
            );
        }
        let base = fields.pointer(name);
        let keys = object.keys().map(String::as_str).collect::<Vec<_>>();
        let mut inner = Fields::new(object, base, &keys, fields.problems());
        let mut labels = BTreeMap::new();
        for (key, value) in object {
            if !is_plain(key, 100) {
                inner.problem(
                    key,
                    "has a name that is empty, over 100 characters or with control characters",
                );
            } else if let Err(bad) = check_characters(key) {
                inner.problem(key, format!("has a name that {bad}"));
            } else if value.is_null() {
                inner.problem(key, "is null; accepted is a text of 1 to 500 characters");
            } else if let Some(text) = inner.text(key, 500) {
                labels.insert(key.clone(), text);
            }
        }
        Some(labels)
    }
}

pub fn labels() -> Object {
    label_map("Free labels to find the experiment by, with names whose characters can all be seen.")
}

pub fn node_labels() -> Object {
    label_map("Labels that the node must have.")
}

/// Returns the schema of what is read here: up to 64 labels, each with a name and a text.
fn label_map(description: &str) -> Object {
    const PLAIN: &str = r"^[^\u0000-\u001f\u007f-\u009f]+$";
    let plain = |most_chars| {
        let text = ObjectBuilder::new()
            .schema_type(Type::String)
            .min_length(Some(1))
            .max_length(Some(most_chars));
        Schema::Object(text.pattern(Some(PLAIN)).build())
    };
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Object, Type::Null]))
        .property_names(Some(plain(100)))
        .additional_properties(Some(AdditionalProperties::RefOr(plain(500).into())))
        .max_properties(Some(MAX_LABELS))
        .description(Some(description))
        .build()
}
