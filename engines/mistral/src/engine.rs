//! Drives mistral.rs. A logits processor, which sees each decoding step once, records the time of every token: chunks
//! are not tokens, and the engine's own clock counts milliseconds and includes queueing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mistralrs::core::MistralRsBuilder;
use mistralrs::{
    Constraint, MistralRs, Model, NormalRequest, Request, RequestMessage, Response, SamplingParams, TextMessageRole,
    TextMessages,
};

use joulemark_experiment::{ChatMessage, ChatRole};
use joulemark_measurement::clock::Monotonic;
use joulemark_worker::inference::{
    Compare, Engine, EngineDescription, EngineError, FinishReason, Generated, Generation, LoadRequest, Sampling,
    TokenChooser, TokenCounter,
};

use crate::pipeline::{self, Pipeline};
use crate::tap::TokenTap;

/// A model that mistral.rs has loaded.
pub struct MistralEngine {
    model: Model,
    runner: Arc<MistralRs>,
    pipeline: Pipeline,
    description: EngineDescription,
    end_tokens: Vec<u32>,
    /// Whether the engine continues after the end of a sequence.
    ignores_ends: bool,
    has_looked: AtomicBool,
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

    /// Locks the pipeline, which the engine needs before it adds requests, so that requests sent meanwhile begin
    /// together.
    async fn hold(&self) -> Box<dyn Send> {
        Box::new(self.pipeline.clone().lock_owned().await)
    }

    async fn generate(&self, generation: Generation) -> Result<Generated, EngineError> {
        let fail = |message: String| EngineError::Generate(message);
        let repetition_penalty = generation.sampling.repetition_penalty().map(|penalty| penalty as f32);
        let tap = Arc::new(self.tap(&generation));
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
            // Not streamed: in each step the engine waits for the reader of a stream.
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
                    "the engine gave an answer of another kind than requested".to_owned(),
                ));
            }
        };
        let (token_ids, chosen_at, top_logits) = tap.taken().map_err(fail)?;
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
            top_logits,
        })
    }
}

impl MistralEngine {
    /// Returns the tap of a request. It only records where the engine's own choice is the requested one.
    fn tap(&self, generation: &Generation) -> TokenTap {
        let masks_ends = generation.min_output_tokens > 0 && !self.ignores_ends;
        let is_greedy = matches!(generation.sampling, Sampling::Greedy { .. });
        let most = generation.max_output_tokens as usize;
        if is_greedy && !masks_ends && generation.compare == Compare::No {
            // The logits of the first request, which belongs to the warm-up if there is one, are checked in every step.
            let looks = !self.has_looked.swap(true, Ordering::Relaxed);
            return TokenTap::watching(most, looks, self.counter.clone());
        }
        let masked_until = if masks_ends { generation.min_output_tokens } else { 0 };
        let chooser = TokenChooser::new(generation.sampling.clone(), masked_until, self.end_tokens.clone());
        TokenTap::choosing(chooser, generation.compare.clone(), most, self.counter.clone())
    }
}

async fn load(request: LoadRequest) -> anyhow::Result<MistralEngine> {
    let pipeline = pipeline::load(&request).await?;
    let (description, end_tokens) = pipeline::describe(&*pipeline.lock().await)?;
    let scheduler = pipeline::scheduler(&*pipeline.lock().await, request.batch_size as usize)?;
    let runner = MistralRsBuilder::new(pipeline.clone(), scheduler, false, None)
        // A repeated prompt must be computed again, or its energy would be that of a cache.
        .with_no_prefix_cache(true)
        .with_disable_eos_stop(request.ignores_ends)
        .build()
        .await;
    let model = Model::new(runner.clone());
    Ok(MistralEngine {
        model,
        runner,
        pipeline,
        description,
        end_tokens,
        ignores_ends: request.ignores_ends,
        has_looked: AtomicBool::new(false),
        counter: request.counter,
    })
}
