use super::warning::warning;
use joulemark_experiment::report::OfferedReport;
use joulemark_experiment::{Spec, Warning, WarningCode};

/// Largest lag of the sender without a warning, in milliseconds. With a larger lag the offered load differs from the
/// requested one.
const MAX_LAG_MS: f64 = 5.0;

/// Warns where the engine or the sender did not keep up with the offered load, and where goodput is unknown.
pub fn check(spec: &Spec, offered: &OfferedReport) -> Vec<Warning> {
    let mut warnings = Vec::new();
    if offered.saturated == Some(true) {
        let rate = |rate: Option<f64>| rate.map_or_else(|| "an unknown number".to_owned(), |rate| format!("{rate:.3}"));
        let message = format!(
            "requests arrived faster than they were answered: {} per second arrived, {} were answered, and the backlog grew throughout. \
             Latencies grow with the length of the experiment; lower the offered rate",
            rate(offered.offered_per_sec),
            rate(offered.achieved_per_sec)
        );
        warnings.push(warning(WarningCode::OpenLoadSaturated, message));
    }
    if let Some(lag) = offered.sender_lag_ms.filter(|lag| lag.p99 > MAX_LAG_MS) {
        let message = format!(
            "requests were sent up to {:.1} ms late (99th percentile; maximum {:.1} ms): the offered load differs from the requested one",
            lag.p99, lag.max
        );
        warnings.push(warning(WarningCode::LoadGeneratorLate, message));
    }
    if spec.slo.is_some() && offered.goodput.is_none() {
        let message = "goodput: a time that slo limits is unknown for some requests";
        warnings.push(warning(WarningCode::MetricUnknown, message));
    }
    warnings
}
