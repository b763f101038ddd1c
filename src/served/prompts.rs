//! Prepares the prompts of an experiment for a server.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::time::Duration;

use joulemark_experiment::{ChatMessage, ChatRole, PromptLine, Prompts, SyntheticPrompts};
use joulemark_openai::{Client, Prompt, unique_prefix};
use joulemark_worker::inference::{EngineError, prompts};
use joulemark_worker::protocol::Job;

/// Timeout of tokenizing a text on the server.
const TOKENIZE_TIMEOUT: Duration = Duration::from_secs(60);

/// The prompts of an experiment in the form for a server.
#[derive(Debug)]
pub struct ServedPrompts {
    source: Source,
    indices: Vec<u32>,
    seed: u64,
    is_prefixed: bool,
}

#[derive(Debug)]
enum Source {
    Texts(Vec<Prompt>),
    /// Prompts of random tokens, each generated when it is sent.
    Synthetic {
        asked: SyntheticPrompts,
        /// Token ids to draw from.
        ids: Vec<u32>,
    },
}

impl ServedPrompts {
    /// Prepares the prompts of a job. With `is_prefixed`, each request's prompt gets unique words at its start.
    ///
    /// # Errors
    /// Returns [`EngineError::Tokenize`] for an unknown dataset, and for random tokens when the server has no
    /// `/tokenize`.
    pub async fn prepare(job: &Job, is_prefixed: bool, (client, model): (&Client, &str)) -> Result<Self, EngineError> {
        let (source, count) = match &job.spec.prompts {
            Prompts::Synthetic { synthetic } if job.spec.prompt_lines.is_empty() => {
                let ids = known_ids(client, model).await?;
                let asked = synthetic.clone();
                (Source::Synthetic { asked, ids }, synthetic.count)
            }
            _ => {
                let texts = texts(job)?;
                let count = u32::try_from(texts.len()).unwrap_or(u32::MAX);
                (Source::Texts(texts), count)
            }
        };
        Ok(Self {
            source,
            indices: job.spec.prompts_of_rank(job.rank, count).collect(),
            seed: job.spec.decoder.seed.unwrap_or(0),
            is_prefixed,
        })
    }

    /// Returns the indices of the prompts that this rank runs.
    pub fn indices(&self) -> impl Iterator<Item = u32> + Send + '_ {
        self.indices.iter().copied()
    }

    /// Returns the number of tokens of a random prompt; `None` for a text.
    pub fn tokens_of(&self, index: u32) -> Option<u32> {
        match &self.source {
            Source::Texts(_) => None,
            Source::Synthetic { asked, .. } => Some(asked.input_tokens_of(index)),
        }
    }

    /// Returns the prompt with this index for the request with this number.
    pub fn prompt(&self, index: u32, number: u64) -> Prompt {
        match &self.source {
            Source::Texts(texts) if self.is_prefixed => {
                prefixed(texts[index as usize].clone(), &unique_prefix(self.seed, number))
            }
            Source::Texts(texts) => texts[index as usize].clone(),
            Source::Synthetic { asked, ids } => {
                let mut prompt = prompts::synthetic_prompt(ids, asked, index);
                if self.is_prefixed {
                    prompts::make_unique(&mut prompt, ids, asked.seed, number);
                }
                Prompt::Tokens(prompt)
            }
        }
    }
}

/// Returns the ids of all tokens in a built-in dataset. None of them ends a prompt or changes its meaning.
async fn known_ids(client: &Client, model: &str) -> Result<Vec<u32>, EngineError> {
    const SET: &str = "mixed-512";
    const PROMPTS_AT_ONCE: usize = 64;
    let failed = |why: &dyn Display| {
        EngineError::Tokenize(format!(
            "prompts.synthetic needs the server's tokens, and /tokenize failed: {why}; accepted with this server are texts, \
             a dataset or lines"
        ))
    };
    let texts = prompts::load(SET, None).map_err(|error| EngineError::Tokenize(error.to_string()))?;
    let mut ids = BTreeSet::new();
    for some in texts.chunks(PROMPTS_AT_ONCE) {
        let some = joulemark_openai::tokenize(client, model, &some.join("\n"), TOKENIZE_TIMEOUT).await;
        ids.extend(some.map_err(|failure| failed(&failure))?);
    }
    match ids.is_empty() {
        true => Err(failed(&"it has no tokens")),
        false => Ok(ids.into_iter().collect()),
    }
}

fn texts(job: &Job) -> Result<Vec<Prompt>, EngineError> {
    let (spec, raw) = (&job.spec, job.spec.raw_prompt);
    let as_prompt = |text: &str| match raw {
        true => Prompt::Text(text.to_owned()),
        false => Prompt::user(text),
    };
    let texts = match &spec.prompts {
        _ if !spec.prompt_lines.is_empty() => {
            let line = |line: &PromptLine| of_line(line, as_prompt);
            spec.prompt_lines.iter().map(line).collect::<Result<Vec<_>, _>>()?
        }
        Prompts::Texts(texts) => texts.iter().map(|text| as_prompt(text)).collect(),
        Prompts::Dataset(dataset) => {
            let texts = prompts::load(&dataset.dataset, dataset.count.map(|count| count as usize));
            let texts = texts.map_err(|error| EngineError::Tokenize(error.to_string()))?;
            texts.iter().map(|text| as_prompt(text)).collect()
        }
        Prompts::Synthetic { .. } => Vec::new(),
    };
    Ok(texts)
}

fn of_line(line: &PromptLine, as_prompt: impl Fn(&str) -> Prompt) -> Result<Prompt, EngineError> {
    match (&line.prompt, &line.messages) {
        (Some(text), _) => Ok(as_prompt(text)),
        (None, Some(messages)) => Ok(Prompt::Chat(messages.iter().map(message).collect())),
        (None, None) => Err(EngineError::Tokenize("a line has neither text nor messages".to_owned())),
    }
}

fn message(message: &ChatMessage) -> (String, String) {
    let role = match message.role {
        ChatRole::System => "system",
        ChatRole::User => "user",
        ChatRole::Assistant => "assistant",
    };
    (role.to_owned(), message.content.clone())
}

fn prefixed(prompt: Prompt, prefix: &str) -> Prompt {
    match prompt {
        Prompt::Chat(mut messages) => {
            if let Some((_, content)) = messages.first_mut() {
                content.insert_str(0, prefix);
            }
            Prompt::Chat(messages)
        }
        Prompt::Text(text) => Prompt::Text(format!("{prefix}{text}")),
        tokens @ Prompt::Tokens(_) => tokens,
    }
}
