use super::group::{Group, duration_sec};
use super::sums::{ratio, whole_count};
use crate::statistics::{mean, percentiles};
use joulemark_measurement::units::MILLISECONDS_PER_SECOND;
use joulemark_measurement::{FailedRequest, InferenceMetrics, RequestMeasurement, Window};

/// Computes the metrics of one rank in one cycle from its requests.
pub fn inference_of(requests: &[RequestMeasurement], failed: &[FailedRequest], window: &Window) -> InferenceMetrics {
    let input_tokens: u64 = requests.iter().map(|request| u64::from(request.input_tokens)).sum();
    let output_tokens: u64 = requests.iter().map(|request| u64::from(request.output_tokens)).sum();
    let tokens_per_second = ratio(Some(output_tokens as f64), Some(window.duration_sec()));
    InferenceMetrics {
        total_tokens: Some(input_tokens + output_tokens),
        input_tokens: Some(input_tokens),
        output_tokens: Some(output_tokens),
        inference_time_sec: Some(window.duration_sec()),
        output_throughput: tokens_per_second,
        tokens_per_second,
        latency_per_token_ms: ratio(Some(MILLISECONDS_PER_SECOND), tokens_per_second),
        failed_requests: Some(failed.len() as u64),
        answered_requests: Some(requests.len() as u64),
        ..of_requests(requests.iter())
    }
}

