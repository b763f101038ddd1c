use joulemark_experiment::{ChatMessage, ChatRole, PromptLine, Prompts};
use joulemark_openai::{Prompt, unique_prefix};
use joulemark_worker::inference::{EngineError, prompts};
use joulemark_worker::protocol::Job;

/// The prompts of an experiment as a server takes them: as text.
#[derive(Debug)]
pub struct ServedPrompts {
    texts: Vec<Prompt>,
    indices: Vec<u32>,
    seed: u64,
    is_prefixed: bool,
}

impl ServedPrompts {
    /// Reads the prompts of a job. With `is_prefixed` each is to begin with words of its own.
    ///
    /// # Errors
    /// [`EngineError::Tokenize`] for random tokens, which a server does not take, and for a data set that is not known.
    pub fn prepare(job: &Job, is_prefixed: bool) -> Result<Self, EngineError> {
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
            Prompts::Synthetic { .. } => {
                let no_tokens = "prompts.synthetic are random tokens, and a server takes text";
                return Err(EngineError::Tokenize(no_tokens.to_owned()));
            }
        };
        let count = u32::try_from(texts.len()).unwrap_or(u32::MAX);
        Ok(Self {
            texts,
            indices: spec.prompts_of_rank(job.rank, count).collect(),
            seed: spec.decoder.seed.unwrap_or(0),
            is_prefixed,
        })
    }

    /// Returns the indices of the prompts that the rank runs.
    pub fn indices(&self) -> impl Iterator<Item = u32> + Send + '_ {
        self.indices.iter().copied()
    }

    /// Returns the prompt of an index, as the request of a number has it.
    pub fn prompt(&self, index: u32, number: u64) -> Prompt {
        let prompt = self.texts[index as usize].clone();
        match self.is_prefixed {
            true => prefixed(prompt, &unique_prefix(self.seed, number)),
            false => prompt,
        }
    }
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
