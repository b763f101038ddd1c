//! Aggregation of raw measurements into results: sums over ranks and cycles, ratios, checks. Pure functions of numbers.
//! Leaves the origin of measurements, the counting of FLOPs and storage to others.
//!
//! A sum with an unknown part is unknown, so it never looks complete when it is not. Only `total_energy_j` leaves out
//! unknown parts, with a warning.

mod aggregate;
mod baselines;
mod certainty;
mod checks;
pub mod comparison;
mod complete;
mod compute;
pub mod curve;
mod duration;
mod efficiency;
mod energy;
#[cfg(test)]
mod fixtures;
mod footprint;
mod gpu_settings;
mod group;
mod inference;
pub mod intervals;
pub mod metrics;
mod offered;
mod outputs;
mod phases;
mod repetition;
mod report;
mod resample;
pub mod search;
mod sources;
pub mod statistics;
mod steady;
mod sums;
mod windows;

pub use aggregate::{Aggregate, aggregate};
pub use baselines::{IdleState, host_idle_energy_j};
pub use certainty::{Certainty, EnergyPart, certainty};
pub use checks::{failure_reasons, unknown_metrics, validate};
pub use complete::{complete_rank_cycle, complete_report};
pub use duration::{DeviceKind, PastRun, RunShape, duration_by_own_pace, duration_by_past_runs};
pub use efficiency::efficiency;
pub use gpu_settings::{GpuSettings, LimitChange, limit_changed, range};
pub use group::CycleHost;
pub use inference::inference_of;
pub use offered::goodput;
pub use phases::{PassStretches, RankPhase, phase_energy, stretches};
pub use repetition::{figure, relative_ci};
pub use report::{ReportInput, report};
pub use resample::resample;
pub use steady::{RankRequests, SteadyPart, steady_inference, steady_window};
pub use windows::{hull, union_sec};
