//! The bytes of an answer in each dialect.

use serde_json::{Value, json};

use super::made_up::{Dialect, Plan, Speaker};
use crate::openai_emitter::steps::{Step, chunked, chunked_end, chunked_head, chunked_tokens, page};

const WORDS: [&str; 7] = [" the", " sea", " is", " wide", " and", " füll", " 🙂"];

/// The format of one answer.
pub(super) struct Wire<'a> {
    speaker: &'a Speaker,
    is_chat: bool,
    is_streamed: bool,
    has_usage: bool,
    counts_in_chunks: bool,
}

impl<'a> Wire<'a> {
    pub(super) fn new(speaker: &'a Speaker, body: &Value, is_chat: bool) -> Self {
        let honours = speaker.honours;
        let options = &body["stream_options"];
        let asked_for = match speaker.dialect {
            Dialect::LlamaCpp => &body["timings_per_token"],
            _ => &options["continuous_usage_stats"],
        };
        Self {
            speaker,
            is_chat,
            is_streamed: honours.streaming && body["stream"] == true,
            has_usage: honours.usage && options["include_usage"] == true,
            counts_in_chunks: honours.counts_in_chunks && *asked_for == true,
        }
    }

    pub(super) fn answer(&self, plan: &Plan) -> Vec<Step> {
        match self.is_streamed {
            true => self.stream(plan),
            false => self.whole(plan),
        }
    }

    fn whole(&self, plan: &Plan) -> Vec<Step> {
        let text: String = (0..plan.tokens).map(|token| word(plan, token)).collect();
        let reason = finish_reason(plan);
        let choice = match self.is_chat {
            true => json!({"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": reason}),
            false => json!({"index": 0, "text": text, "finish_reason": reason}),
        };
        let mut object = json!({"object": "chat.completion", "choices": [choice]});
        if self.speaker.honours.usage {
            object["usage"] = self.usage(plan, plan.tokens);
        }
        let mut steps = vec![Step::Pause(self.speaker.before_first)];
        let answer = page("200 OK", &object.to_string()).into_iter();
        steps.extend(answer.map(|step| match step {
            Step::Write(bytes) => Step::Tokens(bytes, plan.tokens),
            other => other,
        }));
        steps
    }

    fn stream(&self, plan: &Plan) -> Vec<Step> {
        let speaker = self.speaker;
        let mut steps = vec![Step::Pause(speaker.before_first), chunked_head()];
        if self.is_chat && matches!(speaker.dialect, Dialect::Vllm | Dialect::Sglang | Dialect::LlamaCpp) {
            let content = if speaker.dialect == Dialect::LlamaCpp {
                Value::Null
            } else {
                json!("")
            };
            let choice = json!({"index": 0, "delta": {"role": "assistant", "content": content}, "finish_reason": null});
            steps.push(chunked(self.event(plan, choice, 0)));
        }
        let mut written = 0;
        while written < plan.tokens {
            if written > 0 {
                steps.push(Step::Pause(speaker.between));
            }
            if speaker.dialect == Dialect::Tgi {
                steps.push(chunked(":\n\n"));
            }
            let count = speaker.tokens_a_chunk.min(plan.tokens - written);
            let is_reasoning = written < speaker.reasoning_tokens;
            let text: String = (written..written + count).map(|token| word(plan, token)).collect();
            written += count;
            // TGI's last token carries the finish reason; other servers send it in a separate chunk.
            let ends = speaker.dialect == Dialect::Tgi && written == plan.tokens;
            let reason = if ends { json!(finish_reason(plan)) } else { Value::Null };
            let choice = self.choice(&text, is_reasoning, &reason);
            steps.push(chunked_tokens(self.event(plan, choice, written), count));
        }
        steps.extend(self.ending(plan).into_iter().map(chunked));
        steps.push(chunked_end());
        steps
    }

