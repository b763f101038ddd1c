use std::collections::VecDeque;
use std::time::Duration;

use super::failure::Stop;
use super::ranks::Ranks;
use joulemark_measurement::clock::Monotonic;
use joulemark_meter::HostMeter;

/// The meter looks at temperatures about once a second.
const LOOK: Duration = Duration::from_secs(1);
/// So many looks must be alike: five seconds, longer than averaged power readings and fans lag.
const LOOKS: usize = 6;
/// NVML tells whole degrees: one to and fro is no change.
const SAME_C: u32 = 1;
/// Between its looks a board at rest stays within this share of its power, or within this many watts.
const SAME_SHARE: f64 = 0.05;
const SAME_W: f64 = 2.0;

/// A wait for boards to be steady.
pub struct Settling<'a> {
    pub meter: &'a HostMeter,
    /// UUIDs of the boards.
    pub gpus: &'a [String],
    /// The longest wait.
    pub patience: Duration,
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SettledAfter {
    pub waited_sec: f64,
    /// `None` where a board does not tell power or temperature.
    pub is_steady: Option<bool>,
}

/// Power in watts and temperature in degrees Celsius of each board at one look.
type Look = Vec<(f64, u32)>;

impl Settling<'_> {
    /// Waits until power and temperature of all boards are steady, one does not tell, or the patience is over.
    ///
    /// # Errors
    /// [`Stop`] of a worker that fails meanwhile.
    pub async fn wait(&self, ranks: &mut Ranks) -> Result<SettledAfter, Stop> {
        let begun = Monotonic::now();
        let mut looks = VecDeque::new();
        loop {
            let waited_sec = Monotonic::now().sec_since(begun);
            let Some(look) = self.look() else {
                return Ok(SettledAfter {
                    waited_sec,
                    is_steady: None,
                });
            };
            looks.push_back(look);
            if looks.len() > LOOKS {
                looks.pop_front();
            }
            let is_steady = looks.len() == LOOKS && are_alike(&looks);
            if is_steady || waited_sec >= self.patience.as_secs_f64() {
                return Ok(SettledAfter {
                    waited_sec,
                    is_steady: Some(is_steady),
                });
            }
            ranks.rest_for(LOOK, "waiting for the GPUs to settle").await?;
        }
    }

    fn look(&self) -> Option<Look> {
        let gpus = self.meter.devices().gpus;
        let of_board = |uuid: &String| {
            let power_w = gpus.iter().find(|gpu| gpu.uuid == *uuid)?.live_power_w?;
            Some((power_w, self.meter.gpu_state(uuid)?.temperature_c?))
        };
        self.gpus.iter().map(of_board).collect()
    }
}

/// Tells whether no board's power or temperature changed from look to look.
fn are_alike(looks: &VecDeque<Look>) -> bool {
    let boards = looks.front().map_or(0, Vec::len);
    (0..boards).all(|board| {
        let powers = looks.iter().map(|look| look[board].0);
        let temperatures = looks.iter().map(|look| look[board].1);
        let (low_w, high_w) = powers.fold((f64::INFINITY, 0.0_f64), |(low, high), w| (low.min(w), high.max(w)));
        let (low_c, high_c) = temperatures.fold((u32::MAX, 0), |(low, high), c| (low.min(c), high.max(c)));
        high_w - low_w <= (SAME_SHARE * high_w).max(SAME_W) && high_c - low_c <= SAME_C
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_are_alike_while_power_and_temperature_stay() {
        let looks = |of: fn(u32) -> (f64, u32)| (0..6).map(|look| vec![(60.0, 40), of(look)]).collect();
        assert!(are_alike(&looks(|look| (100.0 + f64::from(look % 2), 50 + look % 2))));
        assert!(
            !are_alike(&looks(|look| (100.0 + 2.0 * f64::from(look), 50))),
            "its power rises"
        );
        assert!(!are_alike(&looks(|look| (100.0, 50 - look / 2))), "it cools");
    }
}
