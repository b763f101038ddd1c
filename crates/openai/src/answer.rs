use joulemark_measurement::clock::Monotonic;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::chunk::{self, Counts, ParsedObject};
use crate::connection::ReadTime;
use crate::event_stream::{Event, EventStream};
use crate::failure::{Failure, FailureReason};
use crate::server_timings::ServerTimings;

/// The data of the event that ends a stream in OpenAI's API.
const DONE: &str = "[DONE]";

/// Maximum size of an answer that is one JSON object, in bytes.
const MAX_OBJECT_BYTES: usize = 64 << 20;

/// The finish reason of an answer that ended at the request's token limit.
const LENGTH: &str = "length";

/// A part of a streamed answer that contained tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chunk {
    /// When its bytes were read from the socket.
    pub at: Monotonic,
    /// How long the last of these bytes had been in the socket; `None` where the kernel does not report arrival times.
    /// Chunks that are read together have the same time, although the earlier ones had been there longer.
    pub read_lag_sec: Option<f64>,
    /// Number of tokens in the chunk; `None` where the server only counts at the end. A chunk may hold any number of
    /// tokens.
    pub tokens: Option<u32>,
}

/// A complete answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// When the request was handed to the connection, which was already open.
    pub sent_at: Monotonic,
    /// When the first token of any kind was read; `None` where the server does not stream, or generated none.
    pub first_token_at: Option<Monotonic>,
    /// When the first token after the model's reasoning was read.
    pub first_answer_at: Option<Monotonic>,
    /// When the last token was read; `None` like `first_token_at`. If the model chose to end the answer, its
    /// end-of-sequence token is the last one: servers count it, though it has no text.
    pub last_token_at: Option<Monotonic>,
    /// When the last bytes of the answer were read.
    pub completed_at: Monotonic,
    /// Number of prompt tokens by the server's count, including the chat template.
    pub input_tokens: Option<u32>,
    /// Number of prompt tokens that were in the server's cache.
    pub cached_tokens: Option<u32>,
    /// Number of generated tokens by the server's count, including reasoning.
    pub output_tokens: Option<u32>,
    pub chunks: Vec<Chunk>,
    /// The server's own timings of the answer; `None` where it reports none.
    pub server_timings: Option<ServerTimings>,
    /// The finish reason that the server reports, or `unknown`.
    pub finish_reason: String,
    /// SHA-256 of reasoning and answer in the order in which they arrived, in hexadecimal.
    pub output_text_sha256: String,
    pub is_streamed: bool,
}

impl Answer {
    /// Returns the time to the first token (TTFT) of any kind, reasoning included, in seconds.
    pub fn ttft_sec(&self) -> Option<f64> {
        Some(self.first_token_at?.sec_since(self.sent_at))
    }

    /// Returns the time to the first token that is not of the model's reasoning, in seconds.
    pub fn time_to_first_answer_sec(&self) -> Option<f64> {
        Some(self.first_answer_at?.sec_since(self.sent_at))
    }

    /// Returns the mean time per output token (TPOT) after the first, in seconds: (last − first) / (tokens − 1).
    pub fn tpot_sec(&self) -> Option<f64> {
        let tokens = self.output_tokens.filter(|tokens| *tokens > 1)?;
        Some(self.last_token_at?.sec_since(self.first_token_at?) / f64::from(tokens - 1))
    }

    /// Returns whether every chunk held exactly one token and no chunk is missing, so that the time between chunks is
    /// the inter-token latency (ITL).
    pub fn is_one_token_a_chunk(&self) -> bool {
        let are_all = self.output_tokens == Some(self.chunks.len() as u32);
        are_all && !self.chunks.is_empty() && self.chunks.iter().all(|chunk| chunk.tokens == Some(1))
    }
}

/// The end of the bytes of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// At the end that the server announced: the content length, the last HTTP chunk or the mark of the stream.
    Told,
    /// With the connection, for an answer that does not announce its end.
    Closed,
    /// Before the announced end, or with an error of the connection.
    Broken,
}

/// An answer that is assembled while it is read.
pub(crate) struct Reading {
    sent_at: Monotonic,
    read: ReadTime,
    form: Form,
    first_token_at: Option<Monotonic>,
    first_answer_at: Option<Monotonic>,
    last_token_at: Option<Monotonic>,
    counts: Counts,
    /// Number of tokens in earlier chunks, by the server's running count.
    counted: u32,
    /// Whether every chunk so far had a count.
    is_counted: bool,
    chunks: Vec<Chunk>,
    server_timings: Option<ServerTimings>,
    finish_reason: Option<String>,
    text: Sha256,
    is_done: bool,
}

