use std::borrow::Cow;

use super::metric::{Beside, Better, EnergyOf, Group, Known, Metric, Read};
use super::reasons::{missing_part, nothing_measured};
use crate::certainty::EnergyPart;
use joulemark_measurement::{BaselineKind, EnergyDomain};

const NO_GPU: &str = "no GPU was leased";

/// Metrics of the energy of the experiment and of its host.
pub(super) const METRICS: &[Metric] = &[
    Metric {
        name: "total_energy_j",
        group: Group::Energy(EnergyOf::Total),
        unit: "J",
        better: Better::Lower,
        headline: Some(4),
        about: "GPU + CPU + DRAM energy, joules; unknown memory is left out, with a warning.",
        description: "`gpu_energy_j` + `cpu_energy_j` + `dram_energy_j`, in joules. Memory of unknown energy, a part \
            without any source, and an unknown share of the packages are left out, with a warning. Null if a leased \
            GPU, or a CPU package that has a source, is unknown.",
        formula: Some("`gpu_energy_j` + `cpu_energy_j` + `dram_energy_j`"),
        source: "Computed from the figures of its formula.",
        limits: "Parts may be left out, with a warning: see the description. Power supplies, fans, disks and the \
            mainboard are not included.",
        read: Read::Number(|figures| figures.energy.total_energy_j),
        beside: &[Beside::Spread, Beside::Combined],
        why_null: Some(no_total),
    },
    Metric {
        name: "total_energy_uncertainty_j",
        group: Group::Energy(EnergyOf::Total),
        unit: "J",
        better: Better::Lower,
        headline: None,
        about: "Half-width of the interval around `total_energy_j`, joules: the half-widths of its parts, added; \
            an estimate.",
        description: "Half-width of the interval around `total_energy_j`, in joules: the half-widths of its parts, \
            added.",
        formula: None,
        source: "The half-widths of its parts, added (docs/methodology.md).",
        limits: "A 95 % interval where all sources are measured; assumed bounds where one is estimated. The \
            instrument's accuracy is not included.",
        read: Read::Number(|figures| figures.energy.total_energy_uncertainty_j),
        beside: &[],
        why_null: None,
    },
    Metric {
        name: "gpu_energy_j",
        group: Group::Energy(EnergyOf::Gpus),
        unit: "J",
        better: Better::Lower,
        headline: Some(5),
        about: "Energy of the experiment's GPUs, whole boards, joules.",
        description: "Energy of the experiment's own GPUs, whole boards, in joules; null without a GPU.",
        formula: None,
        source: "NVML: the board's energy counter, or its polled power integrated over time.",
        limits: "Whole boards: idle power, and the work of other processes on the same board, are included.",
        read: Read::Number(|figures| figures.energy.gpu_energy_j),
        beside: &[Beside::Combined],
        why_null: Some(gpus_unread),
    },
    Metric {
        name: "gpu_energy_uncertainty_j",
        group: Group::Energy(EnergyOf::Gpus),
        unit: "J",
        better: Better::Lower,
        headline: None,
        about: "Half-width of the interval around `gpu_energy_j`, joules: those of the GPUs, added.",
        description: "Half-width of the interval around `gpu_energy_j`, in joules: the half-widths of the GPUs, \
            added over GPUs and cycles.",
        formula: None,
        source: "The half-width of each board at 95 %, added over boards and cycles (docs/methodology.md).",
        limits: "Covers sampling only: the instrument's accuracy (NVML: 5 %) is not included.",
        read: Read::Number(|figures| figures.energy.gpu_energy_uncertainty_j),
        beside: &[Beside::Certainty(EnergyPart::Gpu)],
        why_null: None,
    },
    Metric {
        name: "cpu_energy_j",
        group: Group::Energy(EnergyOf::Cpus),
        unit: "J",
        better: Better::Lower,
        headline: Some(6),
        about: "The experiment's share of the CPU packages' energy, by CPU time, joules.",
        description: "The experiment's share of the CPU packages' energy, by CPU time, in joules. The energy of \
            each second is split by the CPU time of that second, so that the shares of overlapping experiments never \
            add up to more than the host used.",
        formula: None,
        source: "RAPL counters of the packages (powercap or perf_event), or an estimate from nameplate power on \
            hosts without RAPL.",
        limits: "Split by CPU time: a core that computes with wide vectors counts the same as one that does not. \
            The host's idle power is split too.",
        read: Read::Number(|figures| figures.energy.cpu_energy_j),
        beside: &[Beside::Combined],
        why_null: Some(cpu_share_unknown),
    },
    Metric {
        name: "cpu_energy_uncertainty_j",
        group: Group::Energy(EnergyOf::Cpus),
        unit: "J",
        better: Better::Lower,
        headline: None,
        about: "Half-width of the interval around `cpu_energy_j`, joules: its share of the packages' half-width; \
            an estimate.",
        description: "Half-width of the interval around `cpu_energy_j`, in joules: `host_cpu_energy_uncertainty_j` \
            × (`cpu_energy_j` / `host_cpu_energy_j`).",
        formula: None,
        source: "Computed from the figures named in its description.",
        limits: "The error of the split by CPU time is not included. For an estimate it is an assumed bound, not a \
            95 % interval.",
        read: Read::Number(|figures| figures.energy.cpu_energy_uncertainty_j),
        beside: &[Beside::Certainty(EnergyPart::Cpu)],
        why_null: None,
    },
    Metric {
        name: "dram_energy_j",
        group: Group::Energy(EnergyOf::Memory),
        unit: "J",
        better: Better::Lower,
        headline: None,
        about: "The experiment's share of the memory's energy, by CPU time, joules.",
        description: "The experiment's share of the memory's energy, by CPU time, in joules; split like \
            `cpu_energy_j`.",
        formula: None,
        source: "RAPL counters of the memory zones.",
        limits: "Split by CPU time, not by memory traffic. Null on hosts without a memory zone, such as most \
            desktops and virtual machines.",
        read: Read::Number(|figures| figures.energy.dram_energy_j),
        beside: &[],
        why_null: Some(memory_share_unknown),
    },
    Metric {
        name: "dram_energy_uncertainty_j",
        group: Group::Energy(EnergyOf::Memory),
        unit: "J",
        better: Better::Lower,
        headline: None,
        about: "Half-width of the interval around `dram_energy_j`, joules: its share of the memory's half-width; \
            an estimate.",
        description: "Half-width of the interval around `dram_energy_j`, in joules: \
            `host_dram_energy_uncertainty_j` × (`dram_energy_j` / `host_dram_energy_j`).",
        formula: None,
        source: "Computed from the figures named in its description.",
        limits: "The error of the split by CPU time is not included.",
        read: Read::Number(|figures| figures.energy.dram_energy_uncertainty_j),
        beside: &[Beside::Certainty(EnergyPart::Dram)],
        why_null: None,
    },
    Metric {
        name: "host_cpu_energy_j",
        group: Group::Energy(EnergyOf::Host),
        unit: "J",
        better: Better::Neither,
        headline: None,
        about: "Energy of all CPU packages of the host, all users together, joules.",
        description: "Energy of all CPU packages of the host over the window, all users together, in joules.",
        formula: None,
        source: "RAPL counters of the packages (powercap or perf_event), or an estimate from nameplate power on \
            hosts without RAPL.",
        limits: "A figure of the whole host, not of the experiment: other users' work is included.",
        read: Read::Number(|figures| figures.energy.host_cpu_energy_j),
        beside: &[],
        why_null: Some(|known| unread(EnergyDomain::Package, known)),
    },
    Metric {
        name: "host_cpu_energy_uncertainty_j",
        group: Group::Energy(EnergyOf::Host),
        unit: "J",
        better: Better::Lower,
        headline: None,
        about: "Half-width of the interval around `host_cpu_energy_j`, joules: those of the packages, added.",
        description: "Half-width of the interval around `host_cpu_energy_j`, in joules: the half-widths of the \
            packages, added over packages and cycles.",
        formula: None,
        source: "The half-width of each package, added over packages and cycles (docs/methodology.md).",
        limits: "A 95 % interval for a measurement, an assumed bound for an estimate.",
        read: Read::Number(|figures| figures.energy.host_cpu_energy_uncertainty_j),
        beside: &[],
        why_null: None,
    },
    Metric {
        name: "host_dram_energy_j",
        group: Group::Energy(EnergyOf::Host),
        unit: "J",
        better: Better::Neither,
        headline: None,
        about: "Energy of all memory of the host, all users together, joules.",
        description: "Energy of all memory of the host over the window, all users together, in joules.",
        formula: None,
        source: "RAPL counters of the memory zones.",
        limits: "A figure of the whole host, not of the experiment: other users' work is included.",
        read: Read::Number(|figures| figures.energy.host_dram_energy_j),
        beside: &[],
        why_null: Some(|known| unread(EnergyDomain::Dram, known)),
    },
    Metric {
        name: "host_dram_energy_uncertainty_j",
        group: Group::Energy(EnergyOf::Host),
        unit: "J",
        better: Better::Lower,
        headline: None,
        about: "Half-width of the interval around `host_dram_energy_j`, joules: those of the memory zones, added.",
        description: "Half-width of the interval around `host_dram_energy_j`, in joules: the half-widths of the \
            memory zones, added over zones and cycles.",
        formula: None,
        source: "The half-width of each zone, added over zones and cycles (docs/methodology.md).",
        limits: "Covers sampling only. On some CPUs RAPL's memory domain is itself a model.",
        read: Read::Number(|figures| figures.energy.host_dram_energy_uncertainty_j),
        beside: &[],
        why_null: None,
    },
    Metric {
        name: "host_idle_energy_j",
        group: Group::Energy(EnergyOf::Host),
        unit: "J",
        better: Better::Neither,
        headline: None,
        about: "Energy that the host's idle CPUs would have used in the same time, joules.",
        description: "Energy that the host's CPU packages would have used in the same time without any work, in \
            joules. It is part of `host_cpu_energy_j`. Null without a bare idle baseline of the CPU.",
        formula: None,
        source: "Idle power of the packages before the experiment (baseline `bare`), times `duration_sec`; at most \
            `host_cpu_energy_j`.",
        limits: "Idle power at the time of the baseline; it drifts with temperature.",
        read: Read::Number(|figures| figures.energy.host_idle_energy_j),
        beside: &[],
        why_null: Some(|known| beside_host_cpu(known, no_bare_baseline)),
    },
    Metric {
        name: "host_other_energy_j",
        group: Group::Energy(EnergyOf::Host),
        unit: "J",
        better: Better::Neither,
        headline: None,
        about: "The part of `host_cpu_energy_j` that no experiment caused, joules.",
        description: "`host_cpu_energy_j` minus the shares of all experiments that ran in the window, in joules.",
        formula: None,
        source: "`host_cpu_energy_j` and the CPU time of all experiments.",
        limits: "The service's own share and the host's idle power are included.",
        read: Read::Number(|figures| figures.energy.host_other_energy_j),
        beside: &[],
        why_null: Some(|known| beside_host_cpu(known, |_| "the host's CPU time is unknown".into())),
    },
    Metric {
        name: "gpu_power_w",
        group: Group::Energy(EnergyOf::Gpus),
        unit: "W",
        better: Better::Neither,
        headline: None,
        about: "`gpu_energy_j` / `duration_sec`, watts.",
        description: "`gpu_energy_j` / `duration_sec`, in watts.",
        formula: Some("`gpu_energy_j` / `duration_sec`"),
        source: "Computed from the figures of its formula.",
        limits: "A mean over the window; the time series shows its course.",
        read: Read::Number(|figures| figures.energy.gpu_power_w),
        beside: &[],
        why_null: Some(no_gpu_power),
    },
    Metric {
        name: "cpu_power_w",
        group: Group::Energy(EnergyOf::Cpus),
        unit: "W",
        better: Better::Neither,
        headline: None,
        about: "`cpu_energy_j` / `duration_sec`, watts.",
        description: "`cpu_energy_j` / `duration_sec`, in watts.",
        formula: Some("`cpu_energy_j` / `duration_sec`"),
        source: "Computed from the figures of its formula.",
        limits: "A mean over the window of the experiment's share, not of the whole packages.",
        read: Read::Number(|figures| figures.energy.cpu_power_w),
        beside: &[],
        why_null: Some(missing_part),
    },
    Metric {
        name: "duration_sec",
        group: Group::Energy(EnergyOf::Window),
        unit: "s",
        better: Better::Lower,
        headline: None,
        about: "Length of the measurement windows, seconds.",
        description: "Length of the measurement windows in seconds: of a rank, its own window; otherwise the sum \
            over cycles of the time in which at least one rank ran.",
        formula: None,
        source: "CLOCK_MONOTONIC at the start and the end of each cycle in each rank.",
        limits: "Time in which several ranks run counts once. The gaps between cycles do not count.",
        read: Read::Number(|figures| figures.energy.duration_sec),
        beside: &[],
        why_null: Some(nothing_measured),
    },
    Metric {
        name: "cpu_time_share",
        group: Group::Energy(EnergyOf::Host),
        unit: "",
        better: Better::Neither,
        headline: None,
        about: "The experiment's share of the host's busy CPU time, 0 to 1.",
        description: "The share of the host's busy CPU time over the whole window that this experiment's processes \
            and their children used, 0 to 1. Energy is split second by second, by the share of each second.",
        formula: None,
        source: "CPU time of the experiment's processes and of the host, from /proc.",
        limits: "The CPU use of other virtual machines on the same hardware is not visible.",
        read: Read::Number(|figures| figures.energy.cpu_time_share),
        beside: &[],
        why_null: Some(|_| "the CPU time of the experiment or of the host is unknown".into()),
    },
];

