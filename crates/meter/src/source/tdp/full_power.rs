//! Estimates the full power of the host's CPUs from their nameplates, its uncertainty, and a text that justifies it.
//! Pure.

use super::CpuInfo;
use crate::source::tdp_table::{self, Nameplate};

/// Full power in W of one logical CPU of an unknown model. The coefficients of Cloud Carbon Footprint range from 1.6 W
/// (EPYC Rome) to 6 W (Haswell).
pub const DEFAULT_W_PER_LOGICAL_CPU: f64 = 3.5;

/// Relative half-width with the model known: published tests find TDP-based tools up to 40 % off (arXiv 2509.22092).
const KNOWN_MODEL_UNCERTAINTY: f64 = 0.4;

/// Relative half-width with the model unknown: 3.5 W ± 70 % is 1.05 to 5.95 W, the range above.
const UNKNOWN_MODEL_UNCERTAINTY: f64 = 0.7;

/// Sustained power of a Xeon as a multiple of its nameplate power: Intel's PL2 for servers is 1.2 times PL1.
const XEON_TURBO: f64 = 1.25;

/// Sustained power of an AMD socket: the package power limit of consumer sockets is 1.35 times the TDP. Servers do not
/// exceed their TDP.
const AMD_TURBO: f64 = 1.35;

/// Sustained power of Intel's consumer sockets: 202 W for an i9-12900 with a base power of 65 W, where boards lift the
/// time limit.
const INTEL_CONSUMER_TURBO: f64 = 3.2;

/// The full power of the CPUs that this host has, with a text that justifies it.
pub struct FullPower {
    /// Power in W.
    pub watts: f64,
    /// Relative half-width, turbo power included.
    pub uncertainty: f64,
    /// Turbo power as a multiple of `watts`.
    pub turbo: f64,
    /// Text that justifies the figure.
    pub basis: String,
}

impl FullPower {
    /// Estimates the full power of `cpus` logical CPUs, those whose CPU time is read.
    pub fn estimate(cpu: &CpuInfo, cpus: u32) -> Self {
        let model = cpu.model.as_deref().unwrap_or("unknown");
        let Some(plate) = tdp_table::find(model) else {
            return Self::by_logical_cpus(cpu, cpus, format!("CPU model `{model}` has no TDP in our table"));
        };
        match (plate, cpu.virtual_machine) {
            // Whole sockets draw power, also when CPUs of them are switched off or not visible to this process.
            (Nameplate { watts, threads, .. }, false) => {
                let shown_by_cpus = threads.map_or(1, |threads| cpus.div_ceil(threads));
                let sockets = cpu.packages.max(shown_by_cpus);
                let basis =
                    format!("TDP of {model} is {watts} W a socket, {sockets} socket(s) with {cpus} logical CPUs");
                Self::new(model, watts * f64::from(sockets), KNOWN_MODEL_UNCERTAINTY, basis)
            }
            (Nameplate { threads: None, .. }, true) => Self::by_logical_cpus(
                cpu,
                cpus,
                format!(
                    "the part of a {model} that this virtual machine has is unknown, as our table does not list its threads"
                ),
            ),
            (
                Nameplate {
                    threads: Some(threads),
                    watts,
                    ..
                },
                true,
            ) => {
                // A guest can be shown any number of sockets, so only its CPUs count.
                let part = f64::from(cpus) / f64::from(*threads);
                let basis = format!(
                    "TDP of {model} is {watts} W a socket with {threads} logical CPUs; {cpus} of them are this virtual \
                     machine's"
                );
                Self::new(model, watts * part, KNOWN_MODEL_UNCERTAINTY, basis)
            }
        }
    }

    /// Estimates by the number of logical CPUs.
    fn by_logical_cpus(cpu: &CpuInfo, cpus: u32, why: String) -> Self {
        let model = cpu.model.as_deref().unwrap_or_default();
        let basis = format!("{why}: {DEFAULT_W_PER_LOGICAL_CPU} W for each of {cpus} logical CPUs");
        let watts = DEFAULT_W_PER_LOGICAL_CPU * f64::from(cpus);
        Self::new(model, watts, UNKNOWN_MODEL_UNCERTAINTY, basis)
    }

    /// Creates the figure of a CPU model, with the uncertainty of turbo added.
    fn new(model: &str, watts: f64, uncertainty: f64, basis: String) -> Self {
        let turbo = turbo(model);
        Self {
            watts,
            // Independent errors: that of the model, and that of the use of turbo.
            uncertainty: uncertainty.hypot(turbo - 1.0),
            turbo,
            basis,
        }
    }
}

/// Returns the turbo power of a model as a multiple of its nameplate power.
fn turbo(model: &str) -> f64 {
    let has = |word: &str| model.contains(word);
    if has("Xeon") {
        XEON_TURBO
    } else if has("Intel") {
        INTEL_CONSUMER_TURBO
    } else {
        AMD_TURBO
    }
}
