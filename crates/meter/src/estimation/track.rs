//! What was read of one source, and what its readings tell of its sensor.
//!
//! Owns what breaks a source's series: a gap that could hide a wrap, power that was not read, growth that no device has.
//! Leaves the other series and whose windows they are to `timeline`.

pub mod plausible;

use plausible::Plausible;

use super::series::{FAST_REFRESH_SEC, MAX_COUNTER_REFRESH_SEC, MAX_REFRESH_SEC, Rests, Series};
use crate::source::{PollError, SourceDescription, Value};
use joulemark_measurement::clock::Monotonic;
use joulemark_measurement::{EnergyDomain, EnergyMethod};

/// Live power looks back this far: several refreshes of the slowest counter.
const LIVE_POWER_SEC: f64 = 0.5;

/// Polled power not read for longer than this, or than these sweeps, is not guessed by a straight line.
const MAX_POWER_GAP_SEC: f64 = 2.0;
const MAX_POWER_GAP_SWEEPS: f64 = 10.0;

/// The peak is of means over the above, so that looking more often would see little more.
const PEAK_EVERY_SEC: f64 = 0.1;

#[derive(Debug)]
pub struct Track {
    pub description: SourceDescription,
    pub counter: Series,
    pub power: Series,
    /// The latest failure; it explains a window that has no data.
    pub last_error: Option<PollError>,
    pub tally: Tally,
    pub plausible: Plausible,
    /// Whether the latest power reading was left out.
    is_power_refused: bool,
    peak_w: f64,
    /// When the peak was last looked for.
    peak_at: Monotonic,
    max_power_gap_sec: f64,
}

/// What a source was asked and has shown since the meter started.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tally {
    /// Energy of the chosen series over all stretches in which it is known, in joules: never falls, whatever the
    /// counter itself does.
    pub energy_j: f64,
    pub answers: u64,
    pub failures: u64,
}

/// Two refreshes after an edge tell of it, however late in its period the counter stood there: one on its far side, one
/// more for the power behind it. A fifth more, since readings come late.
pub const REFRESHES_AFTER_AN_EDGE: f64 = 2.2;

/// A counter that has surely stood still for so many of its periods, and for longer than a fast one does, is late: its
/// next step is waited for until it stood still for as long as no counter does.
const LATE_PERIODS: f64 = 2.0;

/// No socket draws more; a board or platform that does shows it, and the bound follows what was seen.
const MIN_PEAK_W: f64 = 500.0;

/// No socket draws more than this many times the peak that was seen of it.
const PEAK_MARGIN: f64 = 4.0;

