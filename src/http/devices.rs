use axum::{Json, extract::State as AxumState};
use serde::Serialize;
use utoipa::ToSchema;

use super::{problem::Problem, repeatable_query::NoQuery, state::AppState};
use crate::scheduler::Lease;
use joulemark_experiment::ExperimentId;
use joulemark_meter::{CpuDevice, Finding, GpuDevice, GpuState};

/// One GPU: what it is, how its energy is read, how it is now.
#[derive(Debug, Serialize, ToSchema)]
pub struct Gpu {
    #[serde(flatten)]
    pub device: GpuDevice,
    /// The board at the meter's latest look; null when NVML tells nothing of it.
    pub now: Option<GpuState>,
    /// The experiment of this server that has it; null while it is free.
    pub leased_by: Option<ExperimentId>,
}

/// The host's CPUs, as a device that experiments run on and as one that is measured.
#[derive(Debug, Serialize, ToSchema)]
pub struct Cpu {
    #[serde(flatten)]
    pub device: CpuDevice,
    /// The experiment of this server that computes on them; null while they are free.
    pub leased_by: Option<ExperimentId>,
}

/// Everything this host has, and every source of energy that was looked for.
#[derive(Debug, Serialize, ToSchema)]
pub struct Devices {
    /// The GPUs, in NVML order.
    pub gpus: Vec<Gpu>,
    pub cpu: Cpu,
    /// Each source with whether it works, why not, and the fix.
    pub findings: Vec<Finding>,
}

/// List this host's devices
///
/// GPUs and CPU with their energy source, power just now and the experiment that has them, and for each source that was
/// looked for whether it works and how to make it.
#[utoipa::path(get, path = "/v1/devices", tag = "devices", operation_id = "listDevices",
    responses(
        (status = 200, description = "What is there.", body = Devices),
        (status = 400, description = "There is a query parameter.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn devices(AxumState(state): AxumState<AppState>, _: NoQuery) -> Json<Devices> {
    let (devices, leases) = (state.resources.meter.devices(), state.scheduler.leases());
    let gpu = |device: GpuDevice| Gpu {
        now: state.resources.meter.gpu_state(&device.uuid),
        leased_by: leases.get(&Lease::Gpu(device.uuid.clone())).copied(),
        device,
    };
    Json(Devices {
        gpus: devices.gpus.into_iter().map(gpu).collect(),
        cpu: Cpu {
            device: devices.cpu,
            leased_by: leases.get(&Lease::Cpu).copied(),
        },
        findings: devices.findings,
    })
}
