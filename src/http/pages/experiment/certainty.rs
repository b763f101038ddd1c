//! How a figure is known: measured, counted, estimated, or unknown with a reason.

use std::fmt::Write as _;

use joulemark_analysis::metrics::{EnergyOf, Figures, Group, Metric, all, find};
use joulemark_analysis::{EnergyPart, certainty};
use joulemark_experiment::report::Report;
use joulemark_measurement::{Confidence, EnergyDomain, EnergyMethod, EnergyMetrics, WarningCode};

const CLOCK: &str = "by the host's clock and the engine's own counts";
/// Figures that are estimates by the table of metrics: bytes and what follows from them, FLOPs without the model's
/// operators.
const ESTIMATED: [&str; 7] = [
    "bytes_read_total",
    "bytes_read_decode",
    "bytes_per_token",
    "memory_bandwidth_utilization",
    "least_time_sec",
    "roofline_share",
    "flops_two_params_tokens",
];
const NOT_AVAILABLE: &str = "not available";

/// Figures that come from the operating system, neither from clocks nor from the engine's counts.
const BY_THE_SYSTEM: [&str; 3] = ["peak_gpu_memory_bytes", "peak_host_memory_bytes", "cpu_time_share"];

/// Badge of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Badge {
    Measured,
    /// Computed from the model's operations.
    Counted,
    Estimated,
    /// Some of its parts are estimates.
    PartlyEstimated,
    Unknown,
}

impl Badge {
    /// Returns the text of the badge.
    pub fn words(self) -> &'static str {
        match self {
            Self::Measured => "measured",
            Self::Counted => "counted",
            Self::Estimated => "estimated",
            Self::PartlyEstimated => "estimated in part",
            Self::Unknown => "unknown",
        }
    }

    /// Returns the CSS class of the badge.
    pub fn class(self) -> &'static str {
        match self {
            Self::Measured | Self::Counted => "measured",
            Self::Estimated | Self::PartlyEstimated => "estimated",
            Self::Unknown => "unknown",
        }
    }
}

/// A badge with its explanation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    pub badge: Badge,
    pub why: String,
}

/// Returns how a figure of a result is known.
pub fn known(metric: &Metric, report: &Report) -> Known {
    if !metric.is_known(Figures::from(report)) {
        return Known {
            badge: Badge::Unknown,
            why: why_unknown(metric.name, report),
        };
    }
    let mut rests_on = RestsOn::default();
    rests_on.add(metric, &report.energy);
    let counted = rests_on.flops.then(|| match rests_on.estimated {
        true => Known {
            badge: Badge::Estimated,
            why: "computed from the model's size, the types of its weights and the token counts; not measured"
                .to_owned(),
        },
        false => of_flops(report),
    });
    match (of_energy(&rests_on.energy, &report.energy), counted) {
        (Some(energy), Some(flops)) if flops.badge == Badge::Estimated => Known {
            badge: Badge::Estimated,
            why: format!("{}; {}", flops.why, energy.why),
        },
        (Some(energy), _) => energy,
        (None, Some(flops)) => flops,
        (None, None) => Known {
            badge: Badge::Measured,
            why: if BY_THE_SYSTEM.contains(&metric.name) {
                metric.source.to_owned()
            } else {
                CLOCK.to_owned()
            },
        },
    }
}

/// Returns why a figure is null, from the warnings of the result.
fn why_unknown(name: &str, report: &Report) -> String {
    let warnings = report.validation.warnings.iter();
    let mut unknown = warnings.filter(|warning| warning.code == WarningCode::MetricUnknown);
    let why = unknown.find_map(|warning| warning.message.strip_prefix(name)?.strip_prefix(": "));
    why.unwrap_or(NOT_AVAILABLE).to_owned()
}

/// Kinds of figures that a figure is computed from, through all formulas.
#[derive(Default)]
struct RestsOn {
    energy: Vec<EnergyPart>,
    flops: bool,
    estimated: bool,
}

impl RestsOn {
    fn add(&mut self, metric: &Metric, energy: &EnergyMetrics) {
        self.estimated |= ESTIMATED.contains(&metric.name);
        match metric.group {
            Group::Energy(of) if matches!(metric.unit, "J" | "W") => self.add_energy(of, metric.name, energy),
            Group::Compute | Group::Roofline => self.flops = true,
            _ => {}
        }
        for part in metric.parts() {
            if let Some(part) = find(all(), part) {
                self.add(part, energy);
            }
        }
    }

