//! Compares the times that the client measured with those at which the emitter wrote.

use joulemark_measurement::units::MILLISECONDS_PER_SECOND;
use joulemark_openai::Answer;
use joulemark_testkit::openai_emitter::{Dialect, Emitter, Speaker, Written};
use tokio::task::JoinSet;

use crate::asking::{TIMEOUT, client, request};

const TOKENS: u32 = 10;
/// A busy host reads late and spoils an attempt; a client that adds to the times would spoil all of them.
const ATTEMPTS: u32 = 5;
const MAX_ERROR_MS: f64 = 1.0;

/// Differences between one answer's times and those of the emitter.
#[derive(Clone, Copy, Debug)]
struct Errors {
    ttft_ms: f64,
    tpot_ms: f64,
}

impl Errors {
    fn of(answer: &Answer, written: &Written) -> Self {
        let first_at = answer.first_token_at.expect("a token");
        let tpot_sec = answer.tpot_sec().expect("more than a token");
        Self {
            ttft_ms: first_at.sec_since(written.first_token_at()).abs() * MILLISECONDS_PER_SECOND,
            tpot_ms: (tpot_sec - written.tpot_sec()).abs() * MILLISECONDS_PER_SECOND,
        }
    }

    /// Returns the median of each difference.
    fn median(of: &[Self]) -> Self {
        let median = |get: fn(&Self) -> f64| {
            let mut values: Vec<_> = of.iter().map(get).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        Self {
            ttft_ms: median(|errors| errors.ttft_ms),
            tpot_ms: median(|errors| errors.tpot_ms),
        }
    }

    fn are_small(self) -> bool {
        self.ttft_ms.max(self.tpot_ms) < MAX_ERROR_MS
    }
}

/// Returns the median differences over concurrent streams.
async fn median_errors(dialect: Dialect, streams: usize) -> Errors {
    let emitter = Emitter::speaking(Speaker {
        natural_tokens: TOKENS,
        ..Speaker::new(dialect)
    });
    let mut clients = JoinSet::new();
    for stream in 0..streams {
        let client = client(&emitter);
        clients.spawn(async move {
            let mut request = request();
            request.max_tokens = TOKENS;
            request.sampling.seed = Some(stream as u64);
            (stream, client.ask(&request, TIMEOUT, |_| ()).await.expect("an answer"))
        });
    }
    let answers = clients.join_all().await;
    let written = emitter.written(streams).await;
    let of = |stream: usize| written.iter().find(|written| written.asked.body["seed"] == stream);
    let errors = answers.iter().map(|(stream, answer)| {
        assert_eq!(answer.output_tokens, Some(TOKENS), "{dialect:?}");
        Errors::of(answer, of(*stream).expect("its answer was written"))
    });
    Errors::median(&errors.collect::<Vec<_>>())
}

async fn assert_small_errors(dialect: Dialect, streams: usize) {
    let mut attempts = Vec::new();
    while attempts.len() < ATTEMPTS as usize {
        let errors = median_errors(dialect, streams).await;
        if errors.are_small() {
            return;
        }
        attempts.push(errors);
    }
    panic!("{dialect:?}, {streams} streams: {attempts:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_stream_of_each_server_is_read_within_a_millisecond_of_its_writing() {
    for dialect in [
        Dialect::Vllm,
        Dialect::Sglang,
        Dialect::Tgi,
        Dialect::Ollama,
        Dialect::LlamaCpp,
    ] {
        assert_small_errors(dialect, 1).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_two_streams_are_read_within_a_millisecond_of_their_writing() {
    assert_small_errors(Dialect::Vllm, 32).await;
}
