//! The engine for OpenAI-compatible servers: waits until the server is ready, probes its capabilities, sends the
//! prompts and timestamps the answers. Runs in a worker process. Leaves starting the server and metering energy to the
//! scheduler.

mod lag;
mod observer;
mod promised;
mod prompts;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use joulemark_experiment::{Device, Spec};
use joulemark_measurement::clock::Monotonic;
use joulemark_measurement::units::MILLISECONDS_PER_SECOND;
use joulemark_measurement::{
    AnswerChunk, FailedRequest, LoadGenerator, PromptCache, RequestMeasurement, ServedEngine, ServerReport,
};
use joulemark_meter::raise_priority;
use joulemark_openai::{Answer, Client, Extras, Failure, FailureReason, Request, Sampling, Secret};
use joulemark_worker::inference::{EngineError, Sampling as Chosen, TokenCounter};
use joulemark_worker::protocol::{Job, ServerJob};
use joulemark_worker::{Loaded, Outcome, Runner, sampling};

use lag::Lag;
use observer::Observer;
use promised::promised;
use prompts::ServedPrompts;

/// Timeout of one request while the server's capabilities are probed.
const PROBE_TIMEOUT: Duration = Duration::from_secs(120);

/// Connection to a server, with the prompts of an experiment.
pub struct Served {
    client: Client,
    spec: Spec,
    model: String,
    extras: Extras,
    prompts: ServedPrompts,
    counter: TokenCounter,
    /// Number of requests so far, including warm-up. The unique words at the start of a prompt are derived from it.
    asked: AtomicU64,
    lag: Lag,
    observer: Observer,
}

/// A prompt to be sent.
#[derive(Debug)]
pub struct Turn {
    index: u32,
    /// Number of the request, counted from 0.
    number: u64,
}

impl Runner for Served {
    type Prompt = Turn;

    const IN_WAVES: bool = false;

    const TAKES_ALL: bool = true;

    // Sockets and requests share one thread, so that no thread has to wake another.
    const BLOCKS_IN_PLACE: bool = false;

    async fn load(job: &Job, counter: TokenCounter) -> Result<Loaded<Self>, EngineError> {
        // This thread reads the sockets and must not wait for a CPU behind the engine that it measures.
        raise_priority();
        let server = job.server.as_ref();
        let server = server.ok_or_else(|| EngineError::Load("the job has no address of a server".to_owned()))?;
        let client = client(server)?;
        let within = Duration::from_millis(server.ready_within_ms);
        let ready = joulemark_openai::ready(&client, server.health.as_deref(), within).await;
        ready.map_err(|error| EngineError::Load(format!("the server is not ready (ready_sec): {error}")))?;
        let at = Monotonic::now();
        let asked = joulemark_openai::probe(&client, server.model.as_deref(), PROBE_TIMEOUT).await;
        let card =
            asked.map_err(|error| EngineError::Load(format!("the server's capabilities cannot be probed: {error}")))?;
        let model = server.model.clone().or_else(|| card.models.first().cloned());
        let model = model.ok_or_else(|| EngineError::Load("the server serves no model".to_owned()))?;
        let (extras, eos, prompt_cache) = promised(&job.spec, &card)?;
        let is_prefixed = prompt_cache == PromptCache::Prefixed;
        let prompts = ServedPrompts::prepare(job, is_prefixed, (&client, &model)).await?;
        Ok(Loaded {
            runner: Self {
                client,
                spec: job.spec.clone(),
                model,
                extras,
                prompts,
                counter,
                asked: AtomicU64::new(0),
                lag: Lag::default(),
                observer: Observer::default(),
            },
            at,
            device: match job.spec.device {
                Device::Cuda => "cuda",
                Device::Cpu | Device::Auto => "cpu",
            }
            .to_owned(),
            activation_dtype: "unknown".to_owned(),
            max_sequence_tokens: server.max_sequence_tokens.unwrap_or(0),
            truncated_prompts: 0,
            eos,
            server: Some(ServedEngine {
                capabilities: card,
                eos,
                prompt_cache,
            }),
            batch_check: None,
            layers: Vec::new(),
            paged_cache_tokens: None,
        })
    }

