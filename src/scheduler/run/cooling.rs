use std::time::Duration;

use super::failure::Stop;
use super::ranks::Ranks;
use joulemark_experiment::report::CycleStart;
use joulemark_measurement::clock::Monotonic;
use joulemark_meter::HostMeter;

/// How often the boards are looked at: about as often as their temperature is read.
const LOOK: Duration = Duration::from_millis(500);

/// A wait for boards to be cool.
pub struct Cooling<'a> {
    pub meter: &'a HostMeter,
    /// UUIDs of the boards.
    pub gpus: &'a [String],
    /// They are to be below this, in degrees Celsius.
    pub bound_c: u32,
    /// The longest wait.
    pub patience: Duration,
}

impl Cooling<'_> {
    /// Waits until all boards are cool, one does not tell, or the patience is over.
    ///
    /// # Errors
    /// [`Stop`] of a worker that fails meanwhile.
    pub async fn wait(&self, ranks: &mut Ranks, cycle: u32) -> Result<CycleStart, Stop> {
        let begun = Monotonic::now();
        loop {
            let waited_sec = Monotonic::now().sec_since(begun);
            let temperature_c = warmest_c(self.meter, self.gpus);
            let is_below = temperature_c.is_some_and(|warmest| warmest < self.bound_c);
            if is_below || temperature_c.is_none() || waited_sec >= self.patience.as_secs_f64() {
                return Ok(CycleStart {
                    cycle,
                    waited_sec,
                    temperature_c,
                    is_below,
                    is_steady: None,
                });
            }
            ranks.rest_for(LOOK, "waiting for the GPUs to cool").await?;
        }
    }
}

/// Returns the temperature of the warmest board, in degrees Celsius; `None` where one does not tell.
pub fn warmest_c(meter: &HostMeter, gpus: &[String]) -> Option<u32> {
    let each = gpus.iter().map(|uuid| meter.gpu_state(uuid)?.temperature_c);
    let all: Option<Vec<u32>> = each.collect();
    all?.into_iter().max()
}
