//! The only file that names mistral.rs. Every token is chosen and stamped in a logits processor, which sees each
//! decoding step once; chunks are not tokens and the engine's own clock counts milliseconds and queueing.

use std::sync::{Arc, Mutex};

use mistralrs::core::{
    DefaultSchedulerMethod, GGUFLoaderBuilder, GGUFSpecificConfig, MistralRsBuilder, ModelDType, SchedulerConfig,
};
use mistralrs::{
    AnyModelBuilder, AutoDeviceMapParams, Constraint, CustomLogitsProcessor, DeviceMapSetting, MistralRs, Model,
    NormalRequest, Request, RequestMessage, Response, SamplingParams, Tensor, TextMessageRole, TextMessages,
    TextModelBuilder, TokenSource, best_device, parse_isq_value,
};

use joulemark_experiment::{ChatMessage, ChatRole, FpPrecision};
use joulemark_measurement::clock::Monotonic;
use joulemark_worker::inference::{
    Engine, EngineDescription, EngineError, FinishReason, Generated, Generation, LoadRequest, TokenChooser,
    TokenCounter,
};

pub struct MistralEngine {
    model: Model,
    runner: Arc<MistralRs>,
    description: EngineDescription,
    end_tokens: Vec<u32>,
    counter: TokenCounter,
}

impl Engine for MistralEngine {
    async fn load(request: LoadRequest) -> Result<Self, EngineError> {
        load(request)
            .await
            .map_err(|error| EngineError::Load(format!("{error:#}")))
    }

    fn description(&self) -> EngineDescription {
        self.description.clone()
    }

    async fn tokenize(&self, prompt: &str, raw: bool) -> Result<Vec<u32>, EngineError> {
        let input = if raw {
            either::Either::Right(prompt.to_owned())
        } else {
            either::Either::Left(TextMessages::new().add_message(TextMessageRole::User, prompt))
        };
        // Special tokens and a generation prompt are added just as the engine does for a chat request.
        self.model
            .tokenize(input, None, true, true, None)
            .await
            .map_err(|error| EngineError::Tokenize(error.to_string()))
    }

    async fn tokenize_chat(&self, messages: &[ChatMessage]) -> Result<Vec<u32>, EngineError> {
        let mut chat = TextMessages::new();
        for message in messages {
            let role = match message.role {
                ChatRole::System => TextMessageRole::System,
                ChatRole::User => TextMessageRole::User,
                ChatRole::Assistant => TextMessageRole::Assistant,
            };
            chat = chat.add_message(role, &message.content);
        }
        self.model
            .tokenize(either::Either::Left(chat), None, true, true, None)
            .await
            .map_err(|error| EngineError::Tokenize(error.to_string()))
    }

    async fn generate(&self, generation: Generation) -> Result<Generated, EngineError> {
        let fail = |message: String| EngineError::Generate(message);
        let repetition_penalty = generation.sampling.repetition_penalty().map(|penalty| penalty as f32);
        let tap = Arc::new(TokenTap {
            state: Mutex::new(TapState {
                chooser: TokenChooser::new(
                    generation.sampling,
                    generation.min_output_tokens,
                    self.end_tokens.clone(),
                ),
                token_ids: Vec::with_capacity(generation.max_output_tokens as usize),
                chosen_at: Vec::with_capacity(generation.max_output_tokens as usize),
            }),
            counter: self.counter.clone(),
        });
        let sampling_params = SamplingParams {
            max_len: Some(generation.max_output_tokens as usize),
            repetition_penalty,
            ..SamplingParams::deterministic()
        };
        let (response, mut answers) = tokio::sync::mpsc::channel(8);
        let request = NormalRequest {
            messages: RequestMessage::CompletionTokens(generation.tokens),
            sampling_params,
            response,
            return_logprobs: false,
            // Not streamed: the engine waits inside its step for whoever reads the stream.
            is_streaming: false,
            id: self.runner.next_request_id(),
            constraint: Constraint::None,
            suffix: None,
            tools: None,
            tool_choice: None,
            logits_processors: Some(vec![tap.clone()]),
            return_raw_logits: false,
            web_search_options: None,
            model_id: None,
            truncate_sequence: false,
        };
        let sender = self.runner.get_sender(None).map_err(|error| fail(error.to_string()))?;
        let sent_at = Monotonic::now();
        sender
            .send(Request::Normal(Box::new(request)))
            .await
            .map_err(|error| fail(error.to_string()))?;
        let answer = answers
            .recv()
            .await
            .ok_or_else(|| fail("the engine ended without an answer".to_owned()))?;
        let completed_at = Monotonic::now();
        let (completion_tokens, reason) = match answer {
            Response::CompletionDone(done) => {
                let reason = done
                    .choices
                    .first()
                    .map(|choice| choice.finish_reason.clone())
                    .unwrap_or_default();
                (done.usage.completion_tokens, reason)
            }
            Response::CompletionModelError(message, _) => return Err(fail(message)),
            Response::InternalError(error) | Response::ValidationError(error) => return Err(fail(error.to_string())),
            _ => {
                return Err(fail(
                    "the engine gave an answer of another kind than was asked for".to_owned(),
                ));
            }
        };
        let mut state = tap.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (token_ids, chosen_at) = (
            std::mem::take(&mut state.token_ids),
            std::mem::take(&mut state.chosen_at),
        );
        if token_ids.len() != completion_tokens {
            let seen = token_ids.len();
            return Err(fail(format!(
                "the engine counted {completion_tokens} tokens where {seen} were chosen"
            )));
        }
        let finish_reason = if reason == "length" {
            FinishReason::Length
        } else {
            FinishReason::Stop
        };
        Ok(Generated {
            token_ids,
            chosen_at,
            sent_at,
            completed_at,
            finish_reason,
        })
    }
}

