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
use joulemark_experiment::{ChatMessage, FpPrecision};
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
}

/// One request to the model.
#[derive(Clone, Debug)]
pub struct Generation {
    pub tokens: Vec<u32>,
    pub max_output_tokens: u32,
    /// End-of-sequence is masked until this many tokens are out.
    pub min_output_tokens: u32,
    pub sampling: Sampling,
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
}

#[derive(Debug, Error)]
pub enum EngineError {
    #[error("the model does not load: {0}")]
    Load(String),
    #[error("the prompt cannot be tokenized: {0}")]
    Tokenize(String),
    #[error("the engine failed on a request: {0}")]
    Generate(String),
}

/// A loaded model. Cancelling is done by ending the process: some engines panic when a request is dropped.
pub trait Engine: Send + Sync + Sized + 'static {
    fn load(request: LoadRequest) -> impl Future<Output = Result<Self, EngineError>> + Send;

    fn description(&self) -> EngineDescription;

    /// Token ids of `prompt`, through the model's chat template unless `raw`.
    fn tokenize(&self, prompt: &str, raw: bool) -> impl Future<Output = Result<Vec<u32>, EngineError>> + Send;

    /// Returns the token ids of a chat through the model's chat template, up to where its next answer begins.
    fn tokenize_chat(&self, messages: &[ChatMessage]) -> impl Future<Output = Result<Vec<u32>, EngineError>> + Send;

    fn generate(&self, generation: Generation) -> impl Future<Output = Result<Generated, EngineError>> + Send;
}
