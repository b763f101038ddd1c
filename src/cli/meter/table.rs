//! The table that `joulemark meter` prints. Pure.

use std::fmt::Write as _;

use super::reading::Reading;
use joulemark_measurement::{Confidence, EnergyMethod, SourceReading};

/// Returns the reading as a table, followed by notes and warnings.
pub fn table(reading: &Reading) -> String {
    let mut text = format!(
        "\n joulemark meter: {:.3} s, exit code {}\n\n",
        reading.duration_sec, reading.exit_code
    );
    let width = reading
        .sources
        .iter()
        .map(|source| name(source).chars().count())
        .max()
        .unwrap_or(0)
        .max(12);
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        " {:width$} {:>14} {:>12} {:>12}  {:<17} confidence",
        "source", "energy", "mean power", "sampling", "method"
    );
    for source in &reading.sources {
        let outside = if source.energy_j.is_some() && !source.counted_in_total {
            "  (part of another source)"
        } else {
            ""
        };
        let _ = writeln!(
            text,
            " {:width$} {:>14} {:>12} {:>12}  {:<17} {}{outside}",
            name(source),
            quantity(source.energy_j, "J"),
            quantity(source.mean_power_w, "W"),
            source
                .uncertainty_j
                .map_or_else(|| "?".to_owned(), |joules| format!("± {joules:.3} J")),
            method(source.method),
            confidence(source.confidence),
        );
    }
    text.push('\n');
    let parts = [
        ("GPUs", reading.gpu_energy_j),
        ("CPU packages", reading.cpu_energy_j),
        ("memory", reading.dram_energy_j),
        ("total", reading.total_energy_j),
    ];
    let has_gpus = reading.sources.iter().any(|source| source.gpu_uuid.is_some());
    for (part, energy_j) in parts.into_iter().skip(usize::from(!has_gpus)) {
        let _ = writeln!(text, " {part:width$} {:>14}", quantity(energy_j, "J"));
    }
    text.push_str(&share_and_baseline(reading, width));
    let notes = reading
        .sources
        .iter()
        .filter_map(|source| Some(format!("{}: {}", name(source), source.note.as_ref()?)));
    let hints = reading.findings.iter().map(|hint| match &hint.fix {
        Some(fix) => format!("{}: {}. Fix: {fix}", hint.subject, hint.detail),
        None => format!("{}: {}", hint.subject, hint.detail),
    });
    let warnings = reading.warnings.iter().map(|warning| warning.message.clone());
    let notes: Vec<String> = if reading.total_energy_j.is_some() {
        notes.collect()
    } else {
        notes.chain(hints).collect()
    };
    for note in notes.into_iter().chain(warnings) {
        let _ = write!(text, "\n {note}\n");
    }
    text
}

/// Returns the lines on the command's share of the energy and on the idle baseline.
fn share_and_baseline(reading: &Reading, width: usize) -> String {
    let mut text = String::new();
    let share = &reading.command;
    let percent = share
        .cpu_time_share
        .map_or_else(|| "unknown".to_owned(), |share| format!("{:.1} %", 100.0 * share));
    let _ = writeln!(
        text,
        "\n The processes of the command used {percent} of the host's busy CPU time. Their share by CPU time:\n \
         {:width$} {:>14}\n {:width$} {:>14}",
        "CPU packages",
        quantity(share.cpu_energy_j, "J"),
        "memory",
        quantity(share.dram_energy_j, "J"),
    );
    if let Some(idle) = &reading.idle {
        let _ = writeln!(
            text,
            " Idle, these sources would have drawn {}, {} in that time.",
            quantity(idle.power_w, "W"),
            quantity(idle.energy_j, "J")
        );
    }
    text
}

fn name(source: &SourceReading) -> String {
    match (source.gpu, &source.gpu_uuid, &source.zone, &source.zone_path) {
        (Some(gpu), ..) => format!("GPU {gpu}"),
        (None, Some(uuid), ..) => uuid.clone(),
        (_, _, Some(zone), Some(path)) => format!("{zone} ({path})"),
        _ => "CPU estimate".to_owned(),
    }
}

fn quantity(value: Option<f64>, unit: &str) -> String {
    value.map_or_else(|| "unknown".to_owned(), |value| format!("{value:.3} {unit}"))
}

fn method(method: EnergyMethod) -> &'static str {
    match method {
        EnergyMethod::EnergyCounter => "energy counter",
        EnergyMethod::PowerIntegration => "power integration",
        EnergyMethod::Estimate => "ESTIMATE",
    }
}

fn confidence(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::High => "high",
        Confidence::Medium => "medium",
        Confidence::Low => "low",
    }
}
