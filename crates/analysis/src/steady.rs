//! Steady state: the part of a cycle in which the load is full, and its metrics. Owns what a full load is for each kind
//! of load; leaves reading a meter to others.

mod mser;

use crate::aggregate::{Aggregate, aggregate};
use crate::baselines::{IdleState, attach};
use crate::group::CycleHost;
use crate::inference::inference_of;
use crate::offered::goodput;
use crate::windows::hull;
use joulemark_experiment::Spec;
use joulemark_experiment::report::{CycleReport, SteadyCycle, SteadyMethod, SteadyState};
use joulemark_measurement::{AnswerChunk, FailedRequest, InferenceMetrics, RankCycle, RequestMeasurement, Window};

/// Smallest number of requests of an open load in which a transient can be detected: ten batches of five.
const MIN_ARRIVALS: usize = 50;

/// Requests of one rank in one cycle.
#[derive(Clone, Copy, Debug)]
pub struct RankRequests<'a> {
    pub rank: u32,
    pub window: Window,
    pub requests: &'a [RequestMeasurement],
    pub failed: &'a [FailedRequest],
}

/// Steady part of a cycle, with its measurements.
#[derive(Clone, Debug)]
pub struct SteadyPart {
    pub cycle: u32,
    /// Window of the whole cycle, from the first rank's start to the last one's end.
    pub whole: Window,
    /// Window of the steady part, or the reason why there is none.
    pub window: Result<Window, String>,
    /// Measurements of each rank in that window.
    pub ranks: Vec<RankCycle>,
    pub host: Option<CycleHost>,
}

