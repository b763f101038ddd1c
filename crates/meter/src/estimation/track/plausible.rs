//! Which values of a source can be measurements at all.
//!
//! Owns the most that a device can draw, and how long a counter may stand still. Leaves to `track` what a value that
//! cannot be one costs, and to `window` what is said of it.

use std::collections::VecDeque;

use crate::estimation::series::{MAX_COUNTER_REFRESH_SEC, Span};
use crate::source::SourceDescription;
use joulemark_measurement::clock::Monotonic;
use joulemark_measurement::{EnergyDomain, EnergyMethod, EnergySourceKind};

/// A board's sensor shows no more than this many times the highest limit that the board can be set to.
const GPU_LIMIT_FACTOR: f64 = 2.0;

/// Mobile sockets draw up to four times their declared maximum for half a minute.
const ZONE_LIMIT_FACTOR: f64 = 5.0;

/// Where no limit is declared: twice what the largest sockets and boards draw for moments.
const UNDECLARED_W: f64 = 2000.0;

/// No socket, board or host's platform counter shows more.
const MOST_W: f64 = 20e3;

/// Where no limit is declared, no device draws more than this many times the peak that was seen of it.
const HISTORY_MARGIN: f64 = 4.0;

/// A thread may be held up this long between a value and its stamp.
const HELD_UP_SEC: f64 = 0.1;

/// Four refreshes of the slowest counter that is expected: what runs has moved its counter by then, unless it is a slower
/// one. Then it is as many periods as this.
const STILL_SEC: f64 = 0.4;
const STILL_PERIODS: f64 = 2.0;

/// Standstills and readings left out that are remembered of each source.
const REMEMBERED: usize = 512;

/// A power reading that was left out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LeftOut {
    pub at: Monotonic,
    pub power_w: f64,
    /// Time that no reading stands for, in seconds.
    pub gap_sec: f64,
}

/// A counter's value, and when it was seen first and last.
#[derive(Clone, Copy, Debug)]
struct Shown {
    total_j: f64,
    first: Monotonic,
    last: Monotonic,
}

/// By how much a counter grew, and in how long.
#[derive(Clone, Copy, Debug)]
struct Growth {
    by_j: f64,
    sec: f64,
}

/// What a source's values are held against.
#[derive(Debug)]
pub struct Plausible {
    domain: EnergyDomain,
    is_measured: bool,
    /// How old its counter's value is expected to be.
    expected_refresh_sec: f64,
    /// What its readings have told of that so far.
    refresh_sec: f64,
    /// The last two mean powers that were taken: a standstill may have begun within the last.
    recent_w: [f64; 2],
    /// The device's own limit, where it declares one.
    limit_w: Option<f64>,
    peak_w: f64,
    shown: Option<Shown>,
    /// Where the mean power for the peak is taken from.
    anchor: Option<(Monotonic, f64)>,
    has_moved: bool,
    stills: VecDeque<Span>,
    left_out: VecDeque<LeftOut>,
    power_at: Option<Monotonic>,
}

fn remember<T>(of: &mut VecDeque<T>, one: T) {
    if of.len() == REMEMBERED {
        of.pop_front();
    }
    of.push_back(one);
}

impl Plausible {
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

    pub fn set_limit(&mut self, limit_w: f64) {
        self.limit_w = (limit_w.is_finite() && limit_w >= 1.0).then_some(limit_w);
    }

    pub fn limit_w(&self) -> Option<f64> {
        self.limit_w
    }

    /// No power above this is a measurement.
    fn believed_w(&self) -> f64 {
        let is_gpu = self.domain == EnergyDomain::Gpu;
        match self.limit_w {
            Some(limit_w) if is_gpu => GPU_LIMIT_FACTOR * limit_w,
            Some(limit_w) => ZONE_LIMIT_FACTOR * limit_w,
            None if self.domain == EnergyDomain::Psys => MOST_W,
            None => (HISTORY_MARGIN * self.peak_w).clamp(UNDECLARED_W, MOST_W),
        }
    }