fn no_total(known: &Known<'_>) -> Cow<'static, str> {
    let energy = &known.figures.energy;
    if !known.spec.gpus.is_empty() && energy.gpu_energy_j.is_none() {
        "gpu_energy_j is unknown, and without it the total would mislead".into()
    } else if energy.gpu_energy_j.is_some() || energy.dram_energy_j.is_some() {
        "host_cpu_energy_j is unknown, and without it the total would mislead".into()
    } else {
        "none of its parts is known".into()
    }
}

fn gpus_unread(known: &Known<'_>) -> Cow<'static, str> {
    if known.spec.gpus.is_empty() {
        NO_GPU.into()
    } else {
        unread(EnergyDomain::Gpu, known)
    }
}

fn no_gpu_power(known: &Known<'_>) -> Cow<'static, str> {
    if known.spec.gpus.is_empty() {
        NO_GPU.into()
    } else {
        missing_part(known)
    }
}

fn cpu_share_unknown(known: &Known<'_>) -> Cow<'static, str> {
    match known.figures.energy.host_cpu_energy_j {
        Some(_) => "the experiment's share of the host's CPU energy is unknown".into(),
        None => unread(EnergyDomain::Package, known),
    }
}

fn memory_share_unknown(known: &Known<'_>) -> Cow<'static, str> {
    match known.figures.energy.host_dram_energy_j {
        Some(_) => "the experiment's share of the host's memory energy is unknown".into(),
        None => unread(EnergyDomain::Dram, known),
    }
}

/// Returns the reason for a null part of the host's CPU energy: the whole is unknown, or else `otherwise`.
fn beside_host_cpu(known: &Known<'_>, otherwise: fn(&Known<'_>) -> Cow<'static, str>) -> Cow<'static, str> {
    match known.figures.energy.host_cpu_energy_j {
        Some(_) => otherwise(known),
        None => "host_cpu_energy_j is unknown".into(),
    }
}

fn no_bare_baseline(known: &Known<'_>) -> Cow<'static, str> {
    let mut baselines = known.figures.energy.baselines.iter();
    let bare = baselines.find(|baseline| baseline.kind == BaselineKind::Bare);
    let why = bare
        .and_then(|bare| bare.note.as_deref())
        .unwrap_or("idle power was not measured");
    format!("there is no idle baseline of the CPU: {why}").into()
}

/// Returns why no energy of a domain is known: the notes of its sources, or a general reason.
fn unread(domain: EnergyDomain, known: &Known<'_>) -> Cow<'static, str> {
    let sources = known.figures.energy.sources.iter();
    let silent: Vec<String> = sources
        .filter(|source| source.domain == domain && source.energy_j.is_none())
        .map(|source| {
            let name = source
                .gpu_uuid
                .as_deref()
                .or(source.zone_path.as_deref())
                .unwrap_or("the estimate");
            format!("{name}: {}", source.note.as_deref().unwrap_or("no energy was read"))
        })
        .collect();
    match (silent.is_empty(), domain) {
        (false, _) => silent.join("; ").into(),
        (true, EnergyDomain::Gpu) => "a GPU's energy could not be read".into(),
        (true, EnergyDomain::Dram) => "no source of memory energy was read on this host".into(),
        (true, _) => "no source of CPU energy was read on this host".into(),
    }
}
