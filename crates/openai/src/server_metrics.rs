//! Reads the few samples of a server's `/metrics`, in Prometheus' text format, that describe its load in a window. Owns
//! their names; when a window begins is left to the caller.

use std::time::Duration;

use hyper::StatusCode;
use serde::{Deserialize, Serialize};

use crate::client::{Client, status_text};
use crate::failure::{Failure, FailureReason};

/// Names of one quantity in different servers and versions. The first that a page has is read, since some versions also
/// give an older name.
type Names = &'static [&'static str];

const RUNNING: Names = &[
    "vllm:num_requests_running",
    "sglang:num_running_reqs",
    "llamacpp:requests_processing",
    "tgi_batch_current_size",
];
const WAITING: Names = &[
    "vllm:num_requests_waiting",
    "sglang:num_queue_reqs",
    "llamacpp:requests_deferred",
    "tgi_queue_size",
];
const KV_CACHE_USAGE: Names = &[
    "vllm:kv_cache_usage_perc",
    // vLLM v0, and v1 until 0.9.
    "vllm:gpu_cache_usage_perc",
    "sglang:token_usage",
    // llama.cpp until 2025.
    "llamacpp:kv_cache_usage_ratio",
];
const PREEMPTIONS: Names = &["vllm:num_preemptions_total", "sglang:num_retracted_requests_total"];
const PREFIX_CACHE_HITS: Names = &[
    "vllm:prefix_cache_hits_total",
    // vLLM v1 until 0.9; v0 only reports a rate.
    "vllm:gpu_prefix_cache_hits_total",
    "sglang:cached_tokens_total",
];
const PREFIX_CACHE_QUERIES: Names = &[
    "vllm:prefix_cache_queries_total",
    "vllm:gpu_prefix_cache_queries_total",
    "sglang:prompt_tokens_total",
];

/// Load of a server, summed over its engines. A field is `None` where the server does not report it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ServerMetrics {
    /// Number of requests that are being computed.
    pub running: Option<f64>,
    /// Number of requests in the server's queue.
    pub waiting: Option<f64>,
    /// Share of the KV cache in use, from 0 to 1; the mean over engines.
    pub kv_cache_usage: Option<f64>,
    /// Number of preempted requests, since the server's start or within a window.
    pub preemptions: Option<f64>,
    /// Number of prompt tokens that were in the prefix cache; counted like the preemptions.
    pub prefix_cache_hits: Option<f64>,
    /// Number of prompt tokens that were looked up in the prefix cache; counted like the preemptions.
    pub prefix_cache_queries: Option<f64>,
}

impl ServerMetrics {
    /// Parses a page in Prometheus' text format. Other lines are skipped.
    pub fn from_text(page: &str) -> Self {
        let samples: Vec<_> = page.lines().filter_map(sample).collect();
        let values = |names: Names| {
            let of = |name: &str| -> Vec<f64> {
                let of_name = samples.iter().filter(|(named, _)| *named == name);
                of_name.map(|(_, value)| *value).collect()
            };
            names.iter().map(|name| of(name)).find(|values| !values.is_empty())
        };
        let sum = |names| values(names).map(|values| values.iter().sum());
        let mean = |names| values(names).map(|values| values.iter().sum::<f64>() / values.len() as f64);
        Self {
            running: sum(RUNNING),
            waiting: sum(WAITING),
            kv_cache_usage: mean(KV_CACHE_USAGE),
            preemptions: sum(PREEMPTIONS),
            prefix_cache_hits: sum(PREFIX_CACHE_HITS),
            prefix_cache_queries: sum(PREFIX_CACHE_QUERIES),
        }
    }

    /// Returns the counts since `earlier`; `None` where one of the two is unknown, or where the server was restarted in
    /// between. Requests and cache usage are those of this reading.
    pub fn since(self, earlier: Self) -> Self {
        let counted = |now: Option<f64>, then: Option<f64>| Some(now? - then?).filter(|counted| *counted >= 0.0);
        Self {
            preemptions: counted(self.preemptions, earlier.preemptions),
            prefix_cache_hits: counted(self.prefix_cache_hits, earlier.prefix_cache_hits),
            prefix_cache_queries: counted(self.prefix_cache_queries, earlier.prefix_cache_queries),
            ..self
        }
    }
}

/// Reads a server's `/metrics`.
///
/// # Errors
/// Returns a [`Failure`], also where the server has no such page.
pub async fn server_metrics(client: &Client, timeout: Duration) -> Result<ServerMetrics, Failure> {
    let (status, _, page) = client.page("/metrics", timeout).await?;
    if status != StatusCode::OK {
        return Err(Failure::new(FailureReason::Status, status_text(status, &page)));
    }
    Ok(ServerMetrics::from_text(&page))
}

