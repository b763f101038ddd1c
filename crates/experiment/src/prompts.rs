use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::field::{Fields, brief};
use super::table::{Asked, Bounds, Kind};

/// Longest sequence any model is expected to take; only catches slips of the keyboard.
pub(super) const MAX_TOKENS: u32 = 10_000_000;
pub(super) const MAX_PROMPTS: u32 = 100_000;
pub(super) const MAX_PROMPT_BYTES: usize = 4_000_000;
const ACCEPTED: &str = "a list of texts, {\"dataset\": NAME, \"count\": N} or \
     {\"synthetic\": {\"input_tokens\": N, \"count\": N, \"seed\": S}}";

/// What the model is asked: texts, a built-in fixed set, or random tokens of an exact length.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Prompts {
    Texts(Vec<String>),
    Dataset(DatasetPrompts),
    Synthetic { synthetic: SyntheticPrompts },
}

/// The first `count` prompts of a built-in set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DatasetPrompts {
    /// Name of a built-in prompt set: `mixed-64`, `mixed-512`, `short-32` or `long-16`.
    #[schema(example = "short-32")]
    pub dataset: String,
    /// How many prompts; the whole set when absent.
    #[schema(example = 4, minimum = 1, maximum = 100_000)]
    pub count: Option<u32>,
}

/// Random tokens of the model's vocabulary, no chat template: exact prompt lengths.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SyntheticPrompts {
    /// Tokens in each prompt.
    #[schema(minimum = 1, maximum = 10_000_000)]
    pub input_tokens: u32,
    /// Number of prompts.
    #[schema(minimum = 1, maximum = 100_000)]
    pub count: u32,
    /// Seed of the generator, 0 to 2^64 − 1; the same seed gives the same tokens.
    #[schema(minimum = 0)]
    pub seed: u64,
}

impl Asked for Prompts {
    const KIND: Kind = Kind::Document;

    fn read(fields: &mut Fields<'_>, name: &str, _: &Bounds) -> Option<Self> {
        match fields.value(name)? {
            Value::Array(items) => texts(fields, name, items),
            Value::Object(object) => source(fields, name, object),
            other => {
                fields.problem(name, format!("is {}; accepted is {ACCEPTED}", brief(other)));
                None
            }
        }
    }
}

/// Returns whether another field holds the prompts, beside which the list of them is shown empty.
fn stands_elsewhere(fields: &Fields<'_>) -> bool {
    let has_lines = |lines: &Value| lines.as_array().is_none_or(|lines| !lines.is_empty());
    fields.value("prompt_source").is_some() || fields.value("prompt_lines").is_some_and(has_lines)
}

fn texts(fields: &mut Fields<'_>, name: &str, items: &[Value]) -> Option<Prompts> {
    if items.is_empty() && stands_elsewhere(fields) {
        return None;
    }
    if items.is_empty() || items.len() > MAX_PROMPTS as usize {
        fields.problem(
            name,
            format!(
                "has {} prompts; accepted are 1 to {MAX_PROMPTS}, or none beside prompt_source or prompt_lines",
                items.len()
            ),
        );
        return None;
    }
    let mut texts = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        match item.as_str() {
            Some(text) if !text.trim().is_empty() && text.len() <= MAX_PROMPT_BYTES => texts.push(text.to_owned()),
            Some(text) if text.len() > MAX_PROMPT_BYTES => fields.problem_at(
                &format!("{name}/{index}"),
                format!("has {} bytes; accepted are at most {MAX_PROMPT_BYTES}", text.len()),
            ),
            _ => fields.problem_at(
                &format!("{name}/{index}"),
                format!(
                    "is {}; accepted is a text with something other than white space",
                    brief(item)
                ),
            ),
        }
    }
    (texts.len() == items.len()).then_some(Prompts::Texts(texts))
}

fn source(fields: &mut Fields<'_>, name: &str, object: &Map<String, Value>) -> Option<Prompts> {
    let base = fields.pointer(name);
    match (object.get("dataset"), object.get("synthetic")) {
        (Some(_), None) => {
            let mut inner = Fields::new(object, base, &["dataset", "count"], fields.problems());
            let count = inner.count("count", 1, MAX_PROMPTS);
            let dataset = inner.text("dataset", 100)?;
            Some(Prompts::Dataset(DatasetPrompts { dataset, count }))
        }
        (None, Some(_)) => {
            let mut outer = Fields::new(object, base.clone(), &["synthetic"], fields.problems());
            let synthetic = outer.object("synthetic", "an object with input_tokens, count and seed")?;
            let known = ["input_tokens", "count", "seed"];
            let mut inner = Fields::new(synthetic, format!("{base}/synthetic"), &known, outer.problems());
            for key in known
                .into_iter()
                .filter(|key| inner.value(key).is_none())
                .collect::<Vec<_>>()
            {
                inner.problem(key, "is required: an integer");
            }
            let input_tokens = inner.count("input_tokens", 1, MAX_TOKENS);
            let count = inner.count("count", 1, MAX_PROMPTS);
            let seed = inner.integer("seed", 0, u64::MAX);
            let synthetic = SyntheticPrompts {
                input_tokens: input_tokens?,
                count: count?,
                seed: seed?,
            };
            Some(Prompts::Synthetic { synthetic })
        }
        _ => {
            fields.problem(name, format!("names no source or two; accepted is {ACCEPTED}"));
            None
        }
    }
}