type Pipeline = Arc<tokio::sync::Mutex<dyn mistralrs::core::Pipeline + Send + Sync>>;

async fn load(request: LoadRequest) -> anyhow::Result<MistralEngine> {
    let pipeline = if request.path.extension().is_some_and(|extension| extension == "gguf") {
        gguf_pipeline(&request)?
    } else {
        text_builder(&request)?.build_pipeline().await?.0
    };
    let (description, end_tokens) = {
        let pipeline = pipeline.lock().await;
        let metadata = pipeline.get_metadata();
        let tokenizer = pipeline
            .tokenizer()
            .ok_or_else(|| anyhow::anyhow!("the model has no tokenizer"))?;
        let mut special = metadata.eos_tok.clone();
        special.extend(
            tokenizer
                .get_added_tokens_decoder()
                .into_iter()
                .filter(|(_, t)| t.special)
                .map(|(id, _)| id),
        );
        special.sort_unstable();
        special.dedup();
        let device = match pipeline.device() {
            mistralrs::Device::Cpu => "cpu",
            mistralrs::Device::Cuda(_) => "cuda",
            mistralrs::Device::Metal(_) => "metal",
        };
        let description = EngineDescription {
            device: device.to_owned(),
            activation_dtype: metadata.activation_dtype.as_str().to_owned(),
            max_sequence_tokens: u32::try_from(metadata.max_seq_len).unwrap_or(u32::MAX),
            vocab_size: tokenizer.get_vocab_size(true) as u32,
            special_token_ids: special,
        };
        (description, metadata.eos_tok.clone())
    };
    let scheduler = SchedulerConfig::DefaultScheduler {
        method: DefaultSchedulerMethod::Fixed((request.batch_size as usize).try_into()?),
    };
    let runner = MistralRsBuilder::new(pipeline, scheduler, false, None)
        // A prompt seen before must be computed again, or its energy would be that of a cache.
        .with_no_prefix_cache(true)
        .build()
        .await;
    let model = Model::new(runner.clone());
    Ok(MistralEngine {
        model,
        runner,
        description,
        end_tokens,
        counter: request.counter,
    })
}

/// A GGUF through its loader, since the SDK's builder takes no type for the activations: on the CPU the engine's own
/// choice is half precision, in which attention is slower there and less exact.
fn gguf_pipeline(request: &LoadRequest) -> anyhow::Result<Pipeline> {
    let text =
        |part: Option<&std::ffi::OsStr>| part.map(|part| part.to_string_lossy().into_owned()).unwrap_or_default();
    let folder = text(request.path.parent().map(std::path::Path::as_os_str));
    let file = text(request.path.file_name());
    let config = GGUFSpecificConfig { topology: None };
    let loader = GGUFLoaderBuilder::new(None, None, folder, vec![file], config, false, None).build();
    loader.load_model_from_hf(
        None,
        TokenSource::None,
        &dtype(request),
        &best_device(request.force_cpu)?,
        true,
        DeviceMapSetting::Auto(AutoDeviceMapParams::default_text()),
        None,
        None,
    )
}

fn text_builder(request: &LoadRequest) -> anyhow::Result<AnyModelBuilder> {
    let mut builder = TextModelBuilder::new(request.path.to_string_lossy())
        .with_dtype(dtype(request))
        .with_max_num_seqs(request.batch_size as usize);
    if request.force_cpu {
        builder = builder.with_force_cpu();
    }
    if let Some(name) = &request.quantization {
        builder = builder.with_isq(parse_isq_value(name, None).map_err(anyhow::Error::msg)?);
    }
    Ok(builder.into())
}

fn dtype(request: &LoadRequest) -> ModelDType {
    match request.fp_precision {
        FpPrecision::Float32 => ModelDType::F32,
        FpPrecision::Float16 => ModelDType::F16,
        FpPrecision::Bfloat16 => ModelDType::BF16,
        FpPrecision::Auto if request.force_cpu => ModelDType::F32,
        FpPrecision::Auto => ModelDType::Auto,
    }
}

/// Sees the logits of every step of one sequence, chooses the token, stamps it, and leaves the engine no other choice.
struct TokenTap {
    state: Mutex<TapState>,
    counter: TokenCounter,
}

struct TapState {
    chooser: TokenChooser,
    token_ids: Vec<u32>,
    chosen_at: Vec<Monotonic>,
}

impl CustomLogitsProcessor for TokenTap {
    fn apply(&self, logits: &Tensor, _context: &[u32]) -> mistralrs::Result<Tensor> {
        let mut values = logits.to_vec1::<f32>()?;
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let Some(token) = state.chooser.choose(&mut values) else {
            candle_core::bail!("no logit is a number");
        };
        values.fill(f32::NEG_INFINITY);
        values[token as usize] = 0.0;
        state.token_ids.push(token);
        state.chosen_at.push(Monotonic::now());
        self.counter.add_one();
        Tensor::from_vec(values, logits.shape(), logits.device())
    }
}
