//! Measures a closure: polls faster, takes edges and reads in the order that gives a window its smallest uncertainty.
//! Does not know what the work is or what else runs on the host.

use std::time::Duration;

use super::HostMeter;
use joulemark_measurement::clock::Monotonic;
use joulemark_measurement::{EnergyMetrics, Window};

/// Wait before the work on a host with GPUs. A GPU's counter may refresh every 100 ms: five refreshes show its period
/// and its value at the start.
const LEARNING_TIME: Duration = Duration::from_millis(500);

/// The value of a measured closure, its window, and the host's energy over it.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured<T> {
    /// Value that the closure returned.
    pub value: T,
    /// Window from right before the closure's start to right after its end.
    pub window: Window,
    /// Energy of the whole host over the window, whichever process caused it.
    pub energy: EnergyMetrics,
}

impl HostMeter {
    /// Runs `work`, and returns its value with the energy of the whole host over that time.
    ///
    /// The energy includes that of other processes, so no other work should run on the host. For a split by CPU time,
    /// call [`track`](Self::track) before and [`read`](Self::read) with the returned window; for some GPUs only, call
    /// `read` alone. How long `work` must take for a figure with high confidence depends on the sources: see "Length of
    /// a window" in the crate's documentation.
    ///
    /// Blocks for 0.5 s before `work` on a host with GPUs, and after it until the sensors have shown its end, see
    /// `read`.
    ///
    /// # Panics
    /// Panics when `work` panics. The meter is not affected.
    ///
    /// # Examples
    ///
    /// ```
    /// use joulemark_meter::{EnergyOptions, HostMeter, open};
    ///
    /// let meter = HostMeter::start(open(&EnergyOptions::default()))?;
    /// // Short work, as an example: a figure with high confidence needs seconds.
    /// let measured = meter.measure(|| (0..1_000_000u64).sum::<u64>());
    /// assert_eq!(measured.value, 499_999_500_000);
    /// match measured.energy.total_energy_j {
    ///     Some(energy_j) => println!("{energy_j:.3} J in {:.3} s", measured.window.duration_sec()),
    ///     None => println!("unknown: {:?}", measured.energy.sources),
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn measure<T>(&self, work: impl FnOnce() -> T) -> Measured<T> {
        let _fast_polling = self.poll_faster();
        if !self.0.devices.gpus.is_empty() {
            std::thread::sleep(LEARNING_TIME);
        }
        // Two readings before the work: its first moments come after them and are not split by the edge.
        self.edge();
        self.edge();
        // The window is that of the work alone. However long reading a driver takes, its energy is interpolated to
        // these moments.
        let start = Monotonic::now();
        let value = work();
        let end = Monotonic::now();
        self.edge();
        let window = Window {
            start_monotonic_sec: start.as_sec(),
            end_monotonic_sec: end.as_sec(),
        };
        let energy = self.read_host(&window);
        Measured { value, window, energy }
    }
}
