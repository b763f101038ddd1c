use std::borrow::Cow;
use std::sync::Arc;

use super::column::{Column, count, document, json, number, text};
use joulemark_experiment::ExperimentId;
use joulemark_measurement::{DeviceSeries, SeriesPoint};

/// A sample of one of an experiment's devices.
#[derive(Clone, Debug)]
pub struct SampleRow {
    pub id: ExperimentId,
    /// The device; its own points are not looked at.
    pub device: Arc<DeviceSeries>,
    pub point: SeriesPoint,
}

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
        text("zone", "The RAPL zone's name; `host` for the estimate.", |row| {
            row.device.zone.as_deref().map(Cow::Borrowed)
        }),
        text("zone_path", "The RAPL zone's folder.", |row| {
            row.device.zone_path.as_deref().map(Cow::Borrowed)
        }),
        number("at_monotonic_sec", "When, seconds of CLOCK_MONOTONIC.", |row| {
            Some(row.point.at_monotonic_sec)
        }),
        number("power_w", "Mean power since the sample before, watts.", |row| {
            row.point.power_w
        }),
        number(
            "utilisation_percent",
            "SM utilisation of a GPU, busy share of the host's CPUs, percent.",
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
            "NVML's clock event reasons that hold, a JSON list of texts.",
            |row| document(&row.point.throttle_reasons),
        ),
    ]
}
