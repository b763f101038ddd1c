//! Axes: a scale from values to user units, and ticks at round values. Linear, logarithmic and time axes.

use crate::number::{self, TimeUnit};

/// Distances of the ticks of a time axis, in seconds; beyond the last, which is a day, they are multiples of a day.
const TIME_STEPS: [f64; 18] = [
    1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 14400.0, 21600.0,
    43200.0, DAY,
];
const DAY: f64 = 86400.0;

/// An axis: its range, its position and its ticks.
#[derive(Clone, Debug)]
pub(crate) struct Axis {
    /// Values and labels of the ticks.
    pub ticks: Vec<(f64, String)>,
    pub from: f64,
    pub to: f64,
    pub logarithmic: bool,
    start: f64,
    end: f64,
}

impl Axis {
    /// Returns a linear axis that ends at round values.
    pub fn linear(range: (f64, f64), place: (f64, f64), count: usize) -> Self {
        let (low, high) = widen(range);
        let step = nice_step((high - low) / count.max(1) as f64);
        let (first, last) = ((low / step + 1e-9).floor(), (high / step - 1e-9).ceil());
        let values = multiples(first, last, step);
        let ticks = labelled(values, step);
        Self {
            ticks,
            from: first * step,
            to: last * step,
            logarithmic: false,
            start: place.0,
            end: place.1,
        }
    }

    /// Returns a linear axis that begins at zero unless the values are far from it.
    pub fn linear_from_zero(range: (f64, f64), place: (f64, f64), count: usize) -> Self {
        let (low, high) = range;
        let near = if low > 0.0 && low <= 0.4 * high { 0.0 } else { low };
        Self::linear(
            (near, if high < 0.0 && high >= 0.4 * low { 0.0 } else { high }),
            place,
            count,
        )
    }

    /// Returns a logarithmic axis of positive values with some margin at both ends.
    pub fn log(range: (f64, f64), place: (f64, f64), count: usize) -> Self {
        let (low, high) = (range.0.log10(), range.1.log10());
        let room = if high - low < 1e-6 { 0.05 } else { (high - low) * 0.05 };
        let (low, high) = (low - room, high + room);
        let (from, to) = (10.0_f64.powf(low), 10.0_f64.powf(high));
        Self {
            ticks: log_ticks(low, high, count),
            from,
            to,
            logarithmic: true,
            start: place.0,
            end: place.1,
        }
    }

    /// Returns a time axis with exactly this range, and the unit of its labels.
    pub fn time(range: (f64, f64), place: (f64, f64), count: usize) -> (Self, TimeUnit) {
        let (from, to) = widen(range);
        let unit = TimeUnit::of(from.abs().max(to.abs()));
        let wanted = (to - from) / count.max(1) as f64;
        let step = match unit {
            TimeUnit::Seconds => nice_step(wanted),
            _ => TIME_STEPS
                .into_iter()
                .find(|step| *step >= wanted.max(1.0))
                .unwrap_or_else(|| nice_step(wanted / DAY) * DAY),
        };
        let step = if unit == TimeUnit::Hours { step.max(60.0) } else { step };
        let values = multiples((from / step - 1e-9).ceil(), (to / step + 1e-9).floor(), step);
        let ticks = values
            .into_iter()
            .map(|value| (value, number::moment(value, unit, step)))
            .collect();
        (
            Self {
                ticks,
                from,
                to,
                logarithmic: false,
                start: place.0,
                end: place.1,
            },
            unit,
        )
    }

    /// Returns the position of the end of the axis.
    pub fn end(&self) -> f64 {
        self.end
    }

    /// Returns the position of a value; that of the nearer end for a value beyond the axis.
    pub fn at(&self, value: f64) -> f64 {
        let share = if self.logarithmic {
            (value.max(f64::MIN_POSITIVE) / self.from).log10() / (self.to / self.from).log10()
        } else {
            (value - self.from) / (self.to - self.from)
        };
        self.start + (self.end - self.start) * share.clamp(0.0, 1.0)
    }
}

/// Returns the smallest and the largest of the values; `None` where there is none.
pub(crate) fn range(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    values.into_iter().fold(None, |range, value| match range {
        None => Some((value, value)),
        Some((low, high)) => Some((value.min(low), value.max(high))),
    })
}

/// Minimum range of an axis as a share of its largest value, so that the noise of a nearly constant line does not look
/// like a trend.
const MIN_RANGE_SHARE: f64 = 0.05;

/// Widens a range to at least a twentieth of its largest value.
pub(crate) fn steadied((low, high): (f64, f64)) -> (f64, f64) {
    let least = MIN_RANGE_SHARE * low.abs().max(high.abs());
    let missing = (least - (high - low)).max(0.0) / 2.0;
    (low - missing, high + missing)
}

/// Widens a range until its ends can be distinguished by ticks.
fn widen((low, high): (f64, f64)) -> (f64, f64) {
    let furthest = low.abs().max(high.abs());
    match high - low {
        span if span > furthest * 1e-9 && furthest > 1e-90 => (low, high),
        _ if furthest <= 1e-90 => (0.0, 1.0),
        _ => (low - low.abs() * 0.1, low + low.abs() * 0.1),
    }
}

/// Returns the smallest of 1, 2 and 5 times a power of ten that is at least the step.
fn nice_step(step: f64) -> f64 {
    let power = 10.0_f64.powf(step.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|nice| *nice >= step * 0.999)
        .unwrap_or(step)
}

/// Returns the multiples of a step between two of them.
fn multiples(first: f64, last: f64, step: f64) -> Vec<f64> {
    let count = (last - first).clamp(0.0, 100.0) as usize;
    if last < first {
        return Vec::new();
    }
    (0..=count).map(|index| (first + index as f64) * step).collect()
}

/// Returns ticks with the labels of values that are one step apart.
fn labelled(values: Vec<f64>, step: f64) -> Vec<(f64, String)> {
    let labels = number::ticks(&values, step);
    values.into_iter().zip(labels).collect()
}

/// Returns the ticks of a logarithmic axis: at powers of ten where it spans several, at 1, 2 and 5 times each where
/// these fit, or else at round values.
fn log_ticks(low: f64, high: f64, count: usize) -> Vec<(f64, String)> {
    let (from, to) = (10.0_f64.powf(low), 10.0_f64.powf(high));
    let labelled_each = |values: Vec<f64>| values.into_iter().map(|value| (value, number::brief(value))).collect();
    if high - low < 1.0 {
        let step = nice_step((to - from) / count.max(1) as f64);
        return labelled(multiples((from / step).ceil(), (to / step).floor(), step), step);
    }
    let decades = || (low.floor() as i32..=high.ceil() as i32).map(|exponent| 10.0_f64.powi(exponent));
    let inside = |value: &f64| (from..=to).contains(value);
    let fine: Vec<f64> = decades()
        .flat_map(|ten| [ten, 2.0 * ten, 5.0 * ten])
        .filter(inside)
        .collect();
    if fine.len() <= count {
        return labelled_each(fine);
    }
    let coarse: Vec<f64> = decades().filter(inside).collect();
    let every = coarse.len().div_ceil(count.max(1)).max(1);
    labelled_each(coarse.into_iter().step_by(every).collect())
}
