//! Zeros that are no measurement: counters that stood still for a part of a window, or for all of it.

use crate::estimation::series::{FAST_REFRESH_SEC, Growth, Span};
use crate::estimation::track::Track;
use joulemark_measurement::{EnergyDomain, EnergyMethod, EnergySourceKind};

/// A standstill that is shorter than this, and than this part of the window, is within what its edges leave open; so is one
/// that is no longer than a fast counter's refresh.
const IGNORED_SEC: f64 = 0.1;
const IGNORED_PART: f64 = 0.02;

/// Fifty refreshes of a package: what runs has moved its counter by then.
const STILL_PACKAGE_SEC: f64 = 0.05;

/// Returns why the counter's growth over `span` is not known: it stood still, and its device drew something.
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
        EnergyDomain::Gpu | EnergyDomain::Package | EnergyDomain::Psys => ", and no device that runs draws nothing",
        EnergyDomain::Uncore => " and has not moved since metering began: nothing shows that it measures",
        EnergyDomain::Core | EnergyDomain::Dram => ": a zone that draws anything moves hundreds of times a second",
    };
    Some(format!("its counter stood still for {how_long}{reason}"))
}
