use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::field::{Fields, brief};
use super::lengths::{self, Drawn, TokenLength};
use super::table::{Bounds, FieldType, Kind};

/// Far more than the context of any model; only catches mistakes.
pub(super) const MAX_TOKENS: u32 = 10_000_000;
pub(super) const MAX_PROMPTS: u32 = 100_000;
pub(super) const MAX_PROMPT_BYTES: usize = 4_000_000;
const ACCEPTED: &str = "a list of texts, {\"dataset\": NAME, \"count\": N} or \
     {\"synthetic\": {\"input_tokens\": N, \"count\": N, \"seed\": S}}";

/// The prompts: texts, a built-in set, or random tokens of an exact length.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
#[schema(example = json!({"dataset": "short-32", "count": 4}))]
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
    /// Number of prompts; the whole set when absent.
    #[schema(example = 4, minimum = 1, maximum = 100_000)]
    pub count: Option<u32>,
}

impl DatasetPrompts {
    /// Returns the number of prompts in the whole set, with which the name of each built-in set ends; `None` for a name
    /// without a number.
    pub fn set_size(&self) -> Option<u32> {
        self.dataset.rsplit_once('-')?.1.parse().ok()
    }
}

/// Prompts of random tokens from the model's vocabulary, without chat template, for exact prompt lengths. For a server,
/// tokens are drawn from those that occur in the built-in set `mixed-512`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SyntheticPrompts {
    /// Number of tokens in each prompt. With `input_length` it is the mean and may be left out.
    #[schema(minimum = 1, maximum = 10_000_000)]
    pub input_tokens: u32,
    /// Number of prompts.
    #[schema(minimum = 1, maximum = 100_000)]
    pub count: u32,
    /// Seed of the generator, 0 to 2^64 − 1; the same seed gives the same tokens.
    #[schema(minimum = 0)]
    pub seed: u64,
    /// Distribution of the prompts' lengths; each length is drawn by the seed. Default: each prompt has `input_tokens`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_length: Option<TokenLength>,
    /// Distribution of the answers' lengths: each answer has exactly the number of tokens that the seed draws for it.
    /// `min_output_tokens` and `max_output_tokens` are then its bounds. Default: lengths are as these two fields say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_length: Option<TokenLength>,
    /// Number of tokens at the beginning that all prompts have in common; at most the length of the shortest prompt.
    /// Default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 10_000_000)]
    pub shared_prefix_tokens: Option<u32>,
}

impl SyntheticPrompts {
    const NAMES: [&'static str; 6] = [
        "input_tokens",
        "count",
        "seed",
        "input_length",
        "output_length",
        "shared_prefix_tokens",
    ];

    /// Returns the number of tokens of the prompt at `index`.
    pub fn input_tokens_of(&self, index: u32) -> u32 {
        let drawn = self.input_length.as_ref();
        drawn.map_or(self.input_tokens, |length| length.draw(self.seed, Drawn::Input, index))
    }

    /// Returns the number of tokens of the answer to the prompt at `index`; `None` where it is not drawn.
    pub fn output_tokens_of(&self, index: u32) -> Option<u32> {
        let drawn = self.output_length.as_ref()?;
        Some(drawn.draw(self.seed, Drawn::Output, index))
    }

    /// Returns the minimum and the maximum number of tokens of a prompt.
    pub fn input_bounds(&self) -> (u32, u32) {
        let drawn = self.input_length.as_ref();
        drawn.map_or((self.input_tokens, self.input_tokens), TokenLength::bounds)
    }

    /// Reads the object of a submission and notes all problems.
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let has_length = fields.value("input_length").is_some();
        for key in ["input_tokens", "count", "seed"] {
            if fields.value(key).is_none() && !(has_length && key == "input_tokens") {
                fields.problem(key, "is required: an integer");
            }
        }
        let input_tokens = fields.count("input_tokens", 1, MAX_TOKENS);
        let count = fields.count("count", 1, MAX_PROMPTS);
        let seed = fields.integer("seed", 0, u64::MAX);
        let input_length = lengths::optional(fields, "input_length", MAX_TOKENS);
        let output_length = lengths::optional(fields, "output_length", MAX_TOKENS);
        let is_right = fields.value("shared_prefix_tokens").is_none();
        let shared_prefix_tokens = fields.count("shared_prefix_tokens", 0, MAX_TOKENS);
        let input_length = input_length.ok()?;
        let mean = input_length.as_ref().map(TokenLength::rounded_mean);
        if let (Some(mean), Some(given)) = (mean, input_tokens.filter(|given| Some(*given) != mean)) {
            let detail = format!("is {given}, but input_length is given; accepted is its mean, {mean}, or nothing");
            fields.problem("input_tokens", detail);
            return None;
        }
        let prompts = Self {
            input_tokens: mean.or(input_tokens)?,
            count: count?,
            seed: seed?,
            input_length,
            output_length: output_length.ok()?,
            shared_prefix_tokens: shared_prefix_tokens.filter(|tokens| *tokens > 0),
        };
        let (shortest, _) = prompts.input_bounds();
        if prompts.shared_prefix_tokens.is_some_and(|shared| shared > shortest) {
            let shared = prompts.shared_prefix_tokens.unwrap_or_default();
            let detail = format!("is {shared}; accepted is at most the length of the shortest prompt, {shortest}");
            fields.problem("shared_prefix_tokens", detail);
        }
        (is_right || shared_prefix_tokens.is_some()).then_some(prompts)
    }
}

impl FieldType for Prompts {
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

/// Returns whether another field contains the prompts, so that the list of prompts may be empty.
fn stands_elsewhere(fields: &Fields<'_>) -> bool {
    let has_lines = |lines: &Value| lines.as_array().is_none_or(|lines| !lines.is_empty());
    let is_replay = |load: &Value| load.get("replay").is_some();
    fields.value("prompt_source").is_some()
        || fields.value("load").is_some_and(is_replay)
        || fields.value("prompt_lines").is_some_and(has_lines)
}

fn texts(fields: &mut Fields<'_>, name: &str, items: &[Value]) -> Option<Prompts> {
    if items.is_empty() && stands_elsewhere(fields) {
        return None;
    }
    if items.is_empty() || items.len() > MAX_PROMPTS as usize {
        fields.problem(
            name,
            format!(
                "has {} prompts; accepted are 1 to {MAX_PROMPTS}, or none together with prompt_source or prompt_lines",
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
            let base = format!("{base}/synthetic");
            let mut inner = Fields::new(synthetic, base, &SyntheticPrompts::NAMES, outer.problems());
            let synthetic = SyntheticPrompts::read(&mut inner)?;
            Some(Prompts::Synthetic { synthetic })
        }
        _ => {
            fields.problem(
                name,
                format!("names no source of prompts, or two; accepted is {ACCEPTED}"),
            );
            None
        }
    }
}
