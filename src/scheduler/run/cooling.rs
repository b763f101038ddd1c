//! Waits until GPUs are cool.

use std::time::Duration;

use super::failure::Stop;
use super::ranks::Ranks;
use joulemark_experiment::report::CycleStart;
use joulemark_measurement::clock::Monotonic;
use joulemark_meter::HostMeter;

/// Period of the check, about that of the temperature readings.
const CHECK_PERIOD: Duration = Duration::from_millis(500);

/// Wait for boards to cool down.
pub struct Cooling<'a> {
    pub meter: &'a HostMeter,
    /// UUIDs of the boards.
    pub gpus: &'a [String],
    /// Temperature in degrees Celsius below which the boards count as cool.
    pub bound_c: u32,
    /// Maximum duration of the wait.
    pub timeout: Duration,
}

impl Cooling<'_> {
    /// Waits until all boards are cool, one does not report its temperature, or the timeout has passed.
    ///
    /// # Errors
    /// Returns a [`Stop`] when a worker fails meanwhile.
    pub async fn wait(&self, ranks: &mut Ranks, cycle: u32) -> Result<CycleStart, Stop> {
        let begun = Monotonic::now();
        loop {
            let waited_sec = Monotonic::now().sec_since(begun);
            let temperature_c = warmest_c(self.meter, self.gpus);
            let is_below = temperature_c.is_some_and(|warmest| warmest < self.bound_c);
            if is_below || temperature_c.is_none() || waited_sec >= self.timeout.as_secs_f64() {
                return Ok(CycleStart {
                    cycle,
                    waited_sec,
                    temperature_c,
                    is_below,
                    is_steady: None,
                });
            }
            ranks
                .stay_idle_for(CHECK_PERIOD, "waiting for the GPUs to cool")
                .await?;
        }
    }
}

/// Returns the temperature of the warmest board in degrees Celsius; `None` when one does not report it.
pub fn warmest_c(meter: &HostMeter, gpus: &[String]) -> Option<u32> {
    let each = gpus.iter().map(|uuid| meter.gpu_state(uuid)?.temperature_c);
    let all: Option<Vec<u32>> = each.collect();
    all?.into_iter().max()
}
