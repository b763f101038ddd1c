//! Which of a host's series are added up to the power of its CPUs.

use joulemark_measurement::DeviceSeries;

/// The zone of the estimate from nameplate power, which has none but the whole host.
pub const ESTIMATE: &str = "host";

/// Tells whether a series is a package's, or the estimate in its place. Parts of a package, and what holds packages, would
/// be counted twice.
pub fn is_package(series: &DeviceSeries) -> bool {
    let zone = series.zone.as_deref().unwrap_or_default();
    zone.starts_with("package") || zone == ESTIMATE
}
