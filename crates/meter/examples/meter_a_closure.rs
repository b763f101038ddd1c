//! Measures the energy of a closure that computes for two seconds, and prints each source's energy with its uncertainty
//! and confidence. An unknown figure is printed as unknown with the reason, never as 0. Two seconds are enough for RAPL
//! and for fast energy counters of GPUs; the README's "Length of a window" has the others.
//!
//!     cargo run -p joulemark-meter --example meter_a_closure

use joulemark_meter::{EnergyDomain, EnergyMethod, EnergyOptions, HostMeter, Monotonic, SourceReading, open};

const COMPUTES_FOR_SEC: f64 = 2.0;

fn main() -> std::io::Result<()> {
    let meter = HostMeter::start(open(&EnergyOptions::default()))?;
    let measured = meter.measure(count_primes);

    println!("{} primes in {:.3} s", measured.value, measured.window.duration_sec());
    for source in &measured.energy.sources {
        println!("\n{}", described(source));
    }
    if measured.energy.sources.is_empty() {
        println!("\nunknown: no source works here; the example list_sources prints the reasons");
    }

    let energy = &measured.energy;
    println!();
    for (name, energy_j, domain) in [
        ("GPUs", energy.gpu_energy_j, EnergyDomain::Gpu),
        ("CPU packages", energy.host_cpu_energy_j, EnergyDomain::Package),
        ("memory", energy.host_dram_energy_j, EnergyDomain::Dram),
    ] {
        let is_read = energy.sources.iter().any(|source| source.domain == domain);
        match energy_j {
            Some(energy_j) => println!("{name}: {energy_j:.3} J"),
            None if is_read => println!("{name}: unknown, because one of its sources above is"),
            None => println!("{name}: unknown, because there is no source"),
        }
    }
    match energy.total_energy_j {
        Some(energy_j) => println!("total of what is known: {energy_j:.3} J"),
        None => println!("total: unknown, because a GPU or a package could not be read"),
    }
    for finding in meter.devices().findings.iter().filter(|finding| !finding.works) {
        println!("not read: {}: {}", finding.subject, finding.detail);
    }
    Ok(())
}

/// Counts primes for `COMPUTES_FOR_SEC`.
fn count_primes() -> u32 {
    let start = Monotonic::now();
    let is_prime = |n: u64| (2..).take_while(|d| d * d <= n).all(|d| !n.is_multiple_of(d));
    let mut primes = 0;
    for n in 2.. {
        if Monotonic::now().sec_since(start) >= COMPUTES_FOR_SEC {
            break;
        }
        primes += u32::from(is_prime(n));
    }
    primes
}

/// Returns the text that describes one source's reading.
fn described(source: &SourceReading) -> String {
    let place = match (source.gpu, &source.zone, &source.zone_path) {
        (Some(gpu), ..) => format!("GPU {gpu}"),
        (None, Some(zone), Some(path)) => format!("{zone} ({path})"),
        _ => "all CPU packages of the host".to_owned(),
    };
    let read_by = format!("{place}, by {}", source.source.as_str());
    let note = source.note.as_deref();
    let Some(energy_j) = source.energy_j else {
        return format!("{read_by}: unknown\n    {}", note.unwrap_or("no reason is known"));
    };
    let uncertainty = source
        .uncertainty_j
        .map_or("± unknown".to_owned(), |off_j| format!("± {off_j:.3} J"));
    let estimate = if source.method == EnergyMethod::Estimate {
        "estimate, not a measurement, "
    } else {
        ""
    };
    let confidence = format!("{:?}", source.confidence).to_lowercase();
    format!(
        "{read_by}: {energy_j:.3} J {uncertainty}, {estimate}confidence {confidence}\n    ±: {}\n    note: {}",
        source.uncertainty_basis,
        note.unwrap_or("none"),
    )
}
