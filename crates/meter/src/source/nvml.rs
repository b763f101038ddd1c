//! GPU energy through NVIDIA's management library, loaded at run time.
//!
//! Owns the choice between counter, instant power and averaged power, device by device, and what a failing call means
//! for the next one. Readings are whole boards: MIG slices and other people's processes are inside. Deliberately does
//! not know CUDA's device order, which differs from NVML's: the UUID is the identity.

mod errors;
mod findings;
mod library;
mod session;
mod telemetry;

use std::path::Path;
use std::sync::Arc;

use nvml_wrapper::enums::device::SampleValue;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::structs::device::FieldId;
use nvml_wrapper::sys_exports::field_id::NVML_FI_DEV_POWER_INSTANT;
use nvml_wrapper::{Device, Nvml};

use errors::in_words;
use findings::{failed, library_failed, no_gpu, works};
use session::Session;
use telemetry::NvmlTelemetry;

use super::{
    BoardOfSlice, EnergySource, Finding, GpuDevice, Place, PollError, SourceDescription, SourceId, UNIDENTIFIED_GPU,
    Value,
};
use crate::telemetry::TelemetrySource;
use joulemark_measurement::clock::Monotonic;
use joulemark_measurement::units::{MILLIJOULES_PER_JOULE, MILLIWATTS_PER_WATT};
use joulemark_measurement::{EnergyDomain, EnergyMethod, EnergySourceKind};

/// The counter and the power sensor move every 20 to 100 ms; the slowest is assumed until the data show better.
const REFRESH_SEC: f64 = 0.1;

/// `nvmlDeviceGetPowerUsage` is a one-second average on Ampere and later (GA100 excepted).
const AVERAGING_SEC: f64 = 1.0;

const MIG: &str = "MIG is enabled: readings are of the whole board, all its slices together";

/// The GPUs of the host whose energy or power could be read when the source was opened.
pub struct NvmlSource {
    session: Arc<Session>,
    boards: Vec<Board>,
    descriptions: Vec<SourceDescription>,
}

struct Board {
    /// NVML's, which may be another one after the driver was reloaded; the UUID stays.
    index: u32,
    uuid: String,
    has_counter: bool,
    power: PowerReading,
    /// Of the session it was found in.
    generation: u32,
    /// Why it is not asked: a call on a board that fell off the bus can hang for seconds.
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
    /// Loads the library at `library`, or the first of the usual ones, and looks at every device. Returns the source with
    /// the GPUs it saw and a finding for each. No library is a finding, not an error: most hosts have no GPU.
    pub fn open(library: Option<&Path>) -> (Option<Self>, Vec<GpuDevice>, Vec<Finding>) {
        let (nvml, library) = match library::load(library) {
            Ok(loaded) => loaded,
            Err(finding) => return (None, Vec::new(), vec![finding]),
        };
        let count = match nvml.device_count() {
            Ok(count) => count,
            Err(error) => {
                let detail = format!("devices cannot be counted: {}", in_words(&error));
                return (None, Vec::new(), vec![library_failed(detail, &error)]);
            }
        };
        let driver_version = nvml.sys_driver_version().ok();
        let (mut boards, mut descriptions) = (Vec::new(), Vec::new());
        let mut gpus = Vec::new();
        let mut findings = Vec::new();
        for index in 0..count {
            let (mut gpu, finding, found) =
                look_at(&nvml, index).unwrap_or_else(|error| unidentified(&nvml, index, &error));
            gpu.driver_version.clone_from(&driver_version);
            gpu.problem = (!finding.works).then(|| finding.detail_and_fix());
            gpus.push(gpu);
            findings.push(finding);
            if let Some((board, description)) = found {
                boards.push(board);
                descriptions.push(description);
            }
        }
        if count == 0 {
            findings.push(no_gpu());
        }
        let source = Self {
            session: Session::new(nvml, library),
            boards,
            descriptions,
        };
        (Some(source), gpus, findings)
    }
}

type Found = (Board, SourceDescription);

type Looked = (GpuDevice, Finding, Option<Found>);

