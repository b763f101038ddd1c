//! Runs waves of random prompts with mistral.rs alone: without worker or meter, and in every other wave without a tap.
//! `deploy/accept-gpu.sh` compares the service's figures with these. Models are loaded as by a rank, so that number
//! types and cache are the same.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use mistralrs::core::MistralRsBuilder;
use mistralrs::{
    Constraint, CustomLogitsProcessor, MistralRs, NormalRequest, Request, RequestMessage, Response, SamplingParams,
};
use tokio::sync::mpsc::Receiver;

use joulemark_experiment::FpPrecision;
use joulemark_measurement::clock::Monotonic;
use joulemark_worker::CacheNeed;
use joulemark_worker::inference::{EngineDescription, LoadRequest, TokenCounter};

use crate::pipeline::{self, Pipeline};
use crate::tap::TokenTap;

/// Maximum duration of a wave: the engine drops a sequence that its cache cannot hold, without an answer.
const PATIENCE: Duration = Duration::from_secs(120);

/// Number of tokens by which the cache exceeds the need of the waves, since the engine rounds its size down to whole
/// MiB.
const SPARE_TOKENS: u32 = 64;

#[derive(Debug, Args)]
pub struct DirectArguments {
    /// A GGUF file, or a folder with safetensors.
    model: PathBuf,
    /// Number of prompts in a wave.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    batch_size: u32,
    /// Number of tokens of each prompt.
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..))]
    input_tokens: u32,
    /// Number of tokens of each answer.
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..))]
    output_tokens: u32,
    /// Number of waves with and without the tap, after one that warms up.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    waves: u32,
    /// Compute on the CPU.
    #[arg(long)]
    on_cpu: bool,
}

/// Runs the waves and prints their rates.
pub fn run(arguments: &DirectArguments) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let measured = runtime
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(measure(arguments)));
    match measured {
        Ok(figures) => {
            println!("{figures}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("joulemark-mistral: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Returns the output tokens per second of the waves with and without the tap, which alternate.
async fn measure(arguments: &DirectArguments) -> anyhow::Result<serde_json::Value> {
    let (sequences, waves) = (arguments.batch_size, arguments.waves);
    let (input_tokens, output_tokens) = (arguments.input_tokens, arguments.output_tokens);
    let direct = Direct::load(&load_request(arguments), output_tokens).await?;
    let prompts = direct.prompts(sequences, input_tokens);
    direct.wave(&prompts, false).await?;
    let (mut plain_sec, mut tapped_sec) = (0.0, 0.0);
    for _ in 0..waves {
        plain_sec += direct.wave(&prompts, false).await?;
        tapped_sec += direct.wave(&prompts, true).await?;
    }
    let tokens = f64::from(waves) * f64::from(sequences) * f64::from(output_tokens);
    Ok(serde_json::json!({
        "device": direct.description.device,
        "activation_dtype": direct.description.activation_dtype,
        "batch_size": sequences,
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
        "waves": waves,
        "plain_tokens_per_second": tokens / plain_sec,
        "tapped_tokens_per_second": tokens / tapped_sec,
    }))
}

fn load_request(arguments: &DirectArguments) -> LoadRequest {
    LoadRequest {
        path: arguments.model.clone(),
        from_hub: false,
        force_cpu: arguments.on_cpu,
        fp_precision: FpPrecision::Auto,
        quantization: None,
        batch_size: arguments.batch_size,
        ignores_ends: true,
        cache_need: CacheNeed {
            sequences: arguments.batch_size,
            input_tokens: arguments.input_tokens,
            output_tokens: arguments.output_tokens + SPARE_TOKENS,
            is_exact: true,
        },
        cache_elements_per_token: None,
        counter: TokenCounter::default(),
    }
}

struct Direct {
    runner: Arc<MistralRs>,
    pipeline: Pipeline,
    description: EngineDescription,
    output_tokens: u32,
}

impl Direct {
    async fn load(request: &LoadRequest, output_tokens: u32) -> anyhow::Result<Self> {
        let pipeline = pipeline::load(request).await?;
        let (description, _) = pipeline::describe(&*pipeline.lock().await)?;
        let scheduler = pipeline::scheduler(&*pipeline.lock().await, request.batch_size as usize)?;
        let runner = MistralRsBuilder::new(pipeline.clone(), scheduler, false, None)
            .with_no_prefix_cache(true)
            .with_disable_eos_stop(true)
            .build()
            .await;
        Ok(Self {
            runner,
            pipeline,
            description,
            output_tokens,
        })
    }

    /// Returns random prompts without special tokens, the same for the same model.
    fn prompts(&self, count: u32, tokens: u32) -> Vec<Vec<u32>> {
        let special = &self.description.special_token_ids;
        let mut state = 1_u32;
        let mut draw = move || loop {
            // The generator of Numerical Recipes; its upper bits are the better ones.
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let token = (state >> 8) % self.description.vocab_size;
            if !special.contains(&token) {
                return token;
            }
        };
        (0..count).map(|_| (0..tokens).map(|_| draw()).collect()).collect()
    }

    /// Runs a wave and returns the seconds from its first request to its last answer.
    async fn wave(&self, prompts: &[Vec<u32>], is_tapped: bool) -> anyhow::Result<f64> {
        let begun = Monotonic::now();
        // Requests that are sent while the pipeline is locked begin together.
        let held = self.pipeline.clone().lock_owned().await;
        let mut answers = Vec::with_capacity(prompts.len());
        for prompt in prompts {
            answers.push(self.send(prompt.clone(), is_tapped).await?);
        }
        drop(held);
        for mut answer in answers {
            let answer = tokio::time::timeout(PATIENCE, answer.recv()).await?;
            match answer {
                Some(Response::CompletionDone(done)) => anyhow::ensure!(
                    done.usage.completion_tokens == self.output_tokens as usize,
                    "an answer has {} tokens",
                    done.usage.completion_tokens
                ),
                Some(Response::CompletionModelError(message, _)) => anyhow::bail!(message),
                Some(Response::InternalError(error) | Response::ValidationError(error)) => {
                    anyhow::bail!(error.to_string())
                }
                _ => anyhow::bail!("the engine gave no answer, or one of another kind than requested"),
            }
        }
        Ok(Monotonic::now().sec_since(begun))
    }

    async fn send(&self, tokens: Vec<u32>, is_tapped: bool) -> anyhow::Result<Receiver<Response>> {
        let tap = || -> Arc<dyn CustomLogitsProcessor> {
            let most = self.output_tokens as usize;
            Arc::new(TokenTap::watching(most, false, TokenCounter::default()))
        };
        let (response, answers) = tokio::sync::mpsc::channel(8);
        let request = NormalRequest {
            messages: RequestMessage::CompletionTokens(tokens),
            sampling_params: SamplingParams {
                max_len: Some(self.output_tokens as usize),
                ..SamplingParams::deterministic()
            },
            response,
            return_logprobs: false,
            is_streaming: false,
            id: self.runner.next_request_id(),
            constraint: Constraint::None,
            suffix: None,
            tools: None,
            tool_choice: None,
            logits_processors: is_tapped.then(|| vec![tap()]),
            return_raw_logits: false,
            web_search_options: None,
            model_id: None,
            truncate_sequence: false,
        };
        let sender = self
            .runner
            .get_sender(None)
            .map_err(|error| anyhow::anyhow!(error.to_string()))?;
        sender
            .send(Request::Normal(Box::new(request)))
            .await
            .map_err(|error| anyhow::anyhow!(error.to_string()))?;
        Ok(answers)
    }
}
