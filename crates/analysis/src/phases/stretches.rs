//! Times in which a rank was in prefill and in decode, derived from its requests' timestamps. Pure functions.

use joulemark_measurement::{RequestMeasurement, Window};

/// One rank's pass over its prompts, divided into phases. Intervals are in order of time and do not overlap.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PassStretches {
    /// Time in which a request waits for its first token. With several requests in flight, others may be decoding.
    pub prefill: Vec<Window>,
    /// Time in which a request is between its first and its last token and none waits for its first.
    pub decode: Vec<Window>,
}

/// Divides a rank's pass into prefill and decode.
pub fn stretches(requests: &[RequestMeasurement]) -> PassStretches {
    let mut waiting = Vec::new();
    let mut decoding = Vec::new();
    for request in requests {
        let mut moments = request.output_monotonic_sec();
        let first = moments.next().unwrap_or(request.completed_monotonic_sec);
        let last = moments.next_back().unwrap_or(first);
        waiting.push((request.sent_monotonic_sec, first));
        decoding.push((first, last));
    }
    let (waiting, decoding) = (union(waiting), union(decoding));
    let decode = without(&decoding, &waiting);
    PassStretches {
        prefill: windows(waiting),
        decode: windows(decode),
    }
}

/// Start and end, in seconds.
type Span = (f64, f64);

/// Merges overlapping spans, and sorts them.
fn union(mut spans: Vec<Span>) -> Vec<Span> {
    spans.retain(|(start, end)| end > start);
    spans.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut merged: Vec<Span> = Vec::new();
    for (start, end) in spans {
        match merged.last_mut() {
            Some(last) if start <= last.1 => last.1 = last.1.max(end),
            _ => merged.push((start, end)),
        }
    }
    merged
}

/// Cuts `holes` out of `spans`; both are sorted and do not overlap.
fn without(spans: &[Span], holes: &[Span]) -> Vec<Span> {
    let mut rest = Vec::new();
    let mut next = 0;
    for &(start, end) in spans {
        let mut from = start;
        while next < holes.len() && holes[next].1 <= from {
            next += 1;
        }
        for &(hole_start, hole_end) in holes[next..].iter().take_while(|(hole_start, _)| *hole_start < end) {
            if hole_start > from {
                rest.push((from, hole_start));
            }
            from = from.max(hole_end);
        }
        if end > from {
            rest.push((from, end));
        }
    }
    rest
}

/// Converts spans to windows.
fn windows(spans: Vec<Span>) -> Vec<Window> {
    let window = |(start_monotonic_sec, end_monotonic_sec)| Window {
        start_monotonic_sec,
        end_monotonic_sec,
    };
    spans.into_iter().map(window).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fixtures::{request, window};
    use crate::windows::union_sec;

    #[test]
    fn one_request_at_a_time_is_prefill_then_decode() {
        let requests = [request(0, 5, &[1.0, 2.0, 3.0], 0.0), request(1, 5, &[4.0, 6.0], 3.0)];
        let cut = stretches(&requests);
        assert_eq!(cut.prefill, [window(0.0, 1.0), window(3.0, 4.0)]);
        assert_eq!(cut.decode, [window(1.0, 3.0), window(4.0, 6.0)]);
    }

    #[test]
    fn a_request_that_waits_beside_one_that_decodes_makes_it_prefill() {
        let requests = [request(0, 5, &[1.0, 10.0], 0.0), request(1, 5, &[4.0, 6.0], 3.0)];
        let cut = stretches(&requests);
        assert_eq!(cut.prefill, [window(0.0, 1.0), window(3.0, 4.0)]);
        assert_eq!(cut.decode, [window(1.0, 3.0), window(4.0, 10.0)]);
    }

    #[test]
    fn a_request_without_tokens_is_all_prefill() {
        let mut silent = request(0, 5, &[], 1.0);
        silent.completed_monotonic_sec = 2.5;
        assert_eq!(
            stretches(&[silent]),
            PassStretches {
                prefill: vec![window(1.0, 2.5)],
                decode: Vec::new()
            }
        );
    }

    proptest! {
        #[test]
        fn prefill_and_decode_never_overlap_and_cover_the_requests(
            spans in prop::collection::vec((0.0f64..100.0, 0.0f64..5.0, 0.0f64..20.0), 1..20),
        ) {
            let requests: Vec<RequestMeasurement> = spans
                .iter()
                .map(|(sent, to_first, rest)| request(0, 5, &[sent + to_first, sent + to_first + rest], *sent))
                .collect();
            let cut = stretches(&requests);
            let both: Vec<Window> = cut.prefill.iter().chain(&cut.decode).copied().collect();
            let alone: f64 = both.iter().map(Window::duration_sec).sum();
            prop_assert!((alone - union_sec(&both)).abs() < 1e-9);
            let whole: Vec<Window> =
                requests.iter().map(|r| window(r.sent_monotonic_sec, r.completed_monotonic_sec)).collect();
            prop_assert!((alone - union_sec(&whole)).abs() < 1e-9);
        }
    }
}
