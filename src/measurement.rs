//! What one rank measured in one cycle, raw: tokens, timestamps, windows, energy readings.
//! Owns the words; knows nothing of how they are aggregated or stored.

mod energy;
mod inference;
mod machine;

pub use energy::{Confidence, EnergyDomain, EnergyMethod, EnergyMetrics, EnergyScope, EnergySourceKind, SourceReading};
pub use inference::{ComputeMetrics, InferenceMetrics, RankCycle, RequestMeasurement, Window};
pub use machine::{CpuPlacement, LoadReport, Machine};
