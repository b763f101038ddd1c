//! One figure of a result as a page shows it, with its interval and how it is known.

use super::super::metric_words;
use super::certainty::{Badge, Known, known};
use crate::number;
use joulemark_analysis::metrics::{Figures, Metric, Read, all, find};
use joulemark_experiment::report::Report;

const PERCENT: f64 = 100.0;
/// Relative half-width below which an interval is not shown; the instrument's own accuracy is worse.
const NEGLIGIBLE: f64 = 1e-3;

const HALF_WIDTH: &str = "the meter's half-width";
const BOUNDS: &str = "the meter's half-width; for the estimate, assumed bounds";
const OVER_CYCLES: &str = "95 % over cycles";
const OVER_CYCLES_AND_METER: &str = "95 % over cycles, and the meter's half-width";
const OVER_CYCLES_AND_BOUND: &str = "95 % over cycles, and assumed bounds of the estimate";
const PERCENTILES: [&str; 3] = ["median_", "p90_", "p99_"];

/// One figure as text.
#[derive(Clone, Debug)]
pub struct Figure {
    pub name: &'static str,
    pub label: String,
    /// Value as in the API; empty if unknown.
    pub exact: String,
    pub shown: String,
    /// Kind of the interval; empty without one.
    pub interval: String,
    pub known: Known,
    /// Value in steady state; `None` if unknown.
    pub steady: Option<String>,
}

impl Figure {
    /// Returns the figure of a metric.
    pub fn of(metric: &'static Metric, report: &Report) -> Self {
        let interval = interval(metric, report);
        let (exact, shown) = texts(metric, Figures::from(report), interval.map(|(ends, _)| ends));
        let known = known(metric, report);
        Self {
            name: metric.name,
            label: metric_words::label(metric.name),
            exact,
            shown,
            interval: interval.map_or_else(String::new, |(ends, what)| match is_negligible(ends) {
                true => format!("{what}, below 0.1 %"),
                false if what == HALF_WIDTH && known.badge != Badge::Measured => BOUNDS.to_owned(),
                false if what == OVER_CYCLES_AND_METER && known.badge != Badge::Measured => {
                    OVER_CYCLES_AND_BOUND.to_owned()
                }
                false => what.to_owned(),
            }),
            known,
            steady: steady(metric, report),
        }
    }

    /// Returns the figure of the metric with this name; `None` when there is no such metric.
    pub fn named(name: &str, report: &Report) -> Option<Self> {
        Some(Self::of(find(all(), name)?, report))
    }

    /// Returns whether the figure has a value.
    pub fn is_known(&self) -> bool {
        !self.exact.is_empty()
    }
}

/// Returns a figure of a cycle or rank in full precision and as shown, without an interval.
pub fn plain(name: &str, figures: Figures<'_>) -> (String, String) {
    find(all(), name).map_or_else(
        || (String::new(), number::UNKNOWN.to_owned()),
        |metric| texts(metric, figures, None),
    )
}

/// Returns a figure as in the API and as shown.
fn texts(metric: &Metric, figures: Figures<'_>, interval: Option<(f64, f64)>) -> (String, String) {
    let unknown = || (String::new(), number::UNKNOWN.to_owned());
    match metric.read {
        Read::Count(read) => read(figures).map_or_else(unknown, |count| {
            let shown = match metric.unit {
                "B" => number::bytes(count as f64),
                unit => format!("{count} {unit}"),
            };
            (count.to_string(), shown)
        }),
        Read::Number(read) => read(figures).map_or_else(unknown, |value| {
            (value.to_string(), quantity(value, interval, metric.unit))
        }),
        Read::Text(read) => read(figures).map_or_else(unknown, |text| (text.to_string(), text.replace('_', " "))),
        Read::Object(is_there) => match is_there(figures) {
            true => ("there".to_owned(), "below".to_owned()),
            false => unknown(),
        },
    }
}

