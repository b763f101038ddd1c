//! The section on energy.

use askama::Template;
use joulemark_charts::{Bar, Bars, Group, Svg, bars};

use super::certainty::{Badge, method_words, of_energy};
use super::figure::{is_negligible, quantity};
use crate::number;
use joulemark_analysis::{EnergyPart, certainty};
use joulemark_experiment::report::Report;
use joulemark_measurement::{
    Baseline, BaselineKind, EnergyMethod, EnergyMetrics, EnergyScope, Phase, PhaseEnergy, SourceReading,
};

/// Energy by part, source and phase, and above the idle baseline.
#[derive(Template)]
#[template(path = "experiment/energy.html")]
pub struct Energy {
    chart: Svg,
    groups: Vec<Rows>,
    /// URL of the definitions of metrics, up to the name.
    figures: String,
}

/// Rows under one heading.
struct Rows {
    label: &'static str,
    rows: Vec<Row>,
}

/// One energy.
struct Row {
    label: String,
    /// Name of the metric; empty when the table of metrics has none.
    metric: &'static str,
    joules: Option<f64>,
    half_width_j: Option<f64>,
    badge: Badge,
    how: String,
    note: String,
}

impl Row {
    fn shown(&self) -> String {
        let Some(joules) = self.joules else {
            return number::UNKNOWN.to_owned();
        };
        quantity(joules, self.interval(), "J")
    }

    fn exact(&self) -> String {
        self.joules.map_or_else(String::new, |joules| joules.to_string())
    }

    fn interval(&self) -> Option<(f64, f64)> {
        let (joules, half_width) = self.joules.zip(self.half_width_j)?;
        Some((joules - half_width, joules + half_width))
    }

    fn bar(&self) -> Bar {
        Bar {
            label: self.label.clone(),
            value: self.joules.unwrap_or(f64::NAN),
            interval: self.interval().filter(|ends| !is_negligible(*ends)),
            estimated: matches!(self.badge, Badge::Estimated | Badge::PartlyEstimated),
        }
    }
}

impl Energy {
    /// Creates the section from a result.
    pub fn new(report: &Report, figures: &str) -> Self {
        let energy = &report.energy;
        let groups = [
            ("Parts of the total", parts(energy)),
            ("Sources, whole devices", energy.sources.iter().map(source).collect()),
            ("Phases", energy.phases.iter().map(|of| phase(of, energy)).collect()),
            (
                "Above idle power",
                energy.baselines.iter().map(|of| above_idle(of, energy)).collect(),
            ),
        ];
        let groups: Vec<Rows> = groups
            .into_iter()
            .map(|(label, rows)| Rows { label, rows })
            .filter(|group| !group.rows.is_empty())
            .collect();
        Self {
            chart: chart(&groups),
            groups,
            figures: figures.to_owned(),
        }
    }
}

fn chart(groups: &[Rows]) -> Svg {
    let drawn = |group: &Rows| Group {
        label: group.label.to_owned(),
        bars: group.rows.iter().map(Row::bar).collect(),
    };
    bars(&Bars {
        title: "Energy by source and phase".to_owned(),
        description:
            "Joules, with the meter's half-widths as error bars. Estimates, also partial ones, are hatched. Loading and \
                      warm-up are not part of the measured cycles."
                .to_owned(),
        unit: "J".to_owned(),
        groups: groups.iter().map(drawn).collect(),
    })
}

fn parts(energy: &EnergyMetrics) -> Vec<Row> {
    let all = [
        (
            "GPUs",
            "gpu_energy_j",
            EnergyPart::Gpu,
            energy.gpu_energy_j,
            energy.gpu_energy_uncertainty_j,
        ),
        (
            "CPU, share of the experiment",
            "cpu_energy_j",
            EnergyPart::Cpu,
            energy.cpu_energy_j,
            energy.cpu_energy_uncertainty_j,
        ),
        (
            "Memory, share of the experiment",
            "dram_energy_j",
            EnergyPart::Dram,
            energy.dram_energy_j,
            energy.dram_energy_uncertainty_j,
        ),
    ];
    let listed = all
        .into_iter()
        .filter(|(_, _, part, joules, _)| joules.is_some() || !certainty(energy, *part).methods.is_empty());
    let rows = listed.map(|(label, metric, part, joules, half_width_j)| {
        let (badge, how) = known(&[part], joules, energy);
        Row {
            label: label.to_owned(),
            metric,
            joules,
            half_width_j,
            badge,
            how,
            note: String::new(),
        }
    });
    rows.collect()
}