    fn prompts(&self) -> Box<dyn Iterator<Item = Turn> + Send + '_> {
        Box::new(self.prompts.indices().map(|index| Turn {
            index,
            number: self.asked.fetch_add(1, Ordering::Relaxed),
        }))
    }

    async fn run(&self, turn: Turn) -> Result<Outcome, EngineError> {
        let request = self.request(&turn);
        let timeout = Duration::from_secs(u64::from(self.spec.request_timeout_sec));
        let mut counted = 0;
        let count = |tokens: u32| {
            self.counter.add(u64::from(tokens.saturating_sub(counted)));
            counted = counted.max(tokens);
        };
        let sent = Monotonic::now();
        let answered = self.client.ask(&request, timeout, count).await;
        if let Ok(answer) = &answered {
            self.lag
                .note(answer.chunks.iter().filter_map(|chunk| chunk.read_lag_sec));
            if let Some(timings) = &answer.server_timings {
                self.observer.note(timings);
            }
        }
        match answered.and_then(|answer| measurement(turn.index, answer)) {
            Ok(measured) => {
                self.counter
                    .add(u64::from(measured.output_tokens.saturating_sub(counted)));
                self.is_long_enough(&measured)?;
                self.is_whole(&measured)?;
                Ok(Outcome::Measured(Box::new(measured)))
            }
            Err(failure) => {
                // On standard error, whose lines the submitter sees and which are logged if the admin allows it.
                tracing::warn!("request of prompt {}: {failure}", turn.index);
                Ok(Outcome::Failed(FailedRequest {
                    prompt_index: turn.index,
                    reason: failure.reason,
                    due_monotonic_sec: None,
                    sent_monotonic_sec: Some(sent.as_sec()),
                    ended_monotonic_sec: Some(Monotonic::now().as_sec()),
                }))
            }
        }
    }

    async fn begin_cycle(&self) {
        self.observer.begin(&self.client).await;
        let _ = self.lag.since_last();
    }

    fn load_generator(&self) -> Option<LoadGenerator> {
        Some(self.lag.since_last())
    }

    async fn server_report(&self) -> ServerReport {
        self.observer.end(&self.client).await
    }
}

impl Served {
    fn request(&self, turn: &Turn) -> Request {
        let max_tokens = self.spec.max_output_tokens_of(turn.index);
        let least = self.spec.min_output_tokens_of(turn.index).min(max_tokens);
        let min_tokens = self.extras.min_tokens.map(|_| least);
        Request {
            model: self.model.clone(),
            prompt: self.prompts.prompt(turn.index, turn.number),
            max_tokens,
            sampling: sampling_of(sampling(&self.spec, turn.index, &[])),
            extras: Extras {
                min_tokens,
                ..self.extras
            },
        }
    }

    /// Checks that the server has not ended an answer before its minimum length.
    fn is_long_enough(&self, measured: &RequestMeasurement) -> Result<(), EngineError> {
        let most = self.spec.max_output_tokens_of(measured.prompt_index);
        let least = self.spec.min_output_tokens_of(measured.prompt_index).min(most);
        if measured.output_tokens >= least {
            return Ok(());
        }
        Err(EngineError::Generate(format!(
            "the server ended the answer to prompt {} after {} tokens, although min_output_tokens is {least}: it \
             supports neither min_tokens nor ignore_eos; set min_output_tokens to 0",
            measured.prompt_index, measured.output_tokens
        )))
    }

    /// Checks that the server counts as many tokens of a random prompt as it was sent. It may add one, as a
    /// beginning-of-sequence token.
    fn is_whole(&self, measured: &RequestMeasurement) -> Result<(), EngineError> {
        let (sent, counted) = (self.prompts.tokens_of(measured.prompt_index), measured.input_tokens);
        match sent {
            Some(sent) if counted != sent && counted != sent + 1 => Err(EngineError::Generate(format!(
                "the server was sent {sent} token ids as prompt {}, but counts {counted} tokens: it does not use the ids \
                 as they are; accepted with this server are texts, a dataset or lines",
                measured.prompt_index
            ))),
            _ => Ok(()),
        }
    }
}

