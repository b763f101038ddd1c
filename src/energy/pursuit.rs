//! What is read beyond the regular sweeps, so that a window's edge falls between two refreshes that are known.
//!
//! Owns when and which sources. Pure: the meter's thread carries it out, and so do simulations. Deliberately does not
//! read: a counter that ticks every few milliseconds is waited for at the edge; a slower one is pursued after it,
//! while the measured work goes on, until its next refreshes have shown how it stood at the edge.

use std::time::Duration;

use super::timeline::{Timeline, Track};
use crate::clock::Monotonic;
use crate::measurement::EnergyMethod;

/// A counter that ticks at least this often is waited for at an edge; a slower one would hold up the work.
const WORTH_WAITING_SEC: f64 = 5e-3;

/// A counter without a period is read at an edge until it is known to be as good as always fresh.
const FRESH_SEC: f64 = 5e-4;

/// An edge waits no longer than this, whatever a counter does.
const LONGEST_WAIT_SEC: f64 = 6e-3;

/// Two refreshes after the edge: one on its far side, one more for the power there.
const PURSUED_PERIODS: f64 = 2.2;

/// A period that is not known yet is told from four steps of the slowest.
const PERIODS_UNTIL_KNOWN: f64 = 4.5;

/// A refresh is placed within a fortieth of its period, by at most 1,000 readings a second.
const READINGS_PER_PERIOD: f64 = 40.0;
const SPACING_SEC: (f64, f64) = (1e-3, 2.5e-3);

/// Power without a counter is polled so many times as often as sweeps were asked for, down to 20 ms: what happens
/// between two polls is a guess, and a step of 200 W within 100 ms may be 10 J off.
const POLLS_PER_SWEEP: u32 = 5;
const SHORTEST_POLL: Duration = Duration::from_millis(20);

/// Counters whose tick an edge waits for.
#[derive(Clone, Debug)]
pub struct Awaited {
    since: Monotonic,
    sources: Vec<usize>,
}

impl Awaited {
    pub fn at_edge(timeline: &Timeline, now: Monotonic) -> Self {
        let ticks_fast = |track: &Track| {
            let refresh_sec = track.counter_refresh_sec();
            is_counter(track) && refresh_sec > 0.0 && refresh_sec <= WORTH_WAITING_SEC
        };
        Self {
            since: now,
            sources: numbers(timeline, ticks_fast),
        }
    }

    /// Those to read once more now; none when all have ticked or waiting is over.
    pub fn to_read(&mut self, timeline: &Timeline, now: Monotonic) -> Vec<usize> {
        if now.sec_since(self.since) > LONGEST_WAIT_SEC {
            self.sources.clear();
        }
        self.sources.retain(|source| {
            let track = &timeline.tracks()[*source];
            let counter = &track.counter;
            let known =
                counter.refresh_sec().is_some() || counter.refresh_bound_sec().is_some_and(|bound| bound <= FRESH_SEC);
            track.last_error.is_none() && !(known && counter.moved_since(self.since))
        });
        self.sources.clone()
    }
}

/// Slow counters that are read often for a while after an edge.
#[derive(Clone, Debug)]
pub struct Pursuit {
    pub sources: Vec<usize>,
    pub next: Monotonic,
    spacing_sec: f64,
    until: Monotonic,
}

impl Pursuit {
    pub fn after_edge(timeline: &Timeline, now: Monotonic) -> Option<Self> {
        let sources = numbers(timeline, |track| {
            track.last_error.is_none() && pursued_refresh_sec(track).is_some()
        });
        let tracks = sources.iter().map(|source| &timeline.tracks()[*source]);
        let mut until_sec = 0.0f64;
        let mut spacing_sec = SPACING_SEC.1;
        for track in tracks {
            let refresh_sec = pursued_refresh_sec(track).unwrap_or(0.0);
            let is_known = track.detected_refresh_sec().is_some();
            let periods = if is_known { PURSUED_PERIODS } else { PERIODS_UNTIL_KNOWN };
            until_sec = until_sec.max(periods * refresh_sec);
            spacing_sec = spacing_sec.min((refresh_sec / READINGS_PER_PERIOD).max(SPACING_SEC.0));
        }
        let until = Monotonic::from_sec(now.as_sec() + until_sec);
        (!sources.is_empty()).then_some(
            Self {
                sources,
                next: now,
                spacing_sec,
                until,
            }
            .after(now)?,
        )
    }

    /// The pursuit with its next reading, or its end.
    pub fn after(self, now: Monotonic) -> Option<Self> {
        let next = Monotonic::from_sec(now.as_sec() + self.spacing_sec);
        (next <= self.until).then_some(Self { next, ..self })
    }
}

/// Sources that only show power.
pub fn polled_sources(timeline: &Timeline) -> Vec<usize> {
    numbers(timeline, |track| {
        track.description.method == EnergyMethod::PowerIntegration
    })
}

/// How long after poll number `count` the next one is due, where sweeps are `sweep` apart. Never in step with a sensor
/// or a load that has a rhythm of its own: the golden ratio spreads intervals evenly between ¾ and 5⁄4.
pub fn next_poll(sweep: Duration, count: u64) -> Duration {
    const GOLDEN: f64 = 0.618_033_988_749_894_9;
    let mean = (sweep / POLLS_PER_SWEEP).max(SHORTEST_POLL);
    mean.mul_f64(0.75 + 0.5 * (count as f64 * GOLDEN).fract()).min(sweep)
}

/// The refresh of a source that is slow enough to be pursued.
fn pursued_refresh_sec(track: &Track) -> Option<f64> {
    let refresh_sec = match track.description.method {
        EnergyMethod::EnergyCounter => track.counter_refresh_sec(),
        EnergyMethod::PowerIntegration => track.power_refresh_sec().unwrap_or(track.description.refresh_sec),
        EnergyMethod::Estimate => 0.0,
    };
    (refresh_sec > WORTH_WAITING_SEC).then_some(refresh_sec)
}

fn is_counter(track: &Track) -> bool {
    track.description.method == EnergyMethod::EnergyCounter && track.last_error.is_none()
}

fn numbers(timeline: &Timeline, wanted: impl Fn(&Track) -> bool) -> Vec<usize> {
    let tracks = timeline.tracks().iter().enumerate();
    tracks
        .filter(|(_, track)| wanted(track))
        .map(|(number, _)| number)
        .collect()
}
