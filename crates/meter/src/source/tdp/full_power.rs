//! Full power of the host's CPUs from their nameplates, how far it may be off, and the words that justify it. Pure.

use super::CpuInfo;
use crate::source::tdp_table::{self, Nameplate};

/// Full power of one logical CPU of an unknown model; the coefficients of Cloud Carbon Footprint run from 1.6 W (EPYC
/// Rome) to 6 W (Haswell).
pub const DEFAULT_W_PER_LOGICAL_CPU: f64 = 3.5;

/// Published tests find TDP-based tools up to 40 % off with the model known (arXiv 2509.22092).
const KNOWN_MODEL_UNCERTAINTY: f64 = 0.4;

/// 3.5 W ± 70 % is 1.05 to 5.95 W: the range above.
const UNKNOWN_MODEL_UNCERTAINTY: f64 = 0.7;

/// How many times its nameplate power a socket can draw for long: Intel's PL2 for servers is 1.2 times PL1.
const XEON_TURBO: f64 = 1.25;

/// AMD's package power limit on its consumer sockets is 1.35 times the TDP; servers stay at theirs.
const AMD_TURBO: f64 = 1.35;

/// Intel's consumer sockets: 202 W of an i9-12900 with a base power of 65 W; boards lift the time limit.
const INTEL_CONSUMER_TURBO: f64 = 3.2;

/// Full power of what this host has of its CPUs, with the words that justify it.
pub struct FullPower {
    pub watts: f64,
    /// Half-width as a part of the figure, turbo power included.
    pub uncertainty: f64,
    /// How many times `watts` turbo can draw.
    pub turbo: f64,
    pub basis: String,
}

impl FullPower {
    /// Estimates for `cpus` logical CPUs, those whose CPU time is read.
    pub fn estimate(cpu: &CpuInfo, cpus: u32) -> Self {
        let model = cpu.model.as_deref().unwrap_or("unknown");
        let Some(plate) = tdp_table::find(model) else {
            return Self::by_logical_cpus(cpu, cpus, format!("CPU model `{model}` has no TDP in our table"));
        };
        match (plate, cpu.virtual_machine) {
            // Whole sockets draw whatever of them is switched off or kept from this process.
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
                format!("our table does not tell what part of a {model} this virtual machine has"),
            ),
            (
                Nameplate {
                    threads: Some(threads),
                    watts,
                    ..
                },
                true,
            ) => {
                // Guests can be shown any number of sockets: only their CPUs count.
                let part = f64::from(cpus) / f64::from(*threads);
                let basis = format!(
                    "TDP of {model} is {watts} W a socket with {threads} logical CPUs; {cpus} such are this virtual \
                     machine's"
                );
                Self::new(model, watts * part, KNOWN_MODEL_UNCERTAINTY, basis)
            }
        }
    }

    fn by_logical_cpus(cpu: &CpuInfo, cpus: u32, why: String) -> Self {
        let model = cpu.model.as_deref().unwrap_or_default();
        let basis = format!("{why}: {DEFAULT_W_PER_LOGICAL_CPU} W for each of {cpus} logical CPUs");
        let watts = DEFAULT_W_PER_LOGICAL_CPU * f64::from(cpus);
        Self::new(model, watts, UNKNOWN_MODEL_UNCERTAINTY, basis)
    }

    fn new(model: &str, watts: f64, uncertainty: f64, basis: String) -> Self {
        let turbo = turbo(model);
        Self {
            watts,
            // Independent of each other: how far the model is off, and how far turbo is used.
            uncertainty: uncertainty.hypot(turbo - 1.0),
            turbo,
            basis,
        }
    }
}

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
