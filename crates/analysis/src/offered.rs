//! Offered load: what the experiment's load offered, what was answered, and whether the engine kept up. Owns the
//! criteria of a growing backlog and of a good request.

use std::collections::BTreeMap;

use super::Aggregate;
use super::statistics::{mean, percentile, percentiles};
use super::sums::ratio;
use joulemark_experiment::report::{LoadKind, OfferedReport, TimeSpread};
use joulemark_experiment::{Load, Slo, Spec};
use joulemark_measurement::units::MILLISECONDS_PER_SECOND;
use joulemark_measurement::{FailedRequest, RankCycle, RequestMeasurement};

/// Number of equal parts of the arrival time over which the backlog is compared.
const PARTS: usize = 10;
/// Kendall's tau between the parts' backlogs and their order, from which on the backlog grew throughout.
const MIN_TAU: f64 = 0.7;
/// Smallest backlog at the end, in square roots of the number of requests. By chance alone the backlog is about one
/// square root.
const MIN_BACKLOG_ROOTS: f64 = 1.5;
/// Smallest number of requests for which saturation is decided.
const MIN_REQUESTS: usize = 20;

/// Returns the offered load of the measured cycles.
pub fn offered(spec: &Spec, cycles: &[RankCycle], aggregate: &Aggregate) -> OfferedReport {
    let requests = || cycles.iter().flat_map(|cycle| &cycle.requests);
    let answered = requests().count() as u64;
    let failed: usize = cycles.iter().map(|cycle| cycle.failed_requests.len()).sum();
    let sent = answered + failed as u64;
    let duration_sec = aggregate.inference.inference_time_sec;
    let is_served = cycles.iter().any(|cycle| cycle.load_generator.is_some());
    let good_requests = spec.slo.as_ref().and_then(|slo| good(slo, requests()));
    let (kind, concurrency) = match &spec.load {
        None => (LoadKind::Closed, Some(spec.batch_size * spec.num_processes)),
        Some(Load::Closed { closed }) => (LoadKind::Closed, Some(closed.concurrency)),
        Some(Load::Open { .. }) => (LoadKind::Open, None),
        Some(Load::Replay { .. }) => (LoadKind::Replay, None),
    };
    let spread =
        |of: fn(&RequestMeasurement) -> Option<f64>| time_spread(&requests().filter_map(of).collect::<Vec<_>>());
    let comes_by_itself = spec.is_open_load();
    OfferedReport {
        kind,
        concurrency,
        requests: sent,
        offered_per_sec: comes_by_itself
            .then(|| ratio(Some(sent as f64), Some(offered_sec(spec, cycles))))
            .flatten(),
        achieved_per_sec: ratio(Some(answered as f64), duration_sec),
        good_requests,
        goodput: aggregate.inference.goodput,
        prompts_repeated: cycles.iter().any(repeats),
        sender_lag_ms: spread(|request| request.sender_lag_ms),
        queueing_ms: spread(RequestMeasurement::queueing_ms).filter(|_| !is_served),
        service_ms: spread(|request| Some(request.service_ms())),
        saturated: comes_by_itself.then(|| saturated(spec, cycles)).flatten(),
    }
}

/// Sets the goodput of the whole and of each cycle, where the experiment has an `slo`.
pub fn set_goodput(spec: &Spec, cycles: &[RankCycle], aggregate: &mut Aggregate) {
    let Some(slo) = &spec.slo else { return };
    let requests = cycles.iter().flat_map(|cycle| &cycle.requests);
    aggregate.inference.goodput = goodput(slo, requests, aggregate.inference.inference_time_sec);
    for report in &mut aggregate.cycles {
        let own = cycles.iter().filter(|cycle| cycle.cycle == report.cycle);
        let requests = own.flat_map(|cycle| &cycle.requests);
        report.inference.goodput = goodput(slo, requests, report.inference.inference_time_sec);
    }
}

/// Returns the requests per second that met the `slo`; `None` where a time that it limits is unknown.
pub fn goodput<'a>(
    slo: &Slo,
    requests: impl Iterator<Item = &'a RequestMeasurement>,
    duration_sec: Option<f64>,
) -> Option<f64> {
    ratio(good(slo, requests).map(|count| count as f64), duration_sec)
}

/// Returns the number of requests that met the `slo`; `None` where a time that it limits is unknown.
fn good<'a>(slo: &Slo, requests: impl Iterator<Item = &'a RequestMeasurement>) -> Option<u64> {
    requests.map(|request| is_good(slo, request).map(u64::from)).sum()
}

