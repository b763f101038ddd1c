//! Which values a power sensor has shown so far. Pure.

/// Which values a power sensor has shown: one that shows but two tells of the load's rhythm, not of its own.
#[derive(Clone, Debug, Default)]
pub struct Levels {
    first: Option<f64>,
    second: Option<f64>,
    pub more: bool,
}

impl Levels {
    pub fn note(&mut self, power_w: f64) {
        if self.more || self.first == Some(power_w) || self.second == Some(power_w) {
            return;
        }
        if self.first.is_none() {
            self.first = Some(power_w);
        } else if self.second.is_none() {
            self.second = Some(power_w);
        } else {
            self.more = true;
        }
    }
}
