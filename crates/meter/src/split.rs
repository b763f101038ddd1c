//! Splits the host's energy over process trees, interval by interval, by their CPU time while the power was drawn.
//!
//! With a split over whole windows, two processes whose windows overlap could each be given the same idle time, and
//! together more than the host used. Owns the intervals, which are the same for all windows. Pure.

use super::attribution::cpu_shares;
use super::estimation::series::Span;
use super::estimation::timeline::Timeline;
use joulemark_measurement::EnergyDomain;
use joulemark_measurement::clock::Monotonic;
use joulemark_measurement::units::NANOSECONDS_PER_SECOND;

/// Length in seconds of the shortest interval: ten samples at the default pace, and longer than a thread computes
/// before the kernel counts its time.
const SHORTEST_SEC: f64 = 1.0;

/// Maximum number of intervals. Hours are split into longer ones, because the meter waits while they are examined.
const MAX_STRETCHES: f64 = 1000.0;

/// Shares of the host, from 0 to 1; `None` where they are unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Split {
    /// The given processes' share of the host's busy CPU time; `None` when one was not tracked from the window's start.
    pub time_share: Option<f64>,
    /// Their share of the packages' energy.
    pub of_packages: Option<f64>,
    /// Their share of the memory's energy.
    pub of_dram: Option<f64>,
    /// Share of the packages' energy of all tracked processes.
    pub followed: Option<f64>,
}

impl Split {
    /// Computes the shares of processes `pids` over `span`.
    pub fn compute(timeline: &Timeline, span: Span, pids: &[u32]) -> Self {
        let Ok(whole) = timeline.cpu_growth(span) else {
            return Self::default();
        };
        let is_known = |pid: &u32| whole.processes.iter().any(|(known, _)| known == pid);
        let asked = !pids.is_empty() && pids.iter().all(is_known);
        let stretches: Vec<Stretch> = stretches(span)
            .map(|span| Stretch {
                span,
                shares: Shares::compute(timeline, span, pids),
            })
            .collect();
        let part = |domain, share: &dyn Fn(&Shares) -> f64| weighted(timeline, &stretches, domain, share);
        Self {
            time_share: asked.then(|| Shares::compute(timeline, span, pids).ours),
            of_packages: asked.then(|| part(EnergyDomain::Package, &|shares| shares.ours)),
            of_dram: asked.then(|| part(EnergyDomain::Dram, &|shares| shares.ours)),
            followed: Some(part(EnergyDomain::Package, &|shares| shares.followed)),
        }
    }
}

/// One interval with its shares.
struct Stretch {
    span: Span,
    shares: Shares,
}

/// Shares of the CPU time within one interval.
#[derive(Default)]
struct Shares {
    /// Share of the given processes.
    ours: f64,
    /// Share of all tracked processes.
    followed: f64,
}

impl Shares {
    /// Computes the shares over `span`.
    fn compute(timeline: &Timeline, span: Span, pids: &[u32]) -> Self {
        let Ok(growth) = timeline.cpu_growth(span) else {
            return Self::default();
        };
        let trees = growth.processes.iter().map(|(_, sec)| *sec);
        let trees: Vec<f64> = trees.chain([growth.newcomers_sec]).collect();
        let shares = cpu_shares(growth.host_busy_sec, &trees);
        let ours = growth
            .processes
            .iter()
            .zip(&shares)
            .filter(|((pid, _), _)| pids.contains(pid));
        Self {
            ours: ours.map(|(_, share)| *share).sum::<f64>().min(1.0),
            followed: shares.iter().sum::<f64>().min(1.0),
        }
    }
}

/// Returns the mean of `share`, weighted by the energy of each interval, or by its length when an energy is unknown.
fn weighted(timeline: &Timeline, stretches: &[Stretch], domain: EnergyDomain, share: impl Fn(&Shares) -> f64) -> f64 {
    let used: Option<Vec<f64>> = stretches
        .iter()
        .map(|stretch| used_j(timeline, domain, stretch.span))
        .collect();
    let weights = used
        .filter(|used| used.iter().sum::<f64>() > 0.0)
        .unwrap_or_else(|| stretches.iter().map(|stretch| stretch.span.sec()).collect());
    let all: f64 = weights.iter().sum();
    let given: f64 = weights
        .iter()
        .zip(stretches)
        .map(|(weight, stretch)| weight * share(&stretch.shares))
        .sum();
    (given / all).clamp(0.0, 1.0)
}

/// Returns the energy in J of a domain over `span`; `None` when a part of it is unknown.
fn used_j(timeline: &Timeline, domain: EnergyDomain, span: Span) -> Option<f64> {
    let tracks = timeline
        .tracks()
        .iter()
        .filter(|track| track.description.id.domain == domain && !track.is_repeat());
    let growths = tracks.map(|track| {
        track
            .chosen()
            .growth(span, 0.0)
            .ok()
            .map(|growth| growth.total.max(0.0))
    });
    growths.sum()
}

