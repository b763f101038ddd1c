use std::borrow::Cow;

use super::metric::Known;

/// Returns the first unknown part of the formula; where all are known, its divisor, which is then 0.
pub(super) fn missing_part(known: &Known<'_>) -> Cow<'static, str> {
    let parts = known.metric.parts();
    let is_unknown = |part: &&str| {
        let metric = known.metrics.iter().find(|metric| metric.name == *part);
        metric.is_some_and(|metric| !metric.is_known(known.figures))
    };
    match (parts.iter().copied().find(is_unknown), parts.last()) {
        (Some(part), _) => format!("{part} is unknown").into(),
        (None, Some(divisor)) => format!("{divisor} is 0").into(),
        (None, None) => "it was not measured".into(),
    }
}

/// Returns the reason for a null of a metric that every run has.
pub(super) fn nothing_measured(_: &Known<'_>) -> Cow<'static, str> {
    "nothing was measured".into()
}