enum Form {
    Stream(EventStream),
    /// The answer of a server that does not stream, as one JSON object.
    Object(Vec<u8>),
}

impl Reading {
    pub(crate) fn new(sent_at: Monotonic, is_streamed: bool) -> Self {
        Self {
            sent_at,
            read: ReadTime { at: sent_at, lag: None },
            form: match is_streamed {
                true => Form::Stream(EventStream::default()),
                false => Form::Object(Vec::new()),
            },
            first_token_at: None,
            first_answer_at: None,
            last_token_at: None,
            counts: Counts::default(),
            counted: 0,
            is_counted: true,
            chunks: Vec::new(),
            server_timings: None,
            finish_reason: None,
            text: Sha256::new(),
            is_done: false,
        }
    }

    /// Returns whether the stream has ended.
    pub(crate) fn is_done(&self) -> bool {
        self.is_done
    }

    /// Returns the number of tokens so far by the server's count, or else the number of chunks; for progress.
    pub(crate) fn tokens_so_far(&self) -> u32 {
        self.counts.output.unwrap_or(self.chunks.len() as u32)
    }

    /// Processes bytes that were read at one time.
    ///
    /// # Errors
    /// Returns the error that the server reports, or a failure for bytes that cannot be read.
    pub(crate) fn feed(&mut self, bytes: &[u8], read: ReadTime) -> Result<(), Failure> {
        self.read = read;
        let mut events = Vec::new();
        match &mut self.form {
            Form::Object(object) => {
                if object.len() + bytes.len() > MAX_OBJECT_BYTES {
                    return Err(Failure::unreadable("the answer is larger than 64 MiB"));
                }
                object.extend_from_slice(bytes);
            }
            Form::Stream(stream) => {
                let fed = stream.feed(bytes, &mut events);
                fed.map_err(|error| Failure::unreadable(error.to_string()))?;
            }
        }
        events.into_iter().try_for_each(|event| self.take_event(event))
    }

    /// Completes the answer.
    ///
    /// # Errors
    /// Returns [`FailureReason::EndedEarly`] where a part of the answer is missing or may be missing: an answer that
    /// ends with its connection needs a finish reason or the mark of the stream.
    pub(crate) fn finish(mut self, end: End) -> Result<Answer, Failure> {
        let mut events = Vec::new();
        match &mut self.form {
            Form::Stream(stream) => {
                let ended = stream.finish(&mut events);
                ended.map_err(|error| Failure::unreadable(error.to_string()))?;
            }
            Form::Object(_) if end == End::Broken => {
                return Err(Failure::new(FailureReason::EndedEarly, "within the JSON object"));
            }
            Form::Object(object) => {
                let object = std::mem::take(object);
                let object = str::from_utf8(&object).map_err(|_| Failure::unreadable("the answer is not UTF-8"))?;
                self.take_whole(chunk::read(object)?);
            }
        }
        events.into_iter().try_for_each(|event| self.take_event(event))?;
        let is_whole = match end {
            End::Told => true,
            End::Closed => self.is_done || self.finish_reason.is_some(),
            End::Broken => self.is_done,
        };
        if !is_whole {
            let received = format!("after {} chunks with tokens", self.chunks.len());
            return Err(Failure::new(FailureReason::EndedEarly, received));
        }
        Ok(self.into_answer())
    }

    fn take_event(&mut self, event: Event) -> Result<(), Failure> {
        if event.data.trim() == DONE {
            self.is_done = true;
            return Ok(());
        }
        if event.name.as_deref() == Some("error") {
            let words = serde_json::from_str::<Value>(&event.data).unwrap_or(Value::String(event.data));
            let error = words.get("error").unwrap_or(&words);
            return Err(Failure::new(FailureReason::ErrorEvent, chunk::error_text(error)));
        }
        // Some servers keep the connection alive with events without data.
        if !self.is_done && !event.data.trim().is_empty() {
            self.take(&chunk::read(&event.data)?);
        }
        Ok(())
    }

    fn take(&mut self, parsed: &ParsedObject) {
        self.note(parsed);
        let has_text = !(parsed.reasoning.is_empty() && parsed.answer.is_empty()) || parsed.has_tool_call;
        let tokens = self.new_tokens(parsed, has_text);
        if has_text || tokens.is_some_and(|tokens| tokens > 0) {
            self.is_counted = tokens.is_some();
            self.note_token();
            // Text whose tokens were counted with an earlier chunk is not a new chunk.
            if tokens != Some(0) {
                self.chunks.push(Chunk {
                    at: self.read.at,
                    read_lag_sec: self.read.lag.map(|lag| lag.as_secs_f64()),
                    tokens,
                });
            }
        } else if parsed.finish_reason.as_deref().is_some_and(|reason| reason != LENGTH) {
            self.note_token();
        }
        if !parsed.answer.is_empty() || parsed.has_tool_call {
            self.first_answer_at.get_or_insert(self.read.at);
        }
    }

