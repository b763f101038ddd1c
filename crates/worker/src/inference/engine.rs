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

/// A count of chosen tokens, for progress. It is shared with the task that detects stalls.
#[derive(Clone, Debug, Default)]
pub struct TokenCounter(Arc<AtomicU64>);

impl TokenCounter {
    /// Counts one token.
    pub fn add_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts tokens that were chosen together.
    pub fn add(&self, tokens: u64) {
        self.0.fetch_add(tokens, Ordering::Relaxed);
    }

    /// Sets the count to 0.
    pub fn reset(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// Returns the count.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The model to load, and its settings.
#[derive(Clone, Debug)]
pub struct LoadRequest {
    /// A GGUF file or a folder with safetensors; an id of the Hugging Face hub when `from_hub`.
    pub path: PathBuf,
    pub from_hub: bool,
    pub force_cpu: bool,
    pub fp_precision: FpPrecision,
    pub quantization: Option<String>,
    /// Number of requests that run at the same time.
    pub batch_size: u32,
    /// Whether every request has exactly `max_output_tokens` tokens, so that end-of-sequence tokens do not end it.
    pub ignores_ends: bool,
    /// Sequences that the key-value cache must hold at the same time.
    pub cache_need: CacheNeed,
    /// Number of elements of a paged key-value cache for one token; `None` where the model's files were not read.
    pub cache_elements_per_token: Option<u64>,
    pub counter: TokenCounter,
}

/// Description of a loaded model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineDescription {
    pub device: String,
    pub activation_dtype: String,
    pub max_sequence_tokens: u32,
    pub vocab_size: u32,
    /// Tokens that never occur in a synthetic prompt.
    pub special_token_ids: Vec<u32>,
    /// Whether the engine decodes sequences of different lengths together.
    pub mixes_lengths: bool,
    /// Devices of the model's layers; empty where it has no layers.
    pub layers: Vec<DeviceLayers>,
    /// Number of tokens that the paged key-value cache holds; `None` where attention is not paged.
    pub paged_cache_tokens: Option<u64>,
}

/// One request to the model.
#[derive(Clone, Debug)]
pub struct Generation {
    pub tokens: Vec<u32>,
    pub max_output_tokens: u32,
    /// End-of-sequence tokens are masked until this many tokens have been chosen.
    pub min_output_tokens: u32,
    pub sampling: Sampling,
    pub compare: Compare,
}

/// The logits that are recorded to compare a sequence alone and in a batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Compare {
    /// No logits, as in every measured request.
    #[default]
    No,
    /// The largest logits of each step.
    Keep,
    /// The logits of the recorded tokens; each step's token is forced to be the recorded one.
    With(Vec<TopLogits>),
}

/// The largest logits of one step.
#[derive(Clone, Debug, PartialEq)]
pub struct TopLogits {
    /// Token that was chosen.
    pub token: u32,
    /// Tokens with their logits, the largest first.
    pub logits: Vec<(u32, f32)>,
}

impl TopLogits {
    /// Number of recorded logits of a step.
    const KEPT: usize = 8;

    /// Returns the largest of `logits`, of which the first is the greedy choice; `None` where none is a finite number.
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

    /// Returns the tokens whose logits were recorded.
    pub fn tokens(&self) -> Vec<u32> {
        self.logits.iter().map(|(token, _)| *token).collect()
    }

    /// Returns the values of `logits` for the same tokens.
    pub fn again(&self, logits: &[f32]) -> Self {
        let now = |(token, _): &(u32, f32)| (*token, logits.get(*token as usize).copied().unwrap_or(f32::NAN));
        Self {
            token: self.token,
            logits: self.logits.iter().map(now).collect(),
        }
    }
}

/// The reason why a sequence ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// `max_output_tokens` was reached.
    Length,
    /// The model ended the sequence.
    Stop,
}

/// The answer to one request, with times that were taken in this process.
#[derive(Clone, Debug)]
pub struct Generated {
    pub token_ids: Vec<u32>,
    /// When each token was chosen; as long as `token_ids`.
    pub chosen_at: Vec<Monotonic>,
    pub sent_at: Monotonic,
    pub completed_at: Monotonic,
    pub finish_reason: FinishReason,
    /// One entry for each step where logits are recorded or compared, otherwise empty.
    pub top_logits: Vec<TopLogits>,
}

/// An error of an engine; its text tells the user what failed.
#[derive(Debug, Error)]
pub enum EngineError {
    #[error("the model cannot be loaded: {0}")]
    Load(String),
    #[error("the prompt cannot be tokenized: {0}")]
    Tokenize(String),
    #[error("the engine failed on a request: {0}")]
    Generate(String),
    #[error("the batch cannot be measured: {0}")]
    Batch(String),
}

/// A loaded model. A request is cancelled by ending the process, since some engines panic when a request is dropped.
pub trait Engine: Send + Sync + Sized + 'static {
    /// Loads a model.
    fn load(request: LoadRequest) -> impl Future<Output = Result<Self, EngineError>> + Send;

    /// Returns the description of the loaded model.
    fn description(&self) -> EngineDescription;

    /// Returns the token ids of `prompt`, after the model's chat template unless `raw`.
    fn tokenize(&self, prompt: &str, raw: bool) -> impl Future<Output = Result<Vec<u32>, EngineError>> + Send;

    /// Returns the token ids of a chat after the model's chat template, up to the beginning of the next answer.
    fn tokenize_chat(&self, messages: &[ChatMessage]) -> impl Future<Output = Result<Vec<u32>, EngineError>> + Send;

    /// Pauses the engine until the returned value is dropped, so that requests sent meanwhile begin together.
    fn hold(&self) -> impl Future<Output = Box<dyn Send>> + Send;

    /// Runs one request.
    fn generate(&self, generation: Generation) -> impl Future<Output = Result<Generated, EngineError>> + Send;
}