/// Returns whether an interval is too narrow to be shown.
pub fn is_negligible((low, high): (f64, f64)) -> bool {
    high - low < NEGLIGIBLE * (high + low).abs()
}

/// Formats a number with its unit; a ratio in percent.
pub fn quantity(value: f64, interval: Option<(f64, f64)>, unit: &str) -> String {
    let interval = interval.filter(|ends| !is_negligible(*ends));
    match unit {
        "" => {
            let interval = interval.map(|(low, high)| (low * PERCENT, high * PERCENT));
            format!("{} %", number::with_interval(value * PERCENT, interval))
        }
        "B" if interval.is_none() => number::bytes(value),
        _ => number::quantity(value, interval, unit),
    }
}

/// Returns the interval of a figure and its kind: the meter's half-width of an energy, or a confidence interval of a
/// percentile over requests, or of a mean or ratio over cycles.
fn interval(metric: &Metric, report: &Report) -> Option<((f64, f64), &'static str)> {
    let Read::Number(read) = metric.read else { return None };
    let value = read(Figures::from(report))?;
    if let Some(half_width) = half_width(metric, report) {
        return Some(((value - half_width, value + half_width), HALF_WIDTH));
    }
    if let Some(of_requests) = report.request_percentiles.get(metric.name) {
        let ends = of_requests.ci_low.zip(of_requests.ci_high)?;
        return Some((ends, "95 % over requests"));
    }
    let over_cycles = report.statistics.get(metric.name)?;
    // A sum over the cycles lies outside of their range, and has no interval here.
    if value < over_cycles.min || value > over_cycles.max {
        return None;
    }
    // The statistics are of the cycles' percentiles, and not of the percentile over all cycles.
    if PERCENTILES.iter().any(|of| metric.name.starts_with(of)) {
        return None;
    }
    let meter = over_cycles.instrument_uncertainty;
    let of_ratio = over_cycles.ratio_ci_low.zip(over_cycles.ratio_ci_high);
    // The errors are independent: the scatter of the cycles, and the meter's error, which all cycles share.
    let of_ratio = of_ratio.map(|(low, high)| match meter {
        Some(half) => (value - (value - low).hypot(half), value + (high - value).hypot(half)),
        None => (low, high),
    });
    let combined = over_cycles.combined_low.zip(over_cycles.combined_high);
    let of_mean = over_cycles.ci_low.zip(over_cycles.ci_high);
    let ends = of_ratio.or(combined).or(of_mean)?;
    Some((
        ends,
        if meter.is_some() {
            OVER_CYCLES_AND_METER
        } else {
            OVER_CYCLES
        },
    ))
}

/// Returns the half-width of an energy, which is a metric of its own.
fn half_width(metric: &Metric, report: &Report) -> Option<f64> {
    let beside = format!("{}_uncertainty_j", metric.name.strip_suffix("_j")?);
    match find(all(), &beside)?.read {
        Read::Number(read) => read(Figures::from(report)),
        _ => None,
    }
}

fn steady(metric: &Metric, report: &Report) -> Option<String> {
    let steady = report.steady_state.as_deref()?;
    let (Some(inference), Some(energy), Some(efficiency)) = (&steady.inference, &steady.energy, &steady.efficiency)
    else {
        return None;
    };
    let nothing = joulemark_measurement::ComputeMetrics::default();
    let figures = Figures {
        inference,
        energy,
        compute: &nothing,
        efficiency,
    };
    let (exact, shown) = texts(metric, figures, None);
    (!exact.is_empty()).then_some(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_negligible_interval_is_not_shown() {
        assert_eq!(quantity(44_810.15, Some((44_809.67, 44_810.63)), "J"), "44.8 kJ");
        assert_eq!(quantity(44_923.0, Some((44_834.0, 45_012.0)), "J"), "44.923 ± 0.089 kJ");
        assert_eq!(quantity(0.1234, None, ""), "12.3 %");
    }
}
