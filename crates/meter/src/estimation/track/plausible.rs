//! Decides which values of a source can be measurements.
//!
//! Owns the maximum power of a device and the maximum time for which a counter may stand still. Leaves the consequence
//! of an implausible value to `track`, and its description to `window`.

use std::collections::VecDeque;

use crate::estimation::series::{MAX_COUNTER_REFRESH_SEC, Span};
use crate::source::SourceDescription;
use joulemark_measurement::clock::Monotonic;
use joulemark_measurement::{EnergyDomain, EnergyMethod, EnergySourceKind};

/// Maximum power of a GPU as a multiple of the highest limit that it can be set to.
const GPU_LIMIT_FACTOR: f64 = 2.0;

/// Maximum power of a zone as a multiple of its declared maximum. Mobile sockets draw up to four times as much for half
/// a minute.
const ZONE_LIMIT_FACTOR: f64 = 5.0;

/// Maximum power in W where no limit is declared: twice what the largest sockets and boards draw for moments.
const UNDECLARED_W: f64 = 2000.0;

/// Maximum power in W of any socket, board or platform.
const MOST_W: f64 = 20e3;

/// Maximum power where no limit is declared, as a multiple of the highest power seen.
const HISTORY_MARGIN: f64 = 4.0;

/// Maximum delay in seconds of a thread between a reading and its time stamp.
const HELD_UP_SEC: f64 = 0.1;

/// Seconds after which a counter that stands still is taken for dead: four refreshes of the slowest expected counter.
const STILL_SEC: f64 = 0.4;
/// The same in refresh periods, for a slower counter.
const STILL_PERIODS: f64 = 2.0;

/// Maximum number of standstills, and of readings left out, that are stored for each source.
const REMEMBERED: usize = 512;

/// A power reading that was left out because it cannot be a measurement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LeftOut {
    /// Time of the reading.
    pub at: Monotonic,
    /// Power in W that was reported.
    pub power_w: f64,
    /// Seconds of the window that no reading covers because of it.
    pub gap_sec: f64,
}

/// A counter's value, with the first and the last time at which it was read.
#[derive(Clone, Copy, Debug)]
struct Shown {
    total_j: f64,
    first: Monotonic,
    last: Monotonic,
}

/// The growth of a counter over some time.
#[derive(Clone, Copy, Debug)]
struct Growth {
    /// Growth in J.
    by_j: f64,
    /// Time in seconds.
    sec: f64,
}

/// The checks of one source's values, and what they have seen.
#[derive(Debug)]
pub struct Plausible {
    domain: EnergyDomain,
    is_measured: bool,
    /// Expected refresh period of the counter, in seconds.
    expected_refresh_sec: f64,
    /// Refresh period that the readings have shown so far, in seconds.
    refresh_sec: f64,
    /// The last two mean powers in W. A standstill may have begun within the last one.
    recent_w: [f64; 2],
    /// Limit in W that the device declares; `None` when it declares none.
    limit_w: Option<f64>,
    /// Highest power seen, in W.
    peak_w: f64,
    shown: Option<Shown>,
    /// Time and counter from which the mean power for the peak is computed.
    anchor: Option<(Monotonic, f64)>,
    has_moved: bool,
    stills: VecDeque<Span>,
    left_out: VecDeque<LeftOut>,
    power_at: Option<Monotonic>,
}

/// Adds an element, and drops the oldest when there are too many.
fn push_bounded<T>(of: &mut VecDeque<T>, one: T) {
    if of.len() == REMEMBERED {
        of.pop_front();
    }
    of.push_back(one);
}

impl Plausible {
    /// Creates the checks for a source.
    pub fn new(description: &SourceDescription) -> Self {
        Self {
            domain: description.id.domain,
            is_measured: description.method != EnergyMethod::Estimate
                && description.id.kind != EnergySourceKind::TdpEstimate,
            expected_refresh_sec: description.refresh_sec,
            refresh_sec: description.refresh_sec,
            recent_w: [0.0; 2],
            limit_w: None,
            peak_w: 0.0,
            shown: None,
            anchor: None,
            has_moved: false,
            stills: VecDeque::new(),
            left_out: VecDeque::new(),
            power_at: None,
        }
    }

    /// Sets the limit that the device declares. An implausible limit is ignored.
    pub fn set_limit(&mut self, limit_w: f64) {
        self.limit_w = (limit_w.is_finite() && limit_w >= 1.0).then_some(limit_w);
    }

    /// Returns the limit in W that the device declares.
    pub fn limit_w(&self) -> Option<f64> {
        self.limit_w
    }

    /// Returns the maximum power in W that is accepted.
    fn max_power_w(&self) -> f64 {
        let is_gpu = self.domain == EnergyDomain::Gpu;
        match self.limit_w {
            Some(limit_w) if is_gpu => GPU_LIMIT_FACTOR * limit_w,
            Some(limit_w) => ZONE_LIMIT_FACTOR * limit_w,
            None if self.domain == EnergyDomain::Psys => MOST_W,
            None => (HISTORY_MARGIN * self.peak_w).clamp(UNDECLARED_W, MOST_W),
        }
    }

    /// Returns the text of the bound that a reading exceeds.
    fn bound_text(&self) -> String {
        self.limit_w.map_or_else(
            || "more than any such device draws".to_owned(),
            |limit_w| format!("while its own limit is {limit_w:.0} W"),
        )
    }

