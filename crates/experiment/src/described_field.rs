//! The fields of a submission as a form shows them. They are read from the table of fields, so that a new field needs
//! no code here.

use serde_json::{Map, Value};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema as _, ToSchema as _};

use super::example::meaning;
use super::{DecoderRequest, ExperimentRequest};

/// One field of a submission with its description, type, default and example.
#[derive(Clone, Debug, PartialEq)]
pub struct DescribedField {
    pub name: &'static str,
    /// What the field means, what is accepted and what the default is, in sentences with names between backticks.
    pub meaning: String,
    pub takes: Takes,
    /// Whether a submission without the field is rejected.
    pub is_required: bool,
    /// The default as a submission would write it; JSON null where it depends on the host, the model or other fields.
    pub default: Value,
    /// The example of the description; JSON null where it has none.
    pub example: Value,
    /// Minimum of the accepted numbers; `None` for other types and where there is no minimum.
    pub minimum: Option<f64>,
}

/// The type of a field's values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Takes {
    Whole,
    Number,
    Boolean,
    Text,
    /// One of these words, each with its meaning.
    Choice(Vec<(String, String)>),
    List,
    /// An object, or values of several types.
    Document,
}

/// Returns every field of a submission, in the order of the table.
pub fn described_fields() -> Vec<DescribedField> {
    let mut named = Vec::new();
    ExperimentRequest::schemas(&mut named);
    let named: Map<String, Value> = named.into_iter().map(|(name, schema)| (name, json(schema))).collect();
    let whole = json(ExperimentRequest::schema());
    let required = whole["required"].as_array().into_iter().flatten();
    let required: Vec<&str> = required.filter_map(Value::as_str).collect();
    let fields = ExperimentRequest::defaults().into_iter();
    fields
        .map(|(name, default)| {
            let property = &whole["properties"][name];
            let schema = resolved(property, &named);
            DescribedField {
                name,
                meaning: meaning(property),
                takes: takes(schema),
                is_required: required.contains(&name),
                minimum: schema["minimum"].as_f64(),
                default: match name {
                    // Its default depends only on its own fields.
                    "decoder" => serde_json::to_value(DecoderRequest::default().filled()).unwrap_or_default(),
                    _ => default,
                },
                example: example(property)
                    .or_else(|| example(schema))
                    .cloned()
                    .unwrap_or_default(),
            }
        })
        .collect()
}

fn json(schema: RefOr<Schema>) -> Value {
    serde_json::to_value(schema).unwrap_or_default()
}

/// Returns the schema that a property refers to, or itself.
fn resolved<'a>(property: &'a Value, named: &'a Map<String, Value>) -> &'a Value {
    let choices = property["oneOf"].as_array().into_iter().flatten();
    let mut references = std::iter::once(property)
        .chain(choices)
        .filter_map(|schema| schema["$ref"].as_str()?.rsplit('/').next());
    references.next().and_then(|name| named.get(name)).unwrap_or(property)
}

fn example(schema: &Value) -> Option<&Value> {
    let examples = [&schema["example"], &schema["examples"][0]];
    examples.into_iter().find(|example| !example.is_null())
}

fn takes(schema: &Value) -> Takes {
    if let Some(words) = schema["enum"].as_array() {
        let said = schema["description"].as_str().unwrap_or_default();
        let words = words.iter().filter_map(Value::as_str);
        return Takes::Choice(
            words
                .map(|word| (word.to_owned(), meaning_of_word(said, word)))
                .collect(),
        );
    }
    let kinds = &schema["type"];
    let is = |kind: &str| {
        kinds == kind
            || kinds
                .as_array()
                .is_some_and(|kinds| kinds.iter().any(|one| one == kind))
    };
    let known = [
        ("integer", Takes::Whole),
        ("number", Takes::Number),
        ("boolean", Takes::Boolean),
        ("string", Takes::Text),
        ("array", Takes::List),
    ];
    let found = known.into_iter().find(|(kind, _)| is(kind));
    found.map_or(Takes::Document, |(_, takes)| takes)
}

/// Returns what a description says about one word of its list; empty where it says nothing.
fn meaning_of_word(said: &str, word: &str) -> String {
    let item = format!("- `{word}`: ");
    let line = said.lines().find_map(|line| line.trim_start().strip_prefix(&item));
    line.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;

    #[test]
    fn every_field_is_there_in_order_with_its_meaning_and_kind() {
        let fields = described_fields();
        let names: Vec<_> = fields.iter().map(|field| field.name).collect();
        assert_eq!(names, ExperimentRequest::NAMES);
        let of = |name: &str| fields.iter().find(|field| field.name == name).unwrap();
        for (name, takes) in [
            ("model_name", Takes::Text),
            ("max_output_tokens", Takes::Whole),
            ("priority", Takes::Whole),
            ("pue", Takes::Number),
            ("raw_prompt", Takes::Boolean),
            ("gpus", Takes::List),
            ("prompts", Takes::Document),
            ("load", Takes::Document),
            ("decoder", Takes::Document),
            ("labels", Takes::Document),
        ] {
            assert_eq!(of(name).takes, takes, "{name}");
        }
        let Takes::Choice(words) = &of("distribution").takes else {
            panic!("{:?}", of("distribution"));
        };
        assert_eq!(words[0].0, "shard");
        assert_eq!(words[0].1, "prompts are dealt round-robin to the ranks");
        assert!(
            fields
                .iter()
                .all(|field| field.is_required == (field.name == "model_name"))
        );
        assert!(
            fields.iter().all(|field| field.meaning.len() > "Default".len()),
            "{fields:#?}"
        );
        assert_eq!(of("max_output_tokens").default, 128);
        assert!(
            of("batch_size").meaning.contains("Accepted are 1 to 4096"),
            "{}",
            of("batch_size").meaning
        );
    }

    #[test]
    fn every_example_and_default_is_accepted() {
        let fields = described_fields();
        for field in fields.iter().filter(|field| !field.is_required) {
            for value in [&field.example, &field.default] {
                let document = serde_json::json!({"model_name": "m", field.name: value});
                // Null stands for the default.
                assert!(parse(&document).is_ok(), "{document}: {:?}", parse(&document));
            }
            let is_written_as_text = matches!(field.takes, Takes::List | Takes::Document);
            assert!(
                !is_written_as_text || !field.example.is_null(),
                "{} has no example",
                field.name
            );
        }
    }
}