    /// Returns the number of tokens that an object adds by the server's running count; `None` where there is no running
    /// count.
    fn new_tokens(&mut self, parsed: &ParsedObject, has_text: bool) -> Option<u32> {
        // A count after chunks without one, or without a choice, is that of the whole answer. A count of 0 in an object
        // with text is not a running count.
        let is_running = |output: &u32| self.is_counted && parsed.has_choice && (*output > 0 || !has_text);
        let output = parsed.counts.output.filter(is_running)?;
        let tokens = output.saturating_sub(self.counted);
        self.counted = self.counted.max(output);
        Some(tokens)
    }

    fn note_token(&mut self) {
        self.first_token_at.get_or_insert(self.read.at);
        self.last_token_at = Some(self.read.at);
    }

    /// Processes an answer that arrived as a whole, so that the times of its tokens are unknown.
    fn take_whole(&mut self, parsed: ParsedObject) {
        self.note(&parsed);
        self.is_done = true;
    }

    fn note(&mut self, parsed: &ParsedObject) {
        self.text.update(&parsed.reasoning);
        self.text.update(&parsed.answer);
        self.counts = self.counts.then(parsed.counts);
        self.server_timings = parsed.server_timings.or(self.server_timings);
        if parsed.finish_reason.is_some() {
            self.finish_reason.clone_from(&parsed.finish_reason);
        }
    }