    /// Checks a power reading. Returns the reason when it cannot be a measurement.
    pub fn reject_power(&mut self, at: Monotonic, power_w: f64) -> Option<String> {
        let since_sec = self.power_at.replace(at).map_or(0.0, |last| at.sec_since(last));
        let is_zero = self.domain == EnergyDomain::Gpu && power_w <= 0.0;
        let why = if is_zero {
            format!("power is reported as {power_w:.0} W, which a running board never draws")
        } else if power_w <= self.max_power_w() {
            self.peak_w = self.peak_w.max(power_w);
            return None;
        } else {
            format!("power is reported as {power_w:.0} W, {}", self.bound_text())
        };
        let gap_sec = 2.0 * since_sec;
        push_bounded(&mut self.left_out, LeftOut { at, power_w, gap_sec });
        Some(format!("{why}: the reading is left out"))
    }

    /// Checks a counter's reading. `refresh_sec` is the refresh period that its readings show. Returns the reason when
    /// the counter cannot have grown to this value since the last reading.
    pub fn reject_growth(&mut self, at: Monotonic, total_j: f64, refresh_sec: f64) -> Option<String> {
        if !self.is_measured {
            return None;
        }
        self.refresh_sec = refresh_sec;
        let fresh = Shown {
            total_j,
            first: at,
            last: at,
        };
        let Some(shown) = &mut self.shown else {
            self.shown = Some(fresh);
            return None;
        };
        let grown_j = total_j - shown.total_j;
        if at <= shown.last {
            return None;
        }
        if grown_j == 0.0 {
            shown.last = at;
            return None;
        }
        let before = *shown;
        self.shown = Some(fresh);
        // When the counter was only late, the energy of the whole time comes at once.
        let shown_late_sec = at.sec_since(before.last) + refresh_sec;
        if !self.has_moved || grown_j <= self.recent_w[0].max(self.recent_w[1]) * shown_late_sec {
            self.end_standstill(&before);
        }
        if grown_j < 0.0 {
            self.anchor = None;
            return None;
        }
        self.has_moved = true;
        let grown = Growth {
            by_j: grown_j,
            sec: at.sec_since(before.first),
        };
        let since_the_anchor = self.since_the_anchor(at, total_j);
        let slack_sec = HELD_UP_SEC + self.expected_refresh_sec;
        let is_beyond = |grown: &Growth| grown.by_j > self.max_power_w() * (grown.sec + slack_sec);
        if let Some(grown) = [Some(grown), since_the_anchor].into_iter().flatten().find(is_beyond) {
            self.anchor = None;
            let Growth { by_j, sec } = grown;
            return Some(format!(
                "the counter grew by {by_j:.0} J in {sec:.3} s, {:.0} W, {}: the growth is implausible",
                by_j / sec,
                self.bound_text()
            ));
        }
        if let Some(grown) = since_the_anchor {
            let mean_w = grown.by_j / grown.sec;
            self.recent_w = [self.recent_w[1], mean_w];
            self.peak_w = self.peak_w.max(mean_w);
            self.anchor = Some((at, total_j));
        }
        None
    }

    /// Returns the growth since the time from which the mean power is computed, once that is [`STILL_SEC`] ago.
    fn since_the_anchor(&mut self, at: Monotonic, total_j: f64) -> Option<Growth> {
        let (from, from_j) = *self.anchor.get_or_insert((at, total_j));
        let sec = at.sec_since(from);
        (sec >= STILL_SEC).then_some(Growth {
            by_j: total_j - from_j,
            sec,
        })
    }

    /// Forgets the counter's value after its device was gone: what it counts afterwards is unrelated.
    pub fn forget_counter(&mut self) {
        if let Some(shown) = self.shown.take() {
            self.end_standstill(&shown);
        }
        self.anchor = None;
    }

    /// Stores the standstill that ends with a new value, if there was one.
    fn end_standstill(&mut self, shown: &Shown) {
        if let Some(still) = self.standstill(shown) {
            push_bounded(&mut self.stills, still);
        }
    }

    /// Returns whether a counter that stands still is taken for dead. A graphics part that is switched off draws
    /// nothing, but only a counter that has moved before is trusted to show that.
    pub fn is_never_still(&self) -> bool {
        self.is_measured && !(self.domain == EnergyDomain::Uncore && self.has_moved)
    }

    /// Returns whether the counter stands still now although its device draws power.
    pub fn stands_still(&self) -> bool {
        self.is_never_still() && self.standstill_now().is_some()
    }

    /// Returns the seconds of `span` in which the counter stood still although its device draws power.
    pub fn still_sec(&self, span: Span) -> f64 {
        if !self.is_never_still() {
            return 0.0;
        }
        let stills = self.stills.iter().copied().chain(self.standstill_now());
        let within = |still: Span| still.end.min(span.end).sec_since(still.start.max(span.start));
        stills.map(|still| within(still).max(0.0)).sum()
    }

    /// Returns the power readings that were left out within `span`.
    pub fn left_out(&self, span: Span) -> impl Iterator<Item = &LeftOut> {
        self.left_out
            .iter()
            .filter(move |left_out| left_out.at >= span.start && left_out.at <= span.end)
    }

    /// Returns the seconds after which a counter that stands still is taken for dead. A GPU's counter that has not
    /// moved yet may be as slow as any.
    pub fn dead_after_sec(&self) -> f64 {
        if self.domain == EnergyDomain::Gpu && !self.has_moved {
            return MAX_COUNTER_REFRESH_SEC;
        }
        (STILL_PERIODS * self.refresh_sec).clamp(STILL_SEC, MAX_COUNTER_REFRESH_SEC)
    }

    /// Returns the time for which a value was shown, when that is long enough for a standstill.
    fn standstill(&self, shown: &Shown) -> Option<Span> {
        (shown.last.sec_since(shown.first) >= self.dead_after_sec()).then_some(Span {
            start: shown.first,
            end: shown.last,
        })
    }

    /// Returns the standstill that lasts until the newest reading.
    fn standstill_now(&self) -> Option<Span> {
        self.shown.as_ref().and_then(|shown| self.standstill(shown))
    }
}
