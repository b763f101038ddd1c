use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

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
    /// Name of a built-in prompt set: `mixed-64`, `short-32` or `long-16`.
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
