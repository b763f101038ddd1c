use serde::{Deserialize, Serialize};

/// An engine that is a server, as it was found before the first warm-up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ServedEngine {
    pub capabilities: CapabilityCard,
    pub eos: EosHandling,
    pub prompt_cache: PromptCache,
}

/// What a server honours, found by asking it. Null where an answer does not tell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CapabilityCard {
    /// The names under which it serves models.
    pub models: Vec<String>,
    /// Its name, such as `llama.cpp` or `vllm`.
    pub server: Option<String>,
    /// Its version, in its own words.
    pub server_version: Option<String>,
    /// It answers `/v1/chat/completions`; a model without a chat template may only be asked by `/v1/completions`.
    pub chat: bool,
    /// It sends an answer as it comes.
    pub streams: bool,
    /// It counts the tokens of prompt and answer.
    pub usage: bool,
    /// It counts the tokens in every chunk.
    pub counts_in_chunks: bool,
    /// It goes on after the end of the sequence where asked to.
    pub ignore_eos: Option<bool>,
    /// It leaves the end of the sequence out until as many tokens are there as asked for.
    pub min_tokens: Option<bool>,
    /// The same seed gives the same text, and another one another.
    pub seed_reproduces: Option<bool>,
    /// Its cache of prompts holds tokens though it was asked to compute them again.
    pub caches_prompts: Option<bool>,
    /// What it refuses requests for, of what goes beyond OpenAI's own API.
    pub refuses: Vec<String>,
}

impl CapabilityCard {
    /// Tells whether it takes a request that asks for this, of what goes beyond OpenAI's own API.
    pub fn takes(&self, name: &str) -> bool {
        !self.refuses.iter().any(|refused| refused == name)
    }

    /// Tells whether prompts need words of their own to be computed as a whole: the server caches them even where asked not
    /// to, or does not tell.
    pub fn needs_unique_prefix(&self) -> bool {
        self.caches_prompts != Some(false)
    }
}

/// How the end of a sequence was treated.
///
/// - `masked`: it could not be chosen before `min_output_tokens` were out
/// - `ignored`: the server went on after it, up to `max_output_tokens`
/// - `natural`: an answer ended where the model ended it
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum EosHandling {
    Masked,
    Ignored,
    Natural,
}

/// How it was seen to that a prompt is computed, and not found in the server's cache.
///
/// - `off`: the server was asked not to use it, and does not
/// - `prefixed`: each prompt began with words that no other prompt begins with
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum PromptCache {
    Off,
    Prefixed,
}