/// Parses a line `name{labels} value`; returns `None` for comments and lines without a value.
fn sample(line: &str) -> Option<(&str, f64)> {
    let line = line.trim();
    if line.starts_with('#') {
        return None;
    }
    let (name, rest) = line.split_at(line.find(['{', ' ', '\t'])?);
    let rest = match rest.strip_prefix('{') {
        Some(labels) => after_labels(labels)?,
        None => rest,
    };
    let value: f64 = rest.split_whitespace().next()?.parse().ok()?;
    value.is_finite().then_some((name, value))
}

/// Returns the text after the brace that ends the labels; their values may contain braces and escaped quotes.
fn after_labels(labels: &str) -> Option<&str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let end = labels.find(|character| {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            '}' => return !is_quoted,
            _ => {}
        }
        false
    })?;
    Some(&labels[end + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_servers_names_are_read_and_its_engines_added_up() {
        let vllm = r#"# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="m"} 2.0
vllm:num_requests_running{engine="1",model_name="m"} 3.0
vllm:num_requests_waiting{engine="0",model_name="m"} 1.0
vllm:kv_cache_usage_perc{engine="0",model_name="a}\"b"} 0.25
vllm:kv_cache_usage_perc{engine="1",model_name="m"} 0.75
vllm:gpu_cache_usage_perc{engine="0",model_name="m"} 0.25
vllm:num_preemptions_total{engine="0",model_name="m"} 4.0
vllm:num_preemptions_created{engine="0",model_name="m"} 1.7e+09
vllm:prefix_cache_queries_total{engine="0",model_name="m"} 1.2e+03
vllm:prefix_cache_hits_total{engine="0",model_name="m"} 900.0
"#;
        let expected = ServerMetrics {
            running: Some(5.0),
            waiting: Some(1.0),
            kv_cache_usage: Some(0.5),
            preemptions: Some(4.0),
            prefix_cache_hits: Some(900.0),
            prefix_cache_queries: Some(1200.0),
        };
        assert_eq!(ServerMetrics::from_text(vllm), expected);
        let older =
            "vllm:gpu_cache_usage_perc 0.5\nvllm:gpu_prefix_cache_hits_total 3\nvllm:gpu_prefix_cache_queries_total 8";
        let older = ServerMetrics::from_text(older);
        assert_eq!((older.kv_cache_usage, older.prefix_cache_hits), (Some(0.5), Some(3.0)));
        let sglang = "sglang:num_running_reqs{tp_rank=\"0\"} 1\nsglang:num_queue_reqs 0\nsglang:token_usage 0.1\n\
            sglang:cached_tokens_total{cache_source=\"device\"} 5\nsglang:cached_tokens_total{cache_source=\"host\"} 2\n\
            sglang:prompt_tokens_total 9\nsglang:num_retracted_requests_total 1";
        let sglang = ServerMetrics::from_text(sglang);
        assert_eq!(
            (sglang.prefix_cache_hits, sglang.prefix_cache_queries),
            (Some(7.0), Some(9.0))
        );
        let llama_cpp = ServerMetrics::from_text("llamacpp:requests_processing 4\nllamacpp:requests_deferred 46\n");
        assert_eq!((llama_cpp.running, llama_cpp.waiting), (Some(4.0), Some(46.0)));
        assert_eq!(llama_cpp.kv_cache_usage, None, "current versions do not report it");
    }

    #[test]
    fn a_window_has_the_counts_within_it() {
        let at = |preemptions, running| ServerMetrics {
            running: Some(running),
            preemptions,
            ..ServerMetrics::default()
        };
        assert_eq!(at(Some(7.0), 2.0).since(at(Some(4.0), 9.0)), at(Some(3.0), 2.0));
        assert_eq!(
            at(Some(1.0), 2.0).since(at(Some(4.0), 9.0)),
            at(None, 2.0),
            "it was restarted"
        );
        assert_eq!(at(None, 2.0).since(at(Some(4.0), 9.0)), at(None, 2.0));
    }

    #[test]
    fn other_lines_are_skipped() {
        let page = "\n<html>\nvllm:num_requests_running\nvllm:num_requests_running{a=\"b} 1\ntgi_queue_size NaN\n\
            tgi_batch_current_size +3 1700000000000\n";
        let expected = ServerMetrics {
            running: Some(3.0),
            ..ServerMetrics::default()
        };
        assert_eq!(ServerMetrics::from_text(page), expected);
    }
}
