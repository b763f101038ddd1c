//! Queries every board when NVML is opened: what it is, how its energy is read, and what prevents that.

use std::sync::Arc;

use nvml_wrapper::error::NvmlError;
use nvml_wrapper::{Device, Nvml};

use super::deadline::{BOARD_DEADLINE, Query};
use super::errors::describe_error;
use super::findings::{failed, hanging, library_failed, works};
use super::{AVERAGING_SEC, Board, LAST_INSTANT_USAGE, MIG, PowerReading, REFRESH_SEC, instant_power_w, named};
use crate::source::current_call::CurrentCall;
use crate::source::{
    Finding, GpuDevice, LockableClocks, Place, PowerLimits, SourceDescription, SourceId, UNIDENTIFIED_GPU,
};
use joulemark_measurement::units::MILLIWATTS_PER_WATT;
use joulemark_measurement::{ComputeCapability, EnergyDomain, EnergyMethod, EnergySourceKind};

/// Finding of a board without an energy counter whose power is reported as 0 W.
const NOTHING: &str =
    "no energy counter, and power is reported as 0 W, which a running board never draws: its energy is unknown";

/// Returns every board in NVML's order, and the driver's version.
///
/// # Errors
/// Returns the finding that states why the boards cannot be counted.
pub fn query_all(nvml: &Arc<Nvml>) -> Result<(Vec<Queried>, Option<String>), Finding> {
    let counted_nvml = Arc::clone(nvml);
    let counting = Query::begin(BOARD_DEADLINE, move |call| {
        call.begin("nvmlDeviceGetCount");
        let count = counted_nvml.device_count()?;
        call.begin("nvmlSystemGetDriverVersion");
        Ok::<_, NvmlError>((count, counted_nvml.sys_driver_version().ok()))
    });
    let counted = counting.end().map_err(|hangs| hanging("NVML".to_owned(), hangs))?;
    let (count, driver_version) = counted.map_err(|error| {
        let detail = format!("devices cannot be counted: {}", describe_error(&error));
        library_failed(detail, &error)
    })?;
    let look = |index| {
        let nvml = Arc::clone(nvml);
        Query::begin(BOARD_DEADLINE, move |call| {
            query_board(&nvml, index, &call).unwrap_or_else(|error| refused(&nvml, index, &error))
        })
    };
    let looks: Vec<_> = (0..count).map(look).collect();
    let looked = (0..).zip(looks).map(|(index, look)| {
        look.end().unwrap_or_else(|hangs| {
            let finding = hanging(format!("GPU {index}"), hangs);
            (unidentified(index, None), finding, None)
        })
    });
    Ok((looked.collect(), driver_version))
}

/// How a board is read, and the description of its source.
pub type Found = (Board, SourceDescription);

/// The result of querying one board: the device, the finding on it, and how it is read; `None` when it cannot be read.
pub type Queried = (GpuDevice, Finding, Option<Found>);

/// Creates the entry of a board that is counted but has no handle or UUID, or hangs. It stays in the list, so that a
/// user who selects it learns that its energy is missing.
fn unidentified(index: u32, name: Option<String>) -> GpuDevice {
    GpuDevice {
        index,
        uuid: format!("{UNIDENTIFIED_GPU}{index}"),
        name,
        compute_capability: None,
        memory_bytes: None,
        driver_version: None,
        power_limits: None,
        lockable_clocks: None,
        energy_method: None,
        live_power_w: None,
        problem: None,
    }
}

/// Returns the result for a board whose handle or UUID cannot be read.
fn refused(nvml: &Nvml, index: u32, error: &NvmlError) -> Queried {
    let device = nvml.device_by_index(index).ok();
    let detail = if device.is_some() {
        format!(
            "the device does not report its UUID, without which it cannot be identified later: {}",
            describe_error(error)
        )
    } else {
        format!("the device cannot be opened: {}", describe_error(error))
    };
    let gpu = unidentified(index, device.and_then(|device| device.name().ok()));
    (gpu, failed(format!("GPU {index}"), detail, error), None)
}

