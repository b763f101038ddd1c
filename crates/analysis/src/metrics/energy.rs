use std::borrow::Cow;

use super::metric::{Beside, Better, EnergyOf, Group, Known, Metric, Read};
use super::reasons::{missing_part, nothing_measured};
use crate::certainty::EnergyPart;
use joulemark_measurement::{BaselineKind, EnergyDomain};

const NO_GPU: &str = "no GPU was leased";

/// Joules and watts of the experiment and of its host.
pub(super) const METRICS: &[Metric] = &[
    Metric {
        name: "total_energy_j",
        group: Group::Energy(EnergyOf::Total),
        unit: "J",
        better: Better::Lower,
        headline: Some(4),
        about: "GPU + CPU + DRAM energy, joules; a part that is unknown is left out and warned of.",
        description: "`gpu_energy_j` + `cpu_energy_j` + `dram_energy_j`, in joules; a part that is null is left out \
            and warned of.",
        formula: Some("`gpu_energy_j` + `cpu_energy_j` + `dram_energy_j`"),
        source: "Computed from the figures of its formula.",
        limits: "A part that is null is left out and warned of. Power supplies, fans, disks and the mainboard are in none.",
        read: Read::Number(|figures| figures.energy.total_energy_j),
        beside: &[Beside::Spread],
        why_null: Some(no_total),
    },
    Metric {
        name: "total_energy_uncertainty_j",
        group: Group::Energy(EnergyOf::Total),
        unit: "J",
        better: Better::Lower,
        headline: None,
        about: "Half-width of the interval around `total_energy_j`, joules, the parts' added; an estimate.",
        description: "Half-width in joules of the interval around `total_energy_j`: those of its parts, added.",
        formula: None,
        source: "The half-widths of its parts, added (docs/methodology.md).",
        limits: "A 95 % interval where all sources are measurements, bounds of a guess where one is an estimate. The \
            instrument's own accuracy is not in it.",
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
        about: "The experiment's GPUs, whole boards, joules.",
        description: "Energy of the experiment's own GPUs in joules, whole boards; null without a GPU.",
        formula: None,
        source: "NVML: the board's energy counter, or its polled power integrated.",
        limits: "Whole boards, whoever uses them, idle power included.",
        read: Read::Number(|figures| figures.energy.gpu_energy_j),
        beside: &[],
        why_null: Some(gpus_unread),
    },
    Metric {
        name: "gpu_energy_uncertainty_j",
        group: Group::Energy(EnergyOf::Gpus),
        unit: "J",
        better: Better::Lower,
        headline: None,
        about: "Half-width around `gpu_energy_j`, joules, the GPUs' added.",
        description: "Half-width in joules of the interval around `gpu_energy_j`: those of the GPUs, added over GPUs and cycles.",
        formula: None,
        source: "The boards' own half-widths at 95 %, added over boards and cycles (docs/methodology.md).",
        limits: "Of sampling only: the instrument's accuracy (NVML: 5 %) is not in it.",
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
        about: "The experiment's share, by CPU time, of the packages' energy, joules.",
        description: "The experiment's share, by CPU time, of the CPU packages' energy in joules: of each second's \
            energy its part of\n\
            that second's CPU time, so that experiments that overlap never get more together than the host \
            used.",
        formula: None,
        source: "RAPL counters of the packages (powercap or perf_event), or an estimate from nameplate power where there \
            are none.",
        limits: "Split by CPU time: a core that computes with wide vectors counts like one that does not. The host's idle \
            power is shared out too.",
        read: Read::Number(|figures| figures.energy.cpu_energy_j),
        beside: &[],
        why_null: Some(cpu_share_unknown),
    },
    Metric {
        name: "cpu_energy_uncertainty_j",
        group: Group::Energy(EnergyOf::Cpus),
        unit: "J",
        better: Better::Lower,
        headline: None,
        about: "Half-width around `cpu_energy_j`, joules: the share of the packages'; an estimate.",
        description: "Half-width in joules of the interval around `cpu_energy_j`: `host_cpu_energy_uncertainty_j` times the part that \
            `cpu_energy_j` is of `host_cpu_energy_j`.",
        formula: None,
        source: "Computed from the figures of its formula.",
        limits: "How exact the split by CPU time is, is not in it. Of an estimate it is no 95 % interval but a believed \
            bound.",
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
        about: "The experiment's share, by CPU time, of the memory's energy, joules.",
        description: "The experiment's share, by CPU time, of the memory's energy in joules; likewise.",
        formula: None,
        source: "RAPL counters of the memory's zones.",
        limits: "Split by CPU time, not by memory traffic. Null on hosts without such a zone, which are most desktops and \
            virtual machines.",
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
        about: "Half-width around `dram_energy_j`, joules: the share of the memory's; an estimate.",
        description: "Half-width in joules of the interval around `dram_energy_j`: `host_dram_energy_uncertainty_j` times the part that \
            `dram_energy_j` is of `host_dram_energy_j`.",
        formula: None,
        source: "Computed from the figures of its formula.",
        limits: "How exact the split by CPU time is, is not in it.",
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
        about: "All CPU packages of the host, whoever caused it, joules.",
        description: "All CPU packages of the host over the window, in joules, whoever caused it.",
        formula: None,
        source: "RAPL counters of the packages (powercap or perf_event), or an estimate from nameplate power where there \
            are none.",
        limits: "The whole host's, other users' work included; no figure of the experiment.",
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
        about: "Half-width around `host_cpu_energy_j`, joules, the packages' added.",
        description: "Half-width in joules of the interval around `host_cpu_energy_j`: those of the packages, added over packages and \
            cycles.",
        formula: None,
        source: "The packages' own half-widths, added over packages and cycles (docs/methodology.md).",
        limits: "A 95 % interval of a measurement, a believed bound of an estimate.",
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
        about: "All memory of the host, whoever caused it, joules.",
        description: "All memory of the host over the window, in joules, whoever caused it.",
        formula: None,
        source: "RAPL counters of the memory's zones.",
        limits: "The whole host's, other users' work included; no figure of the experiment.",
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
        about: "Half-width around `host_dram_energy_j`, joules, the zones' added.",
        description: "Half-width in joules of the interval around `host_dram_energy_j`: those of the memory's zones, added over zones \
            and cycles.",
        formula: None,
        source: "The zones' own half-widths, added over zones and cycles (docs/methodology.md).",
        limits: "Of sampling only; RAPL's memory domain is a model of its own on some CPUs.",
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
        about: "The host's energy while its CPUs were idle, joules.",
        description: "The host's energy while its CPUs were idle, in joules: what would have been drawn without any \
            work. Inside\n\
            `host_cpu_energy_j`; null without an idle baseline of the CPU.",
        formula: None,
        source: "Idle power before the cycles (`idle_baseline_sec`), times `duration_sec`.",
        limits: "Idle power as it was then; it drifts with temperature.",
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
        about: "What of `host_cpu_energy_j` no experiment caused, joules.",
        description: "`host_cpu_energy_j` minus the shares of all experiments that ran in the window, in joules: \
            everybody else's.",
        formula: None,
        source: "`host_cpu_energy_j` and the CPU time of all experiments.",
        limits: "The service's own share and the host's idle power are in it.",
        read: Read::Number(|figures| figures.energy.host_other_energy_j),
        beside: &[],
        why_null: Some(|known| beside_host_cpu(known, |_| "CPU time of the host is unknown".into())),
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
        limits: "A mean over the window; the time series has its course.",
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
        limits: "A mean over the window of the experiment's share, not of the packages.",
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
        description: "Length of the measurement window in seconds: a rank's own, or the sum over cycles of the union \
            over ranks.",
        formula: None,
        source: "CLOCK_MONOTONIC at the start and the end of each cycle in each rank.",
        limits: "Time in which several ranks run counts once; the gaps between cycles do not count.",
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
        description: "The share of the host's busy CPU time over the whole window that was this experiment's, 0 to 1, \
            what its processes\n\
            started included; energy is split by the same share second by second.",
        formula: None,
        source: "CPU time of the experiment's processes and of the host, from /proc.",
        limits: "What other virtual machines use on the same host is not seen.",
        read: Read::Number(|figures| figures.energy.cpu_time_share),
        beside: &[],
        why_null: Some(|_| "CPU time of the experiment or of the host is unknown".into()),
    },
];

fn no_total(known: &Known<'_>) -> Cow<'static, str> {
    if known.spec.gpus.is_empty() || known.figures.energy.gpu_energy_j.is_some() {
        "none of its parts is known".into()
    } else {
        "gpu_energy_j is unknown, and without it the total would mislead".into()
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

/// Returns the reason of a part of the host's CPU energy, which is unknown with the whole.
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
        .unwrap_or("the host's rest was not looked at");
    format!("there is no idle baseline of the CPU: {why}").into()
}

/// Returns why a domain's sources gave nothing, in their own words where they have any.
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
            format!("{name}: {}", source.note.as_deref().unwrap_or("gave no energy"))
        })
        .collect();
    match (silent.is_empty(), domain) {
        (false, _) => silent.join("; ").into(),
        (true, EnergyDomain::Gpu) => "a GPU's energy could not be read".into(),
        (true, EnergyDomain::Dram) => "no source of memory energy was read on this host".into(),
        (true, _) => "no source of CPU energy was read on this host".into(),
    }
}