/// Returns whether a request met the `slo`; `None` where a time that it limits is unknown.
fn is_good(slo: &Slo, request: &RequestMeasurement) -> Option<bool> {
    let within = |bound: Option<f64>, found: &dyn Fn() -> Option<f64>| match bound {
        None => Some(true),
        Some(bound) => found().map(|found| found <= bound),
    };
    let ttft = within(slo.ttft_ms, &|| request.ttft_ms)?;
    let itl = within(slo.p99_itl_ms, &|| p99_itl_ms(request))?;
    let e2e = within(slo.e2e_ms, &|| Some(request.e2e_ms()))?;
    Some(ttft && itl && e2e)
}

/// Returns the 99th percentile of the times between a request's tokens, or between a server's chunks, in milliseconds;
/// 0 for a single token, and `None` where the times are unknown.
fn p99_itl_ms(request: &RequestMeasurement) -> Option<f64> {
    let moments: Vec<f64> = request.output_monotonic_sec().collect();
    let between = |pair: &[f64]| (pair[1] - pair[0]) * MILLISECONDS_PER_SECOND;
    let between: Vec<f64> = moments.windows(2).map(between).collect();
    match request.output_tokens {
        0 | 1 => Some(0.0),
        _ => percentile(&between, 99.0),
    }
}

/// Returns mean, percentiles and maximum of times; `None` without a value.
fn time_spread(values: &[f64]) -> Option<TimeSpread> {
    let [p50, p99, max] = percentiles(values, [50.0, 99.0, 100.0]);
    Some(TimeSpread {
        mean: mean(values)?,
        p50: p50?,
        p99: p99?,
        max: max?,
    })
}

/// Returns whether a cycle sent a prompt more than once.
fn repeats(cycle: &RankCycle) -> bool {
    let answered = cycle.requests.iter().map(|request| request.prompt_index);
    let failed = cycle.failed_requests.iter().map(|request| request.prompt_index);
    let mut prompts: Vec<u32> = answered.chain(failed).collect();
    prompts.sort_unstable();
    prompts.windows(2).any(|pair| pair[0] == pair[1])
}

/// Arrival and end of a request, in seconds from its cycle's beginning.
type Stay = (f64, f64);

/// Returns the arrival and end of the requests of each cycle, over all ranks.
fn stays(cycles: &[RankCycle]) -> BTreeMap<u32, Vec<Stay>> {
    let mut stays: BTreeMap<u32, Vec<Stay>> = BTreeMap::new();
    for cycle in cycles {
        let start = cycle.window.start_monotonic_sec;
        let stay = |request: &RequestMeasurement| {
            let due = request.due_monotonic_sec?;
            Some((due - start, request.completed_monotonic_sec - start))
        };
        // A request that an overloaded server rejected never ends; one that failed otherwise ended when it failed.
        let failed = |request: &FailedRequest| {
            let ended = request.ended_monotonic_sec.filter(|_| !request.reason.is_overload());
            let left = ended.map_or(f64::INFINITY, |ended| ended - start);
            Some((request.due_monotonic_sec? - start, left))
        };
        let of_cycle = stays.entry(cycle.cycle).or_default();
        of_cycle.extend(cycle.requests.iter().filter_map(stay));
        of_cycle.extend(cycle.failed_requests.iter().filter_map(failed));
    }
    stays
}

/// Returns the time in which requests arrived, in seconds, over all cycles.
fn offered_sec(spec: &Spec, cycles: &[RankCycle]) -> f64 {
    stays(cycles).values().map(|stays| arrival_sec(spec, stays)).sum()
}

/// Returns the time in which a cycle's requests arrived, in seconds.
fn arrival_sec(spec: &Spec, stays: &[Stay]) -> f64 {
    let last = stays.iter().map(|(due, _)| *due).fold(0.0, f64::max);
    match &spec.load {
        Some(Load::Open { open }) => open.duration_sec.unwrap_or(last),
        _ => last,
    }
}

/// Returns whether the backlog grew throughout in most cycles; `None` where a cycle has too few requests.
fn saturated(spec: &Spec, cycles: &[RankCycle]) -> Option<bool> {
    let at_once = f64::from(spec.batch_size * spec.num_processes);
    let grew = stays(cycles)
        .values()
        .map(|stays| grew_throughout(stays, arrival_sec(spec, stays), at_once))
        .collect::<Option<Vec<bool>>>()?;
    let count = grew.iter().filter(|grew| **grew).count();
    (!grew.is_empty()).then_some(count * 2 > grew.len())
}

