use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Value, json};
use utoipa::openapi::schema::{AdditionalProperties, SchemaType};
use utoipa::openapi::{Object, ObjectBuilder, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::field::{FieldProblem, Fields, MAX_PROBLEMS, brief, is_plain};
use super::name::{MAX_NAME_CHARS, check_characters};
use super::table::{Bounds, FieldType, Kind};

/// Maximum number of labels of an experiment or a node.
pub const MAX_LABELS: usize = 64;
const MAX_VALUE_CHARS: usize = 500;

impl FieldType for BTreeMap<String, String> {
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
            if value.is_null() && is_plain(key, MAX_NAME_CHARS) {
                inner.problem(key, "is null; accepted is a text of 1 to 500 characters");
            } else if let Some(text) = label(&mut inner, key) {
                labels.insert(key.clone(), text);
            }
        }
        Some(labels)
    }
}

/// Reads the value of one label. Returns `None` where it is null or bad; a bad one is noted as a problem. A name with
/// invisible characters, which earlier versions accepted, can be removed but not set.
fn label(fields: &mut Fields<'_>, key: &str) -> Option<String> {
    if !is_plain(key, MAX_NAME_CHARS) {
        fields.problem(
            key,
            "has a name that is empty, over 100 characters or with control characters",
        );
        return None;
    }
    fields.value(key)?;
    match check_characters(key) {
        Ok(()) => fields.text(key, MAX_VALUE_CHARS),
        Err(bad) => {
            fields.problem(key, format!("has a name that {bad}"));
            None
        }
    }
}

/// A JSON merge patch (RFC 7386) of an experiment's labels: a text sets a label, null removes it, the others stay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelChanges(BTreeMap<String, Option<String>>);

impl LabelChanges {
    /// Reads a patch. Names and values have the limits of a submission.
    ///
    /// # Errors
    /// Returns every problem that was found, each with a pointer to its label.
    pub fn read(document: &Value) -> Result<Self, Vec<FieldProblem>> {
        let Some(object) = document.as_object() else {
            let detail = format!(
                "the document is {}; accepted is an object with a text for each label to set and null for each to \
                 remove",
                brief(document)
            );
            return Err(vec![FieldProblem::new("", detail)]);
        };
        let mut problems = Vec::new();
        let mut fields = Fields::of_any_keys(object, "", &mut problems);
        let read = |key: &String| (key.clone(), label(&mut fields, key));
        let changes = object.keys().map(read).collect();
        if problems.is_empty() {
            Ok(Self(changes))
        } else {
            problems.truncate(MAX_PROBLEMS);
            Err(problems)
        }
    }

    /// Returns `labels` after the changes.
    pub fn applied_to(&self, mut labels: BTreeMap<String, String>) -> BTreeMap<String, String> {
        for (name, text) in &self.0 {
            match text {
                Some(text) => labels.insert(name.clone(), text.clone()),
                None => labels.remove(name),
            };
        }
        labels
    }
}

impl PartialSchema for LabelChanges {
    fn schema() -> RefOr<Schema> {
        let mut value = plain(MAX_VALUE_CHARS);
        value.schema_type = SchemaType::from_iter([Type::String, Type::Null]);
        let object = ObjectBuilder::new()
            .schema_type(Type::Object)
            .property_names(Some(Schema::Object(plain(MAX_NAME_CHARS))))
            .additional_properties(Some(AdditionalProperties::RefOr(Schema::Object(value).into())))
            .description(Some(
                "A merge patch (RFC 7386) of labels: a text sets the label with that name, null removes it, the others stay.",
            ));
        Schema::Object(object.build()).into()
    }
}

impl ToSchema for LabelChanges {
    fn name() -> Cow<'static, str> {
        "LabelChanges".into()
    }
}

/// Returns the schema of an experiment's labels.
pub fn labels() -> Object {
    label_map(
        "Free labels to find the experiment by; their names consist of visible characters.",
        &json!({"team": "nlp"}),
    )
}

/// Returns the schema of the labels that a node must have.
pub fn node_labels() -> Object {
    label_map("Labels that the node must have.", &json!({"rack": "7"}))
}

/// Returns the schema of a map of up to 64 labels, each with a name and a value.
fn label_map(description: &str, example: &Value) -> Object {
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Object, Type::Null]))
        .property_names(Some(Schema::Object(plain(MAX_NAME_CHARS))))
        .additional_properties(Some(AdditionalProperties::RefOr(
            Schema::Object(plain(MAX_VALUE_CHARS)).into(),
        )))
        .max_properties(Some(MAX_LABELS))
        .description(Some(description))
        .examples([example.clone()])
        .build()
}

/// Returns the schema of a text without control characters.
fn plain(max_chars: usize) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(1))
        .max_length(Some(max_chars))
        .pattern(Some(r"^[^\u0000-\u001f\u007f-\u009f]+$"))
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let pairs = pairs.iter().map(|&(name, text)| (name.to_owned(), text.to_owned()));
        pairs.collect()
    }

    #[test]
    fn a_text_sets_a_label_null_removes_it_and_others_stay() {
        let changes = LabelChanges::read(&json!({"team": "b", "paper": null, "new": "ü", "absent": null})).unwrap();
        let after = changes.applied_to(labels(&[("team", "a"), ("paper", "1"), ("kept", "k")]));
        assert_eq!(after, labels(&[("kept", "k"), ("new", "ü"), ("team", "b")]));
        let none = LabelChanges::read(&json!({})).unwrap();
        assert_eq!(none.applied_to(after.clone()), after);
    }

    #[test]
    fn every_label_that_a_submission_would_refuse_is_refused_by_name() {
        let long = "x".repeat(501);
        let document = json!({"": "a", "n\u{0}": null, "s\u{200b}": "a", "t\u{200b}": null, "/": 1, "long": long, "empty": "", "list": ["a"], "good": "a"});
        let problems = LabelChanges::read(&document).unwrap_err();
        let mut pointers: Vec<_> = problems.iter().map(|problem| problem.pointer.as_str()).collect();
        pointers.sort_unstable();
        assert_eq!(
            pointers,
            ["/", "/empty", "/list", "/long", "/n\u{0}", "/s\u{200b}", "/~1"]
        );
        for document in [json!([]), json!("a"), json!(null)] {
            assert_eq!(LabelChanges::read(&document).unwrap_err()[0].pointer, "");
        }
    }
}