    fn bound_in_words(&self) -> String {
        self.limit_w.map_or_else(
            || "which no such device draws".to_owned(),
            |limit_w| format!("and its own limit is {limit_w:.0} W"),
        )
    }

    /// Returns why this power is no measurement.
    pub fn refuse_power(&mut self, at: Monotonic, power_w: f64) -> Option<String> {
        let since_sec = self.power_at.replace(at).map_or(0.0, |last| at.sec_since(last));
        let is_nothing = self.domain == EnergyDomain::Gpu && power_w <= 0.0;
        let why = if is_nothing {
            format!("power is answered as {power_w:.0} W with success, and no board that runs draws nothing")
        } else if power_w <= self.believed_w() {
            self.peak_w = self.peak_w.max(power_w);
            return None;
        } else {
            format!("power is answered as {power_w:.0} W, {}", self.bound_in_words())
        };
        let gap_sec = 2.0 * since_sec;
        remember(&mut self.left_out, LeftOut { at, power_w, gap_sec });
        Some(format!("{why}: it is not believed"))
    }

    /// Returns why the counter, whose readings tell this refresh period, cannot have grown to this since it was read last.
    pub fn refuse_growth(&mut self, at: Monotonic, total_j: f64, refresh_sec: f64) -> Option<String> {
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
        // What ran meanwhile comes all at once where it was only late.
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
        let is_beyond = |grown: &Growth| grown.by_j > self.believed_w() * (grown.sec + slack_sec);
        if let Some(grown) = [Some(grown), since_the_anchor].into_iter().flatten().find(is_beyond) {
            self.anchor = None;
            let Growth { by_j, sec } = grown;
            return Some(format!(
                "the counter grew by {by_j:.0} J in {sec:.3} s, {:.0} W, {}: it is not believed",
                by_j / sec,
                self.bound_in_words()
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

    /// Returns by how much the counter grew since the moment that its mean power is taken from, once that is long ago.
    fn since_the_anchor(&mut self, at: Monotonic, total_j: f64) -> Option<Growth> {
        let (from, from_j) = *self.anchor.get_or_insert((at, total_j));
        let sec = at.sec_since(from);
        (sec >= STILL_SEC).then_some(Growth {
            by_j: total_j - from_j,
            sec,
        })
    }

    /// What comes after it is gone is another count.
    pub fn forget_the_count(&mut self) {
        if let Some(shown) = self.shown.take() {
            self.end_standstill(&shown);
        }
        self.anchor = None;
    }

    fn end_standstill(&mut self, shown: &Shown) {
        if let Some(still) = self.standstill(shown) {
            remember(&mut self.stills, still);
        }
    }

    /// Returns whether a counter that stands still is taken for dead. A graphics part that is switched off truly draws
    /// nothing, but only a counter that has moved before can be trusted to say so.
    pub fn is_never_still(&self) -> bool {
        self.is_measured && !(self.domain == EnergyDomain::Uncore && self.has_moved)
    }

    /// Returns whether the counter stands still now, though its device draws something.
    pub fn stands_still(&self) -> bool {
        self.is_never_still() && self.standstill_now().is_some()
    }

    /// Returns the seconds of `span` in which the counter is known to have stood still.
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

    /// Returns how long the counter must stand still to be taken for dead. A board's that has not moved yet may be as slow as
    /// any.
    pub fn dead_after_sec(&self) -> f64 {
        if self.domain == EnergyDomain::Gpu && !self.has_moved {
            return MAX_COUNTER_REFRESH_SEC;
        }
        (STILL_PERIODS * self.refresh_sec).clamp(STILL_SEC, MAX_COUNTER_REFRESH_SEC)
    }

    fn standstill(&self, shown: &Shown) -> Option<Span> {
        (shown.last.sec_since(shown.first) >= self.dead_after_sec()).then_some(Span {
            start: shown.first,
            end: shown.last,
        })
    }

    fn standstill_now(&self) -> Option<Span> {
        self.shown.as_ref().and_then(|shown| self.standstill(shown))
    }
}
