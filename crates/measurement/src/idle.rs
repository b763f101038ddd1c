use super::{SourceReading, Window};

/// Idle power of one source: `reading.mean_power_w` over `window`.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct IdlePower {
    pub window: Window,
    pub reading: SourceReading,
}

impl IdlePower {
    /// Returns the idle power in watts; `None` where the reading has no energy.
    pub fn power_w(&self) -> Option<f64> {
        self.reading.mean_power_w
    }

    /// Returns whether both readings are of the same source: a GPU is identified by its UUID, a RAPL zone by its
    /// folder, an estimate by its kind.
    pub fn is_of(&self, other: &SourceReading) -> bool {
        let own = &self.reading;
        (own.domain, own.source) == (other.domain, other.source)
            && (&own.gpu_uuid, &own.zone_path) == (&other.gpu_uuid, &other.zone_path)
    }
}
