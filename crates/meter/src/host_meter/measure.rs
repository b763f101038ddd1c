//! Measures a closure: the order of attention, edges and reading that gives a window its smallest uncertainty.
//! Deliberately does not know what the work is or who else uses the host.

use std::time::Duration;

use super::HostMeter;
use joulemark_measurement::clock::Monotonic;
use joulemark_measurement::{EnergyMetrics, Window};

/// A GPU's counter stands still for up to 100 ms at a time: its period, and how it stood at the start, are learned from
/// the five refreshes before it.
const ACQUAINTANCE: Duration = Duration::from_millis(500);

/// What a measured closure returned, when it ran, and the energy of the host over that time.
#[derive(Clone, Debug, PartialEq)]
pub struct Metered<T> {
    /// What the closure returned.
    pub value: T,
    /// From before the closure's start to after its end.
    pub window: Window,
    /// Energy of the whole host over the window, whoever caused it.
    pub energy: EnergyMetrics,
}

impl HostMeter {
    /// Runs `work` and returns what it returned, with the energy of the whole host over that time.
    ///
    /// The energy is everybody's: no other work should run on the host meanwhile. To have it split by CPU time, or of
    /// some GPUs only, read the returned window again with [`read`](Self::read). Blocks for 0.5 s before `work` on a host
    /// with GPUs, and after it until the sensors have shown its end. For a figure to be trusted, `work` takes 10 s or more.
    ///
    /// ```
    /// use joulemark_meter::{EnergyOptions, HostMeter, open};
    ///
    /// let meter = HostMeter::start(open(&EnergyOptions::default()))?;
    /// let metered = meter.measure(|| (0..1_000_000u64).sum::<u64>());
    /// assert_eq!(metered.value, 499_999_500_000);
    /// match metered.energy.total_energy_j {
    ///     Some(energy_j) => println!("{energy_j:.3} J in {:.3} s", metered.window.duration_sec()),
    ///     None => println!("unknown: {:?}", metered.energy.sources),
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn measure<T>(&self, work: impl FnOnce() -> T) -> Metered<T> {
        let _attention = self.attend();
        if !self.0.devices.gpus.is_empty() {
            std::thread::sleep(ACQUAINTANCE);
        }
        // Two readings before the work begins: what it does first lies after them and is not split at the edge.
        self.edge();
        self.edge();
        // The window is the work's: however long a driver takes to be read, its energy is interpolated to these moments.
        let start = Monotonic::now();
        let value = work();
        let end = Monotonic::now();
        self.edge();
        let window = Window {
            start_monotonic_sec: start.as_sec(),
            end_monotonic_sec: end.as_sec(),
        };
        let energy = self.read_host(&window);
        Metered { value, window, energy }
    }
}
