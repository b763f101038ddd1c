use std::collections::BTreeMap;

use super::warning::warning;
use joulemark_experiment::{Spec, Warning, WarningCode};
use joulemark_measurement::{FailedRequest, LoadReport, PromptCache, RankCycle};

/// Largest lag of reading without a warning, in milliseconds. With a larger lag measured latencies are longer than the
/// server's.
const MAX_LAG_MS: f64 = 5.0;

/// Warns about a run on a server: failed requests, what the server does not support, preemptions, and lag of the
/// process that sent the requests.
pub fn check(spec: &Spec, loads: &[LoadReport], cycles: &[RankCycle]) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let failed = cycles
        .iter()
        .flat_map(|cycle| &cycle.failed_requests)
        .copied()
        .collect::<Vec<_>>();
    if !failed.is_empty() {
        let all = failed.len() + cycles.iter().map(|cycle| cycle.requests.len()).sum::<usize>();
        let message = format!(
            "{} of {all} requests failed ({}): their tokens and latencies are left out, their energy is included",
            failed.len(),
            failure_reasons(&failed)
        );
        warnings.push(warning(WarningCode::RequestsFailed, message));
    }
    for server in loads.iter().filter_map(|load| load.server.as_ref()) {
        let mut limited = |message: &str| warnings.push(warning(WarningCode::EngineLimited, message.to_owned()));
        let card = &server.capabilities;
        if !card.streams {
            limited("the server does not stream: the time to first token and the times between tokens are unknown");
        }
        if spec.decoder.do_sample && card.seed_reproduces == Some(false) {
            limited("this server gives different texts for the same seed: a repetition samples other tokens");
        }
        if server.prompt_cache == PromptCache::Prefixed {
            limited(
                "each prompt began with a unique prefix, because the server does not confirm that its prompt cache is off",
            );
        }
    }
    let cached: u64 = cycles
        .iter()
        .filter_map(|cycle| cycle.inference.cached_input_tokens)
        .sum();
    let input: u64 = cycles.iter().filter_map(|cycle| cycle.inference.input_tokens).sum();
    // The first tokens of a chat template are the same in every prompt, and cheap.
    if cached * 5 > input {
        let message = format!("{cached} of {input} prompt tokens came from the server's cache and were not computed");
        warnings.push(warning(WarningCode::EngineLimited, message));
    }
    let usages = cycles.iter().filter_map(|cycle| cycle.server_report?.usage);
    let preemptions: f64 = usages.filter_map(|usage| usage.preemptions).sum();
    if preemptions > 0.0 {
        let message = format!(
            "the server preempted requests {preemptions:.0} times because its KV cache was full, and repeated their computation"
        );
        warnings.push(warning(WarningCode::EngineLimited, message));
    }
    let lag = cycles
        .iter()
        .filter_map(|cycle| cycle.load_generator?.lag_p99_ms)
        .fold(0.0, f64::max);
    if lag > MAX_LAG_MS {
        let message =
            format!("the process that sends the requests read chunks up to {lag:.1} ms late (99th percentile)");
        warnings.push(warning(WarningCode::LoadGeneratorLate, message));
    }
    warnings
}

/// Returns the number of failures for each reason, in words, the most frequent first.
pub fn failure_reasons(failed: &[FailedRequest]) -> String {
    let mut counts = BTreeMap::new();
    for request in failed {
        *counts.entry(request.reason).or_insert(0_usize) += 1;
    }
    let mut counts = counts.into_iter().collect::<Vec<_>>();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let words = counts
        .iter()
        .map(|(reason, count)| format!("{}: {count}", reason.in_words()));
    words.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{rank_cycle, spec};
    use joulemark_measurement::{
        CapabilityCard, CpuPlacement, EosHandling, LoadGenerator, RequestFailure, ServedEngine, ServerReport,
        ServerUsage, Window,
    };

    fn load(capabilities: CapabilityCard, prompt_cache: PromptCache) -> LoadReport {
        LoadReport {
            rank: 0,
            window: Window {
                start_monotonic_sec: 0.0,
                end_monotonic_sec: 1.0,
            },
            device: "cpu".to_owned(),
            activation_dtype: "unknown".to_owned(),
            max_sequence_tokens: 0,
            placement: CpuPlacement {
                cpus: vec![0],
                threads: 1,
            },
            server: Some(ServedEngine {
                capabilities,
                eos: EosHandling::Natural,
                prompt_cache,
            }),
            batch_check: None,
            layers: Vec::new(),
            gpu_memory: Vec::new(),
            paged_cache_tokens: None,
            cycle: None,
            eos: None,
        }
    }

    fn codes(warnings: &[Warning]) -> Vec<WarningCode> {
        warnings.iter().map(|warning| warning.code).collect()
    }

    #[test]
    fn a_server_that_supports_everything_has_no_warning() {
        let card = CapabilityCard {
            streams: true,
            ..CapabilityCard::default()
        };
        let cycles = [rank_cycle(0, 0, 0.0, 10.0)];
        assert_eq!(check(&spec(1, 1), &[load(card, PromptCache::Off)], &cycles), []);
    }

    #[test]
    fn failures_are_counted_by_reason_and_unsupported_requests_are_reported() {
        let failed = |reason| FailedRequest {
            prompt_index: 0,
            reason,
            due_monotonic_sec: None,
            sent_monotonic_sec: None,
            ended_monotonic_sec: None,
        };
        let mut cycle = rank_cycle(0, 0, 0.0, 10.0);
        cycle.failed_requests = vec![
            failed(RequestFailure::TimedOut),
            failed(RequestFailure::Unavailable),
            failed(RequestFailure::Unavailable),
        ];
        cycle.inference.cached_input_tokens = cycle.inference.input_tokens;
        cycle.load_generator = Some(LoadGenerator {
            cpu_sec: 1.0,
            lag_p99_ms: Some(7.25),
        });
        cycle.server_report = Some(ServerReport {
            usage: Some(ServerUsage {
                preemptions: Some(2.0),
                ..ServerUsage::default()
            }),
            timings: None,
        });
        let warnings = check(
            &spec(1, 1),
            &[load(CapabilityCard::default(), PromptCache::Prefixed)],
            &[cycle],
        );
        use WarningCode::{EngineLimited, LoadGeneratorLate, RequestsFailed};
        assert_eq!(
            codes(&warnings),
            [
                RequestsFailed,
                EngineLimited,
                EngineLimited,
                EngineLimited,
                EngineLimited,
                LoadGeneratorLate
            ]
        );
        let first = &warnings[0].message;
        assert!(
            first.starts_with("3 of 4 requests failed (the server answered 503, not available: 2; no complete"),
            "{first}"
        );
    }
}
