//! Holds what was read of one source, and what its readings show of its sensor.
//!
//! Owns what breaks a source's series: a gap that could hide a wrap, power that was not read, and implausible growth.
//! Leaves the other series and windows to `timeline`.

pub mod plausible;

use plausible::Plausible;

use super::series::{FAST_REFRESH_SEC, MAX_COUNTER_REFRESH_SEC, MAX_REFRESH_SEC, Rests, Series};
use crate::source::{PollError, SourceDescription, Value};
use joulemark_measurement::clock::Monotonic;
use joulemark_measurement::{EnergyDomain, EnergyMethod};

/// Seconds over which live power is averaged: several refreshes of the slowest counter.
const LIVE_POWER_SEC: f64 = 0.5;

/// Maximum gap in seconds between two power readings. A longer gap is not interpolated.
const MAX_POWER_GAP_SEC: f64 = 2.0;
/// The same in regular sweeps. The longer of both applies.
const MAX_POWER_GAP_SWEEPS: f64 = 10.0;

/// Interval in seconds at which the peak is updated. It is a peak of means over [`LIVE_POWER_SEC`], so that more
/// frequent updates would find little more.
const PEAK_EVERY_SEC: f64 = 0.1;

/// The readings of one source.
#[derive(Debug)]
pub struct Track {
    /// The source.
    pub description: SourceDescription,
    /// The counter's series in J.
    pub counter: Series,
    /// The series of integrated power in J.
    pub power: Series,
    /// The latest failure, which explains a window without data; `None` after a reading that worked.
    pub last_error: Option<PollError>,
    /// Counts of readings, and the energy so far.
    pub tally: Tally,
    /// The checks that a value can be a measurement.
    pub plausible: Plausible,
    /// Whether the latest power reading was left out.
    is_power_rejected: bool,
    /// Highest mean power in W.
    peak_w: f64,
    /// Time of the last update of the peak.
    peak_at: Monotonic,
    max_power_gap_sec: f64,
}

/// The readings of a source since the meter started.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tally {
    /// Energy in J over all time in which it is known. It never falls, whatever the counter does.
    pub energy_j: f64,
    /// Readings that worked.
    pub answers: u64,
    /// Readings that failed.
    pub failures: u64,
}

/// Refreshes after an edge that determine the counter there: one on its far side and one more for the power behind it.
/// A fifth is added because readings come late.
pub const REFRESHES_AFTER_AN_EDGE: f64 = 2.2;

/// Periods for which a counter must stand still to be late. Its next step is then awaited for the longest time that a
/// counter can stand still.
const LATE_PERIODS: f64 = 2.0;

/// Minimum bound in W of a socket's power, against which wraps are checked. A device that draws more raises the bound.
const MIN_PEAK_W: f64 = 500.0;

/// Maximum power of a socket as a multiple of the peak seen.
const PEAK_MARGIN: f64 = 4.0;

impl Track {
    /// Creates the empty track of a source that is read at least every `interval_sec` seconds.
    pub fn new(description: SourceDescription, interval_sec: f64) -> Self {
        Self {
            plausible: Plausible::new(&description),
            is_power_rejected: false,
            counter: counter_series(&description),
            description,
            power: Series::default(),
            last_error: None,
            tally: Tally::default(),
            peak_w: 0.0,
            peak_at: Monotonic(0),
            max_power_gap_sec: MAX_POWER_GAP_SEC.max(MAX_POWER_GAP_SWEEPS * interval_sec),
        }
    }

    /// Returns the series from which a window's energy is computed.
    pub fn chosen(&self) -> &Series {
        if self.description.method == EnergyMethod::PowerIntegration {
            &self.power
        } else {
            &self.counter
        }
    }

    /// Returns the refresh period of that series' sensor in seconds; `None` when its samples do not show it.
    pub fn detected_refresh_sec(&self) -> Option<f64> {
        self.chosen().refresh_sec()
    }

    /// Returns the maximum age in seconds of the counter's value when it is read, from its samples or else from its
    /// description.
    pub fn counter_refresh_sec(&self) -> f64 {
        let known = self.description.refresh_sec;
        self.counter.refresh_sec().unwrap_or_else(|| {
            let bound = self.counter.refresh_bound_sec().map_or(known, |bound| bound.min(known));
            if known > FAST_REFRESH_SEC {
                bound.max(self.counter.seen_still_sec())
            } else {
                bound
            }
        })
    }

    /// Returns the same for polled power; `None` when its values do not show it.
    pub fn power_refresh_sec(&self) -> Option<f64> {
        let as_good_as_fresh = self
            .power
            .refresh_bound_sec()
            .filter(|bound| *bound <= FAST_REFRESH_SEC);
        self.power.refresh_sec().or(as_good_as_fresh)
    }

    /// Returns the seconds after a window's end for which readings still improve its energy. The value may grow with
    /// more readings.
    pub fn settle_sec(&self) -> f64 {
        match self.description.method {
            EnergyMethod::EnergyCounter => {
                let refresh_sec = self.counter_refresh_sec();
                let late_sec = FAST_REFRESH_SEC.max(LATE_PERIODS * refresh_sec)..MAX_COUNTER_REFRESH_SEC;
                let settles_sec = refresh_sec * REFRESHES_AFTER_AN_EDGE;
                if late_sec.contains(&self.counter.still_sec()) {
                    settles_sec.max(MAX_COUNTER_REFRESH_SEC)
                } else {
                    settles_sec
                }
            }
            EnergyMethod::PowerIntegration => {
                self.description.averaging_sec / 2.0 + REFRESHES_AFTER_AN_EDGE * self.power_refresh_sec().unwrap_or(0.0)
            }
            EnergyMethod::Estimate => 0.0,
        }
    }

