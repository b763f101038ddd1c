//! The interface between a session and what runs its prompts: an engine in this process, or a server.

use std::future::Future;

use super::job::{PreparedPrompt, PreparedPrompts, prepare, sampling};
use super::protocol::Job;
use crate::batch_check::batch_check;
use crate::cache_need::CacheNeed;
use crate::inference::{Compare, Engine, EngineError, Generation, LoadRequest, TokenCounter};
use crate::measured::measurement;
use crate::placement::on_gpus_alone;
use joulemark_experiment::{Device, Spec};
use joulemark_measurement::clock::Monotonic;
use joulemark_measurement::{
    BatchCheck, DeviceLayers, EosHandling, FailedRequest, LoadGenerator, RequestMeasurement, ServedEngine, ServerReport,
};

/// A runner of a rank's prompts.
pub trait Runner: Send + Sync + Sized + 'static {
    type Prompt: Send;

    /// Whether prompts run in waves of `batch_size`, each after all of the previous wave have ended. Otherwise the next
    /// prompt runs when one has ended.
    const IN_WAVES: bool;

    /// Whether the runner accepts any number of requests, like a server, which queues them itself; otherwise it accepts
    /// `batch_size`.
    const TAKES_ALL: bool;

    /// Whether the runner blocks its thread, so that other threads must continue meanwhile: mistral.rs does while it
    /// loads.
    const BLOCKS_IN_PLACE: bool;

    /// Loads the model, or waits for the server that has it, and prepares the rank's prompts.
    ///
    /// # Errors
    /// Returns an [`EngineError`], which fails the experiment.
    fn load(job: &Job, counter: TokenCounter) -> impl Future<Output = Result<Loaded<Self>, EngineError>> + Send;

    /// Returns an iterator over the rank's prompts, from the first.
    fn prompts(&self) -> Box<dyn Iterator<Item = Self::Prompt> + Send + '_>;

    /// Runs one prompt.
    ///
    /// # Errors
    /// Returns an [`EngineError`] where the experiment fails. A request that only counts as failed is an [`Outcome`].
    fn run(&self, prompt: Self::Prompt) -> impl Future<Output = Result<Outcome, EngineError>> + Send;

    /// Pauses the engine until the returned value is dropped, so that a wave begins together.
    fn hold(&self) -> impl Future<Output = Box<dyn Send>> + Send {
        std::future::ready(Box::new(()) as Box<dyn Send>)
    }

    /// Begins a cycle: what was used and reported before does not count for it.
    fn begin_cycle(&self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }

    /// Returns what this process itself used in the cycle, where the engine is another process.
    fn load_generator(&self) -> Option<LoadGenerator> {
        None
    }

    /// Returns the server's metrics of the cycle, which has ended.
    fn server_report(&self) -> impl Future<Output = ServerReport> + Send {
        std::future::ready(ServerReport::default())
    }
}

/// A runner that is ready, with its description.
#[derive(Debug)]
pub struct Loaded<R> {
    pub runner: R,
    /// When the model was in memory.
    pub at: Monotonic,
    pub device: String,
    pub activation_dtype: String,
    /// 0 where a server does not state it.
    pub max_sequence_tokens: u32,
    pub truncated_prompts: u32,
    pub eos: EosHandling,
    pub server: Option<ServedEngine>,
    pub batch_check: Option<BatchCheck>,
    /// Devices of the model's layers.
    pub layers: Vec<DeviceLayers>,
    pub paged_cache_tokens: Option<u64>,
}

/// The result of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    Measured(Box<RequestMeasurement>),
    Failed(FailedRequest),
}

/// An engine in this process.
#[derive(Debug)]
pub struct InProcess<E> {
    engine: E,
    spec: Spec,
    prompts: PreparedPrompts,
}

impl<E: Engine> Runner for InProcess<E> {
    type Prompt = PreparedPrompt;

    // Sequences have to begin together to be decoded together.
    const IN_WAVES: bool = true;

    const TAKES_ALL: bool = false;

    const BLOCKS_IN_PLACE: bool = true;

