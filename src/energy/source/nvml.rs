//! GPU energy through NVIDIA's management library, loaded at run time.
//!
//! Owns the choice between counter, instant power and averaged power, device by device, and what a failing call means
//! for the next one. Readings are whole boards: MIG slices and other people's processes are inside. Deliberately does
//! not know CUDA's device order, which differs from NVML's: the UUID is the identity.

mod library;

use std::path::Path;
use std::sync::Arc;

use nvml_wrapper::enums::device::SampleValue;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::structs::device::FieldId;
use nvml_wrapper::sys_exports::field_id::NVML_FI_DEV_POWER_INSTANT;
use nvml_wrapper::{Device, Nvml};

use super::nvml_telemetry::NvmlTelemetry;
use super::{EnergySource, Finding, GpuDevice, Place, PollError, SourceDescription, SourceId, Value};
use crate::clock::Monotonic;
use crate::energy::telemetry::TelemetrySource;
use crate::measurement::{EnergyDomain, EnergyMethod, EnergySourceKind};
use crate::units::{MILLIJOULES_PER_JOULE, MILLIWATTS_PER_WATT};

/// The counter and the power sensor move every 20 to 100 ms; the slowest is assumed until the data show better.
const REFRESH_SEC: f64 = 0.1;

/// `nvmlDeviceGetPowerUsage` is a one-second average on Ampere and later (GA100 excepted).
const AVERAGING_SEC: f64 = 1.0;

/// All GPUs of the host whose energy or power could be read when it was opened.
pub struct NvmlSource {
    nvml: Arc<Nvml>,
    boards: Vec<Board>,
    descriptions: Vec<SourceDescription>,
}

struct Board {
    index: u32,
    has_counter: bool,
    power: PowerReading,
    /// Why it will not be asked again: a call on a board that fell off the bus can hang for seconds.
    gone: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum PowerReading {
    Instant,
    Averaged,
    Missing,
}

impl PowerReading {
    fn read_w(self, device: &Device<'_>) -> Result<f64, NvmlError> {
        match self {
            Self::Instant => instant_power_w(device),
            Self::Averaged => Ok(f64::from(device.power_usage()?) / MILLIWATTS_PER_WATT),
            Self::Missing => Err(NvmlError::NotSupported),
        }
    }
}

impl NvmlSource {
    /// Loads the library at `library`, or the first of the usual ones, and looks at every device.
    /// No library is a finding, not an error: most hosts have no GPU.
    pub fn open(library: Option<&Path>) -> (Option<Self>, Vec<GpuDevice>, Vec<Finding>) {
        let nvml = match library::load(library) {
            Ok(nvml) => nvml,
            Err(finding) => return (None, Vec::new(), vec![finding]),
        };
        let count = match nvml.device_count() {
            Ok(count) => count,
            Err(error) => {
                return (
                    None,
                    Vec::new(),
                    vec![whole_library(format!("devices cannot be counted: {error}"))],
                );
            }
        };
        let driver_version = nvml.sys_driver_version().ok();
        let mut source = Self {
            nvml: Arc::new(nvml),
            boards: Vec::new(),
            descriptions: Vec::new(),
        };
        let mut gpus = Vec::new();
        let mut findings = Vec::new();
        for index in 0..count {
            match source.look_at(index) {
                Ok((mut gpu, finding)) => {
                    gpu.driver_version.clone_from(&driver_version);
                    gpus.push(gpu);
                    findings.push(finding);
                }
                Err(error) => findings.push(failed(
                    format!("GPU {index}"),
                    format!("the device cannot be opened: {error}"),
                    &error,
                )),
            }
        }
        if count == 0 {
            findings.push(whole_library("NVML works but sees no GPU".to_owned()));
        }
        (Some(source), gpus, findings)
    }

    fn look_at(&mut self, index: u32) -> Result<(GpuDevice, Finding), NvmlError> {
        let device = self.nvml.device_by_index(index)?;
        let uuid = device.uuid()?;
        let counter = device.total_energy_consumption();
        let power = if instant_power_w(&device).is_ok() {
            PowerReading::Instant
        } else if device.power_usage().is_ok() {
            PowerReading::Averaged
        } else {
            PowerReading::Missing
        };
        let method = match (&counter, power) {
            (Ok(_), _) => Some(EnergyMethod::EnergyCounter),
            (Err(_), PowerReading::Missing) => None,
            (Err(_), _) => Some(EnergyMethod::PowerIntegration),
        };
        let gpu = GpuDevice {
            index,
            uuid: uuid.clone(),
            name: device.name().ok(),
            memory_bytes: device.memory_info().ok().map(|memory| memory.total),
            driver_version: None,
            energy_method: method,
            live_power_w: None,
        };
        let subject = format!("GPU {index} ({uuid})");
        let finding = match (&counter, method) {
            (Err(error), None) => failed(
                subject,
                format!("neither its energy counter nor its power can be read: {error}"),
                error,
            ),
            (Err(error), Some(_)) => works(subject, format!("{}; no energy counter: {error}", named(power))),
            (Ok(_), _) => works(subject, format!("energy counter, beside it {}", named(power))),
        };
        if let Some(method) = method {
            let note = counter
                .is_err()
                .then(|| format!("no energy counter on this board; {} is integrated", named(power)));
            self.boards.push(Board {
                index,
                has_counter: counter.is_ok(),
                power,
                gone: None,
            });
            self.descriptions.push(describe(index, uuid, method, power, note));
        }
        Ok((gpu, finding))
    }
}

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

impl EnergySource for NvmlSource {
    fn sources(&self) -> &[SourceDescription] {
        &self.descriptions
    }

