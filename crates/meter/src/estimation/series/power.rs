//! Stores polled power as it was read, and its integral. Pure.

use super::samples::{Sample, Series};
use joulemark_measurement::clock::Monotonic;

impl Series {
    /// Adds a power reading in W. The trapezoid between it and the reading before is added to the total.
    ///
    /// Readings with the same time stamp count as their mean, in any order. A reading older than the last one is
    /// ignored.
    pub fn push_power(&mut self, at: Monotonic, power_w: f64, edge: bool) {
        if let Some(last) = self.samples.back().copied() {
            if at < last.at {
                return;
            }
            if at == last.at && last.epoch == self.epoch {
                let count = f64::from(self.at_last_stamp);
                let mean_w = (last.power_w.unwrap_or(power_w) * count + power_w) / (count + 1.0);
                self.samples.pop_back();
                self.append_power(at, mean_w, edge || last.edge);
                self.at_last_stamp += 1;
                return;
            }
            if last.epoch == self.epoch {
                self.levels.note(power_w);
                self.refresh.observe(at, last.power_w != Some(power_w));
            }
        }
        self.append_power(at, power_w, edge);
        self.at_last_stamp = 1;
    }

    /// Appends a sample with this power.
    fn append_power(&mut self, at: Monotonic, power_w: f64, edge: bool) {
        let total = match self.samples.back() {
            Some(last) => {
                let before_w = last.power_w.unwrap_or(power_w);
                last.total + (before_w + power_w) / 2.0 * at.sec_since(last.at)
            }
            None => 0.0,
        };
        let (changed_after, changed_by) = match self.samples.back().filter(|last| last.epoch == self.epoch) {
            Some(last) if last.power_w == Some(power_w) => (last.changed_after, last.changed_by),
            Some(last) => (last.at, at),
            None => (at, at),
        };
        self.push(Sample {
            at,
            total,
            power_w: Some(power_w),
            changed_after,
            changed_by,
            epoch: self.epoch,
            edge,
        });
    }
}
