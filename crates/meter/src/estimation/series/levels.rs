//! Records which values a power sensor has shown. Pure.

/// The first values that a power sensor has shown. One that has shown only two shows the rhythm of the load, not its
/// own.
#[derive(Clone, Debug, Default)]
pub struct Levels {
    first: Option<f64>,
    second: Option<f64>,
    /// Whether the sensor has shown a third value.
    pub more: bool,
}

impl Levels {
    /// Records a value.
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