    /// Returns whether the source shows what another source shows already. It is then left out of everything.
    pub fn is_repeat(&self) -> bool {
        matches!(self.last_error, Some(PollError::Repeats(_)))
    }

    /// Returns whether no reading of the source is to be awaited.
    pub fn is_away(&self) -> bool {
        use PollError::{Gone, Repeats, Silent};
        matches!(self.last_error, Some(Gone(_) | Silent(_) | Repeats(_)))
    }

    /// Returns whether its energy comes from a counter that stands still although its device draws power.
    pub fn is_dead(&self) -> bool {
        self.description.method == EnergyMethod::EnergyCounter && !self.is_away() && self.plausible.stands_still()
    }

    /// Returns the present power in W; `None` when the last reading failed or the counter stands still.
    pub fn live_power_w(&self) -> Option<f64> {
        if self.last_error.is_some() {
            return None;
        }
        let polled = self.power.last().and_then(|sample| sample.power_w);
        polled.filter(|_| !self.is_power_rejected).or_else(|| {
            let moves = !self.plausible.stands_still();
            self.counter.recent_rate(LIVE_POWER_SEC).filter(|_| moves)
        })
    }

    /// Stores what the source answered.
    pub fn record(&mut self, value: Value, edge: bool) {
        self.last_error = None;
        let before = self.chosen().last().copied();
        if let Some(total) = value.counter_j.filter(|total| total.is_finite()) {
            self.break_off_possible_wrap(value.at);
            let refresh_sec = self.counter_refresh_sec();
            if let Some(why) = self.plausible.reject_growth(value.at, total, refresh_sec) {
                self.counter.break_off(why);
            }
            self.counter.push_total(value.at, total, edge);
            self.update_peak(value.at);
        }
        let rejected = value
            .power_w
            .and_then(|power_w| self.record_power(value.at, power_w, edge));
        self.is_power_rejected = rejected.is_some();
        // Beside a counter, a power reading left out costs only the cross-check.
        if let Some(why) = rejected.filter(|_| self.description.method == EnergyMethod::PowerIntegration) {
            self.tally.failures += 1;
            self.last_error = Some(PollError::Retry(why));
            return;
        }
        self.tally.answers += 1;
        self.tally.energy_j += before.map_or(0.0, |before| self.chosen().growth_since(&before));
    }

    /// Adds a power reading. Returns the reason when it is left out; power is then interpolated across it.
    fn record_power(&mut self, at: Monotonic, power_w: f64, edge: bool) -> Option<String> {
        let rejected = self.plausible.reject_power(at, power_w);
        if rejected.is_none() {
            let gap = self.power.last().map_or(0.0, |last| at.sec_since(last.at));
            if gap > self.max_power_gap_sec {
                self.power.break_off(format!("power was not read for {gap:.1} s"));
            }
            self.power.push_power(at, power_w, edge);
        }
        rejected
    }

    /// Stores that the source did not answer. When it is gone its series breaks: a counter that comes back belongs to
    /// another instance of the driver and is unrelated.
    pub fn record_failure(&mut self, error: PollError) {
        if let PollError::Gone(why) = &error {
            self.counter.break_off(why.clone());
            self.power.break_off(why.clone());
            self.plausible.forget_counter();
        }
        self.tally.failures += 1;
        self.last_error = Some(error);
    }

    /// Updates the peak of the mean power.
    fn update_peak(&mut self, now: Monotonic) {
        if self.description.wraps.is_none() || now.sec_since(self.peak_at) < PEAK_EVERY_SEC {
            return;
        }
        self.peak_at = now;
        let rate_w = self.counter.recent_rate(LIVE_POWER_SEC).unwrap_or(0.0);
        self.peak_w = self.peak_w.max(rate_w);
    }

    /// Breaks the counter's series after a gap in which it could have wrapped unseen.
    fn break_off_possible_wrap(&mut self, now: Monotonic) {
        let (Some(wraps), Some(last)) = (self.description.wraps, self.counter.last()) else {
            return;
        };
        let gap = now.sec_since(last.at);
        // A bound without a declared limit is far above what sockets draw. The peak seen, with a margin, is then the
        // bound, so that a thread that was held up for a moment does not lose a reading.
        let seen_w = (PEAK_MARGIN * self.peak_w).max(MIN_PEAK_W);
        if gap * wraps.highest_power_w.min(seen_w) > wraps.range_j {
            let why = format!(
                "not read for {gap:.2} s, in which its {:.0} J range may have wrapped unseen",
                wraps.range_j
            );
            self.counter.break_off(why);
        }
    }
}

/// Creates the empty series of a source's counter. Registers of processors refresh fast, and stay 0 when they measure
/// nothing. A graphics part that is switched off draws nothing.
fn counter_series(description: &SourceDescription) -> Series {
    if description.refresh_sec > FAST_REFRESH_SEC {
        Series::of_counter(MAX_COUNTER_REFRESH_SEC, Rests::Never)
    } else if description.id.domain == EnergyDomain::Uncore || description.method == EnergyMethod::Estimate {
        Series::of_counter(MAX_REFRESH_SEC, Rests::Always)
    } else {
        Series::of_counter(MAX_REFRESH_SEC, Rests::UntilItMoves)
    }
}
