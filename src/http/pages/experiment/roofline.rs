//! The section on the roofline.

use askama::Template;
use joulemark_charts::{RooflinePoint, Svg};

use super::figure::Figure;
use crate::number;
use joulemark_experiment::report::Report;
use joulemark_measurement::{Phase, Roofline as Reached};

const FIGURES: [&str; 6] = [
    "flops_per_second",
    "arithmetic_intensity",
    "model_flops_utilization",
    "memory_bandwidth_utilization",
    "least_time_sec",
    "roofline_share",
];

/// Performance of the run relative to the peaks of its devices.
#[derive(Template)]
#[template(path = "experiment/roofline.html")]
pub struct Roofline {
    chart: Option<Svg>,
    facts: Vec<(&'static str, String)>,
    rows: Vec<Figure>,
    /// Assumptions, and reasons why a figure is an estimate or missing.
    notes: Vec<String>,
    /// URL of the definitions of metrics, up to the name.
    figures: String,
}

impl Roofline {
    /// Creates the section from a result.
    pub fn new(report: &Report, figures: &str) -> Self {
        let reached = report.compute.roofline.as_ref();
        let rows = FIGURES.into_iter().filter_map(|name| Figure::named(name, report));
        Self {
            chart: reached.map(|reached| chart(report, reached)),
            facts: reached.map_or_else(Vec::new, peaks),
            rows: rows.filter(Figure::is_known).collect(),
            notes: report.compute.flops_notes.clone(),
            figures: figures.to_owned(),
        }
    }
}

fn peaks(reached: &Reached) -> Vec<(&'static str, String)> {
    vec![
        ("Device", format!("{} × {}", reached.devices, reached.device)),
        ("Precision", reached.precision.clone()),
        ("Peak per device", number::si(reached.peak_flops_per_second, "FLOP/s")),
        (
            "Memory bandwidth per device",
            number::si(reached.peak_bytes_per_second, "B/s"),
        ),
        ("Source of the peaks", reached.source.clone()),
    ]
}

fn chart(report: &Report, reached: &Reached) -> Svg {
    let devices = f64::from(reached.devices);
    joulemark_charts::roofline(&joulemark_charts::Roofline {
        title: "Roofline".to_owned(),
        description: format!(
            "Peak performance of {} × {} at each arithmetic intensity by its data sheet, and what the run reached.",
            reached.devices, reached.device
        ),
        peak_flops_per_sec: reached.peak_flops_per_second * devices,
        bandwidth_bytes_per_sec: reached.peak_bytes_per_second * devices,
        points: points(report),
    })
}

/// Returns the points of the whole run, of prefill and of decode, as far as they are known.
fn points(report: &Report) -> Vec<RooflinePoint> {
    let compute = &report.compute;
    let whole = compute.arithmetic_intensity.zip(compute.flops_per_second);
    let duration = |phase: Phase| {
        let phases = report.energy.phases.iter().filter(|of| of.phase == phase);
        phases.map(|of| of.duration_sec).find(|sec| *sec > 0.0)
    };
    let prefill_bytes = compute.bytes_read_total.zip(compute.bytes_read_decode);
    let prefill_bytes = prefill_bytes.map(|(total, decode)| total - decode);
    let of_phase = |phase: Phase, flops: Option<f64>, bytes: Option<f64>| {
        let (flops, bytes, sec) = (flops?, bytes.filter(|bytes| *bytes > 0.0)?, duration(phase)?);
        Some((flops / bytes, flops / sec))
    };
    let all = [
        ("whole run", whole),
        (
            "prefill",
            of_phase(Phase::Prefill, compute.flops_prefill, prefill_bytes),
        ),
        (
            "decode",
            of_phase(Phase::Decode, compute.flops_decode, compute.bytes_read_decode),
        ),
    ];
    let known = all.into_iter().filter_map(|(label, point)| Some((label, point?)));
    let points = known.map(|(label, (flops_per_byte, flops_per_sec))| RooflinePoint {
        label: label.to_owned(),
        flops_per_byte,
        flops_per_sec,
    });
    points.collect()
}