/// Returns whether the backlog of `stays` grew during the whole arrival time: the backlogs of its tenths increase,
/// apart from chance, and more requests are left at the end than chance and the `at_once` requests in the engine
/// explain. `None` with too few requests.
fn grew_throughout(stays: &[Stay], arrival_sec: f64, at_once: f64) -> Option<bool> {
    if stays.len() < MIN_REQUESTS || arrival_sec <= 0.0 {
        return None;
    }
    let part_sec = arrival_sec / PARTS as f64;
    let backlog = |part: usize| {
        let (from, to) = (part as f64 * part_sec, (part + 1) as f64 * part_sec);
        let within = |(due, completed): &Stay| (completed.min(to) - due.max(from)).max(0.0);
        stays.iter().map(within).sum::<f64>()
    };
    let backlogs: Vec<f64> = (0..PARTS).map(backlog).collect();
    let pairs = (0..PARTS).flat_map(|later| (0..later).map(move |earlier| (earlier, later)));
    let order = |(earlier, later): (usize, usize)| match backlogs[later].total_cmp(&backlogs[earlier]) {
        std::cmp::Ordering::Greater => 1.0,
        std::cmp::Ordering::Equal => 0.0,
        std::cmp::Ordering::Less => -1.0,
    };
    let tau = pairs.clone().map(order).sum::<f64>() / pairs.count() as f64;
    let left = stays.iter().filter(|(_, completed)| *completed > arrival_sec).count() as f64;
    Some(tau >= MIN_TAU && left >= MIN_BACKLOG_ROOTS * (stays.len() as f64).sqrt() + at_once)
}

#[cfg(test)]
mod tests {
    use rand::{Rng as _, SeedableRng as _};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::aggregate;
    use crate::fixtures::requests::{request, window};
    use crate::fixtures::{rank_cycle, spec};
    use joulemark_experiment::OpenLoad;
    use joulemark_measurement::clock::Monotonic;

    /// Creates requests that arrive at a rate of 1 and each take `load` seconds, one after the other: M/D/1.
    fn queue(random: &mut ChaCha8Rng, load: f64, count: usize) -> Vec<Stay> {
        let (mut now, mut free) = (0.0_f64, 0.0_f64);
        let draw = |_| {
            now -= (1.0 - random.random::<f64>()).ln();
            free = free.max(now) + load;
            (now, free)
        };
        (0..count).map(draw).collect()
    }

    #[test]
    fn a_backlog_that_grows_throughout_is_told_from_one_that_comes_and_goes() {
        let mut random = ChaCha8Rng::seed_from_u64(12);
        let mut share = |load: f64, count: usize| {
            let grew = (0..200).filter(|_| {
                let stays = queue(&mut random, load, count);
                let last = stays.last().expect("some").0;
                grew_throughout(&stays, last, 1.0) == Some(true)
            });
            grew.count() as f64 / 200.0
        };
        // These figures are documented in docs/methodology.md.
        assert!(share(0.5, 200) < 0.01 && share(0.9, 200) < 0.05 && share(0.9, 1000) < 0.02);
        assert!(share(1.2, 200) > 0.6 && share(1.2, 1000) > 0.98);
        assert_eq!(grew_throughout(&queue(&mut random, 2.0, 19), 19.0, 1.0), None);
    }

    /// Creates a cycle of two requests that were due `waited_sec` before they were sent.
    fn cycle(due_sec: f64) -> RankCycle {
        let mut cycle = rank_cycle(0, 0, 0.0, 10.0);
        let late = |at: f64| request(0, 5, &[at + 0.5, at + 0.6], at).since(Monotonic::from_sec(at - due_sec), 0.001);
        cycle.requests = vec![late(1.0), late(2.0)];
        cycle
    }

    fn open(spec: &mut Spec) {
        spec.load = Some(Load::Open {
            open: OpenLoad {
                rate_per_sec: 1.0,
                arrivals: joulemark_experiment::Arrivals::Poisson,
                burstiness: None,
                seed: 0,
                duration_sec: Some(4.0),
                requests: None,
            },
        });
    }

