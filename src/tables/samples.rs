//! Columns of the table of device samples.

use std::borrow::Cow;
use std::sync::Arc;

use super::column::{Column, count, document, json, number, text};
use joulemark_experiment::ExperimentId;
use joulemark_measurement::{DeviceSeries, SeriesPoint};

/// A sample of one device of an experiment.
#[derive(Clone, Debug)]
pub struct SampleRow {
    pub id: ExperimentId,
    /// The device; the points in it are ignored.
    pub device: Arc<DeviceSeries>,
    pub point: SeriesPoint,
}

/// Returns the columns of samples.
pub fn columns() -> Vec<Column<SampleRow>> {
    vec![
        text("id", "The experiment's id.", |row: &SampleRow| {
            Some(row.id.to_string().into())
        }),
        count("gpu", "NVML index of a GPU; unknown for a CPU source.", |row| {
            row.device.gpu.map(u64::from)
        }),
        text("gpu_uuid", "UUID of the GPU.", |row| {
            row.device.gpu_uuid.as_deref().map(Cow::Borrowed)
        }),
        text("zone", "Name of the RAPL zone; `host` for the estimate.", |row| {
            row.device.zone.as_deref().map(Cow::Borrowed)
        }),
        text("zone_path", "Folder of the RAPL zone.", |row| {
            row.device.zone_path.as_deref().map(Cow::Borrowed)
        }),
        number(
            "at_monotonic_sec",
            "Time of the sample, seconds of CLOCK_MONOTONIC.",
            |row| Some(row.point.at_monotonic_sec),
        ),
        number("power_w", "Mean power since the previous sample, watts.", |row| {
            row.point.power_w
        }),
        number(
            "utilisation_percent",
            "Utilisation of a GPU's SMs, or busy share of the host's CPUs, percent.",
            |row| row.point.utilisation_percent,
        ),
        number("temperature_c", "Temperature, degrees Celsius.", |row| {
            row.point.temperature_c
        }),
        number("sm_clock_mhz", "SM clock, MHz.", |row| row.point.sm_clock_mhz),
        number("memory_clock_mhz", "Memory clock, MHz.", |row| {
            row.point.memory_clock_mhz
        }),
        number("memory_used_bytes", "Memory in use, bytes.", |row| {
            row.point.memory_used_bytes
        }),
        number("power_limit_w", "Power limit, watts.", |row| row.point.power_limit_w),
        json(
            "throttle_reasons",
            "Active clock event reasons of NVML, a JSON list of strings.",
            |row| document(&row.point.throttle_reasons),
        ),
    ]
}
