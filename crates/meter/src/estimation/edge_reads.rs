//! Schedules readings beyond the regular sweeps, so that a window's edge falls between two known refreshes.
//!
//! A counter that refreshes every few milliseconds is awaited at the edge. A slower one is read on after the edge,
//! while the measured work runs, until its next refreshes have shown its value at the edge. Leaves the reading to the
//! meter's thread and to simulations.

use super::series::{FAST_REFRESH_SEC, MAX_REFRESH_SEC};
use super::timeline::Timeline;
use super::track::{REFRESHES_AFTER_AN_EDGE, Track};
use joulemark_measurement::EnergyMethod;
use joulemark_measurement::clock::Monotonic;

/// Spacing in seconds of readings of a fast counter after an edge: half of RAPL's refresh period of 1 ms. A counter
/// that is seen to refresh at least this often counts as always fresh.
const HALF_A_FAST_REFRESH_SEC: f64 = 5e-4;

/// Maximum wait in seconds at an edge. It is this long only to learn a counter's period.
const MAX_WAIT_SEC: f64 = 25e-3;
/// Maximum wait in seconds for a counter that does not move, such as that of an idle part of the chip. It is a little
/// longer than the slowest awaited counter's period.
const MAX_WAIT_FOR_A_REFRESH_SEC: f64 = 6e-3;

/// Number of periods to read on for while the period is unknown: four steps of the slowest sensor.
const PERIODS_UNTIL_KNOWN: f64 = 4.5;

/// Readings in one period after an edge, which place a refresh within a fortieth of the period.
const READINGS_PER_PERIOD: f64 = 40.0;
/// Minimum and maximum spacing in seconds of these readings: at most 1,000 readings per second.
const SPACING_SEC: (f64, f64) = (1e-3, 2.5e-3);

/// Seconds for which a fast counter is read on after an edge, twice per refresh: the work begins or has ended within a
/// few milliseconds of the edge.
const FAST_READ_ON_SEC: f64 = 4e-3;

/// Spacing in seconds of the readings that enclose a predicted refresh.
const CLOSE_SPACING_SEC: f64 = 2e-4;
/// Maximum delay in seconds with which a sleeping thread wakes up.
const WAKING_SEC: f64 = 5e-4;

/// The counters that are read repeatedly at a window's edge until they refresh.
#[derive(Clone, Debug)]
pub struct Awaited {
    since: Monotonic,
    sources: Vec<usize>,
}

impl Awaited {
    /// Creates the wait at an edge `now`, for the counters that refresh every few milliseconds.
    pub fn at_edge(timeline: &Timeline, now: Monotonic) -> Self {
        Self {
            since: now,
            sources: numbers(timeline, refreshes_fast),
        }
    }

    /// Returns the numbers in the timeline of the counters to read again now. Empty when all have refreshed or the wait
    /// is over.
    pub fn to_read(&mut self, timeline: &Timeline, now: Monotonic) -> Vec<usize> {
        let waited_sec = now.sec_since(self.since);
        if waited_sec > MAX_WAIT_SEC {
            self.sources.clear();
        }
        self.sources.retain(|source| {
            let track = &timeline.tracks()[*source];
            let counter = &track.counter;
            let known = counter.refresh_is_settled()
                || counter
                    .refresh_bound_sec()
                    .is_some_and(|bound| bound <= HALF_A_FAST_REFRESH_SEC);
            let has_moved = counter.moved_since(self.since);
            track.last_error.is_none()
                && !(known && has_moved)
                && (has_moved || waited_sec <= MAX_WAIT_FOR_A_REFRESH_SEC)
        });
        self.sources.clone()
    }
}

/// The schedule of extra readings after a window's edge, until the next refreshes have shown each source's value there.
#[derive(Clone, Debug)]
pub struct EdgeReads(Vec<Group>);

/// Sources that are read together, and when.
#[derive(Clone, Debug)]
struct Group {
    sources: Vec<usize>,
    next: Monotonic,
    spacing_sec: f64,
    until: Monotonic,
}

impl EdgeReads {
    /// Creates the schedule after an edge `now`; `None` when no source needs extra readings.
    pub fn after_edge(timeline: &Timeline, now: Monotonic) -> Option<Self> {
        let slow = numbers(timeline, |track| {
            track.last_error.is_none() && slow_refresh_sec(track).is_some()
        });
        let slow = slow.into_iter().map(|source| Group::of_slow(timeline, source, now));
        let fast = Group::of_fast(numbers(timeline, refreshes_fast), now);
        Self(fast.into_iter().chain(slow).collect()).unfinished()
    }

