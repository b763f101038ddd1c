//! Formats numbers for people: with as many digits as the uncertainty allows, and with a prefix of the unit. An unknown
//! value is shown as unknown, never as 0.

use joulemark_measurement::units::MILLISECONDS_PER_SECOND;

/// Digits of a value whose uncertainty is unknown.
const SIGNIFICANT_DIGITS: i32 = 3;
/// Digits of an uncertainty; more would be noise.
const UNCERTAINTY_DIGITS: i32 = 2;
const MAX_DECIMALS: i32 = 9;

pub const UNKNOWN: &str = "unknown";

/// SI prefixes by thousands, largest first.
const PREFIXES: [(f64, &str); 8] = [
    (1e15, "P"),
    (1e12, "T"),
    (1e9, "G"),
    (1e6, "M"),
    (1e3, "k"),
    (1.0, ""),
    (1e-3, "m"),
    (1e-6, "µ"),
];
/// Units that take a prefix, alone or in a rate.
const PREFIXED: [&str; 4] = ["J", "W", "FLOP", "B"];
const BINARY: [(f64, &str); 4] = [
    (1_099_511_627_776.0, "TiB"),
    (1_073_741_824.0, "GiB"),
    (1_048_576.0, "MiB"),
    (1024.0, "KiB"),
];

/// Formats a value with three significant digits.
pub fn plain(value: f64) -> String {
    if !value.is_finite() {
        return UNKNOWN.to_owned();
    }
    with_decimals(value, SIGNIFICANT_DIGITS - 1 - magnitude(value))
}

/// Formats a value with its interval: `12.3 ± 0.4` when the value is in the middle, otherwise `12.3 (11.9 to 13.1)`.
/// The digits end at the second digit of the half-width.
pub fn with_interval(value: f64, interval: Option<(f64, f64)>) -> String {
    let Some((low, high)) = interval.filter(|(low, high)| low.is_finite() && high.is_finite() && low <= high) else {
        return plain(value);
    };
    let half = (high - low) / 2.0;
    if half <= 0.0 {
        return plain(value);
    }
    let decimals = UNCERTAINTY_DIGITS - 1 - magnitude(half);
    let is_in_the_middle = ((value - low) - (high - value)).abs() <= 0.2 * half;
    let shown = with_decimals(value, decimals);
    match is_in_the_middle {
        true => format!("{shown} ± {}", with_decimals(half, decimals)),
        false => format!(
            "{shown} ({} to {})",
            with_decimals(low, decimals),
            with_decimals(high, decimals)
        ),
    }
}

/// Formats a value with its interval and unit, with a prefix if the unit takes one: `1.23 ± 0.05 kJ`.
pub fn quantity(value: f64, interval: Option<(f64, f64)>, unit: &str) -> String {
    let takes_prefix = PREFIXED
        .iter()
        .any(|prefixed| unit.strip_prefix(prefixed).is_some_and(ends_there));
    let (factor, prefix) = if takes_prefix { prefix_of(value) } else { (1.0, "") };
    let interval = interval.map(|(low, high)| (low / factor, high / factor));
    format!("{} {prefix}{unit}", with_interval(value / factor, interval))
}

/// Returns whether the unit ends here or continues as a rate.
fn ends_there(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with(['/', ' '])
}

/// Formats a value with its unit and the prefix that leaves one to three digits before the point, such as `1.23 kJ`.
pub fn si(value: f64, unit: &str) -> String {
    let (factor, prefix) = prefix_of(value);
    format!("{} {prefix}{unit}", plain(value / factor))
}

fn prefix_of(value: f64) -> (f64, &'static str) {
    let size = value.abs();
    let found = PREFIXES.into_iter().find(|(factor, _)| size >= *factor);
    found.filter(|_| value.is_finite()).unwrap_or((1.0, ""))
}

/// Formats a number of bytes, such as `79.6 GiB`.
pub fn bytes(bytes: f64) -> String {
    match BINARY.into_iter().find(|(factor, _)| bytes >= *factor) {
        Some((factor, unit)) => format!("{} {unit}", plain(bytes / factor)),
        None => format!("{bytes:.0} B"),
    }
}

/// Formats a count with commas between groups of three digits, such as `1,048,576`.
pub fn count(count: usize) -> String {
    let digits = count.to_string();
    let grouped = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy);
    grouped.collect::<Vec<_>>().join(",")
}

/// Formats a duration, such as `820 ms`, `12.4 s` or `1 h 05 min`.
pub fn duration(sec: f64) -> String {
    if !sec.is_finite() {
        return UNKNOWN.to_owned();
    }
    let whole = sec.round() as u64;
    match sec {
        sec if sec < 1.0 => format!("{:.0} ms", sec * MILLISECONDS_PER_SECOND),
        sec if sec < 60.0 => format!("{} s", plain(sec)),
        _ if whole < 3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}

/// Formats a time to the second, in UTC.
pub fn time(at: &jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// Returns the power of ten of a value's first digit; 0 for zero.
fn magnitude(value: f64) -> i32 {
    match value {
        0.0 => 0,
        value => value.abs().log10().floor() as i32,
    }
}

fn with_decimals(value: f64, decimals: i32) -> String {
    match decimals {
        0.. => format!("{value:.*}", decimals.min(MAX_DECIMALS) as usize),
        _ => {
            let step = 10_f64.powi(-decimals);
            format!("{:.0}", (value / step).round() * step)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digits_end_with_those_of_the_uncertainty() {
        for (value, interval, shown) in [
            (12.3456, Some((11.9, 12.7912)), "12.35 ± 0.45"),
            (12.3456, Some((12.3, 13.9)), "12.35 (12.30 to 13.90)"),
            (1234.5, Some((1100.0, 1369.0)), "1230 ± 130"),
            (0.001_234, Some((0.001_2, 0.001_268)), "0.001234 ± 0.000034"),
            (5.0, None, "5.00"),
            (5.0, Some((5.0, 5.0)), "5.00"),
            (0.0, None, "0.00"),
            (f64::NAN, None, UNKNOWN),
        ] {
            assert_eq!(with_interval(value, interval), shown);
        }
    }

    #[test]
    fn units_have_the_prefix_that_leaves_few_digits() {
        assert_eq!(si(1234.0, "J"), "1.23 kJ");
        assert_eq!(si(0.0123, "J"), "12.3 mJ");
        assert_eq!(si(0.0, "W"), "0.00 W");
        assert_eq!(si(-45.0, "W"), "-45.0 W");
        assert_eq!(bytes(85_899_345_920.0), "80.0 GiB");
        assert_eq!(bytes(12.0), "12 B");
    }

    #[test]
    fn a_quantity_has_a_prefix_if_its_unit_takes_one() {
        for (value, interval, unit, shown) in [
            (1234.0, Some((1200.0, 1268.0)), "J", "1.234 ± 0.034 kJ"),
            (0.0123, None, "J/token", "12.3 mJ/token"),
            (2.05e11, None, "FLOP", "205 GFLOP"),
            (1234.0, None, "tokens/s", "1230 tokens/s"),
            (0.0123, None, "ms", "0.0123 ms"),
        ] {
            assert_eq!(quantity(value, interval, unit), shown);
        }
    }

    #[test]
    fn a_duration_is_formatted_in_its_two_largest_units() {
        for (sec, shown) in [
            (0.25, "250 ms"),
            (12.34, "12.3 s"),
            (61.2, "1 min 01 s"),
            (3905.0, "1 h 05 min"),
        ] {
            assert_eq!(duration(sec), shown);
        }
    }
}
