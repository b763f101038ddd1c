use std::{
    future::Future,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use thiserror::Error;

use super::Sampling;
use crate::cache_need::CacheNeed;
use joulemark_experiment::{ChatMessage, FpPrecision};
use joulemark_measurement::DeviceLayers;
use joulemark_measurement::clock::Monotonic;

/// Counts tokens as they are chosen, for progress; shared with whoever watches for a stall.
#[derive(Clone, Debug, Default)]
pub struct TokenCounter(Arc<AtomicU64>);

impl TokenCounter {
    pub fn add_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts tokens that came together.
    pub fn add(&self, tokens: u64) {
        self.0.fetch_add(tokens, Ordering::Relaxed);
    }

    /// Forgets what was counted so far.
    pub fn reset(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What to load, and how.
#[derive(Clone, Debug)]
pub struct LoadRequest {
    /// A GGUF file or a folder with safetensors; a hub id when `from_hub`.
    pub path: PathBuf,
    pub from_hub: bool,
    pub force_cpu: bool,
    pub fp_precision: FpPrecision,
    pub quantization: Option<String>,
    /// Requests that run at once.
    pub batch_size: u32,
    /// Whether every request is to have exactly its `max_output_tokens`, so that the end of a sequence is no end.
    pub ignores_ends: bool,
    /// What its key-value cache must hold at once.
    pub cache_need: CacheNeed,
    /// Elements of a paged key-value cache that one token takes; `None` where the model's files were not read.
    pub cache_elements_per_token: Option<u64>,
    pub counter: TokenCounter,
}

/// What the engine says of the model once it is loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineDescription {
    pub device: String,
    pub activation_dtype: String,
    pub max_sequence_tokens: u32,
    pub vocab_size: u32,
    /// Tokens that never stand in a synthetic prompt.
    pub special_token_ids: Vec<u32>,
    /// Whether it decodes sequences of different lengths together.
    pub mixes_lengths: bool,
    /// Where it put the model's layers; empty where it has none.
    pub layers: Vec<DeviceLayers>,
    /// Tokens that its paged key-value cache has places for; `None` where attention is not paged.
    pub paged_cache_tokens: Option<u64>,
}

/// One request to the model.
#[derive(Clone, Debug)]
pub struct Generation {
    pub tokens: Vec<u32>,
    pub max_output_tokens: u32,
    /// End-of-sequence is masked until this many tokens are out.
    pub min_output_tokens: u32,
    pub sampling: Sampling,
    pub compare: Compare,
}

/// What is kept of the logits, to compare one sequence alone and in a batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Compare {
    /// Nothing, as in every measured request.
    #[default]
    No,
    /// The largest of each step.
    Keep,
    /// Those of the same tokens as before, while each step's token is the one that was chosen then.
    With(Vec<TopLogits>),
}

/// The largest logits of one step.
#[derive(Clone, Debug, PartialEq)]
pub struct TopLogits {
    /// The token that was chosen.
    pub token: u32,
    /// Tokens with their logits, the largest first.
    pub logits: Vec<(u32, f32)>,
}

impl TopLogits {
    /// How many logits of a step are kept.
    const KEPT: usize = 8;

    /// Returns the largest of `logits`, whose first is the greedy choice; `None` where none is a number.
    pub fn of(logits: &[f32]) -> Option<Self> {
        let mut all: Vec<(u32, f32)> = (0..).zip(logits.iter().copied()).collect();
        all.retain(|(_, logit)| logit.is_finite());
        let kept = Self::KEPT.min(all.len());
        let by_size = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        if kept < all.len() {
            all.select_nth_unstable_by(kept, by_size);
        }
        all.truncate(kept);
        all.sort_unstable_by(by_size);
        Some(Self {
            token: all.first()?.0,
            logits: all,
        })
    }

    /// Lists the tokens whose logits were kept.
    pub fn tokens(&self) -> Vec<u32> {
        self.logits.iter().map(|(token, _)| *token).collect()
    }

    /// Returns what `logits` has for the same tokens.
    pub fn again(&self, logits: &[f32]) -> Self {
        let now = |(token, _): &(u32, f32)| (*token, logits.get(*token as usize).copied().unwrap_or(f32::NAN));
        Self {
            token: self.token,
            logits: self.logits.iter().map(now).collect(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// `max_output_tokens` was reached.
    Length,
    /// The model ended the sequence.
    Stop,
}

/// The answer to one request, stamped by ourselves.
#[derive(Clone, Debug)]
pub struct Generated {
    pub token_ids: Vec<u32>,
    /// When each token was chosen; as long as `token_ids`.
    pub chosen_at: Vec<Monotonic>,
    pub sent_at: Monotonic,
    pub completed_at: Monotonic,
    pub finish_reason: FinishReason,
    /// One a step where they were to be kept or compared, else none.
    pub top_logits: Vec<TopLogits>,
}

#[derive(Debug, Error)]
pub enum EngineError {
    #[error("the model does not load: {0}")]
    Load(String),
    #[error("the prompt cannot be tokenized: {0}")]
    Tokenize(String),
    #[error("the engine failed on a request: {0}")]
    Generate(String),
    #[error("the batch is not one: {0}")]
    Batch(String),
}

/// A loaded model. Cancelling is done by ending the process: some engines panic when a request is dropped.
pub trait Engine: Send + Sync + Sized + 'static {
    fn load(request: LoadRequest) -> impl Future<Output = Result<Self, EngineError>> + Send;

    fn description(&self) -> EngineDescription;

    /// Token ids of `prompt`, through the model's chat template unless `raw`.
    fn tokenize(&self, prompt: &str, raw: bool) -> impl Future<Output = Result<Vec<u32>, EngineError>> + Send;

    /// Returns the token ids of a chat through the model's chat template, up to where its next answer begins.
    fn tokenize_chat(&self, messages: &[ChatMessage]) -> impl Future<Output = Result<Vec<u32>, EngineError>> + Send;

    /// Holds the engine back until what is returned is dropped, so that requests that are sent meanwhile begin together.
    fn hold(&self) -> impl Future<Output = Box<dyn Send>> + Send;

    fn generate(&self, generation: Generation) -> impl Future<Output = Result<Generated, EngineError>> + Send;
}
