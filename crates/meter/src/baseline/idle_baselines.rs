//! Holds the best idle baseline of each source until it is too old. Pure.

use super::STRETCHES_SEC;
use joulemark_measurement::IdlePower;

/// Age in seconds beyond which a baseline is replaced as soon as the host is idle: room temperature and fan speed
/// change over hours.
const MAX_AGE_SEC: f64 = 3600.0;

/// The best idle baseline of each source so far: the one over the longest window that is not too old.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IdleBaselines(Vec<IdlePower>);

impl IdleBaselines {
    /// Returns whether there is no baseline, or one is older than an hour or shorter than the longest window that is
    /// tried.
    pub fn wants_more(&self, now_sec: f64) -> bool {
        self.0.is_empty() || self.0.iter().any(|power| !is_best(power, now_sec))
    }

    /// Stores newer baselines. A stored one is replaced when it is too old or when the newer one covers a longer
    /// window.
    pub fn take(&mut self, newer: Vec<IdlePower>, now_sec: f64) {
        for power in newer {
            match self.0.iter_mut().find(|stored| stored.is_of(&power.reading)) {
                None => self.0.push(power),
                Some(stored) => {
                    let is_longer = power.window.duration_sec() > stored.window.duration_sec() + 0.5;
                    if is_old(stored, now_sec) || is_longer {
                        *stored = power;
                    }
                }
            }
        }
    }

    /// Returns the baselines, one for each source.
    pub fn powers(&self) -> &[IdlePower] {
        &self.0
    }
}

fn is_old(power: &IdlePower, now_sec: f64) -> bool {
    now_sec - power.window.end_monotonic_sec > MAX_AGE_SEC
}

fn is_best(power: &IdlePower, now_sec: f64) -> bool {
    !is_old(power, now_sec) && power.window.duration_sec() > STRETCHES_SEC[0] - 0.5
}
