use std::hash::{BuildHasher, RandomState};

use serde_json::{Map, Value, json};

/// The prompt of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prompt {
    /// A chat for the model's chat template, as `messages` of `/v1/chat/completions`: pairs of role and content.
    Chat(Vec<(String, String)>),
    /// A text that is sent unchanged to `/v1/completions`.
    Text(String),
    /// Token ids that are sent to `/v1/completions`.
    Tokens(Vec<u32>),
}

impl Prompt {
    /// Creates a chat with one message of the user.
    pub fn user(text: impl Into<String>) -> Self {
        Self::Chat(vec![("user".to_owned(), text.into())])
    }

    pub(crate) fn path(&self) -> &'static str {
        match self {
            Self::Chat(_) => "/v1/chat/completions",
            Self::Text(_) | Self::Tokens(_) => "/v1/completions",
        }
    }
}

/// Sampling parameters; fields that are `None` are not sent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sampling {
    /// Temperature; 0 chooses the most probable token.
    pub temperature: f64,
    pub top_k: Option<u32>,
    pub top_p: Option<f64>,
    /// An extension of OpenAI's API (vLLM, SGLang, llama.cpp, TGI).
    pub min_p: Option<f64>,
    pub repetition_penalty: Option<f64>,
    pub seed: Option<u64>,
}

/// Extensions of OpenAI's API. A server that does not know one of them ignores it or rejects the request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extras {
    /// Continue after the end of the sequence, up to `max_tokens` (vLLM, SGLang, llama.cpp).
    pub ignore_eos: bool,
    /// Minimum number of tokens before the end of the sequence (vLLM, SGLang).
    pub min_tokens: Option<u32>,
    /// Count tokens in every chunk (vLLM: `continuous_usage_stats`; llama.cpp: `timings_per_token`).
    pub counts_in_chunks: bool,
    /// Compute every token of the prompt, without a cache (llama.cpp: `cache_prompt`; vLLM and SGLang: a `cache_salt`
    /// that is different for every request).
    pub no_prompt_cache: bool,
}

/// One request to a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Name of the model, as in `/v1/models`.
    pub model: String,
    pub prompt: Prompt,
    pub max_tokens: u32,
    pub sampling: Sampling,
    pub extras: Extras,
}

impl Request {
    /// Returns the request's body.
    pub(crate) fn body(&self) -> Vec<u8> {
        let mut body = Map::new();
        let mut put = |key: &str, value: Value| {
            body.insert(key.to_owned(), value);
        };
        put("model", json!(self.model));
        match &self.prompt {
            Prompt::Chat(messages) => {
                let messages = messages
                    .iter()
                    .map(|(role, content)| json!({"role": role, "content": content}));
                put("messages", messages.collect());
            }
            Prompt::Text(text) => put("prompt", json!(text)),
            Prompt::Tokens(ids) => put("prompt", json!(ids)),
        }
        put("max_tokens", json!(self.max_tokens));
        put("temperature", json!(self.sampling.temperature));
        let optional = [
            ("top_k", self.sampling.top_k.map(Value::from)),
            ("top_p", self.sampling.top_p.map(Value::from)),
            ("min_p", self.sampling.min_p.map(Value::from)),
            ("repetition_penalty", self.sampling.repetition_penalty.map(Value::from)),
            // llama.cpp's name for it.
            ("repeat_penalty", self.sampling.repetition_penalty.map(Value::from)),
            ("seed", self.sampling.seed.map(Value::from)),
            ("ignore_eos", self.extras.ignore_eos.then(|| Value::from(true))),
            ("min_tokens", self.extras.min_tokens.map(Value::from)),
            (
                "timings_per_token",
                self.extras.counts_in_chunks.then(|| Value::from(true)),
            ),
            ("cache_prompt", self.extras.no_prompt_cache.then(|| Value::from(false))),
            ("cache_salt", self.extras.no_prompt_cache.then(|| Value::from(salt()))),
        ];
        for (key, value) in optional {
            if let Some(value) = value {
                put(key, value);
            }
        }
        put("stream", json!(true));
        let mut stream_options = json!({"include_usage": true});
        if self.extras.counts_in_chunks {
            stream_options["continuous_usage_stats"] = json!(true);
        }
        put("stream_options", stream_options);
        Value::Object(body).to_string().into_bytes()
    }
}

/// Returns a text that no other request of any process has. Unlike the prompt, it may differ when an experiment is
/// repeated, since the model does not see it.
fn salt() -> String {
    let word = || RandomState::new().hash_one("salt");
    format!("{:016x}{:016x}", word(), word())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(request: &Request) -> Value {
        serde_json::from_slice(&request.body()).expect("it is JSON")
    }

    #[test]
    fn only_fields_that_are_set_are_sent() {
        let mut request = Request {
            model: "m".to_owned(),
            prompt: Prompt::user("Hello"),
            max_tokens: 4,
            sampling: Sampling::default(),
            extras: Extras::default(),
        };
        let plain = json!({
            "model": "m", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 4, "temperature": 0.0,
            "stream": true, "stream_options": {"include_usage": true},
        });
        assert_eq!(body(&request), plain);
        request.prompt = Prompt::Tokens(vec![1, 2]);
        request.sampling.seed = Some(7);
        request.sampling.min_p = Some(0.5);
        request.extras = Extras {
            ignore_eos: true,
            min_tokens: Some(4),
            counts_in_chunks: true,
            no_prompt_cache: true,
        };
        let full = json!({
            "model": "m", "prompt": [1, 2], "max_tokens": 4, "temperature": 0.0, "min_p": 0.5, "seed": 7, "ignore_eos": true,
            "min_tokens": 4, "timings_per_token": true, "cache_prompt": false, "stream": true,
            "stream_options": {"include_usage": true, "continuous_usage_stats": true},
        });
        let mut bodies = [body(&request), body(&request)];
        let salts = bodies
            .each_mut()
            .map(|body| body.as_object_mut().and_then(|body| body.remove("cache_salt")));
        assert!(salts[0].is_some() && salts[0] != salts[1], "{salts:?}");
        assert_eq!(bodies[0], full);
    }
}