/// Divides `span` at whole multiples of a length, which is a power of two of seconds. Windows of similar length thus
/// share their intervals.
fn stretches(span: Span) -> impl Iterator<Item = Span> {
    let doublings = (span.sec() / SHORTEST_SEC / MAX_STRETCHES).max(1.0).log2().ceil();
    let length = (SHORTEST_SEC * doublings.exp2() * NANOSECONDS_PER_SECOND) as u64;
    let mut start = span.start;
    std::iter::from_fn(move || {
        let next = Monotonic((start.0 / length + 1) * length).min(span.end);
        let stretch = Span { start, end: next };
        start = next;
        (stretch.start < stretch.end).then_some(stretch)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fixtures;
    use crate::source::Value;

    /// Creates a package that draws `watts(second)`, and processes that each use `cpus(second)`. No other process
    /// computes.
    fn host(watts: impl Fn(u32) -> f64, cpus: &[&dyn Fn(u32) -> f64], seconds: u32) -> Timeline {
        let mut timeline = Timeline::new(vec![fixtures::package(None)], 0.1);
        let (mut joules, mut used) = (0.0, vec![0.0; cpus.len()]);
        for (pid, _) in (1..).zip(cpus) {
            timeline.track(pid, Monotonic(0), 0.0);
        }
        for tenth in 0..=seconds * 10 {
            let at = Monotonic::from_sec(f64::from(tenth) * 0.1);
            let value = Value {
                at,
                counter_j: Some(joules),
                power_w: None,
            };
            timeline.record(0, Ok(value), false);
            timeline.record_host_cpu(at, used.iter().sum(), false);
            for (pid, sec) in (1..).zip(&used) {
                timeline.record_process_cpu(pid, at, *sec, false);
            }
            joules += 0.1 * watts(tenth / 10);
            for (sec, cpus) in used.iter_mut().zip(cpus) {
                *sec += 0.1 * cpus(tenth / 10);
            }
        }
        timeline
    }

    fn span(start: f64, end: f64) -> Span {
        Span {
            start: Monotonic::from_sec(start),
            end: Monotonic::from_sec(end),
        }
    }

    fn share_of(timeline: &Timeline, start: f64, end: f64, pid: u32) -> f64 {
        Split::compute(timeline, span(start, end), &[pid])
            .of_packages
            .expect("known")
    }

    #[test]
    fn a_process_that_computes_at_high_power_gets_more_than_its_share_of_cpu_time() {
        // The first computes at 200 W, the second for as long at 100 W.
        let first = |second: u32| f64::from(u8::from(second < 5));
        let second = |second: u32| f64::from(u8::from(second >= 5));
        let timeline = host(|second| if second < 5 { 200.0 } else { 100.0 }, &[&first, &second], 10);
        let split = Split::compute(&timeline, span(0.0, 10.0), &[1]);
        assert!((split.time_share.expect("known") - 0.5).abs() < 1e-9);
        assert!((split.of_packages.expect("known") - 2.0 / 3.0).abs() < 1e-6);
        assert!((split.followed.expect("known") - 1.0).abs() < 1e-9);
    }

    #[test]
    fn windows_that_only_overlap_are_never_given_the_same_idle_time() {
        // Each is busy for a moment of its own window. With a split over whole windows each would get everything.
        let first = |second: u32| f64::from(u8::from(second < 5));
        let second = |second: u32| f64::from(u8::from(second == 5));
        let timeline = host(|_| 100.0, &[&first, &second], 15);
        let given_j = 1000.0 * (share_of(&timeline, 0.0, 10.0, 1) + share_of(&timeline, 5.0, 15.0, 2));
        assert!(
            (given_j - 600.0).abs() < 1.0,
            "{given_j} J in the 6 s in which anybody computed"
        );
    }

    #[test]
    fn hours_are_split_into_at_most_a_thousand_stretches_that_tile_them() {
        for length in [0.3, 5.0, 999.5, 90_000.0] {
            let all: Vec<Span> = stretches(span(7.25, 7.25 + length)).collect();
            assert!(all.len() <= 1002, "{}", all.len());
            assert_eq!(
                (all[0].start, all[all.len() - 1].end),
                (span(7.25, 8.0).start, span(0.0, 7.25 + length).end)
            );
            assert!(all.windows(2).all(|pair| pair[0].end == pair[1].start));
        }
    }

    proptest! {
        #[test]
        fn overlapping_windows_together_are_given_no_more_than_the_host_used(
            power in prop::collection::vec(10.0f64..200.0, 20),
            busy in prop::collection::vec(prop::collection::vec(prop::sample::select(vec![0.0, 0.3, 1.0]), 20), 2..4),
            windows in prop::collection::vec((0u32..10, 2u32..10), 3),
        ) {
            let at = |values: &Vec<f64>, second: u32| values[(second as usize).min(19)];
            let use_of: Vec<Box<dyn Fn(u32) -> f64>> =
                busy.iter().cloned().map(|of| Box::new(move |second| at(&of, second)) as Box<dyn Fn(u32) -> f64>).collect();
            let by_pid: Vec<&dyn Fn(u32) -> f64> = use_of.iter().map(|of| &**of).collect();
            let timeline = host(|second| at(&power, second), &by_pid, 20);
            let used = |start: u32, end: u32| (start..end).map(|second| at(&power, second)).sum::<f64>();
            let mut given = 0.0;
            for (pid, (start, length)) in (1..).zip(&windows).take(busy.len()) {
                let (from, to) = (f64::from(*start), f64::from(start + length));
                given += share_of(&timeline, from, to, pid) * used(*start, start + length);
            }
            let covered = (0..20u32).filter(|second| {
                windows.iter().take(busy.len()).any(|(start, length)| (*start..start + length).contains(second))
            });
            let there: f64 = covered.map(|second| at(&power, second)).sum();
            prop_assert!(given <= there * (1.0 + 1e-6) + 1e-6, "{} of {}", given, there);
        }
    }
}
