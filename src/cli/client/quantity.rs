//! Formats figures and their units. Pure.

use joulemark_analysis::metrics::{Metric, find};
use serde_json::Value;

/// Returns the unit of a metric from the table; for a metric of a newer server, the unit that its name ends with.
pub fn unit(metrics: &[Metric], name: &str) -> &'static str {
    match find(metrics, name) {
        Some(metric) => metric.unit,
        None if name.starts_with("flops_") => "FLOP",
        None if name.ends_with("_j") => "J",
        None if name.ends_with("_w") => "W",
        None if name.ends_with("_sec") => "s",
        None if name.ends_with("_ms") => "ms",
        None => "",
    }
}

/// Formats a string, boolean or number; returns `None` for null, lists and objects.
pub fn shown(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(number) => Some(match number.as_u64() {
            Some(whole) => whole.to_string(),
            None => decimal(number.as_f64()?),
        }),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Formats with three decimals, or with an exponent for small and large numbers.
fn decimal(number: f64) -> String {
    if number != 0.0 && !(1e-3..1e6).contains(&number.abs()) {
        format!("{number:.3e}")
    } else {
        format!("{number:.3}")
    }
}

/// Formats with about three significant digits.
pub fn brief(number: f64) -> String {
    match number.abs() {
        tiny if tiny < 0.001 && tiny > 0.0 => format!("{number:.2e}"),
        small if small < 1.0 && small > 0.0 => {
            let zeros = (-small.log10()).ceil() as usize;
            format!("{number:.*}", zeros + 2)
        }
        small if small < 10.0 => format!("{number:.2}"),
        middle if middle < 100.0 => format!("{number:.1}"),
        _ => format!("{number:.0}"),
    }
}

/// Formats a duration in seconds, minutes or hours.
pub fn duration(sec: f64) -> String {
    let whole = sec.max(0.0).round() as u64;
    let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds} s"),
        (0, _) => format!("{minutes} min {seconds} s"),
        _ => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn figures_are_shown_with_enough_digits() {
        for (value, expected) in [
            (json!(861), Some("861")),
            (json!(30.8971), Some("30.897")),
            (json!(0.0), Some("0.000")),
            (json!(2.048e11), Some("2.048e11")),
            (json!(0.0001), Some("1.000e-4")),
            (json!(-3), Some("-3.000")),
            (json!("traced"), Some("traced")),
            (json!(null), None),
            (json!([1]), None),
        ] {
            assert_eq!(shown(&value).as_deref(), expected);
        }
    }

    #[test]
    fn durations_and_brief_numbers_are_formatted() {
        for (sec, expected) in [
            (0.4, "0 s"),
            (59.6, "1 min 0 s"),
            (75.0, "1 min 15 s"),
            (7384.0, "2 h 3 min"),
            (-1.0, "0 s"),
        ] {
            assert_eq!(duration(sec), expected);
        }
        for (number, expected) in [
            (0.0, "0.00"),
            (6.266, "6.27"),
            (30.12, "30.1"),
            (456.7, "457"),
            (0.5, "0.500"),
            (-0.1234, "-0.123"),
            (0.012_34, "0.0123"),
            (0.001, "0.00100"),
            (0.000_123_4, "1.23e-4"),
        ] {
            assert_eq!(brief(number), expected);
        }
    }

    #[test]
    fn every_numeric_metric_has_a_unit() {
        use joulemark_analysis::metrics::all;
        use joulemark_experiment::report::EfficiencyMetrics;
        use joulemark_measurement::{ComputeMetrics, EnergyMetrics, InferenceMetrics};
        let groups = [
            serde_json::to_value(InferenceMetrics::default()).unwrap(),
            serde_json::to_value(EnergyMetrics::default()).unwrap(),
            serde_json::to_value(ComputeMetrics::default()).unwrap(),
            serde_json::to_value(EfficiencyMetrics::default()).unwrap(),
        ];
        let without: Vec<_> = groups
            .iter()
            .flat_map(|group| group.as_object().unwrap())
            .filter(|(name, value)| value.is_null() && unit(all(), name).is_empty())
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(
            without,
            ["cpu_time_share", "flops_method", "flops_confidence", "roofline"]
        );
    }
}