/// A board that is counted, but gives no handle or does not tell its UUID: it stays in the list, so that whoever means it
/// is told that its energy is missing.
fn unidentified(nvml: &Nvml, index: u32, error: &NvmlError) -> Looked {
    let device = nvml.device_by_index(index).ok();
    let detail = if device.is_some() {
        format!(
            "the device does not tell its UUID, without which it is not known again: {}",
            in_words(error)
        )
    } else {
        format!("the device cannot be opened: {}", in_words(error))
    };
    let gpu = GpuDevice {
        index,
        uuid: format!("{UNIDENTIFIED_GPU}{index}"),
        name: device.and_then(|device| device.name().ok()),
        memory_bytes: None,
        driver_version: None,
        energy_method: None,
        live_power_w: None,
        problem: None,
    };
    (gpu, failed(format!("GPU {index}"), detail, error), None)
}

fn look_at(nvml: &Nvml, index: u32) -> Result<Looked, NvmlError> {
    let device = nvml.device_by_index(index)?;
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
                in_words(error)
            ),
            error,
        ),
        (Err(error), Some(_)) => works(subject, format!("{}; no energy counter: {error}{sliced}", named(power))),
        (Ok(_), _) => works(subject, format!("energy counter, beside it {}{sliced}", named(power))),
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
            generation: 0,
            gone: None,
        };
        (board, describe(index, uuid, method, power, note))
    });
    Ok((gpu, finding, found))
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
        (0..self.boards.len()).map(|index| self.ask(index, read)).collect()
    }

    fn sample_one(&mut self, index: usize) -> Result<Value, PollError> {
        self.ask(index, |nvml, board| {
            if board.has_counter {
                read_counter(nvml, board)
            } else {
                read(nvml, board)
            }
        })
    }

    fn telemetry(&self) -> Option<Box<dyn TelemetrySource>> {
        Some(Box::new(NvmlTelemetry::new(Arc::clone(&self.session))))
    }

    fn board_of_slice(&self) -> Option<BoardOfSlice> {
        let session = Arc::clone(&self.session);
        Some(Box::new(move |slice| {
            let (nvml, _) = session.current().ok()?;
            let board = nvml.device_by_uuid(slice).ok()?.mig_parent_device().ok()?;
            board.uuid().ok()
        }))
    }
}

impl NvmlSource {
    /// A board that is gone is not asked until the session finds it again.
    fn ask(
        &mut self,
        index: usize,
        read: impl FnOnce(&Nvml, &Board) -> Result<Value, NvmlError>,
    ) -> Result<Value, PollError> {
        let (nvml, generation) = self.session.current().map_err(PollError::Gone)?;
        let Some(board) = self.boards.get_mut(index) else {
            return Err(PollError::Gone(format!("no board has the number {index}")));
        };
        if board.generation != generation {
            board.generation = generation;
            board.gone = None;
            board.index = match nvml
                .device_by_uuid(board.uuid.as_str())
                .and_then(|device| device.index())
            {
                Ok(index) => index,
                Err(error) => return Err(self.lose(index, generation, format!("NVML: {error}: not found again"))),
            };
        }
        if let Some(why) = &board.gone {
            return Err(PollError::Gone(why.clone()));
        }
        read(&nvml, board).map_err(|error| match error {
            NvmlError::GpuLost | NvmlError::ResetRequired => self.lose(index, generation, format!("NVML: {error}")),
            NvmlError::Uninitialized | NvmlError::DriverNotLoaded => {
                let why = format!("NVML: {error}: the driver was unloaded or reloaded");
                self.session.reopen(generation, &why);
                PollError::Gone(why)
            }
            NvmlError::NoPermission => {
                PollError::Retry(format!("NVML: {error}: reading this GPU was forbidden while it ran"))
            }
            _ => PollError::Retry(format!("NVML: {error}")),
        })
    }

    /// One board is waited for beside the others; without any other the library itself begins anew.
    fn lose(&mut self, index: usize, generation: u32, why: String) -> PollError {
        let board = &mut self.boards[index];
        board.gone = Some(why.clone());
        if self.boards.iter().all(|board| board.gone.is_some()) {
            self.session.reopen(generation, &why);
        } else {
            self.session.await_board(&self.boards[index].uuid, generation);
        }
        PollError::Gone(why)
    }
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

fn named(power: PowerReading) -> &'static str {
    match power {
        PowerReading::Instant => "instant power (field 186)",
        PowerReading::Averaged => "power averaged by the board over up to 1 s",
        PowerReading::Missing => "no power reading",
    }
}
