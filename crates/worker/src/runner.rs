//! What a session needs of whatever runs its prompts: an engine in this process, or a server that is driven from it.

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

/// Runs a rank's prompts.
pub trait Runner: Send + Sync + Sized + 'static {
    type Prompt: Send;

    /// Whether prompts are run in waves: `batch_size` at once, and the next ones when all have ended. Else the next one is
    /// run when one has ended.
    const IN_WAVES: bool;

    /// Whether it takes every request at once, as a server does, which lets them wait by itself; else `batch_size` of them.
    const TAKES_ALL: bool;

    /// Whether it blocks the thread that it runs on, so that others have to go on meanwhile: mistral.rs does while it loads.
    const BLOCKS_IN_PLACE: bool;

    /// Loads the model, or waits for the server that has it, and prepares the rank's prompts.
    ///
    /// # Errors
    /// [`EngineError`]: the experiment fails.
    fn load(job: &Job, counter: TokenCounter) -> impl Future<Output = Result<Loaded<Self>, EngineError>> + Send;

    /// Returns the rank's prompts one after the other, from the first.
    fn prompts(&self) -> Box<dyn Iterator<Item = Self::Prompt> + Send + '_>;

    /// Runs one prompt.
    ///
    /// # Errors
    /// [`EngineError`] where the experiment is to fail; a request that is only to be counted as failed is an [`Outcome`].
    fn run(&self, prompt: Self::Prompt) -> impl Future<Output = Result<Outcome, EngineError>> + Send;

    /// Holds the engine back until what is returned is dropped, so that a wave begins together.
    fn hold(&self) -> impl Future<Output = Box<dyn Send>> + Send {
        std::future::ready(Box::new(()) as Box<dyn Send>)
    }

    /// Begins a cycle: what was taken and said before is not the cycle's.
    fn begin_cycle(&self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }

    /// Returns what this process itself took in the cycle, where that is another's than the engine's.
    fn load_generator(&self) -> Option<LoadGenerator> {
        None
    }

    /// Returns what a server said of itself over the cycle, which has ended.
    fn server_report(&self) -> impl Future<Output = ServerReport> + Send {
        std::future::ready(ServerReport::default())
    }
}

/// A runner that is ready, with what is known of it.
#[derive(Debug)]
pub struct Loaded<R> {
    pub runner: R,
    /// When the model was in memory.
    pub at: Monotonic,
    pub device: String,
    pub activation_dtype: String,
    /// 0 where a server does not say.
    pub max_sequence_tokens: u32,
    pub truncated_prompts: u32,
    pub eos: EosHandling,
    pub server: Option<ServedEngine>,
    pub batch_check: Option<BatchCheck>,
    /// Where the engine put the model's layers.
    pub layers: Vec<DeviceLayers>,
    pub paged_cache_tokens: Option<u64>,
}

/// What came of a request.
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

    // Sequences that are to be decoded together have to begin together.
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

/// Refuses sequences that the paged cache has no places for: the engine drops one without an answer.
fn fits_cache(
    need: CacheNeed,
    prompts: &PreparedPrompts,
    max_sequence_tokens: u32,
    places: u64,
) -> Result<(), EngineError> {
    let longest = prompts.iter().map(|prompt| prompt.tokens.len() as u32).max();
    let need = CacheNeed {
        // A longer answer is another prompt's: each of them leaves room for its own.
        input_tokens: longest
            .unwrap_or(0)
            .min(max_sequence_tokens.saturating_sub(need.output_tokens)),
        ..need
    };
    if need.paged_tokens() <= places {
        return Ok(());
    }
    Err(EngineError::Load(format!(
        "the key-value cache has places for {places} tokens, and {} sequences of up to {} tokens take {}; set \
         max_input_tokens, or free the GPU's memory",
        need.sequences,
        need.sequence_tokens(),
        need.paged_tokens()
    )))
}

/// Refuses prompts of different lengths, which an engine would not decode together.
fn one_length(prompts: &PreparedPrompts) -> Result<(), EngineError> {
    let lengths = prompts.iter().map(|prompt| prompt.tokens.len());
    let (shortest, longest) = lengths.fold((usize::MAX, 0), |(least, most), length| {
        (least.min(length), most.max(length))
    });
    if shortest >= longest {
        return Ok(());
    }
    Err(EngineError::Batch(format!(
        "prompts have {shortest} to {longest} tokens, and the engine decodes together only sequences of one length; set \
         max_input_tokens to {shortest} or less, or take prompts.synthetic"
    )))
}