    fn into_answer(self) -> Answer {
        Answer {
            sent_at: self.sent_at,
            first_token_at: self.first_token_at,
            first_answer_at: self.first_answer_at,
            last_token_at: self.last_token_at,
            completed_at: self.read.at,
            input_tokens: self.counts.input,
            cached_tokens: self.counts.cached,
            output_tokens: self.counts.output,
            chunks: self.chunks,
            server_timings: self.server_timings,
            finish_reason: self.finish_reason.unwrap_or_else(|| "unknown".to_owned()),
            output_text_sha256: hex::encode(self.text.finalize()),
            is_streamed: matches!(self.form, Form::Stream(_)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn read_time(sec: f64) -> ReadTime {
        ReadTime {
            at: Monotonic::from_sec(sec),
            lag: Some(Duration::from_millis(2)),
        }
    }

    /// Reads pieces that arrive one second apart, the first one second after the request.
    fn read(pieces: &[&str], end: End) -> Result<Answer, Failure> {
        let mut reading = Reading::new(Monotonic::from_sec(100.0), true);
        for (second, piece) in (101_u32..).zip(pieces) {
            reading.feed(piece.as_bytes(), read_time(f64::from(second)))?;
        }
        reading.finish(end)
    }

    fn at_sec(at: Option<Monotonic>) -> Option<f64> {
        at.map(|at| at.as_sec() - 100.0)
    }

    const ROLE: &str = "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n";
    const END: &str =
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":4}}\n\ndata: [DONE]\n\n";

    fn text(text: &str) -> String {
        format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n")
    }

    #[test]
    fn a_first_delta_without_text_is_not_a_token_and_usage_counts() {
        let answer = read(&[ROLE, &text("a"), &text("b"), END], End::Told).expect("an answer");
        assert_eq!(at_sec(answer.first_token_at), Some(2.0));
        assert_eq!(at_sec(answer.last_token_at), Some(3.0));
        assert_eq!(answer.tpot_sec(), Some(1.0 / 3.0));
        assert_eq!((answer.input_tokens, answer.output_tokens), (Some(5), Some(4)));
        assert_eq!(
            answer.chunks.iter().map(|chunk| chunk.tokens).collect::<Vec<_>>(),
            [None, None]
        );
        assert!(!answer.is_one_token_a_chunk());
        assert_eq!(answer.finish_reason, "unknown");
        assert_eq!(answer.output_text_sha256, hex::encode(Sha256::digest("ab")));
        assert_eq!(answer.chunks[0].read_lag_sec, Some(0.002));
    }

    #[test]
    fn a_running_count_gives_the_tokens_of_each_chunk_even_without_text() {
        let counted = |text: &str, tokens: u32| {
            format!(
                "data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}],\"usage\":{{\"completion_tokens\":{tokens}}}}}\n\n"
            )
        };
        // The text of the second token is delayed, because its character is incomplete.
        let pieces = [
            counted("", 0),
            counted("a", 1),
            counted("", 2),
            counted("ä", 3),
            counted("b", 5),
        ];
        let pieces: Vec<_> = pieces.iter().map(String::as_str).collect();
        let answer = read(&pieces, End::Told).expect("an answer");
        let tokens: Vec<_> = answer.chunks.iter().map(|chunk| chunk.tokens).collect();
        assert_eq!(tokens, [Some(1), Some(1), Some(1), Some(2)]);
        assert_eq!(at_sec(answer.first_token_at), Some(2.0));
    }

    #[test]
    fn a_count_of_zero_with_text_is_not_a_running_count() {
        let uncounted = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"usage\":{\"completion_tokens\":0}}\n\n";
        let answer = read(&[uncounted, uncounted, END], End::Told).expect("an answer");
        assert_eq!(
            answer.chunks.iter().map(|chunk| chunk.tokens).collect::<Vec<_>>(),
            [None, None]
        );
        assert_eq!(answer.output_tokens, Some(4));
        let of_the_chunk = uncounted.replace(":0}", ":1}");
        let answer = read(&[&of_the_chunk, &of_the_chunk, END], End::Told).expect("an answer");
        assert!(
            !answer.is_one_token_a_chunk(),
            "its counts do not add up: {:?}",
            answer.chunks
        );
    }

    #[test]
    fn an_end_that_the_model_chose_is_its_last_token() {
        let stop = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
        let answer = read(&[&text("a"), &text("b"), stop, END], End::Told).expect("an answer");
        assert_eq!((at_sec(answer.last_token_at), answer.chunks.len()), (Some(3.0), 2));
        let at_once = read(&[stop, END], End::Told).expect("an answer");
        assert_eq!(
            (at_sec(at_once.first_token_at), at_once.first_answer_at),
            (Some(1.0), None)
        );
        let length = stop.replace("stop", "length");
        let answer = read(&[&text("a"), &text("b"), &length, END], End::Told).expect("an answer");
        assert_eq!(at_sec(answer.last_token_at), Some(2.0));
    }

    #[test]
    fn reasoning_is_a_token_but_not_an_answer() {
        let thought = "data: {\"choices\":[{\"delta\":{\"reasoning\":\"hm\"}}]}\n\n";
        let answer = read(&[thought, &text("a"), END], End::Told).expect("an answer");
        assert_eq!(at_sec(answer.first_token_at), Some(1.0));
        assert_eq!(at_sec(answer.first_answer_at), Some(2.0));
        assert_eq!(
            (answer.ttft_sec(), answer.time_to_first_answer_sec()),
            (Some(1.0), Some(2.0))
        );
    }

    #[test]
    fn an_answer_ends_by_its_mark_its_reason_or_its_last_chunk() {
        let reason = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"length\"}]}\n\n";
        assert_eq!(
            read(&[&text("a"), reason], End::Closed)
                .expect("an answer")
                .finish_reason,
            "length"
        );
        assert!(read(&[&text("a"), "data: [DONE]"], End::Closed).is_ok());
        assert!(read(&[&text("a")], End::Told).is_ok());
        let early = read(&[&text("a")], End::Closed).map_err(|failure| failure.reason);
        assert_eq!(early, Err(FailureReason::EndedEarly));
        let broken = read(&[&text("a"), reason], End::Broken).map_err(|failure| failure.reason);
        assert_eq!(broken, Err(FailureReason::EndedEarly), "what it counted is missing");
    }

    #[test]
    fn an_error_ends_an_answer_in_either_form() {
        let cases = [
            ("event: error\ndata: out of memory\n\n", "out of memory"),
            ("event: error\ndata: {\"error\":{\"message\":\"m\"}}\n\n", "m"),
            ("data: {\"error\":{\"message\":\"m\"}}\n\n", "m"),
        ];
        for (event, words) in cases {
            let failure = read(&[&text("a"), event], End::Told).expect_err(event);
            assert_eq!(
                (failure.reason, failure.detail.as_deref()),
                (FailureReason::ErrorEvent, Some(words))
            );
        }
    }

    #[test]
    fn a_server_that_does_not_stream_gives_counts_but_no_times_of_tokens() {
        let mut reading = Reading::new(Monotonic::from_sec(100.0), false);
        let object =
            br#"{"choices":[{"message":{"content":"ab"},"finish_reason":"stop"}],"usage":{"completion_tokens":2}}"#;
        reading.feed(&object[..10], read_time(101.0)).expect("a part");
        reading.feed(&object[10..], read_time(102.0)).expect("the rest");
        let answer = reading.finish(End::Told).expect("an answer");
        assert_eq!(
            (answer.output_tokens, answer.first_token_at, answer.tpot_sec()),
            (Some(2), None, None)
        );
        assert_eq!(at_sec(Some(answer.completed_at)), Some(2.0));
        assert!(!answer.is_streamed);
    }
}