    fn choice(&self, text: &str, is_reasoning: bool, reason: &Value) -> Value {
        if !self.is_chat {
            return json!({"index": 0, "text": text, "finish_reason": reason});
        }
        let delta = match (self.speaker.dialect, is_reasoning) {
            (Dialect::Vllm, true) => json!({"reasoning": text, "reasoning_content": text}),
            (Dialect::Ollama, true) => json!({"role": "assistant", "content": "", "reasoning": text}),
            (_, true) => json!({"content": null, "reasoning_content": text}),
            (Dialect::Sglang, false) => {
                json!({"role": null, "content": text, "reasoning_content": null, "tool_calls": null})
            }
            (Dialect::Tgi | Dialect::Ollama, false) => json!({"role": "assistant", "content": text}),
            (_, false) => json!({"content": text}),
        };
        json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": reason})
    }

    /// Returns the events after the last token.
    fn ending(&self, plan: &Plan) -> Vec<String> {
        let reason = json!(finish_reason(plan));
        let dialect = self.speaker.dialect;
        let mut events = Vec::new();
        if dialect != Dialect::Tgi {
            let choice = match (self.is_chat, dialect) {
                (true, Dialect::LlamaCpp) => json!({"index": 0, "delta": {}, "finish_reason": reason}),
                _ => self.choice("", false, &reason),
            };
            let mut end = self.object(plan, choice, plan.tokens);
            if dialect == Dialect::LlamaCpp {
                end["timings"] = self.timings(plan, plan.tokens);
            }
            events.push(self.framed(&end));
        }
        if self.has_usage {
            let usage =
                json!({"object": "chat.completion.chunk", "choices": [], "usage": self.usage(plan, plan.tokens)});
            events.push(self.framed(&usage));
        }
        events.push(match dialect {
            Dialect::Tgi => "data:[DONE]\n\n".to_owned(),
            _ => "data: [DONE]\n\n".to_owned(),
        });
        events
    }

    fn event(&self, plan: &Plan, choice: Value, tokens: u32) -> String {
        self.framed(&self.object(plan, choice, tokens))
    }

    fn object(&self, plan: &Plan, choice: Value, tokens: u32) -> Value {
        let mut object = json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "tiny",
            "choices": [choice]});
        match self.speaker.dialect {
            Dialect::LlamaCpp if self.counts_in_chunks && tokens > 0 => object["timings"] = self.timings(plan, tokens),
            Dialect::LlamaCpp => {}
            _ if self.counts_in_chunks => object["usage"] = self.usage(plan, tokens),
            _ => object["usage"] = Value::Null,
        }
        object
    }

    fn usage(&self, plan: &Plan, tokens: u32) -> Value {
        let mut usage = json!({"prompt_tokens": plan.input, "completion_tokens": tokens,
            "total_tokens": plan.input + tokens});
        if self.speaker.honours.cached_tokens {
            usage["prompt_tokens_details"] = json!({"cached_tokens": plan.cached});
        }
        usage
    }

    fn timings(&self, plan: &Plan, tokens: u32) -> Value {
        let between_ms = self.speaker.between.as_secs_f64() * 1000.0;
        json!({"cache_n": plan.cached, "prompt_n": plan.input - plan.cached,
            "prompt_ms": self.speaker.before_first.as_secs_f64() * 1000.0,
            "predicted_n": tokens, "predicted_ms": between_ms * f64::from(tokens)})
    }

    fn framed(&self, object: &Value) -> String {
        match self.speaker.dialect {
            Dialect::Tgi => format!("data:{object}\n\n"),
            _ => format!("data: {object}\n\n"),
        }
    }
}

fn finish_reason(plan: &Plan) -> &'static str {
    if plan.ends_by_itself { "stop" } else { "length" }
}

fn word(plan: &Plan, token: u32) -> &'static str {
    WORDS[((plan.seed * 3 + u64::from(token)) % WORDS.len() as u64) as usize]
}
