//! Measures the idle baseline before the command: the energy that the devices would have used without it.

use std::time::Duration;

use serde::Serialize;

use joulemark_measurement::clock::Monotonic;
use joulemark_measurement::{EnergyDomain, EnergyMetrics, IdlePower, SourceReading, Window};
use joulemark_meter::HostMeter;

/// Idle baseline of the host.
pub struct Idle {
    window: Window,
    powers: Vec<IdlePower>,
}

/// The part of a command's energy that the idle devices would have used, over the sources that the total counts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct IdleEnergy {
    /// Window of the idle measurement, CLOCK_MONOTONIC.
    pub window: Window,
    /// `None` when a source had no idle reading.
    pub power_w: Option<f64>,
    /// Idle power times the duration of the command.
    pub energy_j: Option<f64>,
}

impl Idle {
    /// Sleeps for `sec` seconds and measures the idle power meanwhile.
    pub fn measure(meter: &HostMeter, sec: u32) -> Self {
        meter.edge();
        let start = Monotonic::now();
        std::thread::sleep(Duration::from_secs(u64::from(sec)));
        let window = Window {
            start_monotonic_sec: start.as_sec(),
            end_monotonic_sec: Monotonic::now().as_sec(),
        };
        meter.edge();
        Self {
            powers: meter.powers_over(&window),
            window,
        }
    }

    /// Returns the idle energy over the duration of `energy`, for its sources.
    pub fn over(&self, energy: &EnergyMetrics) -> IdleEnergy {
        let is_counted = |source: &&SourceReading| source.counted_in_total || source.domain == EnergyDomain::Gpu;
        let counted: Vec<_> = energy.sources.iter().filter(is_counted).collect();
        let power = |source: &&SourceReading| self.powers.iter().find(|power| power.is_of(source))?.power_w();
        let power_w = counted
            .iter()
            .map(power)
            .sum::<Option<f64>>()
            .filter(|_| !counted.is_empty());
        IdleEnergy {
            window: self.window,
            power_w,
            energy_j: power_w.zip(energy.duration_sec).map(|(watts, sec)| watts * sec),
        }
    }
}