    #[test]
    fn waiting_and_lag_are_told_from_service() {
        let mut spec = spec(1, 1);
        open(&mut spec);
        let cycles = [cycle(0.25)];
        let found = offered(&spec, &cycles, &aggregate(&cycles, &[]));
        let close = |found: Option<TimeSpread>, expected: f64| {
            let found = found.expect("it is known");
            assert!(
                (found.mean - expected).abs() < 1e-6 && (found.max - expected).abs() < 1e-6,
                "{found:?}"
            );
        };
        close(found.sender_lag_ms, 1.0);
        close(found.queueing_ms, 249.0);
        close(found.service_ms, 600.0);
        assert_eq!(
            (found.requests, found.offered_per_sec, found.achieved_per_sec),
            (2, Some(0.5), Some(0.2))
        );
        assert_eq!(
            (found.prompts_repeated, found.saturated, found.concurrency),
            (true, None, None)
        );
        assert!((cycles[0].requests[0].ttft_ms.expect("a token") - 750.0).abs() < 1e-6);
        assert!((cycles[0].requests[0].e2e_ms() - 850.0).abs() < 1e-6);
    }

    #[test]
    fn requests_that_fail_were_offered_and_those_turned_away_are_left_undone() {
        use joulemark_measurement::RequestFailure;
        let mut spec = spec(1, 1);
        let mut cycle = rank_cycle(0, 0, 0.0, 100.0);
        let answered = |at: f64| request(0, 5, &[at + 0.1, at + 0.2], at).since(Monotonic::from_sec(at), 0.0);
        let failed = |at: f64, reason| FailedRequest {
            prompt_index: 0,
            reason,
            due_monotonic_sec: Some(at),
            sent_monotonic_sec: Some(at),
            ended_monotonic_sec: Some(at + 0.1),
        };
        cycle.requests = (0..50).map(|at| answered(f64::from(2 * at))).collect();
        let of = |spec: &Spec, cycle: &RankCycle, reason| {
            let mut cycle = cycle.clone();
            cycle.failed_requests = (0..50).map(|at| failed(f64::from(2 * at + 1), reason)).collect();
            let cycles = [cycle];
            offered(spec, &cycles, &aggregate(&cycles, &[]))
        };
        open(&mut spec);
        if let Some(Load::Open { open }) = &mut spec.load {
            (open.duration_sec, open.requests) = (None, Some(100));
        }
        let turned_away = of(&spec, &cycle, RequestFailure::TooManyRequests);
        // The last one came after 99 s.
        assert_eq!(
            (turned_away.requests, turned_away.offered_per_sec, turned_away.saturated),
            (100, Some(100.0 / 99.0), Some(true))
        );
        let broken = of(&spec, &cycle, RequestFailure::ErrorEvent);
        assert_eq!((broken.requests, broken.saturated), (100, Some(false)));
        cycle.requests.clear();
        let nothing_else = of(&spec, &cycle, RequestFailure::TimedOut);
        assert_eq!(
            (nothing_else.offered_per_sec, nothing_else.saturated),
            (Some(50.0 / 99.0), Some(true))
        );
    }

    #[test]
    fn goodput_counts_what_is_within_every_bound_that_is_asked() {
        let mut spec = spec(1, 1);
        let mut cycles = [cycle(0.25)];
        cycles[0].window = window(0.0, 10.0);
        let mut goodput_of = |slo: Slo, cycles: &[RankCycle]| {
            spec.slo = Some(slo);
            let mut aggregate = aggregate(cycles, &[]);
            set_goodput(&spec, cycles, &mut aggregate);
            assert_eq!(aggregate.inference.goodput, aggregate.cycles[0].inference.goodput);
            (
                aggregate.inference.goodput,
                offered(&spec, cycles, &aggregate).good_requests,
            )
        };
        let slo = |ttft_ms, p99_itl_ms, e2e_ms| Slo {
            ttft_ms,
            p99_itl_ms,
            e2e_ms,
        };
        assert_eq!(
            goodput_of(slo(Some(751.0), Some(101.0), Some(851.0)), &cycles),
            (Some(0.2), Some(2))
        );
        assert_eq!(goodput_of(slo(Some(749.0), None, None), &cycles), (Some(0.0), Some(0)));
        assert_eq!(goodput_of(slo(None, Some(99.0), None), &cycles), (Some(0.0), Some(0)));
        cycles[0].requests[1] = request(0, 5, &[2.5, 9.0], 2.0);
        assert_eq!(goodput_of(slo(None, None, Some(1000.0)), &cycles), (Some(0.1), Some(1)));
        cycles[0].requests[1].ttft_ms = None;
        assert_eq!(goodput_of(slo(Some(1000.0), None, None), &cycles), (None, None));
    }
}
