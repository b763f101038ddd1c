use super::warning::warning;
use joulemark_experiment::report::OfferedReport;
use joulemark_experiment::{Spec, Warning, WarningCode};

/// What is sent later than this, in milliseconds, was not offered as it was asked.
const MAX_LAG_MS: f64 = 5.0;

/// Returns what is to be known of what was offered: whether the engine and the sender kept up, and what of good service is not
/// known.
pub fn check(spec: &Spec, offered: &OfferedReport) -> Vec<Warning> {
    let mut warnings = Vec::new();
    if offered.saturated == Some(true) {
        let rate =
            |rate: Option<f64>| rate.map_or_else(|| "an unknown number of".to_owned(), |rate| format!("{rate:.3}"));
        let message = format!(
            "requests came faster than they were answered: {} a second came, {} were answered, and the backlog grew throughout. \
             Latencies grow with the length of the experiment; offer less",
            rate(offered.offered_per_sec),
            rate(offered.achieved_per_sec)
        );
        warnings.push(warning(WarningCode::OpenLoadSaturated, message));
    }
    if let Some(lag) = offered.sender_lag_ms.filter(|lag| lag.p99 > MAX_LAG_MS) {
        let message = format!(
            "requests were sent up to {:.1} ms late (99th percentile; the longest {:.1} ms): what was offered is not what was asked",
            lag.p99, lag.max
        );
        warnings.push(warning(WarningCode::LoadGeneratorLate, message));
    }
    if spec.slo.is_some() && offered.goodput.is_none() {
        let message = "goodput: a time that slo asks for is not known of some request";
        warnings.push(warning(WarningCode::MetricUnknown, message));
    }
    warnings
}
