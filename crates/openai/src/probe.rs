use std::time::Duration;

use joulemark_measurement::CapabilityCard;
use serde_json::Value;
use thiserror::Error;

use crate::answer::Answer;
use crate::client::Client;
use crate::failure::{Failure, FailureReason};
use crate::request::{Extras, Prompt, Request, Sampling};
use crate::server_metrics::server_metrics;
use crate::server_name::server_name;

/// Number of tokens of the answers that show what a server honours: more than a model needs for one word.
const ANSWER_TOKENS: u32 = 48;
/// A prompt that a model answers with one word, so that a longer answer shows that the end of the sequence was ignored.
const SHORT_ANSWER: &str = "Answer with one word: is water wet?";
/// Number of tokens of an answer that only shows whether a request is accepted.
const SHORT_TOKENS: u32 = 2;
/// Length of a prompt that is long enough for caches with blocks of up to 64 tokens.
const LONG_PROMPT_WORDS: usize = 200;

/// The reason why a server cannot be probed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ProbeError {
    #[error("/v1/models: {0}")]
    Models(Failure),
    #[error("it serves no model")]
    NoModel,
    #[error("it does not serve {asked}; it serves {}", served.join(", "))]
    OtherModel { asked: String, served: Vec<String> },
    #[error("a request of {tokens} tokens: {failure}")]
    Request { tokens: u32, failure: Failure },
}

/// Probes which extensions a server honours, with about ten requests of up to 48 tokens.
///
/// # Errors
/// Returns a [`ProbeError`] where the server does not serve `model`, or where a request fails for another reason than a
/// rejected field.
pub async fn probe(client: &Client, model: Option<&str>, timeout: Duration) -> Result<CapabilityCard, ProbeError> {
    let models = served_models(client, timeout).await?;
    let model = match model {
        None => models.first().cloned().ok_or(ProbeError::NoModel)?,
        Some(model) if models.iter().any(|served| served == model) => model.to_owned(),
        Some(model) => {
            return Err(ProbeError::OtherModel {
                asked: model.to_owned(),
                served: models,
            });
        }
    };
    let (server, server_version) = server_name(client, timeout).await;
    let mut asker = Asker {
        client,
        model,
        chat: true,
        accepted: Extras::default(),
        timeout,
    };
    let (first, refuses) = asker.find_accepted().await?;
    let failed = |failure| ProbeError::Request {
        tokens: ANSWER_TOKENS,
        failure,
    };
    let natural = asker
        .ask(SHORT_ANSWER, Sampling::default(), |_| ())
        .await
        .map_err(failed)?;
    let natural = natural.and_then(|answer| answer.output_tokens);
    let min_tokens = |extras: &mut Extras| extras.min_tokens = Some(ANSWER_TOKENS);
    Ok(CapabilityCard {
        models,
        server,
        server_version,
        chat: asker.chat,
        streams: first.is_streamed,
        usage: first.output_tokens.is_some() && first.input_tokens.is_some(),
        counts_in_chunks: !first.chunks.is_empty() && first.chunks.iter().all(|chunk| chunk.tokens.is_some()),
        ignore_eos: asker
            .goes_on(natural, |extras| extras.ignore_eos = true)
            .await
            .map_err(failed)?,
        min_tokens: asker.goes_on(natural, min_tokens).await.map_err(failed)?,
        seed_reproduces: asker.seed_reproduces().await.map_err(failed)?,
        caches_prompts: asker.caches_prompts().await.map_err(failed)?,
        refuses,
    })
}

/// Returns the names under which a server serves models.
///
/// # Errors
/// Returns [`ProbeError::Models`] where the server does not list them.
pub async fn served_models(client: &Client, timeout: Duration) -> Result<Vec<String>, ProbeError> {
    let (status, _, text) = client.page("/v1/models", timeout).await.map_err(ProbeError::Models)?;
    if !status.is_success() {
        return Err(ProbeError::Models(Failure::new(
            FailureReason::Status,
            status.as_u16().to_string(),
        )));
    }
    let page: Value = serde_json::from_str(&text)
        .map_err(|_| ProbeError::Models(Failure::unreadable("its list of models is not JSON")))?;
    let listed = page.get("data").and_then(Value::as_array);
    let listed = listed.ok_or_else(|| ProbeError::Models(Failure::unreadable("its list of models has no `data`")))?;
    let ids = listed.iter().filter_map(|model| model.get("id")?.as_str());
    Ok(ids.map(str::to_owned).collect())
}

/// Name of an extension, and the function that requests it.
type Extra = (&'static str, fn(&mut Extras));

/// Extensions that are requested one by one where a server rejects all together.
const EXTRAS: [Extra; 4] = [
    ("ignore_eos", |extras| extras.ignore_eos = true),
    ("min_tokens", |extras| extras.min_tokens = Some(SHORT_TOKENS)),
    ("counts_in_chunks", |extras| extras.counts_in_chunks = true),
    ("no_prompt_cache", |extras| extras.no_prompt_cache = true),
];

/// A series of probing requests to one server.
struct Asker<'a> {
    client: &'a Client,
    model: String,
    chat: bool,
    /// Extensions that the server accepts; a request may use some of them.
    accepted: Extras,
    timeout: Duration,
}

