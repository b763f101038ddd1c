//! What the doctor found, as JSON and as text.

use std::fmt::Write as _;
use std::path::PathBuf;

use serde::Serialize;

use super::power::PowerFinding;
use super::servers::ServerFinding;
use crate::engines::{EngineProblem, Engines, FoundEngine, MISTRAL};
use joulemark_experiment::OfferedEngine;
use joulemark_measurement::{ComputeCapability, EnergyMethod, SourceReading};
use joulemark_meter::{CpuDevice, Devices, Finding, GpuDevice};

/// Findings of the doctor.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Examination {
    /// Whether at least one source just measured energy, rather than estimated it.
    pub measures: bool,
    /// Every energy source that was looked for: whether it works, why not, and the fix.
    pub findings: Vec<Finding>,
    pub gpus: Vec<GpuDevice>,
    pub cpu: CpuDevice,
    /// Reading of each working source over one second.
    pub sources: Vec<SourceReading>,
    /// Every program of every engine that was looked for.
    pub engines: Vec<EngineFinding>,
    /// The engine program that computes on each GPU.
    pub gpu_programs: Vec<GpuProgram>,
    /// Every engine of the configuration that is an inference server.
    pub servers: Vec<ServerFinding>,
    /// Whether power limits and clocks can be set; `None` when no power control is configured.
    pub power: Option<PowerFinding>,
}

/// One engine program: its description if it can be started, and otherwise the problem.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EngineFinding {
    pub works: bool,
    /// Path of the program; `None` when there is none that can be started.
    pub program: Option<PathBuf>,
    /// Description that the program gives of itself.
    #[serde(flatten)]
    pub offer: Option<OfferedEngine>,
    /// Why it cannot be started, and how to fix that.
    pub problem: Option<String>,
}

/// Engine program for one GPU.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GpuProgram {
    /// NVML index.
    pub gpu: u32,
    pub gpu_uuid: String,
    pub compute_capability: Option<ComputeCapability>,
    /// Path of the program; `None` when no program supports this GPU.
    pub program: Option<PathBuf>,
    /// Why there is no program, and the command that builds one.
    pub problem: Option<String>,
}

impl GpuProgram {
    fn new(gpu: &GpuDevice, found: Result<FoundEngine, EngineProblem>) -> Self {
        let (program, problem) = match found {
            Ok(found) => (Some(found.program), None),
            Err(problem) => (None, Some(problem.to_string())),
        };
        Self {
            gpu: gpu.index,
            gpu_uuid: gpu.uuid.clone(),
            compute_capability: gpu.compute_capability,
            program,
            problem,
        }
    }

    fn text(&self) -> String {
        let of = self.compute_capability.map(|of| format!(" (compute capability {of})"));
        let of = of.unwrap_or_default();
        match (&self.program, &self.problem) {
            (Some(program), _) => format!("works  GPU {}{of}: {}", self.gpu, program.display()),
            (None, problem) => format!(
                "--     GPU {}{of}: {}",
                self.gpu,
                problem.as_deref().unwrap_or("no program")
            ),
        }
    }
}

impl EngineFinding {
    fn new(found: Result<FoundEngine, EngineProblem>) -> Self {
        match found {
            Ok(found) => Self {
                works: true,
                program: Some(found.program),
                offer: Some(found.offer),
                problem: None,
            },
            Err(problem) => Self {
                works: false,
                program: None,
                offer: None,
                problem: Some(problem.to_string()),
            },
        }
    }

    fn text(&self) -> String {
        let (Some(offer), Some(program)) = (&self.offer, &self.program) else {
            return format!("  --     {}", self.problem.as_deref().unwrap_or("not found"));
        };
        let built_for = match (offer.features.is_empty(), offer.compute_capability) {
            (true, _) => "the CPU only".to_owned(),
            (false, None) => offer.features.join(", "),
            (false, Some(capability)) => format!("{} on compute capability {capability}", offer.features.join(", ")),
        };
        format!(
            "works  {} {} ({}), built for {built_for}",
            offer.name,
            offer.engine_version,
            program.display()
        )
    }
}

impl Examination {
    /// Creates the findings, without power control.
    pub fn new(sources: Vec<SourceReading>, devices: Devices, engines: &Engines, servers: Vec<ServerFinding>) -> Self {
        let computes_on = |gpu: &GpuDevice| {
            let found = engines.find_for_gpus(MISTRAL, &[gpu.compute_capability]);
            GpuProgram::new(gpu, found)
        };
        let measured = |source: &SourceReading| source.energy_j.is_some() && source.method != EnergyMethod::Estimate;
        Self {
            measures: sources.iter().any(measured),
            findings: devices.findings,
            gpu_programs: devices.gpus.iter().map(computes_on).collect(),
            gpus: devices.gpus,
            cpu: devices.cpu,
            sources,
            engines: engines.find_all().into_iter().map(EngineFinding::new).collect(),
            servers,
            power: None,
        }
    }

