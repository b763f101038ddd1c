//! Names of the files in a bundle, relative to its one folder.

pub const MANIFEST: &str = "manifest.json";
pub const REPORT: &str = "report.json";
pub const READINGS: &str = "readings.json";
pub const SUMS: &str = "SHA256SUMS";

/// Returns the name of the file for one rank in one cycle.
pub fn process_name(cycle: u32, rank: u32) -> String {
    format!("processes/cycle-{cycle:04}-rank-{rank:04}.json")
}

/// Returns the name of the file with the samples of a device.
pub fn device_name(position: usize) -> String {
    format!("timeseries/device-{position:04}.json")
}