impl Asker<'_> {
    /// Determines what the server accepts: it may reject requests with an unknown extension, or all chats. Returns the
    /// last answer and the names of the rejected extensions.
    async fn find_accepted(&mut self) -> Result<(Answer, Vec<String>), ProbeError> {
        let failed = |failure| ProbeError::Request {
            tokens: SHORT_TOKENS,
            failure,
        };
        let mut all = Extras::default();
        EXTRAS.iter().for_each(|(_, add)| add(&mut all));
        match self.ask_shortly(all).await {
            Ok(answer) => {
                self.accepted = all;
                return Ok((answer, Vec::new()));
            }
            Err(failure) if failure.reason != FailureReason::Status => return Err(failed(failure)),
            Err(_) => {}
        }
        let mut answer = match self.ask_shortly(Extras::default()).await {
            Err(of_chat) if of_chat.reason == FailureReason::Status => {
                self.chat = false;
                let plain = self.ask_shortly(Extras::default()).await;
                // The error of the chat is the one that a user can do something about.
                plain.map_err(|_| failed(of_chat))?
            }
            asked => asked.map_err(failed)?,
        };
        let mut refuses = Vec::new();
        for (name, add) in EXTRAS {
            let mut with = self.accepted;
            add(&mut with);
            match self.ask_shortly(with).await {
                Ok(later) => (self.accepted, answer) = (with, later),
                Err(failure) if failure.reason == FailureReason::Status => refuses.push(name.to_owned()),
                Err(failure) => return Err(failed(failure)),
            }
        }
        Ok((answer, refuses))
    }

    async fn ask_shortly(&self, extras: Extras) -> Result<Answer, Failure> {
        let request = Request {
            model: self.model.clone(),
            prompt: self.prompt(SHORT_ANSWER),
            max_tokens: SHORT_TOKENS,
            sampling: Sampling::default(),
            extras,
        };
        self.client.ask(&request, self.timeout, |_| ()).await
    }

    fn prompt(&self, text: &str) -> Prompt {
        match self.chat {
            true => Prompt::user(text),
            false => Prompt::Text(text.to_owned()),
        }
    }

    /// Asks for a longer answer; returns `None` where the server rejects the request.
    async fn ask(
        &self,
        prompt: &str,
        sampling: Sampling,
        add: impl FnOnce(&mut Extras),
    ) -> Result<Option<Answer>, Failure> {
        let mut extras = Extras {
            ignore_eos: false,
            min_tokens: None,
            ..self.accepted
        };
        add(&mut extras);
        let request = Request {
            model: self.model.clone(),
            prompt: self.prompt(prompt),
            max_tokens: ANSWER_TOKENS,
            sampling,
            extras,
        };
        match self.client.ask(&request, self.timeout, |_| ()).await {
            Ok(answer) => Ok(Some(answer)),
            Err(failure) if failure.reason == FailureReason::Status => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Returns whether an answer that normally ends after `natural` tokens continues when this is requested; `None`
    /// where it does not end before the limit anyway.
    async fn goes_on(&self, natural: Option<u32>, add: impl FnOnce(&mut Extras)) -> Result<Option<bool>, Failure> {
        if natural.is_none_or(|tokens| tokens >= ANSWER_TOKENS) {
            return Ok(None);
        }
        let longer = self.ask(SHORT_ANSWER, Sampling::default(), add).await?;
        let tokens = longer.and_then(|answer| answer.output_tokens);
        Ok(tokens.map(|tokens| tokens == ANSWER_TOKENS))
    }

    async fn seed_reproduces(&self) -> Result<Option<bool>, Failure> {
        let mut texts = Vec::new();
        for seed in [1, 1, 2] {
            let sampling = Sampling {
                temperature: 1.0,
                seed: Some(seed),
                ..Sampling::default()
            };
            let answer = self.ask("Write a line about the sea.", sampling, |_| ()).await?;
            texts.extend(answer.map(|answer| answer.output_text_sha256));
        }
        // Equal texts for different seeds prove nothing.
        Ok(match texts.as_slice() {
            [first, again, other] if first != again || again != other => Some(first == again),
            _ => None,
        })
    }

    /// Returns whether a repeated prompt is taken from a cache, by the count in the answer or else by the server's
    /// metrics; `None` where neither shows it.
    async fn caches_prompts(&self) -> Result<Option<bool>, Failure> {
        let prompt = vec!["water"; LONG_PROMPT_WORDS].join(" ");
        let hits = async || server_metrics(self.client, self.timeout).await.ok()?.prefix_cache_hits;
        self.ask(&prompt, Sampling::default(), |_| ()).await?;
        let before = hits().await;
        let Some(again) = self.ask(&prompt, Sampling::default(), |_| ()).await? else {
            return Ok(None);
        };
        if let Some(cached) = again.cached_tokens {
            return Ok(Some(cached > 0));
        }
        Ok(hits().await.zip(before).map(|(after, before)| after > before))
    }
}