    /// Returns the findings as text.
    pub fn text(&self) -> String {
        let mut text = String::from("Energy sources\n");
        // Writing to a String cannot fail.
        for finding in &self.findings {
            let mark = if finding.works { "works" } else { "  --" };
            let _ = writeln!(text, "  {mark:5}  {}: {}", finding.subject, finding.detail);
            if let Some(fix) = &finding.fix {
                let _ = writeln!(text, "         fix: {fix}");
            }
        }
        text.push_str("\nPower over the last second\n");
        for source in &self.sources {
            let name = match (source.gpu, &source.zone, &source.zone_path) {
                (Some(gpu), ..) => format!("GPU {gpu}"),
                (None, Some(zone), Some(path)) => format!("{zone} ({path})"),
                _ => "CPU packages, estimated".to_owned(),
            };
            let power = match source.mean_power_w {
                Some(power_w) => format!("{power_w:.2} W"),
                None => format!("unknown: {}", source.note.as_deref().unwrap_or("no reading")),
            };
            let _ = writeln!(text, "  {name}: {power}");
        }
        if self.sources.is_empty() {
            text.push_str("  no source works\n");
        }
        text.push_str("\nEngines\n");
        for engine in &self.engines {
            let _ = writeln!(text, "  {}", engine.text().trim_start());
        }
        for gpu in &self.gpu_programs {
            let _ = writeln!(text, "  {}", gpu.text());
        }
        for server in &self.servers {
            let _ = writeln!(text, "  {}", server.text());
        }
        let power = match &self.power {
            Some(power) => power.text(),
            None => "  --     not configured (--power-control)".to_owned(),
        };
        let _ = writeln!(text, "\nPower limits and clocks\n{power}");
        let model = self.cpu.model.as_deref().unwrap_or("unknown model");
        let clock = self
            .cpu
            .cpu_time_source
            .as_deref()
            .unwrap_or("no clock: host energy cannot be attributed to experiments");
        let _ = writeln!(
            text,
            "\nCPU  {model}, {} logical CPUs\nCPU time, by which host energy is attributed: {clock}",
            self.cpu.logical_cpus
        );
        let verdict = if self.measures {
            "Energy is measured on this host."
        } else {
            "Nothing on this host measures energy; energy is estimated or unknown. The fixes are listed above."
        };
        let _ = writeln!(text, "\n{verdict}");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use joulemark_measurement::{Confidence, EnergyDomain, EnergyScope, EnergySourceKind};

    fn source(method: EnergyMethod, energy_j: Option<f64>) -> SourceReading {
        SourceReading {
            domain: EnergyDomain::Package,
            gpu: None,
            gpu_uuid: None,
            zone: Some("package-0".to_owned()),
            zone_path: Some("intel-rapl:0".to_owned()),
            scope: EnergyScope::Host,
            energy_j,
            mean_power_w: energy_j,
            source: EnergySourceKind::RaplPowercap,
            method,
            confidence: Confidence::High,
            sample_count: 11,
            interval_ms: Some(100.0),
            uncertainty_j: None,
            uncertainty_basis: String::new(),
            instrument_accuracy_percent: None,
            refresh_ms: None,
            counted_in_total: true,
            note: None,
        }
    }

    fn examined(sources: Vec<SourceReading>) -> Examination {
        let cpu = CpuDevice {
            model: None,
            logical_cpus: 8,
            energy_source: None,
            rapl_problem: None,
            cpu_time_source: Some("/proc/stat (ticks of 10 ms)".to_owned()),
            live_power_w: None,
        };
        let finding = Finding {
            source: EnergySourceKind::RaplPowercap,
            subject: "package-0".to_owned(),
            works: false,
            detail: "permission denied".to_owned(),
            fix: Some("`sudo chmod`".to_owned()),
        };
        Examination::new(
            sources,
            Devices {
                gpus: Vec::new(),
                cpu,
                findings: vec![finding],
            },
            &Engines::in_folders(vec![PathBuf::from("/opt/engines")]),
            Vec::new(),
        )
    }

    #[test]
    fn an_estimate_or_a_source_without_a_reading_does_not_measure() {
        assert!(!examined(vec![]).measures);
        assert!(!examined(vec![source(EnergyMethod::Estimate, Some(5.0))]).measures);
        assert!(!examined(vec![source(EnergyMethod::EnergyCounter, None)]).measures);
        assert!(examined(vec![source(EnergyMethod::EnergyCounter, Some(5.0))]).measures);
    }

    #[test]
    fn the_text_has_every_finding_its_fix_the_power_and_the_clock() {
        let text = examined(vec![source(EnergyMethod::EnergyCounter, Some(42.0))]).text();
        for part in [
            "package-0: permission denied",
            "fix: `sudo chmod`",
            "42.00 W",
            "/proc/stat",
            "no program joulemark-mistral in /opt/engines",
            "is measured",
        ] {
            assert!(text.contains(part), "{part} is not in:\n{text}");
        }
    }
}
