use std::borrow::Cow;

use super::inference::no_pair_of_tokens;
use super::metric::{Better, Group, Known, Metric, Read};

/// Metrics of the distribution of latencies over requests. Means are in the metrics of inference.
pub const METRICS: &[Metric] = &[
    latency(
        "median_ttft_ms",
        "Median time to first token (TTFT), milliseconds.",
        "Median time to first token (TTFT) in milliseconds, over requests.",
        MEDIAN,
        no_first_token,
        Read::Number(|figures| figures.inference.median_ttft_ms),
    ),
    latency(
        "p90_ttft_ms",
        "90th percentile of the time to first token (TTFT), milliseconds.",
        "90th percentile of the time to first token (TTFT) in milliseconds, over requests.",
        TAIL,
        no_first_token,
        Read::Number(|figures| figures.inference.p90_ttft_ms),
    ),
    latency(
        "p99_ttft_ms",
        "99th percentile of the time to first token (TTFT), milliseconds.",
        "99th percentile of the time to first token (TTFT) in milliseconds, over requests.",
        TAIL,
        no_first_token,
        Read::Number(|figures| figures.inference.p99_ttft_ms),
    ),
    latency(
        "median_tpot_ms",
        "Median time per output token after the first (TPOT), milliseconds.",
        "Median time per output token after the first (TPOT) in milliseconds, over requests with at least two tokens.",
        MEDIAN,
        no_pair_of_tokens,
        Read::Number(|figures| figures.inference.median_tpot_ms),
    ),
    latency(
        "p90_tpot_ms",
        "90th percentile of the time per output token after the first (TPOT), milliseconds.",
        "90th percentile of the time per output token after the first (TPOT) in milliseconds, over requests with at least two tokens.",
        TAIL,
        no_pair_of_tokens,
        Read::Number(|figures| figures.inference.p90_tpot_ms),
    ),
    latency(
        "p99_tpot_ms",
        "99th percentile of the time per output token after the first (TPOT), milliseconds.",
        "99th percentile of the time per output token after the first (TPOT) in milliseconds, over requests with at least two tokens.",
        TAIL,
        no_pair_of_tokens,
        Read::Number(|figures| figures.inference.p99_tpot_ms),
    ),
    latency(
        "p90_itl_ms",
        "90th percentile of the inter-token latency (ITL), milliseconds.",
        "90th percentile of the inter-token latency (ITL) in milliseconds, over all pairs of neighbouring tokens.",
        OF_PAIRS,
        no_pair_of_tokens,
        Read::Number(|figures| figures.inference.p90_itl_ms),
    ),
    latency(
        "mean_e2e_ms",
        "Mean end-to-end latency, milliseconds.",
        "Mean end-to-end latency in milliseconds, over requests. It begins when the request is \
            handed to the engine or, where the experiment has a `load`, when it was due, and ends with the complete answer.",
        "Long answers take longer: compare only answers of equal lengths.",
        no_request,
        Read::Number(|figures| figures.inference.mean_e2e_ms),
    ),
    latency(
        "median_e2e_ms",
        "Median end-to-end latency, milliseconds.",
        "Median end-to-end latency in milliseconds, over requests. It begins when the request is \
            handed to the engine or, where the experiment has a `load`, when it was due, and ends with the complete answer.",
        MEDIAN,
        no_request,
        Read::Number(|figures| figures.inference.median_e2e_ms),
    ),
    latency(
        "p90_e2e_ms",
        "90th percentile of the end-to-end latency, milliseconds.",
        "90th percentile of the end-to-end latency in milliseconds, over requests. It begins when the request is \
            handed to the engine or, where the experiment has a `load`, when it was due, and ends with the complete answer.",
        TAIL,
        no_request,
        Read::Number(|figures| figures.inference.p90_e2e_ms),
    ),
    latency(
        "p99_e2e_ms",
        "99th percentile of the end-to-end latency, milliseconds.",
        "99th percentile of the end-to-end latency in milliseconds, over requests. It begins when the request is \
            handed to the engine or, where the experiment has a `load`, when it was due, and ends with the complete answer.",
        TAIL,
        no_request,
        Read::Number(|figures| figures.inference.p99_e2e_ms),
    ),
];

const MEDIAN: &str = "Over all requests of all cycles together, not a median of medians.";

const TAIL: &str = "Interpolated linearly between ranks (type 7). `request_percentiles` has its confidence interval, or the \
                    number of requests that the interval needs.";

const OF_PAIRS: &str = "Interpolated linearly between ranks (type 7), over all pairs of all requests, so long requests count for \
                        more.";

/// Function that returns the reason for a null.
type WhyNull = fn(&Known<'_>) -> Cow<'static, str>;

/// Creates the metric of a latency, which is read from `figures.inference` and is better when lower.
const fn latency(
    name: &'static str,
    about: &'static str,
    description: &'static str,
    limits: &'static str,
    why_null: WhyNull,
    read: Read,
) -> Metric {
    Metric {
        name,
        group: Group::Inference,
        unit: "ms",
        better: Better::Lower,
        headline: None,
        about,
        description,
        formula: None,
        source: "The engine's time of each token, by the host's monotonic clock; for a server, the time at which its bytes \
            were read.",
        limits,
        read,
        beside: &[],
        why_null: Some(why_null),
    }
}

fn no_first_token(_: &Known<'_>) -> Cow<'static, str> {
    "no request has the time of a first token".into()
}

fn no_request(_: &Known<'_>) -> Cow<'static, str> {
    "no request was answered".into()
}