fn client(server: &ServerJob) -> Result<Client, EngineError> {
    let endpoint = server.endpoint.parse();
    let endpoint = endpoint.map_err(|error| EngineError::Load(format!("the endpoint {error}")))?;
    let no_header =
        || EngineError::Load("the key in api_key_file has characters that a header cannot contain".to_owned());
    let key = server
        .api_key
        .as_deref()
        .map(|key| Secret::bearer(key).ok_or_else(no_header));
    Ok(Client::new(endpoint, key.transpose()?))
}

fn sampling_of(chosen: Chosen) -> Sampling {
    match chosen {
        Chosen::Greedy { repetition_penalty } => Sampling {
            temperature: 0.0,
            repetition_penalty,
            ..Sampling::default()
        },
        Chosen::Random {
            temperature,
            top_k,
            top_p,
            min_p,
            repetition_penalty,
            seed,
        } => Sampling {
            temperature,
            top_k,
            top_p,
            min_p,
            repetition_penalty,
            // Servers read the seed as a 32-bit integer, some as a signed one.
            seed: Some(seed & 0x7fff_ffff),
        },
        // Rejected at the submission for a server.
        Chosen::NoRepeat { then, .. } => sampling_of(*then),
    }
}

fn measurement(prompt_index: u32, answer: Answer) -> Result<RequestMeasurement, Failure> {
    let no_count = || Failure {
        reason: FailureReason::Unreadable,
        detail: Some("it has no usage, so its number of tokens is unknown".to_owned()),
    };
    let ms = |sec: Option<f64>| sec.map(|sec| sec * MILLISECONDS_PER_SECOND);
    let (ttft_ms, time_to_first_answer_ms) = (ms(answer.ttft_sec()), ms(answer.time_to_first_answer_sec()));
    let chunk = |chunk: &joulemark_openai::Chunk| AnswerChunk {
        monotonic_sec: chunk.at.as_sec(),
        tokens: chunk.tokens,
    };
    let mut chunks: Vec<_> = answer.chunks.iter().map(chunk).collect();
    chunks.extend(chosen_end(&answer, &chunks));
    Ok(RequestMeasurement {
        prompt_index,
        input_tokens: answer.input_tokens.ok_or_else(no_count)?,
        output_tokens: answer.output_tokens.ok_or_else(no_count)?,
        sent_monotonic_sec: answer.sent_at.as_sec(),
        completed_monotonic_sec: answer.completed_at.as_sec(),
        ttft_ms,
        token_monotonic_sec: Vec::new(),
        output_token_ids: Vec::new(),
        finish_reason: finish_reason(&answer.finish_reason).to_owned(),
        chunks,
        output_text_sha256: Some(answer.output_text_sha256),
        time_to_first_answer_ms,
        cached_tokens: answer.cached_tokens,
        ..RequestMeasurement::default()
    })
}

/// Returns the end-of-sequence token that the model chose, which has no text, when no chunk contains it.
fn chosen_end(answer: &Answer, chunks: &[AnswerChunk]) -> Option<AnswerChunk> {
    let monotonic_sec = answer.last_token_at?.as_sec();
    if chunks.last().is_some_and(|last| last.monotonic_sec >= monotonic_sec) {
        return None;
    }
    let counted: Option<u32> = chunks.iter().map(|chunk| chunk.tokens).sum();
    let tokens = match (counted, answer.output_tokens) {
        (Some(counted), Some(all)) => Some(all.checked_sub(counted).filter(|left| *left > 0)?),
        _ => None,
    };
    Some(AnswerChunk { monotonic_sec, tokens })
}

/// Returns the finish reason of results for the one that a server sent.
fn finish_reason(said: &str) -> &'static str {
    match said {
        "length" => "length",
        "stop" | "eos" | "eos_token" | "stop_sequence" | "end_turn" => "stop",
        "tool_calls" | "function_call" => "tool_calls",
        "content_filter" => "content_filter",
        _ => "unknown",
    }
}