/// Aggregates the metrics over ranks and cycles: tokens and time are sums, `tokens_per_second` is the mean over ranks
/// and cycles, and latencies are over all requests, not means of means.
pub(super) fn aggregate(groups: &[Group<'_>]) -> InferenceMetrics {
    let ranks = || groups.iter().flat_map(|group| &group.ranks);
    let input_tokens = whole_count(ranks().map(|rank| rank.inference.input_tokens));
    let output_tokens = whole_count(ranks().map(|rank| rank.inference.output_tokens));
    let rates: Option<Vec<f64>> = ranks().map(|rank| rank.inference.tokens_per_second).collect();
    let tokens_per_second = rates.and_then(|rates| mean(&rates));
    InferenceMetrics {
        total_tokens: whole_count([input_tokens, output_tokens]),
        input_tokens,
        output_tokens,
        inference_time_sec: duration_sec(groups),
        output_throughput: output_throughput(output_tokens, duration_sec(groups)),
        tokens_per_second,
        latency_per_token_ms: ratio(Some(MILLISECONDS_PER_SECOND), tokens_per_second),
        failed_requests: whole_count(ranks().map(|rank| rank.inference.failed_requests)),
        answered_requests: whole_count(ranks().map(|rank| rank.inference.answered_requests)),
        peak_gpu_memory_bytes: peak(groups, |rank| rank.peak_gpu_memory_bytes),
        peak_host_memory_bytes: peak(groups, |rank| rank.peak_host_memory_bytes),
        ..of_requests(ranks().flat_map(|rank| &rank.requests))
    }
}

/// Returns the maximum over cycles of the sum over ranks; `None` where a rank's peak is unknown in a cycle.
fn peak(groups: &[Group<'_>], of: fn(&InferenceMetrics) -> Option<u64>) -> Option<u64> {
    let cycles = groups.iter();
    let sums: Option<Vec<u64>> = cycles
        .map(|group| whole_count(group.ranks.iter().map(|rank| of(&rank.inference))))
        .collect();
    sums?.into_iter().max()
}

/// Returns the output tokens of all ranks per second of the time in which at least one rank was measured.
pub(super) fn output_throughput(output_tokens: Option<u64>, duration_sec: Option<f64>) -> Option<f64> {
    ratio(output_tokens.map(|tokens| tokens as f64), duration_sec)
}

/// Computes the latencies, and the number of tokens that a server found in its cache.
fn of_requests<'a>(requests: impl Iterator<Item = &'a RequestMeasurement> + Clone) -> InferenceMetrics {
    let (mut between, mut intervals) = (Vec::new(), Vec::new());
    let mut has_split_tokens = false;
    for request in requests.clone() {
        between.extend(intervals_ms(request.token_monotonic_sec.iter().copied()));
        intervals.extend(intervals_ms(request.chunks.iter().map(|chunk| chunk.monotonic_sec)));
        has_split_tokens |= request.chunks.iter().any(|chunk| chunk.tokens != Some(1));
    }
    // Where each chunk holds one token, the time between chunks is the time between tokens.
    if !has_split_tokens {
        between.extend_from_slice(&intervals);
    }
    let values = |of: fn(&RequestMeasurement) -> Option<f64>| requests.clone().filter_map(of).collect::<Vec<_>>();
    let cached: Option<u64> = requests
        .clone()
        .map(|request| request.cached_tokens.map(u64::from))
        .sum();
    let ttft = values(|request| request.ttft_ms);
    let tpot = values(RequestMeasurement::tpot_ms);
    let e2e = values(|request| Some(request.e2e_ms()));
    let spread = |values: &[f64]| percentiles(values, [50.0, 90.0, 99.0]);
    let [median_ttft_ms, p90_ttft_ms, p99_ttft_ms] = spread(&ttft);
    let [median_tpot_ms, p90_tpot_ms, p99_tpot_ms] = spread(&tpot);
    let [median_e2e_ms, p90_e2e_ms, p99_e2e_ms] = spread(&e2e);
    let [median_itl_ms, p90_itl_ms, p99_itl_ms] = spread(&between);
    let [median_chunk_interval_ms, _, p99_chunk_interval_ms] = spread(&intervals);
    InferenceMetrics {
        mean_ttft_ms: mean(&ttft),
        median_ttft_ms,
        p90_ttft_ms,
        p99_ttft_ms,
        mean_tpot_ms: mean(&tpot),
        median_tpot_ms,
        p90_tpot_ms,
        p99_tpot_ms,
        mean_e2e_ms: mean(&e2e),
        median_e2e_ms,
        p90_e2e_ms,
        p99_e2e_ms,
        median_itl_ms,
        p90_itl_ms,
        p99_itl_ms,
        median_chunk_interval_ms,
        p99_chunk_interval_ms,
        mean_time_to_first_answer_ms: mean(&values(|request| request.time_to_first_answer_ms)),
        cached_input_tokens: cached.filter(|_| requests.clone().next().is_some()),
        ..InferenceMetrics::default()
    }
}

/// Returns the time between neighbouring moments, in milliseconds.
fn intervals_ms(moments: impl Iterator<Item = f64> + Clone) -> impl Iterator<Item = f64> {
    moments
        .clone()
        .zip(moments.skip(1))
        .map(|(earlier, later)| (later - earlier) * MILLISECONDS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::requests::{request, window};

    #[test]
    fn a_peak_of_all_is_the_largest_sum_over_ranks_and_unknown_where_one_is() {
        use crate::fixtures::rank_cycle;
        let mut cycles = [
            rank_cycle(0, 0, 0.0, 1.0),
            rank_cycle(1, 0, 0.0, 1.0),
            rank_cycle(0, 1, 2.0, 3.0),
            rank_cycle(1, 1, 2.0, 3.0),
        ];
        for (cycle, bytes) in cycles.iter_mut().zip([5, 6, 9, 1]) {
            cycle.inference.peak_host_memory_bytes = Some(bytes);
        }
        let of_all = |cycles: &[_]| aggregate(&crate::group::groups(cycles, &[]));
        assert_eq!(of_all(&cycles).peak_host_memory_bytes, Some(11));
        assert_eq!(of_all(&cycles).peak_gpu_memory_bytes, None);
        cycles[3].inference.peak_host_memory_bytes = None;
        assert_eq!(of_all(&cycles).peak_host_memory_bytes, None);
    }

    fn close(value: Option<f64>, expected: f64) {
        let value = value.expect("is known");
        assert!((value - expected).abs() < 1e-9, "{value} is not {expected}");
    }

    #[test]
    fn a_rank_cycle_is_the_sum_of_its_requests_over_its_window() {
        // 10 ms to the first token, then gaps of 20, 20 and 80 ms; and 30 ms, then one gap of 40 ms.
        let requests = [
            request(0, 5, &[100.01, 100.03, 100.05, 100.13], 100.0),
            request(1, 7, &[100.23, 100.27], 100.2),
        ];
        let inference = inference_of(&requests, &[], &window(100.0, 102.0));
        assert_eq!(inference.total_tokens, Some(18));
        assert_eq!(inference.input_tokens, Some(12));
        assert_eq!(inference.output_tokens, Some(6));
        assert_eq!(inference.inference_time_sec, Some(2.0));
        close(inference.tokens_per_second, 3.0);
        close(inference.latency_per_token_ms, 1000.0 / 3.0);
        close(inference.mean_ttft_ms, 20.0);
        close(inference.mean_tpot_ms, 40.0);
        close(inference.median_itl_ms, 30.0);
        // Sorted gaps 20, 20, 40, 80; position 0.99 · 3 = 2.97.
        close(inference.p99_itl_ms, 40.0 * 0.03 + 80.0 * 0.97);
    }

    #[test]
    fn one_token_has_no_time_between_tokens() {
        let inference = inference_of(&[request(0, 5, &[1.5], 1.0)], &[], &window(1.0, 2.0));
        close(inference.mean_ttft_ms, 500.0);
        assert_eq!(
            (inference.mean_tpot_ms, inference.median_itl_ms, inference.p99_itl_ms),
            (None, None, None)
        );
    }

    #[test]
    fn no_output_has_no_latency_but_a_rate_of_zero() {
        let inference = inference_of(&[request(0, 5, &[], 1.0)], &[], &window(1.0, 2.0));
        assert_eq!(inference.tokens_per_second, Some(0.0));
        assert_eq!((inference.latency_per_token_ms, inference.mean_ttft_ms), (None, None));
    }

    #[test]
    fn a_window_without_length_has_no_rate() {
        assert_eq!(
            inference_of(&[request(0, 5, &[1.0], 1.0)], &[], &window(1.0, 1.0)).tokens_per_second,
            None
        );
    }
}
