//! Detects zeros that are not measurements: counters that stood still for a part of a window or for all of it.

use crate::estimation::series::{FAST_REFRESH_SEC, Growth, Span};
use crate::estimation::track::Track;
use joulemark_measurement::{EnergyDomain, EnergyMethod, EnergySourceKind};

/// Maximum length in seconds of a standstill that is ignored: it is within the uncertainty at the window's edges.
const IGNORED_SEC: f64 = 0.1;
/// The same as a part of the window. The shorter applies, but at least a fast counter's longest refresh period.
const IGNORED_PART: f64 = 0.02;

/// Seconds after which a package's counter must have moved: fifty refreshes.
const STILL_PACKAGE_SEC: f64 = 0.05;

/// Returns the reason why the counter's growth over `span` is unknown: it stood still although its device draws power.
/// `None` when it did not.
pub fn why(track: &Track, span: Span, growth: &Growth) -> Option<String> {
    if track.description.method != EnergyMethod::EnergyCounter || !track.plausible.is_never_still() {
        return None;
    }
    let still_sec = track.plausible.still_sec(span);
    let is_package = track.description.id.domain == EnergyDomain::Package;
    let is_rapl = track.description.id.kind != EnergySourceKind::Nvml;
    let long_enough_sec = if is_package && is_rapl {
        STILL_PACKAGE_SEC
    } else {
        track.plausible.dead_after_sec()
    };
    let covered_sec = growth.interval_sec.unwrap_or(0.0) * f64::from(growth.sample_count);
    let is_still_throughout = growth.total == 0.0 && covered_sec >= long_enough_sec;
    let ignored_sec = (IGNORED_PART * span.sec()).clamp(FAST_REFRESH_SEC, IGNORED_SEC);
    if !is_still_throughout && still_sec <= ignored_sec {
        return None;
    }
    let how_long = if growth.total == 0.0 {
        "the whole window".to_owned()
    } else {
        format!("{still_sec:.2} s of the window")
    };
    let reason = match track.description.id.domain {
        EnergyDomain::Gpu | EnergyDomain::Package | EnergyDomain::Psys => ", and a running device always draws power",
        EnergyDomain::Uncore => " and has not moved since the meter started: it may measure nothing",
        EnergyDomain::Core | EnergyDomain::Dram => {
            ": the counter of a zone that draws power moves hundreds of times a second"
        }
    };
    Some(format!("its counter stood still for {how_long}{reason}"))
}