    async fn load(job: &Job, counter: TokenCounter) -> Result<Loaded<Self>, EngineError> {
        let engine = E::load(LoadRequest {
            path: job.model_path.clone(),
            from_hub: job.from_hub,
            force_cpu: job.spec.device == Device::Cpu,
            fp_precision: job.spec.fp_precision,
            quantization: job.spec.quantization.clone(),
            batch_size: job.spec.batch_size,
            ignores_ends: job.spec.eos_in_process() == EosHandling::Ignored,
            cache_need: CacheNeed::of(&job.spec, job.max_context_tokens),
            cache_elements_per_token: job.cache_elements_per_token,
            counter,
        })
        .await?;
        let at = Monotonic::now();
        let description = engine.description();
        on_gpus_alone(job.spec.device, &description.layers)?;
        let (prompts, truncated_prompts) = prepare(&engine, job).await?;
        if job.spec.batch_size > 1 && !description.mixes_lengths {
            one_length(&prompts)?;
        }
        if let Some(places) = description.paged_cache_tokens {
            let need = CacheNeed::of(&job.spec, job.max_context_tokens);
            fits_cache(need, &prompts, description.max_sequence_tokens, places)?;
        }
        let wave = prompts.iter().take(job.spec.batch_size as usize).collect();
        let batch_check = batch_check(&engine, wave).await?;
        Ok(Loaded {
            runner: Self {
                engine,
                spec: job.spec.clone(),
                prompts,
            },
            at,
            device: description.device,
            activation_dtype: description.activation_dtype,
            max_sequence_tokens: description.max_sequence_tokens,
            truncated_prompts,
            eos: job.spec.eos_in_process(),
            server: None,
            batch_check,
            layers: description.layers,
            paged_cache_tokens: description.paged_cache_tokens,
        })
    }

    fn prompts(&self) -> Box<dyn Iterator<Item = PreparedPrompt> + Send + '_> {
        self.prompts.iter()
    }

    async fn hold(&self) -> Box<dyn Send> {
        self.engine.hold().await
    }

    async fn run(&self, prompt: PreparedPrompt) -> Result<Outcome, EngineError> {
        let input_tokens = prompt.tokens.len() as u32;
        let sampling = sampling(&self.spec, prompt.index, &prompt.tokens);
        let generation = Generation {
            tokens: prompt.tokens,
            max_output_tokens: self.spec.max_output_tokens_of(prompt.index),
            min_output_tokens: self.spec.min_output_tokens_of(prompt.index),
            sampling,
            compare: Compare::No,
        };
        let generated = self.engine.generate(generation).await?;
        let measured = measurement(prompt.index, input_tokens, generated);
        Ok(Outcome::Measured(Box::new(measured)))
    }
}

/// Returns an error where the sequences do not fit into the paged cache: the engine would drop one without an answer.
fn fits_cache(
    need: CacheNeed,
    prompts: &PreparedPrompts,
    max_sequence_tokens: u32,
    places: u64,
) -> Result<(), EngineError> {
    let longest = prompts.iter().map(|prompt| prompt.tokens.len() as u32).max();
    let need = CacheNeed {
        // The longest answer may belong to another prompt: each has room for its own.
        input_tokens: longest
            .unwrap_or(0)
            .min(max_sequence_tokens.saturating_sub(need.output_tokens)),
        ..need
    };
    if need.paged_tokens() <= places {
        return Ok(());
    }
    Err(EngineError::Load(format!(
        "the key-value cache holds {places} tokens, but {} sequences of up to {} tokens need {}; set \
         max_input_tokens, or free the GPU's memory",
        need.sequences,
        need.sequence_tokens(),
        need.paged_tokens()
    )))
}

/// Returns an error for prompts of different lengths, which an engine would not decode together.
fn one_length(prompts: &PreparedPrompts) -> Result<(), EngineError> {
    let lengths = prompts.iter().map(|prompt| prompt.tokens.len());
    let (shortest, longest) = lengths.fold((usize::MAX, 0), |(least, most), length| {
        (least.min(length), most.max(length))
    });
    if shortest >= longest {
        return Ok(());
    }
    Err(EngineError::Batch(format!(
        "prompts have {shortest} to {longest} tokens, but the engine only decodes sequences of equal length together; set \
         max_input_tokens to {shortest} or less, or use prompts.synthetic"
    )))
}
