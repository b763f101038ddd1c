//! Selects the power samples that add up to the power of the CPUs.

use joulemark_measurement::DeviceSeries;

/// Zone of the estimate from nameplate power, which covers the whole host.
pub const ESTIMATE: &str = "host";

/// Returns whether the samples are of a package, or of the estimate if there is none. Zones within packages and zones
/// that contain packages would be counted twice.
pub fn is_package(series: &DeviceSeries) -> bool {
    let zone = series.zone.as_deref().unwrap_or_default();
    zone.starts_with("package") || zone == ESTIMATE
}