    /// Returns the time of the next reading.
    pub fn next(&self) -> Monotonic {
        self.0
            .iter()
            .map(|group| group.next)
            .min()
            .unwrap_or(Monotonic(u64::MAX))
    }

    /// Returns the numbers in the timeline of the sources to read now.
    pub fn due(&self, now: Monotonic) -> Vec<usize> {
        let due = self.0.iter().filter(|group| group.next <= now);
        due.flat_map(|group| group.sources.iter().copied()).collect()
    }

    /// Returns the schedule after what was due at `then` has been read at `now`; `None` when no reading is left.
    pub fn after(mut self, timeline: &Timeline, then: Monotonic, now: Monotonic) -> Option<Self> {
        for group in self.0.iter_mut().filter(|group| group.next <= then) {
            group.next = group.after(timeline, now);
        }
        self.unfinished()
    }

    /// Drops the sources that are done; returns `None` when none is left.
    fn unfinished(mut self) -> Option<Self> {
        self.0.retain(|group| group.next <= group.until);
        (!self.0.is_empty()).then_some(self)
    }
}

impl Group {
    /// Creates the schedule of counters that refresh every few milliseconds; `None` when there are none.
    fn of_fast(sources: Vec<usize>, now: Monotonic) -> Option<Self> {
        (!sources.is_empty()).then(|| Self {
            sources,
            next: later(now, HALF_A_FAST_REFRESH_SEC),
            spacing_sec: HALF_A_FAST_REFRESH_SEC,
            until: later(now, FAST_READ_ON_SEC),
        })
    }

    /// Creates the schedule of one source that refreshes slowly.
    fn of_slow(timeline: &Timeline, source: usize, now: Monotonic) -> Self {
        let track = &timeline.tracks()[source];
        let refresh_sec = slow_refresh_sec(track).unwrap_or(0.0);
        let is_known = track.detected_refresh_sec().is_some();
        let periods = if is_known {
            REFRESHES_AFTER_AN_EDGE
        } else {
            PERIODS_UNTIL_KNOWN
        };
        let mut group = Self {
            sources: vec![source],
            next: now,
            spacing_sec: if is_known {
                (refresh_sec / READINGS_PER_PERIOD).clamp(SPACING_SEC.0, SPACING_SEC.1)
            } else {
                SPACING_SEC.0 * (refresh_sec / MAX_REFRESH_SEC).max(1.0)
            },
            until: later(now, periods * refresh_sec),
        };
        group.next = group.after(timeline, now);
        group
    }

    /// Returns the time of the next reading. A refresh that can be predicted is read closely from shortly before it
    /// until it is seen; otherwise readings are evenly spaced.
    fn after(&self, timeline: &Timeline, now: Monotonic) -> Monotonic {
        let evenly = later(now, self.spacing_sec);
        let &[source] = self.sources.as_slice() else {
            return evenly;
        };
        let Some((step, off_sec)) = timeline.tracks()[source].chosen().next_step() else {
            return evenly;
        };
        let lead_sec = off_sec + WAKING_SEC;
        if step > later(now, lead_sec) {
            later(step, -lead_sec)
        } else if now <= later(step, lead_sec) {
            later(now, CLOSE_SPACING_SEC).min(evenly)
        } else {
            evenly
        }
    }
}

fn later(moment: Monotonic, sec: f64) -> Monotonic {
    Monotonic::from_sec(moment.as_sec() + sec)
}

/// Returns the refresh period in seconds of a source that is too slow to be awaited; `None` for a fast one.
fn slow_refresh_sec(track: &Track) -> Option<f64> {
    let refresh_sec = match track.description.method {
        EnergyMethod::EnergyCounter => track.counter_refresh_sec(),
        EnergyMethod::PowerIntegration => track.power_refresh_sec().unwrap_or(track.description.refresh_sec),
        EnergyMethod::Estimate => 0.0,
    };
    (refresh_sec > FAST_REFRESH_SEC).then_some(refresh_sec)
}

/// Returns whether the source is a counter that refreshes often enough to be awaited.
fn refreshes_fast(track: &Track) -> bool {
    let refresh_sec = track.counter_refresh_sec();
    is_counter(track) && refresh_sec > 0.0 && refresh_sec <= FAST_REFRESH_SEC
}

fn is_counter(track: &Track) -> bool {
    track.description.method == EnergyMethod::EnergyCounter && track.last_error.is_none()
}

/// Returns the numbers in the timeline of the sources that `wanted` selects.
fn numbers(timeline: &Timeline, wanted: impl Fn(&Track) -> bool) -> Vec<usize> {
    let tracks = timeline.tracks().iter().enumerate();
    tracks
        .filter(|(_, track)| wanted(track))
        .map(|(number, _)| number)
        .collect()
}
