//! Columns of the tables of requests and of output tokens.

use super::column::{Column, count, held, number, text};
use joulemark_experiment::ExperimentId;
use joulemark_measurement::RequestMeasurement;
use joulemark_measurement::units::MILLISECONDS_PER_SECOND;

/// A request of a completed experiment.
#[derive(Clone, Debug)]
pub struct RequestRow {
    pub id: ExperimentId,
    pub cycle: u32,
    pub rank: u32,
    pub request: RequestMeasurement,
}

/// Returns the columns of requests.
pub fn request_columns() -> Vec<Column<RequestRow>> {
    vec![
        text("id", "The experiment's id.", |row: &RequestRow| {
            Some(row.id.to_string().into())
        }),
        count("cycle", "Number of the cycle, from 0; warm-up is not a cycle.", |row| {
            Some(row.cycle.into())
        }),
        count("rank", "Number of the rank, from 0.", |row| Some(row.rank.into())),
        count("prompt_index", "Index of the prompt, from 0.", |row| {
            Some(row.request.prompt_index.into())
        }),
        count("input_tokens", "Number of prompt tokens.", |row| {
            Some(row.request.input_tokens.into())
        }),
        count("output_tokens", "Number of generated tokens.", |row| {
            Some(row.request.output_tokens.into())
        }),
        number(
            "sent_monotonic_sec",
            "Time at which it was sent to the engine, seconds of CLOCK_MONOTONIC.",
            |row| Some(row.request.sent_monotonic_sec),
        ),
        number(
            "completed_monotonic_sec",
            "Time at which the answer was complete, seconds of CLOCK_MONOTONIC.",
            |row| Some(row.request.completed_monotonic_sec),
        ),
        number(
            "latency_ms",
            "Time to the complete answer, milliseconds; with a `load` since it was due, otherwise since it was sent.",
            |row| Some(row.request.e2e_ms()),
        ),
        number("ttft_ms", "Time to first token, milliseconds.", |row| {
            row.request.ttft_ms
        }),
        number(
            "tpot_ms",
            "Mean time per output token after the first, milliseconds; unknown with fewer than two tokens.",
            |row| row.request.tpot_ms(),
        ),
        text(
            "finish_reason",
            "`length`, `stop` or another reason of a server.",
            |row| held(&row.request.finish_reason),
        ),
        number(
            "time_to_first_answer_ms",
            "Time to the first token of a server's answer that is not reasoning, milliseconds.",
            |row| row.request.time_to_first_answer_ms,
        ),
        count("chunks", "Number of chunks in which a server sent the answer.", |row| {
            Some(row.request.chunks.len() as u64).filter(|chunks| *chunks > 0)
        }),
        count("cached_tokens", "Number of prompt tokens in a server's cache.", |row| {
            row.request.cached_tokens.map(Into::into)
        }),
        text(
            "output_text_sha256",
            "SHA-256 of the text of a server's answer.",
            |row| row.request.output_text_sha256.as_ref().and_then(|hash| held(hash)),
        ),
        number(
            "due_monotonic_sec",
            "Time at which it was due by the experiment's `load`, seconds of CLOCK_MONOTONIC.",
            |row| row.request.due_monotonic_sec,
        ),
        number(
            "sender_lag_ms",
            "Time from when it was due until the sender took it, milliseconds.",
            |row| row.request.sender_lag_ms,
        ),
        number(
            "queueing_ms",
            "Time that it waited in the worker for the engine, without the sender's lag, milliseconds.",
            |row| row.request.queueing_ms(),
        ),
    ]
}

/// An output token of a request.
#[derive(Clone, Debug)]
pub struct TokenRow {
    id: ExperimentId,
    cycle: u32,
    rank: u32,
    prompt_index: u32,
    token_index: u32,
    token_id: Option<u32>,
    at_monotonic_sec: f64,
    itl_ms: Option<f64>,
}

/// Returns the output tokens of a request, in order.
pub fn tokens(row: &RequestRow) -> impl Iterator<Item = TokenRow> {
    let times = &row.request.token_monotonic_sec;
    (0u32..).zip(times).map(move |(token_index, at_monotonic_sec)| {
        let before = (token_index as usize).checked_sub(1).map(|before| times[before]);
        TokenRow {
            id: row.id,
            cycle: row.cycle,
            rank: row.rank,
            prompt_index: row.request.prompt_index,
            token_index,
            token_id: row.request.output_token_ids.get(token_index as usize).copied(),
            at_monotonic_sec: *at_monotonic_sec,
            itl_ms: before.map(|before| (at_monotonic_sec - before) * MILLISECONDS_PER_SECOND),
        }
    })
}

/// Returns the columns of output tokens.
pub fn token_columns() -> Vec<Column<TokenRow>> {
    vec![
        text("id", "The experiment's id.", |row: &TokenRow| {
            Some(row.id.to_string().into())
        }),
        count("cycle", "Number of the cycle, from 0; warm-up is not a cycle.", |row| {
            Some(row.cycle.into())
        }),
        count("rank", "Number of the rank, from 0.", |row| Some(row.rank.into())),
        count("prompt_index", "Index of the prompt, from 0.", |row| {
            Some(row.prompt_index.into())
        }),
        count(
            "token_index",
            "Index among the request's output tokens, from 0.",
            |row| Some(row.token_index.into()),
        ),
        count(
            "token_id",
            "Id of the token in the model's vocabulary; empty when prompts are withheld.",
            |row| row.token_id.map(u64::from),
        ),
        number(
            "at_monotonic_sec",
            "Time at which the token was chosen, seconds of CLOCK_MONOTONIC.",
            |row| Some(row.at_monotonic_sec),
        ),
        number(
            "itl_ms",
            "Inter-token latency, the time since the previous token, milliseconds; unknown for the first.",
            |row| row.itl_ms,
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_in_order_with_the_time_since_the_previous_one() {
        let row = RequestRow {
            id: ExperimentId::generate(),
            cycle: 1,
            rank: 2,
            request: RequestMeasurement {
                prompt_index: 3,
                input_tokens: 5,
                output_tokens: 3,
                sent_monotonic_sec: 9.0,
                completed_monotonic_sec: 11.0,
                ttft_ms: Some(1000.0),
                token_monotonic_sec: vec![10.0, 10.25, 10.75],
                output_token_ids: vec![7, 8, 9],
                finish_reason: "length".to_owned(),
                ..RequestMeasurement::default()
            },
        };
        let rows = tokens(&row).collect::<Vec<_>>();
        let found = rows
            .iter()
            .map(|token| (token.token_index, token.token_id, token.itl_ms));
        let expected = [(0, Some(7), None), (1, Some(8), Some(250.0)), (2, Some(9), Some(500.0))];
        assert_eq!(found.collect::<Vec<_>>(), expected);
        assert_eq!(row.request.tpot_ms(), Some(375.0));
        let one = RequestMeasurement {
            token_monotonic_sec: vec![1.0],
            ..RequestMeasurement::default()
        };
        assert_eq!(one.tpot_ms(), None);
    }
}
