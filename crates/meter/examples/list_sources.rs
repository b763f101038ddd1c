//! Lists every energy source that was looked for on this host. For each it prints whether it works and how it is read,
//! or why it does not work and the fix. It starts no meter and measures nothing.
//!
//!     cargo run -p joulemark-meter --example list_sources

use joulemark_meter::{EnergyOptions, open};

fn main() {
    let found = open(&EnergyOptions::default());
    for finding in &found.devices.findings {
        let state = if finding.works { "works" } else { "does not work" };
        println!("{} ({}): {state}", finding.subject, finding.source.as_str());
        println!("    {}", finding.detail);
        if let Some(fix) = &finding.fix {
            println!("    fix: {fix}");
        }
    }

    let cpu = &found.devices.cpu;
    let model = cpu.model.as_deref().unwrap_or("unknown model");
    println!("\nCPU: {model}, {} logical CPUs", cpu.logical_cpus);
    let packages = cpu
        .energy_source
        .map_or("nothing, no source works", |source| source.as_str());
    println!("CPU packages are read by: {packages}");
    let cpu_time = cpu
        .cpu_time_source
        .as_deref()
        .unwrap_or("nothing, the host's energy cannot be split");
    println!("The host's energy is split by the CPU time of: {cpu_time}");
}
