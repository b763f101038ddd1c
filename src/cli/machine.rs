//! Describes the host for results.

use nix::sched::{CpuSet, sched_getaffinity};
use nix::unistd::Pid;

use joulemark_measurement::Machine;
use joulemark_meter::Devices;
use joulemark_worker::cpu;

/// Returns the logical CPUs that this process may use, in ascending order.
pub fn usable_cpus() -> anyhow::Result<Vec<u32>> {
    let set = sched_getaffinity(Pid::from_raw(0))?;
    Ok((0..CpuSet::count())
        .filter(|cpu| set.is_set(*cpu).unwrap_or(false))
        .map(|cpu| cpu as u32)
        .collect())
}

/// Describes this host for results, without the engine.
pub fn describe(devices: &Devices, cpus: &[u32]) -> anyhow::Result<Machine> {
    let name = nix::sys::utsname::uname()?;
    Ok(Machine {
        hostname: name.nodename().to_string_lossy().into_owned(),
        kernel: format!(
            "{} {}",
            name.sysname().to_string_lossy(),
            name.release().to_string_lossy()
        ),
        cpu_model: devices.cpu.model.clone(),
        logical_cpus: cpus.len() as u32,
        // Of this program; replaced once the engine is chosen (`EngineProgram::machine`).
        compiled_cpu_features: cpu::compiled_features(),
        gpu_names: devices.gpus.iter().filter_map(|gpu| gpu.name.clone()).collect(),
        nvidia_driver: devices.gpus.first().and_then(|gpu| gpu.driver_version.clone()),
        joulemark_version: env!("CARGO_PKG_VERSION").to_owned(),
        mistralrs_version: String::new(),
    })
}