    fn add_energy(&mut self, of: EnergyOf, name: &str, energy: &EnergyMetrics) {
        let known = [
            (EnergyPart::Gpu, energy.gpu_energy_j),
            (EnergyPart::Cpu, energy.cpu_energy_j),
            (EnergyPart::Dram, energy.dram_energy_j),
        ];
        let in_total = known.into_iter().filter(|(_, energy_j)| energy_j.is_some());
        let parts: Vec<EnergyPart> = match of {
            EnergyOf::Window => Vec::new(),
            EnergyOf::Total => in_total.map(|(part, _)| part).collect(),
            EnergyOf::Gpus => vec![EnergyPart::Gpu],
            EnergyOf::Memory => vec![EnergyPart::Dram],
            EnergyOf::Host if name.contains("dram") => vec![EnergyPart::Dram],
            EnergyOf::Cpus | EnergyOf::Host => vec![EnergyPart::Cpu],
        };
        for part in parts {
            if !self.energy.contains(&part) {
                self.energy.push(part);
            }
        }
    }
}

/// Returns how the energy of these parts is known; `None` when none of them has a source.
pub fn of_energy(parts: &[EnergyPart], energy: &EnergyMetrics) -> Option<Known> {
    let found = parts.iter().map(|part| (*part, certainty(energy, *part).methods));
    let found: Vec<(EnergyPart, Vec<EnergyMethod>)> = found.filter(|(_, methods)| !methods.is_empty()).collect();
    let methods = || found.iter().flat_map(|(_, methods)| methods);
    let is_estimate = |method: &&EnergyMethod| **method == EnergyMethod::Estimate;
    let badge = match (
        methods().any(|method| is_estimate(&method)),
        methods().all(|method| is_estimate(&method)),
    ) {
        _ if found.is_empty() => return None,
        (_, true) => Badge::Estimated,
        (true, false) => Badge::PartlyEstimated,
        (false, _) => Badge::Measured,
    };
    let each = found.iter().map(|(part, methods)| {
        let methods: Vec<_> = methods.iter().copied().map(method_words).collect();
        format!("{} {}", part_words(*part), methods.join(" and "))
    });
    let mut why = each.collect::<Vec<_>>().join("; ");
    if let Some(percent) = accuracy_percent(parts, energy) {
        let _ = write!(why, "; the instrument's accuracy is {percent} %");
    }
    Some(Known { badge, why })
}

/// Returns the worst accuracy of the parts' instruments, as their manufacturers state it.
fn accuracy_percent(parts: &[EnergyPart], energy: &EnergyMetrics) -> Option<f64> {
    let domains: Vec<EnergyDomain> = parts.iter().copied().map(domain).collect();
    let counted = energy.sources.iter().filter(|source| source.counted_in_total);
    let of_parts = counted.filter(|source| domains.contains(&source.domain));
    of_parts
        .filter_map(|source| source.instrument_accuracy_percent)
        .reduce(f64::max)
}

fn domain(part: EnergyPart) -> EnergyDomain {
    match part {
        EnergyPart::Gpu => EnergyDomain::Gpu,
        EnergyPart::Cpu => EnergyDomain::Package,
        EnergyPart::Dram => EnergyDomain::Dram,
    }
}

fn part_words(part: EnergyPart) -> &'static str {
    match part {
        EnergyPart::Gpu => "GPUs",
        EnergyPart::Cpu => "CPU",
        EnergyPart::Dram => "memory",
    }
}

/// Returns the text for a method of measuring energy.
pub fn method_words(method: EnergyMethod) -> &'static str {
    match method {
        EnergyMethod::EnergyCounter => "by an energy counter",
        EnergyMethod::PowerIntegration => "by polled power, integrated",
        EnergyMethod::Estimate => "from nameplate power and load",
    }
}

fn of_flops(report: &Report) -> Known {
    let method = report.compute.flops_method.as_deref();
    let badge = match report.compute.flops_confidence {
        Some(Confidence::Low) | None => Badge::Estimated,
        Some(Confidence::Medium | Confidence::High) => Badge::Counted,
    };
    let why = match method {
        Some("traced") => "the model's operators one by one; its files and the formulas agree",
        Some("architecture") => "the formulas of the model's architecture",
        Some("parameter_estimate") => "two operations for each parameter and token",
        _ => "unknown method",
    };
    Known {
        badge,
        why: why.to_owned(),
    }
}
