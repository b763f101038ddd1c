//! Raw measurements of one rank in one cycle: tokens, timestamps, windows, energy readings. Leaves their aggregation to
//! `joulemark-analysis` and their storage to `joulemark-store`.

mod backoff;
mod batch;
pub mod clock;
mod compute;
mod compute_capability;
mod energy;
mod idle;
mod inference;
mod machine;
mod power_limit;
mod quoted;
mod served_engine;
mod server_report;
mod timeseries;
mod uncertainty;
pub mod units;
mod warning;

pub use backoff::Backoff;
pub use batch::{BatchCheck, BatchSteps, BatchVerdict, PassedOver, StepCount};
pub use compute::{ComputeMetrics, Roofline};
pub use compute_capability::{ComputeCapability, NotACapability};
pub use energy::{
    Baseline, BaselineKind, Confidence, EnergyDomain, EnergyMethod, EnergyMetrics, EnergyScope, EnergySourceKind,
    Phase, PhaseEnergy, SourceReading,
};
pub use idle::IdlePower;
pub use inference::{
    AnswerChunk, FailedRequest, InferenceMetrics, LoadGenerator, RankCycle, RequestFailure, RequestMeasurement, Window,
};
pub use machine::{
    CpuPlacement, DeviceLayers, GpuMemory, GpuMemoryMethod, LoadReport, Machine, WarmUpEnd, WarmUpReport,
};
pub use power_limit::is_same_power_limit;
pub use quoted::{Quoted, quoted};
pub use served_engine::{CapabilityCard, EosHandling, PromptCache, ServedEngine};
pub use server_report::{ServerReport, ServerTimings, ServerUsage};
pub use timeseries::{DeviceSeries, SeriesPoint};
pub use warning::{Warning, WarningCode};