impl Track {
    /// Creates the empty track of a source that is read at least every `interval_sec`.
    pub fn new(description: SourceDescription, interval_sec: f64) -> Self {
        Self {
            plausible: Plausible::new(&description),
            is_power_refused: false,
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

    /// The series a window is read from.
    pub fn chosen(&self) -> &Series {
        if self.description.method == EnergyMethod::PowerIntegration {
            &self.power
        } else {
            &self.counter
        }
    }

    /// How often the chosen sensor refreshes, in seconds, as far as its samples tell.
    pub fn detected_refresh_sec(&self) -> Option<f64> {
        self.chosen().refresh_sec()
    }

    /// How old a value of the counter can be when it is read: what the samples tell, else what such hardware does.
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

    /// The same for polled power; none where its values do not tell.
    pub fn power_refresh_sec(&self) -> Option<f64> {
        let as_good_as_fresh = self
            .power
            .refresh_bound_sec()
            .filter(|bound| *bound <= FAST_REFRESH_SEC);
        self.power.refresh_sec().or(as_good_as_fresh)
    }

    /// Until how long after a window's end readings still say something of it; more of them may tell that it is longer.
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

    /// Returns whether it shows what another source shows already, and is left out of everything.
    pub fn is_repeat(&self) -> bool {
        matches!(self.last_error, Some(PollError::Repeats(_)))
    }

    /// Returns whether no reading is to be waited for.
    pub fn is_away(&self) -> bool {
        use PollError::{Gone, Repeats, Silent};
        matches!(self.last_error, Some(Gone(_) | Silent(_) | Repeats(_)))
    }

    /// Returns whether its energy is a counter's that stands still, though its device draws something.
    pub fn is_dead(&self) -> bool {
        self.description.method == EnergyMethod::EnergyCounter && !self.is_away() && self.plausible.stands_still()
    }

    pub fn live_power_w(&self) -> Option<f64> {
        if self.last_error.is_some() {
            return None;
        }
        let polled = self.power.last().and_then(|sample| sample.power_w);
        polled.filter(|_| !self.is_power_refused).or_else(|| {
            let moves = !self.plausible.stands_still();
            self.counter.recent_rate(LIVE_POWER_SEC).filter(|_| moves)
        })
    }

    /// Stores what the source answered.
    pub fn record(&mut self, value: Value, edge: bool) {
        self.last_error = None;
        let before = self.chosen().last().copied();
        if let Some(total) = value.counter_j.filter(|total| total.is_finite()) {
            self.void_a_gap_that_could_hide_a_wrap(value.at);
            let refresh_sec = self.counter_refresh_sec();
            if let Some(why) = self.plausible.refuse_growth(value.at, total, refresh_sec) {
                self.counter.break_off(why);
            }
            self.counter.push_total(value.at, total, edge);
            self.note_the_peak(value.at);
        }
        let refused = value
            .power_w
            .and_then(|power_w| self.record_power(value.at, power_w, edge));
        self.is_power_refused = refused.is_some();
        // Beside a counter it costs no more than the second witness.
        if let Some(why) = refused.filter(|_| self.description.method == EnergyMethod::PowerIntegration) {
            self.tally.failures += 1;
            self.last_error = Some(PollError::Retry(why));
            return;
        }
        self.tally.answers += 1;
        self.tally.energy_j += before.map_or(0.0, |before| self.chosen().growth_since(&before));
    }

    /// Returns why a power reading is left out; the line then goes across it.
    fn record_power(&mut self, at: Monotonic, power_w: f64, edge: bool) -> Option<String> {
        let refused = self.plausible.refuse_power(at, power_w);
        if refused.is_none() {
            let gap = self.power.last().map_or(0.0, |last| at.sec_since(last.at));
            if gap > self.max_power_gap_sec {
                self.power.break_off(format!("power was not read for {gap:.1} s"));
            }
            self.power.push_power(at, power_w, edge);
        }
        refused
    }

    /// Stores that the source did not answer. One that is gone breaks its series: should it come back, it is another
    /// driver's count, and nothing connects the two.
    pub fn record_failure(&mut self, error: PollError) {
        if let PollError::Gone(why) = &error {
            self.counter.break_off(why.clone());
            self.power.break_off(why.clone());
            self.plausible.forget_the_count();
        }
        self.tally.failures += 1;
        self.last_error = Some(error);
    }

    fn note_the_peak(&mut self, now: Monotonic) {
        if self.description.wraps.is_none() || now.sec_since(self.peak_at) < PEAK_EVERY_SEC {
            return;
        }
        self.peak_at = now;
        let rate_w = self.counter.recent_rate(LIVE_POWER_SEC).unwrap_or(0.0);
        self.peak_w = self.peak_w.max(rate_w);
    }

    fn void_a_gap_that_could_hide_a_wrap(&mut self, now: Monotonic) {
        let (Some(wraps), Some(last)) = (self.description.wraps, self.counter.last()) else {
            return;
        };
        let gap = now.sec_since(last.at);
        // A bound that stands on no declared limit is far above what sockets draw: there, what was seen, with a margin,
        // decides, so that a thread held up for a moment does not cost a reading.
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

/// Creates the empty series of a source's counter. Registers of processors are fast, and stand at 0 where they measure
/// nothing; a graphics part that is switched off truly draws nothing.
fn counter_series(description: &SourceDescription) -> Series {
    if description.refresh_sec > FAST_REFRESH_SEC {
        Series::of_counter(MAX_COUNTER_REFRESH_SEC, Rests::Never)
    } else if description.id.domain == EnergyDomain::Uncore || description.method == EnergyMethod::Estimate {
        Series::of_counter(MAX_REFRESH_SEC, Rests::Always)
    } else {
        Series::of_counter(MAX_REFRESH_SEC, Rests::UntilItMoves)
    }
}
