//! `GET /v1/devices`.

use axum::{Json, extract::State as AxumState};
use serde::Serialize;
use utoipa::ToSchema;

use super::{problem::Problem, repeatable_query::NoQuery, state::AppState};
use crate::scheduler::Lease;
use joulemark_experiment::ExperimentId;
use joulemark_meter::{CpuDevice, Finding, GpuDevice, GpuState};

/// A GPU: its properties, how its energy is measured, and its present state.
#[derive(Debug, Serialize, ToSchema)]
pub struct Gpu {
    #[serde(flatten)]
    pub device: GpuDevice,
    /// Latest state of the GPU that the meter read; null if NVML reports nothing.
    pub now: Option<GpuState>,
    /// Experiment of this server that has leased the GPU; null while it is free.
    pub leased_by: Option<ExperimentId>,
}

/// The host's CPUs, which run experiments and whose energy is measured.
#[derive(Debug, Serialize, ToSchema)]
pub struct Cpu {
    #[serde(flatten)]
    pub device: CpuDevice,
    /// Experiment of this server that computes on the CPUs; null while they are free.
    pub leased_by: Option<ExperimentId>,
}

/// The GPUs and the CPU of this host, and the result of looking for each source of energy.
#[derive(Debug, Serialize, ToSchema)]
pub struct Devices {
    /// The GPUs, in NVML order.
    pub gpus: Vec<Gpu>,
    pub cpu: Cpu,
    /// Each source of energy: whether it works, and if not, why and how to fix it.
    pub findings: Vec<Finding>,
}

/// List this host's devices
///
/// Lists the GPUs and the CPU, each with its source of energy, its present power and the experiment that leases it.
/// Reports for each source of energy whether it works, and if not, how to fix it.
#[utoipa::path(get, path = "/v1/devices", tag = "devices", operation_id = "listDevices",
    responses(
        (status = 200, description = "The devices and sources of energy.", body = Devices),
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
