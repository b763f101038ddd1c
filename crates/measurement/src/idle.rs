use super::{SourceReading, Window};

/// What one source drew while nothing ran, and when that was: `reading.mean_power_w` over `window`.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct IdlePower {
    pub window: Window,
    pub reading: SourceReading,
}

impl IdlePower {
    /// Watts; none where the reading has no energy.
    pub fn power_w(&self) -> Option<f64> {
        self.reading.mean_power_w
    }

    /// Whether it is of the same source: a GPU by UUID, a zone by its folder, an estimate by its kind.
    pub fn is_of(&self, other: &SourceReading) -> bool {
        let own = &self.reading;
        (own.domain, own.source) == (other.domain, other.source)
            && (&own.gpu_uuid, &own.zone_path) == (&other.gpu_uuid, &other.zone_path)
    }
}
