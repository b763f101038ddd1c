//! Prepares what a rank runs: its prompts as tokens, and how each is sampled.

use super::cut::{PROBE, cut, template_end};
use super::protocol::Job;
use crate::inference::prompts::{self, SyntheticTokenIds};
use crate::inference::{Engine, EngineDescription, EngineError, Sampling};
use joulemark_experiment::{PromptLine, Prompts, Spec, SyntheticPrompts};

/// A prompt as the model gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreparedPrompt {
    pub index: u32,
    pub tokens: Vec<u32>,
}

/// The prompts of a rank, in order.
#[derive(Clone, Debug)]
pub enum PreparedPrompts {
    /// Prompts that were tokenized from texts.
    Tokenized(Vec<PreparedPrompt>),
    /// Prompts of random tokens.
    Seeded(Box<SeededPrompts>),
}

/// Prompts that are generated from a seed when they are run, in each pass again, so that their number takes no memory.
#[derive(Clone, Debug)]
pub struct SeededPrompts {
    /// The prompts of all ranks, from the first.
    all: SyntheticTokenIds,
    indices: std::iter::StepBy<std::ops::Range<u32>>,
    /// Maximum number of tokens of each prompt.
    kept_tokens: usize,
}

impl PreparedPrompts {
    /// Returns an iterator over the prompts, from the first.
    pub fn iter(&self) -> Box<dyn Iterator<Item = PreparedPrompt> + Send + '_> {
        match self {
            Self::Tokenized(prompts) => Box::new(prompts.iter().cloned()),
            Self::Seeded(prompts) => Box::new(prompts.iter()),
        }
    }
}

impl SeededPrompts {
    fn iter(&self) -> impl Iterator<Item = PreparedPrompt> + Send + use<> {
        let (mut all, kept_tokens, mut drawn) = (self.all.clone(), self.kept_tokens, 0);
        self.indices.clone().filter_map(move |index| {
            // Prompts of other ranks are drawn too and dropped, since a draw may take more than one number of the
            // generator.
            let mut tokens = all.nth((index - drawn) as usize)?;
            drawn = index + 1;
            tokens.truncate(kept_tokens);
            Some(PreparedPrompt { index, tokens })
        })
    }
}

/// Returns this rank's prompts, and how many of them were cut to `max_input_tokens`. The end of a chat template is
/// preserved.
///
/// # Errors
/// Returns an error when a prompt cannot be tokenized, when its template alone exceeds the maximum length, or when the
/// model's context has no room for the output.
pub async fn prepare<E: Engine>(engine: &E, job: &Job) -> Result<(PreparedPrompts, u32), EngineError> {
    match &job.spec.prompts {
        _ if !job.spec.prompt_lines.is_empty() => tokenized(engine, Own::Lines(&job.spec.prompt_lines), job).await,
        Prompts::Synthetic { synthetic } => seeded(synthetic, engine.description(), job),
        Prompts::Texts(texts) => tokenized(engine, Own::Texts(texts), job).await,
        Prompts::Dataset(dataset) => {
            let texts = prompts::load(&dataset.dataset, dataset.count.map(|count| count as usize))
                .map_err(|error| EngineError::Tokenize(error.to_string()))?;
            tokenized(engine, Own::Texts(&texts), job).await
        }
    }
}

fn seeded(
    synthetic: &SyntheticPrompts,
    description: EngineDescription,
    job: &Job,
) -> Result<(PreparedPrompts, u32), EngineError> {
    let max_tokens = job.spec.max_input_tokens.unwrap_or(u32::MAX);
    let indices = job.spec.prompts_of_rank(job.rank, synthetic.count);
    let is_varied = synthetic.input_length.is_some() || synthetic.output_length.is_some();
    let mut truncated = 0;
    // Where all have the same length, one check is enough.
    let looked_at = if is_varied { indices.len() } else { 1 };
    for index in indices.clone().take(looked_at) {
        let tokens = synthetic.input_tokens_of(index);
        require_room(index, tokens.min(max_tokens) as usize, &job.spec, &description)?;
        truncated += u32::from(tokens > max_tokens);
    }
    if !is_varied {
        truncated *= u32::try_from(indices.len()).unwrap_or(u32::MAX);
    }
    let all = prompts::synthetic_token_ids(description.vocab_size, &description.special_token_ids, synthetic);
    let prompts = SeededPrompts {
        all,
        indices,
        kept_tokens: max_tokens as usize,
    };
    Ok((PreparedPrompts::Seeded(Box::new(prompts)), truncated))
}

