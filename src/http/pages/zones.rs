//! Selects the power samples that add up to the power of the CPUs.

use crate::http::device_lines::ESTIMATE;
use joulemark_measurement::DeviceSeries;

/// Returns whether the samples are of a package, or of the estimate if there is none. Zones within packages and zones
/// that contain packages would be counted twice.
pub fn is_package(series: &DeviceSeries) -> bool {
    let zone = series.zone.as_deref().unwrap_or_default();
    zone.starts_with("package") || zone == ESTIMATE
}