/// Queries one board.
fn query_board(nvml: &Nvml, index: u32, call: &CurrentCall) -> Result<Queried, NvmlError> {
    call.begin("nvmlDeviceGetHandleByIndex");
    let device = nvml.device_by_index(index)?;
    call.begin("nvmlDeviceGetUUID");
    let uuid = device.uuid()?;
    call.begin("nvmlDeviceGetTotalEnergyConsumption");
    let counter = device.total_energy_consumption();
    call.begin("nvmlDeviceGetFieldValues or nvmlDeviceGetPowerUsage");
    // A driver that does not know the field may return 0 with success; a board that answers always draws power.
    let instant = instant_power_w(&device).is_ok_and(|watts| watts > 0.0);
    let averaged = if instant { None } else { device.power_usage().ok() };
    let power = match (instant, averaged) {
        (true, _) => PowerReading::Instant,
        (false, Some(_)) => {
            call.begin("nvmlDeviceGetCudaComputeCapability");
            power_usage_of(&device)
        }
        (false, None) => PowerReading::Missing,
    };
    let method = match (&counter, power) {
        (Ok(_), _) => Some(EnergyMethod::EnergyCounter),
        (Err(_), PowerReading::Missing) => None,
        (Err(_), _) => Some(EnergyMethod::PowerIntegration),
    };
    call.begin(
        "nvmlDeviceGetName, nvmlDeviceGetCudaComputeCapability, nvmlDeviceGetMemoryInfo, nvmlDeviceGetMigMode or a call of \
         power limits or clocks",
    );
    let gpu = GpuDevice {
        index,
        uuid: uuid.clone(),
        name: device.name().ok(),
        compute_capability: compute_capability(&device),
        memory_bytes: device.memory_info().ok().map(|memory| memory.total),
        driver_version: None,
        power_limits: power_limits(&device),
        lockable_clocks: lockable_clocks(&device),
        energy_method: method,
        live_power_w: None,
        problem: None,
    };
    let subject = format!("GPU {index} ({uuid})");
    let is_sliced = device.mig_mode().is_ok_and(|mode| mode.current == 1);
    let sliced = if is_sliced { format!("; {MIG}") } else { String::new() };
    let finding = match (&counter, method) {
        (Err(error), None) => failed(
            subject,
            format!(
                "neither its energy counter nor its power can be read: {}",
                describe_error(error)
            ),
            error,
        ),
        (Err(_), Some(_)) if averaged == Some(0) => Finding {
            works: false,
            ..works(subject, format!("{NOTHING}{sliced}"))
        },
        (Err(error), Some(_)) => works(subject, format!("{}; no energy counter: {error}{sliced}", named(power))),
        (Ok(_), _) => works(subject, format!("energy counter and {}{sliced}", named(power))),
    };
    let found = method.map(|method| {
        let integrated = counter
            .is_err()
            .then(|| format!("no energy counter on this board; {} is integrated", named(power)));
        let notes = [integrated, is_sliced.then(|| MIG.to_owned())];
        let note = notes
            .into_iter()
            .flatten()
            .reduce(|one, other| format!("{one}; {other}"));
        let board = Board {
            index,
            uuid: uuid.clone(),
            has_counter: counter.is_ok(),
            power,
            limit_w: highest_limit_w(&device),
            generation: 0,
            gone: None,
        };
        (board, describe(index, uuid, method, power, note))
    });
    Ok((gpu, finding, found))
}

/// Returns the limits that the board's power can be set to; `None` when the driver does not report them.
fn power_limits(device: &Device<'_>) -> Option<PowerLimits> {
    let watts = |milliwatts: u32| f64::from(milliwatts) / MILLIWATTS_PER_WATT;
    let bounds = device.power_management_limit_constraints().ok()?;
    Some(PowerLimits {
        min_w: watts(bounds.min_limit),
        max_w: watts(bounds.max_limit),
        default_w: device.power_management_limit_default().ok().map(watts),
    })
}

/// Returns the clocks that the board can be locked to; `None` when the driver does not list them.
fn lockable_clocks(device: &Device<'_>) -> Option<LockableClocks> {
    let mut memory_mhz = device.supported_memory_clocks().ok()?;
    memory_mhz.sort_unstable_by(|one, other| other.cmp(one));
    let gpu_mhz = device.supported_graphics_clocks(*memory_mhz.first()?).ok()?;
    Some(LockableClocks {
        gpu_min_mhz: gpu_mhz.iter().copied().min()?,
        gpu_max_mhz: gpu_mhz.iter().copied().max()?,
        memory_mhz,
    })
}

/// Returns the highest limit in W that the board can be set to, or else its present limit.
fn highest_limit_w(device: &Device<'_>) -> Option<f64> {
    let highest = device
        .power_management_limit_constraints()
        .map(|limits| limits.max_limit);
    let milliwatts = highest.or_else(|_| device.enforced_power_limit()).ok()?;
    (milliwatts > 0).then(|| f64::from(milliwatts) / MILLIWATTS_PER_WATT)
}

/// Returns the board's compute capability; `None` when the driver reports none or an impossible one.
fn compute_capability(device: &Device<'_>) -> Option<ComputeCapability> {
    let reported = device.cuda_compute_capability().ok()?;
    let (major, minor) = (u32::try_from(reported.major).ok()?, u32::try_from(reported.minor).ok()?);
    (major > 0 && minor < 10).then_some(ComputeCapability { major, minor })
}

/// Returns what `nvmlDeviceGetPowerUsage` shows on this board. When its architecture is unknown, that is taken to be an
/// average, the less certain reading.
fn power_usage_of(device: &Device<'_>) -> PowerReading {
    let capability = device.cuda_compute_capability().ok();
    match capability.map(|capability| (capability.major, capability.minor)) {
        Some(capability) if capability <= LAST_INSTANT_USAGE => PowerReading::InstantUsage,
        Some(_) | None => PowerReading::Averaged,
    }
}

/// Describes the energy source of a board.
fn describe(
    index: u32,
    uuid: String,
    method: EnergyMethod,
    power: PowerReading,
    note: Option<String>,
) -> SourceDescription {
    SourceDescription {
        id: SourceId {
            kind: EnergySourceKind::Nvml,
            domain: EnergyDomain::Gpu,
            place: Place::Gpu { index, uuid },
        },
        method,
        refresh_sec: REFRESH_SEC,
        averaging_sec: if power == PowerReading::Averaged {
            AVERAGING_SEC
        } else {
            0.0
        },
        relative_uncertainty: 0.0,
        wraps: None,
        note,
    }
}