/// Prompts with their own texts.
enum Own<'a> {
    Texts(&'a [String]),
    Lines(&'a [PromptLine]),
}

impl Own<'_> {
    fn count(&self) -> u32 {
        let count = match self {
            Self::Texts(texts) => texts.len(),
            Self::Lines(lines) => lines.len(),
        };
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    async fn tokens<E: Engine>(&self, engine: &E, index: u32, raw: bool) -> Result<Vec<u32>, EngineError> {
        let line = match self {
            Self::Texts(texts) => return engine.tokenize(&texts[index as usize], raw).await,
            Self::Lines(lines) => &lines[index as usize],
        };
        let tokens = match (&line.prompt, &line.messages) {
            (Some(text), _) => engine.tokenize(text, raw).await,
            (None, Some(messages)) => engine.tokenize_chat(messages).await,
            (None, None) => random_tokens(engine, index, line.input_length),
        };
        // A chat template may reject an order of roles: the message names the prompt.
        tokens.map_err(|error| match error {
            EngineError::Tokenize(message) => EngineError::Tokenize(format!("prompt {index}: {message}")),
            other => other,
        })
    }
}

/// Returns the random tokens of a replayed prompt with a known length only; the seed is its index in the file.
fn random_tokens<E: Engine>(engine: &E, index: u32, length: Option<u32>) -> Result<Vec<u32>, EngineError> {
    let none = || EngineError::Tokenize("it has neither text nor messages".to_owned());
    let description = engine.description();
    let asked = SyntheticPrompts {
        input_tokens: length.ok_or_else(none)?,
        count: 1,
        seed: index.into(),
        input_length: None,
        output_length: None,
        shared_prefix_tokens: None,
    };
    prompts::synthetic_token_ids(description.vocab_size, &description.special_token_ids, &asked)
        .next()
        .ok_or_else(none)
}

async fn tokenized<E: Engine>(engine: &E, own: Own<'_>, job: &Job) -> Result<(PreparedPrompts, u32), EngineError> {
    let spec = &job.spec;
    let description = engine.description();
    let mut truncated = 0;
    let mut prepared = Vec::new();
    for index in spec.prompts_of_rank(job.rank, own.count()) {
        let mut tokens = own.tokens(engine, index, spec.raw_prompt).await?;
        if let Some(most) = spec.max_input_tokens.filter(|most| tokens.len() > *most as usize) {
            let is_random = spec
                .prompt_lines
                .get(index as usize)
                .is_some_and(|line| line.input_length.is_some());
            let end = match spec.raw_prompt || is_random {
                false => template_end(&engine.tokenize(PROBE, false).await?, &tokens),
                true => 0,
            };
            tokens = cut(&tokens, most as usize, end).ok_or_else(|| {
                let wanted = "set max_input_tokens to more, or raw_prompt to true to omit the template";
                EngineError::Tokenize(format!(
                    "max_input_tokens is {most}, but the end of the chat template alone has {end} tokens; {wanted}"
                ))
            })?;
            truncated += 1;
        }
        require_room(index, tokens.len(), spec, &description)?;
        prepared.push(PreparedPrompt { index, tokens });
    }
    Ok((PreparedPrompts::Tokenized(prepared), truncated))
}

/// Returns an error for a prompt that is empty, or that leaves no room for its output in the model's context.
fn require_room(index: u32, tokens: usize, spec: &Spec, description: &EngineDescription) -> Result<(), EngineError> {
    let max_output_tokens = spec.max_output_tokens_of(index);
    let needed = tokens as u64 + u64::from(max_output_tokens);
    if tokens > 0 && needed <= u64::from(description.max_sequence_tokens) {
        return Ok(());
    }
    Err(EngineError::Tokenize(format!(
        "prompt {index} has {tokens} tokens; accepted is at least 1, and together with max_output_tokens \
         {max_output_tokens} at most the model's context of {} tokens; set max_input_tokens to cut prompts",
        description.max_sequence_tokens
    )))
}

/// Returns how the tokens after a prompt are chosen. Each prompt has its own stream of random numbers, the same in
/// every cycle and on any rank. `prompt` contains its tokens, where they are known.
pub fn sampling(spec: &Spec, prompt_index: u32, prompt: &[u32]) -> Sampling {
    let then = by_probability(spec, prompt_index);
    match spec.decoder.no_repeat_ngram_size {
        None => then,
        Some(size) => Sampling::NoRepeat {
            size,
            prompt: prompt.to_vec(),
            then: Box::new(then),
        },
    }
}

fn by_probability(spec: &Spec, prompt_index: u32) -> Sampling {
    let decoder = &spec.decoder;
    let repetition_penalty = decoder.repetition_penalty;
    if !decoder.do_sample {
        return Sampling::Greedy { repetition_penalty };
    }
    Sampling::Random {
        temperature: decoder.temperature,
        top_k: decoder.top_k,
        top_p: decoder.top_p,
        min_p: decoder.min_p,
        repetition_penalty,
        // An odd constant spreads neighbouring indices over the seeds (Steele et al., SplitMix, 2014).
        seed: decoder.seed.unwrap_or(0) ^ u64::from(prompt_index).wrapping_mul(0x9E37_79B9_7F4A_7C15),
    }
}