/// Returns the badge and the explanation of an energy that is made up of these parts.
fn known(parts: &[EnergyPart], joules: Option<f64>, energy: &EnergyMetrics) -> (Badge, String) {
    let known = of_energy(parts, energy);
    let why = known.as_ref().map_or_else(String::new, |known| known.why.clone());
    match (joules, known) {
        (Some(_), Some(known)) => (known.badge, why),
        _ => (Badge::Unknown, why),
    }
}

fn source(reading: &SourceReading) -> Row {
    let name = match (reading.gpu, reading.zone.as_deref()) {
        (Some(index), _) => format!("GPU {index}"),
        (None, Some(zone)) => format!("CPU {zone}"),
        (None, None) => "CPU".to_owned(),
    };
    let mut remarks: Vec<String> = Vec::new();
    if !reading.counted_in_total {
        remarks.push("part of another source, not added".to_owned());
    }
    if let Some(percent) = reading.instrument_accuracy_percent {
        remarks.push(format!("the instrument's accuracy is {percent} %"));
    }
    remarks.extend(reading.note.as_deref().map(|note| note.replace('`', "")));
    Row {
        label: match reading.scope {
            EnergyScope::Host => format!("{name}, whole"),
            EnergyScope::Attributed => name,
        },
        metric: "",
        joules: reading.energy_j,
        half_width_j: reading.uncertainty_j,
        badge: match (reading.energy_j, reading.method) {
            (None, _) => Badge::Unknown,
            (_, EnergyMethod::Estimate) => Badge::Estimated,
            _ => Badge::Measured,
        },
        how: format!("{}, {} samples", method_words(reading.method), reading.sample_count),
        note: remarks.join("; "),
    }
}

fn phase(phase: &PhaseEnergy, energy: &EnergyMetrics) -> Row {
    let parts = [
        (EnergyPart::Gpu, phase.gpu_energy_j),
        (EnergyPart::Cpu, phase.cpu_energy_j),
    ];
    let parts = parts.into_iter().filter(|(_, joules)| joules.is_some());
    let parts: Vec<EnergyPart> = parts.map(|(part, _)| part).collect();
    let label = match phase.phase {
        Phase::ModelLoad => "Loading the model",
        Phase::WarmUp => "Warm-up",
        Phase::Prefill => "Prefill",
        Phase::Decode => "Decode",
    };
    let confidence = phase.confidence.map_or_else(String::new, |confidence| {
        format!(", confidence {}", confidence.as_str())
    });
    Row {
        label: label.to_owned(),
        metric: "",
        joules: phase.total_energy_j,
        half_width_j: None,
        badge: known(&parts, phase.total_energy_j, energy).0,
        how: format!("over {}{confidence}", number::duration(phase.duration_sec)),
        note: phase.note.clone().unwrap_or_default(),
    }
}

fn above_idle(baseline: &Baseline, energy: &EnergyMetrics) -> Row {
    let label = match baseline.kind {
        BaselineKind::Bare => "Above bare idle",
        BaselineKind::Loaded => "Above loaded idle",
    };
    let power = baseline.baseline_power_w.map(|watts| quantity(watts, None, "W"));
    Row {
        label: label.to_owned(),
        metric: "",
        joules: baseline.marginal_energy_j,
        half_width_j: None,
        badge: known(&EnergyPart::ALL, baseline.marginal_energy_j, energy).0,
        how: power.map_or_else(
            || "idle power unknown".to_owned(),
            |power| format!("idle power {power}"),
        ),
        note: baseline.note.clone().unwrap_or_default(),
    }
}
