//! Waits until the power and temperature of GPUs are steady.

use std::collections::VecDeque;
use std::time::Duration;

use super::failure::Stop;
use super::ranks::Ranks;
use joulemark_measurement::clock::Monotonic;
use joulemark_meter::HostMeter;

/// Period of the readings; the meter reads temperatures about once a second.
const READING_PERIOD: Duration = Duration::from_secs(1);
/// Number of consecutive readings that must agree. They span five seconds, longer than averaged power readings and fans
/// lag.
const READINGS: usize = 6;
/// Maximum difference in degrees Celsius; NVML reports whole degrees, so one degree is no change.
const SAME_C: u32 = 1;
/// Maximum difference as a share of the power; the larger of this and `SAME_W` applies.
const SAME_SHARE: f64 = 0.05;
const SAME_W: f64 = 2.0;

/// Wait until boards are in a steady state.
pub struct SteadyWait<'a> {
    pub meter: &'a HostMeter,
    /// UUIDs of the boards.
    pub gpus: &'a [String],
    /// Maximum duration of the wait.
    pub timeout: Duration,
}

/// Result of a wait for a steady state.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SteadyAfter {
    pub waited_sec: f64,
    /// `None` when a board does not report its power or temperature.
    pub is_steady: Option<bool>,
}

/// Power in watts and temperature in degrees Celsius of each board at one time.
type Reading = Vec<(f64, u32)>;

impl SteadyWait<'_> {
    /// Waits until power and temperature of all boards are steady, a board does not report one of them, or the timeout
    /// has passed.
    ///
    /// # Errors
    /// Returns a [`Stop`] when a worker fails meanwhile.
    pub async fn wait(&self, ranks: &mut Ranks) -> Result<SteadyAfter, Stop> {
        let begun = Monotonic::now();
        let mut readings = VecDeque::new();
        loop {
            let waited_sec = Monotonic::now().sec_since(begun);
            let Some(reading) = self.read() else {
                return Ok(SteadyAfter {
                    waited_sec,
                    is_steady: None,
                });
            };
            readings.push_back(reading);
            if readings.len() > READINGS {
                readings.pop_front();
            }
            let is_steady = readings.len() == READINGS && are_alike(&readings);
            if is_steady || waited_sec >= self.timeout.as_secs_f64() {
                return Ok(SteadyAfter {
                    waited_sec,
                    is_steady: Some(is_steady),
                });
            }
            ranks
                .stay_idle_for(READING_PERIOD, "waiting for the GPUs to settle")
                .await?;
        }
    }

    fn read(&self) -> Option<Reading> {
        let gpus = self.meter.devices().gpus;
        let of_board = |uuid: &String| {
            let power_w = gpus.iter().find(|gpu| gpu.uuid == *uuid)?.live_power_w?;
            Some((power_w, self.meter.gpu_state(uuid)?.temperature_c?))
        };
        self.gpus.iter().map(of_board).collect()
    }
}

/// Returns whether power and temperature of every board agree in all readings.
fn are_alike(readings: &VecDeque<Reading>) -> bool {
    let boards = readings.front().map_or(0, Vec::len);
    (0..boards).all(|board| {
        let powers = readings.iter().map(|reading| reading[board].0);
        let temperatures = readings.iter().map(|reading| reading[board].1);
        let (low_w, high_w) = powers.fold((f64::INFINITY, 0.0_f64), |(low, high), w| (low.min(w), high.max(w)));
        let (low_c, high_c) = temperatures.fold((u32::MAX, 0), |(low, high), c| (low.min(c), high.max(c)));
        high_w - low_w <= (SAME_SHARE * high_w).max(SAME_W) && high_c - low_c <= SAME_C
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_are_alike_while_power_and_temperature_stay() {
        let readings = |of: fn(u32) -> (f64, u32)| (0..6).map(|number| vec![(60.0, 40), of(number)]).collect();
        assert!(are_alike(&readings(|number| (
            100.0 + f64::from(number % 2),
            50 + number % 2
        ))));
        assert!(
            !are_alike(&readings(|number| (100.0 + 2.0 * f64::from(number), 50))),
            "its power rises"
        );
        assert!(!are_alike(&readings(|number| (100.0, 50 - number / 2))), "it cools");
    }
}
