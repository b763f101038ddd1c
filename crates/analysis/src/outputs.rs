//! Digests of answers, which show whether two runs generated the same output.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use joulemark_experiment::report::{OutputsDigest, OutputsKind};
use joulemark_measurement::{RankCycle, RequestMeasurement};
use sha2::{Digest as _, Sha256};

/// Returns a digest of all answers; `None` where an answer is unknown or there is none.
pub fn outputs(cycles: &[RankCycle]) -> Option<OutputsDigest> {
    let requests = || cycles.iter().flat_map(|cycle| &cycle.requests);
    requests().next()?;
    let has_tokens = |request: &RequestMeasurement| request.output_token_ids.len() == request.output_tokens as usize;
    let (of, answer): (_, fn(&RequestMeasurement) -> Option<String>) = if requests().all(has_tokens) {
        (OutputsKind::TokenIds, |request| {
            Some(numbers(&request.output_token_ids))
        })
    } else {
        (OutputsKind::Text, |request| request.output_text_sha256.clone())
    };
    let mut by_cycle: BTreeMap<u32, Vec<(u32, u32, String)>> = BTreeMap::new();
    for cycle in cycles {
        let lines = by_cycle.entry(cycle.cycle).or_default();
        for request in &cycle.requests {
            lines.push((cycle.rank, request.prompt_index, answer(request)?));
        }
    }
    let cycles: Vec<String> = by_cycle.into_values().map(digest).collect();
    let lines: String = cycles.iter().map(|cycle| format!("{cycle}\n")).collect();
    Some(OutputsDigest {
        of,
        sha256: hex::encode(Sha256::digest(lines)),
        cycles,
    })
}

/// Returns the digest of one cycle's answers. They are sorted, because answers to a repeated prompt arrive in varying
/// order.
fn digest(mut lines: Vec<(u32, u32, String)>) -> String {
    lines.sort_unstable();
    let mut hasher = Sha256::new();
    for (rank, prompt, answer) in lines {
        hasher.update(format!("{rank} {prompt} {answer}\n"));
    }
    hex::encode(hasher.finalize())
}

/// Returns token ids as text, separated by commas.
fn numbers(tokens: &[u32]) -> String {
    let mut text = String::new();
    for (place, token) in tokens.iter().enumerate() {
        let comma = if place == 0 { "" } else { "," };
        let _ = write!(text, "{comma}{token}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::rank_cycle;

    fn two_cycles() -> Vec<RankCycle> {
        (0..2).map(|cycle| rank_cycle(0, cycle, 0.0, 1.0)).collect()
    }

    #[test]
    fn equal_answers_have_equal_digests_whatever_their_times_are_and_others_do_not() {
        let one = outputs(&two_cycles()).expect("a digest");
        let mut later = two_cycles();
        for request in later.iter_mut().flat_map(|cycle| &mut cycle.requests) {
            request.completed_monotonic_sec += 3.0;
        }
        assert_eq!((outputs(&later).as_ref(), one.of), (Some(&one), OutputsKind::TokenIds));
        later[1].requests[0].output_token_ids[0] += 1;
        let other = outputs(&later).expect("a digest");
        assert_ne!(other.sha256, one.sha256);
        assert_eq!(other.cycles[0], one.cycles[0]);
        assert_ne!(other.cycles[1], one.cycles[1]);
    }

    #[test]
    fn answers_without_tokens_are_known_by_their_texts_or_not_at_all() {
        let mut cycles = two_cycles();
        for request in cycles.iter_mut().flat_map(|cycle| &mut cycle.requests) {
            request.output_token_ids.clear();
        }
        assert_eq!(outputs(&cycles), None);
        for request in cycles.iter_mut().flat_map(|cycle| &mut cycle.requests) {
            request.output_text_sha256 = Some("ab".repeat(32));
        }
        assert_eq!(outputs(&cycles).map(|digest| digest.of), Some(OutputsKind::Text));
        assert_eq!(outputs(&[]), None);
    }
}