/// Returns the window in which the load of a cycle was full.
///
/// # Errors
/// Returns the reason why it was not full, or not for long enough.
pub fn steady_window(spec: &Spec, ranks: &[RankRequests<'_>]) -> Result<Window, String> {
    match spec.is_open_load() {
        true => open_window(ranks),
        false => closed_window(spec, ranks),
    }
}

/// Returns the metrics of a rank in a window, and the requests that began in it, cut at its end. Tokens and rates are
/// over all output in the window; latencies are over the requests that began in it.
pub fn steady_inference(
    spec: &Spec,
    rank: &RankRequests<'_>,
    window: &Window,
) -> (InferenceMetrics, Vec<RequestMeasurement>) {
    let is_within = |at: f64| at >= window.start_monotonic_sec && at < window.end_monotonic_sec;
    let clipped = rank.requests.iter().map(|request| clipped(request, is_within));
    let began: Vec<&RequestMeasurement> = rank
        .requests
        .iter()
        .filter(|request| is_within(begun(request)))
        .collect();
    let failed: Vec<FailedRequest> = rank
        .failed
        .iter()
        .filter(|request| {
            request
                .due_monotonic_sec
                .or(request.sent_monotonic_sec)
                .is_some_and(is_within)
        })
        .copied()
        .collect();
    // For a request that ended after the window, only the tokens before the window's end count.
    let until = |at: f64| at < window.end_monotonic_sec;
    let latencies: Vec<RequestMeasurement> = began
        .iter()
        .map(|request| RequestMeasurement {
            input_tokens: request.input_tokens,
            ..self::clipped(request, until)
        })
        .collect();
    let sums = inference_of(&clipped.collect::<Vec<_>>(), &failed, window);
    let of_latencies = inference_of(&latencies, &[], window);
    let slo = spec.slo.as_ref();
    let inference = InferenceMetrics {
        total_tokens: sums.total_tokens,
        input_tokens: sums.input_tokens,
        output_tokens: sums.output_tokens,
        output_throughput: sums.output_throughput,
        tokens_per_second: sums.tokens_per_second,
        latency_per_token_ms: sums.latency_per_token_ms,
        failed_requests: sums.failed_requests,
        goodput: slo.and_then(|slo| goodput(slo, began.into_iter(), Some(window.duration_sec()))),
        ..of_latencies
    };
    (inference, latencies)
}

/// Returns a request with only the output at moments for which `is_in` holds. Its prompt counts if its first token is
/// among them.
fn clipped(request: &RequestMeasurement, is_in: impl Fn(f64) -> bool) -> RequestMeasurement {
    let of_tokens = |(at, id): (&f64, &u32)| is_in(*at).then_some((*at, *id));
    let kept = request
        .token_monotonic_sec
        .iter()
        .zip(&request.output_token_ids)
        .filter_map(of_tokens);
    let (token_monotonic_sec, output_token_ids): (Vec<f64>, Vec<u32>) = kept.unzip();
    let chunks: Vec<AnswerChunk> = request
        .chunks
        .iter()
        .filter(|chunk| is_in(chunk.monotonic_sec))
        .copied()
        .collect();
    // A server that counts tokens only at the end: each of its chunks is assumed to hold the same number.
    let share = chunks.len() as f64 / request.chunks.len().max(1) as f64;
    let counted: Option<u32> = chunks.iter().map(|chunk| chunk.tokens).sum();
    let is_counted =
        request.chunks.iter().map(|chunk| chunk.tokens).sum::<Option<u32>>() == Some(request.output_tokens);
    let output_tokens = match request.chunks.is_empty() {
        true => token_monotonic_sec.len() as u32,
        false => counted
            .filter(|_| is_counted)
            .unwrap_or((f64::from(request.output_tokens) * share).round() as u32),
    };
    let has_first = request.output_monotonic_sec().next().is_some_and(is_in);
    RequestMeasurement {
        input_tokens: if has_first { request.input_tokens } else { 0 },
        output_tokens,
        token_monotonic_sec,
        output_token_ids,
        chunks,
        ..request.clone()
    }
}

/// Computes the steady state over all cycles; `None` without a steady part.
pub(super) fn steady_state(spec: &Spec, parts: Vec<SteadyPart>, idle: &[IdleState]) -> Option<SteadyState> {
    if parts.is_empty() {
        return None;
    }
    let ranks: Vec<RankCycle> = parts.iter().flat_map(|part| part.ranks.iter().cloned()).collect();
    let hosts: Vec<CycleHost> = parts.iter().filter_map(|part| part.host.clone()).collect();
    let mut all = aggregate(&ranks, &hosts);
    attach(&mut all, &ranks, &hosts, idle);
    set_goodput(&mut all, &ranks);
    let without: Vec<String> = parts
        .iter()
        .filter_map(|part| Some(format!("cycle {}: {}", part.cycle, part.window.as_ref().err()?)))
        .collect();
    let is_whole = without.is_empty();
    Some(SteadyState {
        method: match spec.is_open_load() {
            true => SteadyMethod::Mser5,
            false => SteadyMethod::FullConcurrency,
        },
        cycles: parts
            .into_iter()
            .map(|part| of_cycle(&part, all.cycles.iter().find(|report| report.cycle == part.cycle)))
            .collect(),
        inference: is_whole.then_some(all.inference),
        energy: is_whole.then_some(all.energy),
        efficiency: is_whole.then_some(all.efficiency),
        why_none: (!is_whole).then(|| without.join("; ")),
    })
}

/// Sets the goodput of the whole and of each cycle: good requests divided by the time, which is the same for all ranks
/// of a cycle.
fn set_goodput(all: &mut Aggregate, ranks: &[RankCycle]) {
    let cycles: Option<Vec<(f64, f64)>> = all
        .cycles
        .iter_mut()
        .map(|report| {
            let own = ranks.iter().filter(|rank| rank.cycle == report.cycle);
            report.inference.goodput = own.map(|rank| rank.inference.goodput).sum();
            let sec = report.inference.inference_time_sec?;
            Some((report.inference.goodput? * sec, sec))
        })
        .collect();
    all.inference.goodput = cycles.and_then(|cycles| {
        let (good, sec) = cycles.iter().fold((0.0, 0.0), |sum, of| (sum.0 + of.0, sum.1 + of.1));
        crate::sums::ratio(Some(good), Some(sec))
    });
}

/// Returns the steady state of one cycle.
fn of_cycle(part: &SteadyPart, report: Option<&CycleReport>) -> SteadyCycle {
    let window = part.window.as_ref().ok();
    SteadyCycle {
        cycle: part.cycle,
        begin_monotonic_sec: window.map(|window| window.start_monotonic_sec),
        end_monotonic_sec: window.map(|window| window.end_monotonic_sec),
        share_of_cycle: window.map(|window| window.duration_sec() / part.whole.duration_sec()),
        inference: report.map(|report| report.inference.clone()),
        energy: report.map(|report| report.energy.clone()),
        efficiency: report.map(|report| report.efficiency.clone()),
        why_none: part.window.as_ref().err().cloned(),
    }
}

/// Returns when a request began: when it was due, else when it was sent.
fn begun(request: &RequestMeasurement) -> f64 {
    request.due_monotonic_sec.unwrap_or(request.sent_monotonic_sec)
}

/// Returns the window from the first to the last moment at which every rank has all of its concurrency in flight.
fn closed_window(spec: &Spec, ranks: &[RankRequests<'_>]) -> Result<Window, String> {
    let (mut start, mut end) = (f64::NEG_INFINITY, f64::INFINITY);
    for rank in ranks {
        let concurrency = spec.concurrency_of_rank(rank.rank) as usize;
        let window = full(rank, concurrency).ok_or_else(|| {
            let requests = rank.requests.len() + rank.failed.len();
            format!(
                "rank {} never reached its concurrency of {concurrency}: it had {requests} requests in total",
                rank.rank
            )
        })?;
        start = start.max(window.start_monotonic_sec);
        end = end.min(window.end_monotonic_sec);
    }
    if start >= end {
        return Err("the ranks' loads were never full at the same time".to_owned());
    }
    for rank in ranks {
        let concurrency = spec.concurrency_of_rank(rank.rank) as usize;
        let answered = rank.requests.iter().map(|request| request.completed_monotonic_sec);
        let answered = answered.filter(|at| *at > start && *at <= end).count();
        if answered < concurrency {
            return Err(format!(
                "the load was full for {:.3} s, in which rank {} answered {answered} requests; at least {concurrency} are \
                 needed, as many as are in flight",
                end - start,
                rank.rank
            ));
        }
    }
    Ok(Window {
        start_monotonic_sec: start,
        end_monotonic_sec: end,
    })
}

/// Returns the window from the first to the last moment at which a rank has this many requests in flight; moments in
/// between with fewer are included. `None` where it never has.
fn full(rank: &RankRequests<'_>, concurrency: usize) -> Option<Window> {
    let answered = rank
        .requests
        .iter()
        .map(|request| (begun(request), request.completed_monotonic_sec));
    let failed = rank.failed.iter().filter_map(|request| {
        let begun = request.due_monotonic_sec.or(request.sent_monotonic_sec)?;
        Some((begun, request.ended_monotonic_sec?))
    });
    let mut changes: Vec<(f64, i64)> = answered
        .chain(failed)
        .flat_map(|(from, to)| [(from, 1), (to, -1)])
        .collect();
    // At the same moment, ends come before beginnings.
    changes.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let (mut in_flight, mut first, mut last) = (0, None, None);
    for (at, change) in changes {
        let was_full = in_flight >= concurrency as i64;
        in_flight += change;
        let is_full = in_flight >= concurrency as i64;
        if is_full {
            first.get_or_insert(at);
        }
        if was_full && !is_full {
            last = Some(at);
        }
    }
    Some(Window {
        start_monotonic_sec: first?,
        end_monotonic_sec: last?,
    })
}

/// Returns the window from the end of the initial transient to the last arrival.
fn open_window(ranks: &[RankRequests<'_>]) -> Result<Window, String> {
    let requests = ranks.iter().flat_map(|rank| rank.requests);
    let mut arrivals: Vec<(f64, f64)> = requests.map(|request| (begun(request), request.e2e_ms())).collect();
    arrivals.sort_by(|a, b| a.0.total_cmp(&b.0));
    if arrivals.len() < MIN_ARRIVALS {
        return Err(format!(
            "at least {MIN_ARRIVALS} answered requests are needed to find the end of the initial transient; there are {}",
            arrivals.len()
        ));
    }
    let latencies: Vec<f64> = arrivals.iter().map(|(_, latency)| *latency).collect();
    let first = mser::transient(&latencies).ok_or_else(|| {
        "latencies never settled: the initial transient covers more than half of the requests (MSER-5), as when the backlog grows"
            .to_owned()
    })?;
    let failed = ranks
        .iter()
        .flat_map(|rank| rank.failed)
        .filter_map(|request| request.due_monotonic_sec);
    let last = arrivals
        .iter()
        .map(|(due, _)| *due)
        .chain(failed)
        .fold(f64::NEG_INFINITY, f64::max);
    let whole = hull(&ranks.iter().map(|rank| rank.window).collect::<Vec<_>>());
    // Without a transient the window begins with the cycle.
    let start = match (first, whole) {
        (0, Some(whole)) => whole.start_monotonic_sec,
        _ => arrivals[first].0,
    };
    Ok(Window {
        start_monotonic_sec: start,
        end_monotonic_sec: last,
    })
}

#[cfg(test)]
mod tests;
