//! The properties of an invented server, and the plan of its next answer.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

/// The server program whose dialect is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Counts tokens in every chunk where requested; ends with usage without choices.
    Vllm,
    /// Like vLLM, with null fields, and reasoning before the answer.
    Sglang,
    /// `data:` without a space, comments that keep the connection alive, a role in every chunk; no extensions.
    Tgi,
    /// Several tokens in each chunk, each with a role; ignores unknown fields.
    Ollama,
    /// A first delta without text, `timings`, and a separate last chunk.
    LlamaCpp,
}

/// An invented server. Its fields can be changed before it is given to an emitter.
#[derive(Clone, Debug)]
pub struct Speaker {
    pub dialect: Dialect,
    /// Names of the served models.
    pub models: Vec<String>,
    /// Number of tokens after which an answer ends by itself.
    pub natural_tokens: u32,
    /// Number of an answer's first tokens that are reasoning.
    pub reasoning_tokens: u32,
    pub tokens_a_chunk: u32,
    /// Time from the request to the first token.
    pub before_first: Duration,
    /// Time between chunks.
    pub between: Duration,
    pub honours: Honours,
    /// The prompt cache and its counts.
    pub cache: PromptCache,
}

/// The extensions that the server honours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Honours {
    pub streaming: bool,
    pub usage: bool,
    pub counts_in_chunks: bool,
    pub ignore_eos: bool,
    pub min_tokens: bool,
    /// Whether a prompt is computed again where requested.
    pub no_prompt_cache: bool,
    /// Whether answers report the number of cached prompt tokens.
    pub cached_tokens: bool,
}

/// The prompts that a server has computed; copies of the server share them.
#[derive(Clone, Debug, Default)]
pub struct PromptCache(pub(super) Arc<Mutex<State>>);

#[derive(Debug, Default)]
pub(super) struct State {
    prompts: HashSet<String>,
    pub(super) queries: u32,
    pub(super) hits: u32,
}

/// The content of one answer.
pub(super) struct Plan {
    pub(super) tokens: u32,
    pub(super) input: u32,
    pub(super) cached: u32,
    pub(super) ends_by_itself: bool,
    pub(super) seed: u64,
}

impl Speaker {
    /// Creates a server that answers with its first token after 20 ms and a token each 10 ms.
    pub fn new(dialect: Dialect) -> Self {
        let is = |kinds: &[Dialect]| kinds.contains(&dialect);
        Self {
            dialect,
            models: vec!["tiny".to_owned()],
            natural_tokens: 5,
            reasoning_tokens: if dialect == Dialect::Sglang { 2 } else { 0 },
            tokens_a_chunk: if dialect == Dialect::Ollama { 2 } else { 1 },
            before_first: Duration::from_millis(20),
            between: Duration::from_millis(10),
            honours: Honours {
                streaming: true,
                usage: true,
                counts_in_chunks: is(&[Dialect::Vllm, Dialect::LlamaCpp]),
                ignore_eos: is(&[Dialect::Vllm, Dialect::Sglang, Dialect::LlamaCpp]),
                min_tokens: is(&[Dialect::Vllm, Dialect::Sglang]),
                no_prompt_cache: is(&[Dialect::Vllm, Dialect::LlamaCpp]),
                cached_tokens: is(&[Dialect::Sglang, Dialect::LlamaCpp]),
            },
            cache: PromptCache::default(),
        }
    }

    pub(super) fn plan(&self, body: &Value) -> Plan {
        let most = body["max_tokens"].as_u64().map_or(16, |most| most as u32);
        let least = body["min_tokens"].as_u64().filter(|_| self.honours.min_tokens);
        let least = least.map_or(0, |least| least as u32);
        let goes_on = self.honours.ignore_eos && body["ignore_eos"] == true;
        let tokens = if goes_on {
            most
        } else {
            self.natural_tokens.max(least).min(most)
        };
        let input = prompt_tokens(body);
        Plan {
            tokens,
            input,
            cached: self.look_up(body, input),
            ends_by_itself: !goes_on && tokens < most,
            seed: match body["temperature"].as_f64() {
                Some(0.0) => 0,
                _ => body["seed"].as_u64().unwrap_or_default(),
            },
        }
    }

    /// Returns how many of the prompt's tokens were cached, and caches the prompt.
    fn look_up(&self, body: &Value, input: u32) -> u32 {
        let is_off = self.honours.no_prompt_cache && body["cache_prompt"] == false;
        let salt = body
            .get("cache_salt")
            .filter(|_| self.honours.no_prompt_cache && self.dialect == Dialect::Vllm);
        let prompt = body.get("messages").unwrap_or(&body["prompt"]);
        let mut state = self.cache.0.lock().expect("no script panics with it");
        let is_new = state.prompts.insert(format!("{salt:?} {prompt}"));
        // The last token is always computed.
        let cached = if is_new || is_off && self.dialect == Dialect::LlamaCpp {
            0
        } else {
            input - 1
        };
        state.queries += input;
        state.hits += cached;
        cached
    }
}

/// Counts words, plus one token for each message.
fn prompt_tokens(body: &Value) -> u32 {
    let words = |text: &Value| text.as_str().map_or(0, |text| text.split_whitespace().count());
    let tokens = match (&body["messages"], &body["prompt"]) {
        (Value::Array(messages), _) => messages.iter().map(|message| 1 + words(&message["content"])).sum(),
        (_, Value::Array(tokens)) => tokens.len(),
        (_, text) => words(text),
    };
    tokens.max(1) as u32
}