    fn sample(&mut self) -> Vec<Result<Value, PollError>> {
        let nvml = &self.nvml;
        self.boards
            .iter_mut()
            .map(|board| ask(board, |board| read(nvml, board)))
            .collect()
    }

    fn sample_one(&mut self, index: usize) -> Result<Value, PollError> {
        let nvml = &self.nvml;
        let Some(board) = self.boards.get_mut(index) else {
            return Err(PollError::Gone(format!("no board has the number {index}")));
        };
        ask(board, |board| {
            if board.has_counter {
                read_counter(nvml, board)
            } else {
                read(nvml, board)
            }
        })
    }

    fn telemetry(&self) -> Option<Box<dyn TelemetrySource>> {
        Some(Box::new(NvmlTelemetry::new(Arc::clone(&self.nvml))))
    }
}

/// Once a board is gone it is not asked again.
fn ask(board: &mut Board, read: impl FnOnce(&Board) -> Result<Value, NvmlError>) -> Result<Value, PollError> {
    if let Some(why) = &board.gone {
        return Err(PollError::Gone(why.clone()));
    }
    let result = read(board).map_err(|error| next_move(&error));
    if let Err(PollError::Gone(why)) = &result {
        board.gone = Some(why.clone());
    }
    result
}

fn read(nvml: &Nvml, board: &Board) -> Result<Value, NvmlError> {
    let device = nvml.device_by_index(board.index)?;
    if board.has_counter {
        // Power beside the counter is a second witness: losing it does not cost the counter's value.
        return Ok(Value {
            power_w: board.power.read_w(&device).ok(),
            ..counter(&device)?
        });
    }
    let power_w = board.power.read_w(&device)?;
    Ok(Value {
        at: Monotonic::now(),
        counter_j: None,
        power_w: Some(power_w),
    })
}

fn read_counter(nvml: &Nvml, board: &Board) -> Result<Value, NvmlError> {
    counter(&nvml.device_by_index(board.index)?)
}

fn counter(device: &Device<'_>) -> Result<Value, NvmlError> {
    let counter_j = device.total_energy_consumption()? as f64 / MILLIJOULES_PER_JOULE;
    Ok(Value {
        at: Monotonic::now(),
        counter_j: Some(counter_j),
        power_w: None,
    })
}

fn instant_power_w(device: &Device<'_>) -> Result<f64, NvmlError> {
    let sample = device
        .field_values_for(&[FieldId(NVML_FI_DEV_POWER_INSTANT)])?
        .remove(0)?
        .value?;
    let milliwatts = match sample {
        SampleValue::F64(value) => value,
        SampleValue::U32(value) => f64::from(value),
        SampleValue::U64(value) => value as f64,
        SampleValue::I64(value) => value as f64,
    };
    // A driver that does not know the field may answer 0 with success; no board that answers draws nothing.
    if milliwatts > 0.0 {
        Ok(milliwatts / MILLIWATTS_PER_WATT)
    } else {
        Err(NvmlError::NotSupported)
    }
}

fn next_move(error: &NvmlError) -> PollError {
    let why = match error {
        NvmlError::GpuLost | NvmlError::ResetRequired => format!("NVML: {error}"),
        NvmlError::Uninitialized | NvmlError::DriverNotLoaded => {
            format!("NVML: {error}: the driver was unloaded or reloaded; joulemark must be restarted to see it again")
        }
        NvmlError::NoPermission => {
            return PollError::Retry(format!("NVML: {error}: reading this GPU was forbidden while it ran"));
        }
        _ => return PollError::Retry(format!("NVML: {error}")),
    };
    PollError::Gone(why)
}

fn named(power: PowerReading) -> &'static str {
    match power {
        PowerReading::Instant => "instant power (field 186)",
        PowerReading::Averaged => "power averaged by the board over up to 1 s",
        PowerReading::Missing => "no power reading",
    }
}

fn works(subject: String, detail: String) -> Finding {
    Finding {
        source: EnergySourceKind::Nvml,
        subject,
        works: true,
        detail,
        fix: None,
    }
}

fn failed(subject: String, detail: String, error: &NvmlError) -> Finding {
    let fix = match error {
        NvmlError::NoPermission => {
            Some("run as a user who may open /dev/nvidia*, or give the container the device (`--gpus all`)")
        }
        NvmlError::GpuLost | NvmlError::ResetRequired => Some("`sudo nvidia-smi --gpu-reset`, or reboot the host"),
        NvmlError::DriverNotLoaded => Some("`sudo modprobe nvidia`"),
        _ => None,
    };
    Finding {
        source: EnergySourceKind::Nvml,
        subject,
        works: false,
        detail,
        fix: fix.map(str::to_owned),
    }
}

fn whole_library(detail: String) -> Finding {
    Finding {
        source: EnergySourceKind::Nvml,
        subject: "NVML".to_owned(),
        works: false,
        detail,
        fix: None,
    }
}
