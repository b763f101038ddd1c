use super::cut::{PROBE, cut, template_end};
use super::protocol::Job;
use crate::inference::{Engine, EngineError, Sampling, prompts};
use joulemark_experiment::{PromptLine, Prompts, Spec};

/// A prompt as it goes to the model.
#[derive(Clone, Debug)]
pub struct PreparedPrompt {
    pub index: u32,
    pub tokens: Vec<u32>,
}

/// Returns this rank's prompts as tokens, and how many of them were cut to `max_input_tokens`. A chat template's end stays.
///
/// # Errors
/// When a prompt cannot be tokenized, when its template alone is longer than it may be, or when it leaves no room for its
/// output in the model's context.
pub async fn prepare<E: Engine>(engine: &E, job: &Job) -> Result<(Vec<PreparedPrompt>, u32), EngineError> {
    let spec = &job.spec;
    let description = engine.description();
    let all = match &spec.prompts {
        _ if !spec.prompt_lines.is_empty() => tokenize_lines(engine, &spec.prompt_lines, spec.raw_prompt).await?,
        Prompts::Synthetic { synthetic } => prompts::synthetic_token_ids(
            description.vocab_size,
            &description.special_token_ids,
            synthetic.input_tokens as usize,
            synthetic.count as usize,
            synthetic.seed,
        ),
        Prompts::Texts(texts) => tokenize(engine, texts, spec.raw_prompt).await?,
        Prompts::Dataset(dataset) => {
            let texts = prompts::load(&dataset.dataset, dataset.count.map(|count| count as usize))
                .map_err(|error| EngineError::Tokenize(error.to_string()))?;
            tokenize(engine, &texts, spec.raw_prompt).await?
        }
    };
    let is_templated = !spec.raw_prompt && !matches!(spec.prompts, Prompts::Synthetic { .. });
    let mut truncated = 0;
    let mut prepared = Vec::new();
    for index in spec.prompts_of_rank(job.rank, all.len() as u32) {
        let mut tokens = all[index as usize].clone();
        if let Some(most) = spec.max_input_tokens.filter(|most| tokens.len() > *most as usize) {
            let end = match is_templated {
                true => template_end(&engine.tokenize(PROBE, false).await?, &tokens),
                false => 0,
            };
            tokens = cut(&tokens, most as usize, end).ok_or_else(|| {
                let wanted = "set max_input_tokens to more, or raw_prompt to leave the template out";
                EngineError::Tokenize(format!(
                    "max_input_tokens is {most}, and the chat template alone ends with {end} tokens; {wanted}"
                ))
            })?;
            truncated += 1;
        }
        let max_output_tokens = spec.max_output_tokens_of(index);
        let needed = tokens.len() as u64 + u64::from(max_output_tokens);
        if tokens.is_empty() || needed > u64::from(description.max_sequence_tokens) {
            return Err(EngineError::Tokenize(format!(
                "prompt {index} has {} tokens; with max_output_tokens {max_output_tokens} the model's context is {} tokens; \
                 set max_input_tokens to cut prompts",
                tokens.len(),
                description.max_sequence_tokens
            )));
        }
        prepared.push(PreparedPrompt { index, tokens });
    }
    Ok((prepared, truncated))
}

async fn tokenize<E: Engine>(engine: &E, texts: &[String], raw: bool) -> Result<Vec<Vec<u32>>, EngineError> {
    let mut all = Vec::with_capacity(texts.len());
    for text in texts {
        all.push(engine.tokenize(text, raw).await?);
    }
    Ok(all)
}

async fn tokenize_lines<E: Engine>(engine: &E, lines: &[PromptLine], raw: bool) -> Result<Vec<Vec<u32>>, EngineError> {
    let mut all = Vec::with_capacity(lines.len());
    for (index, line) in lines.iter().enumerate() {
        let tokens = match (&line.prompt, &line.messages) {
            (Some(text), _) => engine.tokenize(text, raw).await,
            (None, Some(messages)) => engine.tokenize_chat(messages).await,
            (None, None) => Err(EngineError::Tokenize("it has neither text nor messages".to_owned())),
        };
        // A chat template may refuse an order of roles: whose it is must be known to mend it.
        let named = |error| match error {
            EngineError::Tokenize(message) => EngineError::Tokenize(format!("prompt {index}: {message}")),
            other => other,
        };
        all.push(tokens.map_err(named)?);
    }
    Ok(all)
}

/// The prompt's own stream of random numbers, the same in every cycle and whichever rank runs it.
pub fn sampling(spec: &Spec, prompt_index: u32) -> Sampling {
    let decoder = &spec.decoder;
    let repetition_penalty = decoder.repetition_penalty;
    if !decoder.do_sample {
        return Sampling::Greedy { repetition_penalty };
    }
    Sampling::Random {
        temperature: decoder.temperature,
        top_k: decoder.top_k,
        top_p: decoder.top_p,
        repetition_penalty,
        // An odd constant spreads neighbouring indices over the seeds (Steele et al., SplitMix, 2014).
        seed: decoder.seed.unwrap_or(0) ^ u64::from(prompt_index).wrapping_mul(0x9E37_79B9_7F4A_7C15),
    }
}
