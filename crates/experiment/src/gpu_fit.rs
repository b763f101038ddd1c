use joulemark_measurement::quoted;

use super::choices::{Device, GpuSelector};
use super::field::FieldProblem;
use super::host::Host;
use super::submission::ExperimentRequest;

/// Returns a problem for each named GPU that no program of the engine computes on, or for a `count` of GPUs that
/// exceeds those which compute. Returns none where no GPU of the host computes: that is a problem of the device.
pub(super) fn unfit_gpus(request: &ExperimentRequest, host: &Host, device: Device, count: u32) -> Vec<FieldProblem> {
    let computing = host.computing_gpus().count();
    if device != Device::Cuda || computing == 0 {
        return Vec::new();
    }
    if let Some(named) = &request.gpus {
        let problem = |(position, selector): (usize, &GpuSelector)| {
            let (gpu, shown) = match selector {
                GpuSelector::Index(index) => (host.gpus.iter().find(|gpu| gpu.index == *index), index.to_string()),
                GpuSelector::Uuid(uuid) => (host.gpus.iter().find(|gpu| gpu.uuid == *uuid), quoted(uuid).to_string()),
            };
            let why = gpu?.engine_problem.as_deref()?;
            let detail = format!("is {shown}, which {why}");
            Some(FieldProblem::new(format!("/gpus/{position}"), detail))
        };
        return named.iter().enumerate().filter_map(problem).collect();
    }
    if count as usize <= computing || count as usize > host.gpus.len() {
        return Vec::new();
    }
    let pointer = match request.gpu_count {
        Some(_) => "/gpu_count",
        None => "/num_processes",
    };
    let detail = format!(
        "is {count}; the engine computes on {computing} of the GPUs here: {}",
        host.refused_gpus()
    );
    vec![FieldProblem::new(pointer, detail)]
}
