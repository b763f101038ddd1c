use serde::{Deserialize, Serialize};

/// A server that is driven over HTTP, as probed before the first warm-up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ServedEngine {
    pub capabilities: CapabilityCard,
    pub eos: EosHandling,
    pub prompt_cache: PromptCache,
}

/// Capabilities of a server, found by sending it requests. A capability that the answers do not reveal is null.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CapabilityCard {
    /// Names under which it serves models.
    pub models: Vec<String>,
    /// Its name, such as `llama.cpp` or `vllm`.
    pub server: Option<String>,
    /// Its version, as it reports it.
    pub server_version: Option<String>,
    /// Whether it answers `/v1/chat/completions`. A model without a chat template answers only `/v1/completions`.
    pub chat: bool,
    /// Whether it streams its answers.
    pub streams: bool,
    /// Whether it reports the number of tokens of prompt and answer.
    pub usage: bool,
    /// Whether it reports the number of tokens in every chunk.
    pub counts_in_chunks: bool,
    /// Whether it can continue after the end of the sequence.
    pub ignore_eos: Option<bool>,
    /// Whether it can keep the model from ending the sequence before a given number of tokens.
    pub min_tokens: Option<bool>,
    /// Whether the same seed gives the same text, and another seed another text.
    pub seed_reproduces: Option<bool>,
    /// Whether it reuses cached prompt tokens even when asked to compute them again.
    pub caches_prompts: Option<bool>,
    /// Extensions of OpenAI's API that it rejects requests for.
    pub refuses: Vec<String>,
}

impl CapabilityCard {
    /// Returns whether it accepts requests that use this extension of OpenAI's API.
    pub fn takes(&self, name: &str) -> bool {
        !self.refuses.iter().any(|refused| refused == name)
    }

    /// Returns whether each prompt needs a unique prefix to be computed as a whole: true where the server caches
    /// prompts against the request, or where that is unknown.
    pub fn needs_unique_prefix(&self) -> bool {
        self.caches_prompts != Some(false)
    }
}

/// Treatment of the end-of-sequence token.
///
/// - `masked`: the model could not choose it before `min_output_tokens` tokens
/// - `ignored`: the server continued after it, up to `max_output_tokens`
/// - `natural`: the answer ended where the model ended it
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum EosHandling {
    Masked,
    Ignored,
    Natural,
}

/// Method that keeps prompts from being found in the server's cache, so that they are computed.
///
/// - `off`: the server was asked not to use its cache, and complies
/// - `prefixed`: each prompt began with a unique prefix
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum PromptCache {
    Off,
    Prefixed,
}
