//! Reads GPU energy through NVIDIA's management library (NVML), which is loaded at run time.
//!
//! Owns the choice between counter, instant power and averaged power for each device, and what a failed call means for
//! the next one. Readings cover whole boards, including all MIG slices and all users' processes. A GPU is identified by
//! its UUID, because CUDA's device order differs from NVML's.

mod boards;
mod deadline;
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

use findings::{hanging, no_gpu};
use session::Session;
use telemetry::NvmlTelemetry;

use super::current_call::CurrentCall;
use super::{BoardOfSlice, EnergySource, Finding, GpuDevice, PollError, SourceDescription, Value, is_unidentified_gpu};
use crate::telemetry::{GpuId, TelemetrySource};
use joulemark_measurement::clock::Monotonic;
use joulemark_measurement::units::{MILLIJOULES_PER_JOULE, MILLIWATTS_PER_WATT};

/// Assumed refresh period in seconds of the counter and the power sensor, which refresh every 20 to 100 ms. Readings
/// may show a shorter one.
const REFRESH_SEC: f64 = 0.1;

/// Length in seconds of the average that `nvmlDeviceGetPowerUsage` shows on Ampere and later (GA100 excepted).
const AVERAGING_SEC: f64 = 1.0;

/// Compute capability of GA100, the last chip for which `nvmlDeviceGetPowerUsage` shows instant power (NVML API
/// reference).
const LAST_INSTANT_USAGE: (i32, i32) = (8, 0);

/// Note of a board whose MIG mode is on.
const MIG: &str = "MIG is enabled: readings are of the whole board, all its slices together";

/// Opens NVIDIA's library at `library`, or the first of the usual ones that works. Returns the type of the crate
/// [`nvml_wrapper`], whose version is thus part of this API.
///
/// Blocks, and does not return while the driver hangs.
///
/// # Errors
/// Returns a [`Finding`] that states why no library can be used, and the fix. It is not a [`std::error::Error`].
pub fn open_nvml(library: Option<&Path>) -> Result<Nvml, Finding> {
    library::load(library).map(|(nvml, _)| nvml)
}

/// The energy source of one GPU. Each GPU is a separate source, so that a driver that hangs on one does not delay the
/// others.
pub struct NvmlSource {
    session: Arc<Session>,
    gpu: GpuId,
    /// How the board is read; `None` when neither its energy nor its power can be read.
    board: Option<Board>,
    /// Description of the board's energy; empty when it cannot be read.
    descriptions: Vec<SourceDescription>,
    call: CurrentCall,
}

/// How one board is read.
struct Board {
    /// NVML's index, which may change when the driver is reloaded. The UUID does not.
    index: u32,
    uuid: String,
    has_counter: bool,
    power: PowerReading,
    /// Highest limit in W that the board's power can be set to.
    limit_w: Option<f64>,
    /// Generation of the session in which the index is valid.
    generation: u32,
    /// Reason why the board is not read; `None` while it is. A call on a board that fell off the bus can hang for
    /// seconds.
    gone: Option<String>,
}

/// The power reading that a board has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum PowerReading {
    /// Instant power.
    Instant,
    /// Instant power by `nvmlDeviceGetPowerUsage`, as boards up to GA100 show it.
    InstantUsage,
    /// Power that the board averages over one second.
    Averaged,
    /// No power reading.
    Missing,
}

impl PowerReading {
    /// Returns the name of the driver call that reads it.
    fn call(self) -> &'static str {
        match self {
            Self::Instant => "nvmlDeviceGetFieldValues",
            Self::InstantUsage | Self::Averaged | Self::Missing => "nvmlDeviceGetPowerUsage",
        }
    }

    /// Reads the power in W.
    fn read_w(self, device: &Device<'_>) -> Result<f64, NvmlError> {
        match self {
            Self::Instant => instant_power_w(device),
            Self::InstantUsage | Self::Averaged => Ok(f64::from(device.power_usage()?) / MILLIWATTS_PER_WATT),
            Self::Missing => Err(NvmlError::NotSupported),
        }
    }
}

impl NvmlSource {
    /// Loads the library at `library`, or the first of the usual ones, and queries every device.
    ///
    /// Returns a source for each board, the GPUs that were found, and the findings. A missing library is a finding and
    /// not an error, because most hosts have no GPU.
    pub fn open(library: Option<&Path>) -> (Vec<Self>, Vec<GpuDevice>, Vec<Finding>) {
        let loaded = deadline::within_deadline("nvmlInit", {
            let library = library.map(Path::to_owned);
            move |_| library::load(library.as_deref())
        });
        let (nvml, library) = match loaded {
            Ok(Ok(loaded)) => loaded,
            Ok(Err(finding)) => return (Vec::new(), Vec::new(), vec![finding]),
            Err(hangs) => return (Vec::new(), Vec::new(), vec![hanging("NVML".to_owned(), hangs)]),
        };
        let nvml = Arc::new(nvml);
        let (looked, driver_version) = match boards::query_all(&nvml) {
            Ok(looked) => looked,
            Err(finding) => return (Vec::new(), Vec::new(), vec![finding]),
        };
        let readable = looked.iter().filter(|(_, _, found)| found.is_some());
        let session = Session::new(nvml, library, readable.count());
        let (mut sources, mut gpus, mut findings) = (Vec::new(), Vec::new(), Vec::new());
        for (mut gpu, finding, found) in looked {
            gpu.driver_version.clone_from(&driver_version);
            gpu.problem = (!finding.works).then(|| finding.detail_and_fix());
            let (board, description) = found.unzip();
            if !is_unidentified_gpu(&gpu.uuid) {
                sources.push(Self {
                    session: Arc::clone(&session),
                    gpu: GpuId {
                        index: gpu.index,
                        uuid: gpu.uuid.clone(),
                    },
                    board,
                    descriptions: description.into_iter().collect(),
                    call: CurrentCall::default(),
                });
            }
            gpus.push(gpu);
            findings.push(finding);
        }
        if gpus.is_empty() {
            findings.push(no_gpu());
        }
        (sources, gpus, findings)
    }
}

impl EnergySource for NvmlSource {
    fn sources(&self) -> &[SourceDescription] {
        &self.descriptions
    }

    fn sample(&mut self) -> Vec<Result<Value, PollError>> {
        match self.board {
            Some(_) => vec![self.ask(read)],
            None => Vec::new(),
        }
    }

    fn sample_one(&mut self, _: usize) -> Result<Value, PollError> {
        self.ask(|nvml, board, call| {
            if board.has_counter {
                read_counter(nvml, board, call)
            } else {
                read(nvml, board, call)
            }
        })
    }

    fn power_limit_w(&self, _: usize) -> Option<f64> {
        self.board.as_ref()?.limit_w
    }

    fn current_call(&self) -> Option<CurrentCall> {
        Some(self.call.clone())
    }

    fn telemetry(&self) -> Option<Box<dyn TelemetrySource>> {
        let (session, gpu) = (Arc::clone(&self.session), self.gpu.clone());
        Some(Box::new(NvmlTelemetry::new(session, gpu, self.call.clone())))
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
    /// Calls `read` with the board. A board that is gone is not read before the session finds it again.
    fn ask(
        &mut self,
        read: impl FnOnce(&Nvml, &Board, &CurrentCall) -> Result<Value, NvmlError>,
    ) -> Result<Value, PollError> {
        let (nvml, generation) = self
            .session
            .current()
            .map_err(|away| PollError::Gone(away.to_string()))?;
        let Some(board) = &mut self.board else {
            return Err(PollError::Gone("this board shows no energy".to_owned()));
        };
        if board.generation != generation {
            board.generation = generation;
            board.gone = None;
            self.call.begin("nvmlDeviceGetHandleByUUID");
            board.index = match nvml
                .device_by_uuid(board.uuid.as_str())
                .and_then(|device| device.index())
            {
                Ok(index) => index,
                Err(error) => return Err(self.lose(generation, format!("NVML: {error}: not found again"))),
            };
        }
        if let Some(why) = &board.gone {
            return Err(PollError::Gone(why.clone()));
        }
        read(&nvml, board, &self.call).map_err(|error| match error {
            NvmlError::GpuLost | NvmlError::ResetRequired => self.lose(generation, format!("NVML: {error}")),
            NvmlError::Uninitialized | NvmlError::DriverNotLoaded => {
                let why = format!("NVML: {error}: the driver was unloaded or reloaded");
                self.session.reopen(generation, &why);
                PollError::Gone(why)
            }
            NvmlError::NoPermission => {
                PollError::Retry(format!("NVML: {error}: permission to read this GPU was revoked"))
            }
            _ => PollError::Retry(format!("NVML: {error}")),
        })
    }

    /// Records that the board is lost, and returns the error.
    fn lose(&mut self, generation: u32, why: String) -> PollError {
        if let Some(board) = &mut self.board {
            board.gone = Some(why.clone());
        }
        self.session.lose(&self.gpu.uuid, generation, &why);
        PollError::Gone(why)
    }
}

/// Reads the counter, where there is one, and the power.
fn read(nvml: &Nvml, board: &Board, call: &CurrentCall) -> Result<Value, NvmlError> {
    let device = device(nvml, board, call)?;
    if board.has_counter {
        let counted = counter(&device, call)?;
        call.begin(board.power.call());
        // Power beside the counter serves a cross-check only, so its failure does not invalidate the counter.
        return Ok(Value {
            power_w: board.power.read_w(&device).ok(),
            ..counted
        });
    }
    call.begin(board.power.call());
    let power_w = board.power.read_w(&device)?;
    Ok(Value {
        at: Monotonic::now(),
        counter_j: None,
        power_w: Some(power_w),
    })
}

/// Reads the counter.
fn read_counter(nvml: &Nvml, board: &Board, call: &CurrentCall) -> Result<Value, NvmlError> {
    counter(&device(nvml, board, call)?, call)
}

/// Returns NVML's handle of a board.
fn device<'nvml>(nvml: &'nvml Nvml, board: &Board, call: &CurrentCall) -> Result<Device<'nvml>, NvmlError> {
    call.begin("nvmlDeviceGetHandleByIndex");
    nvml.device_by_index(board.index)
}

/// Reads the energy counter in J.
fn counter(device: &Device<'_>, call: &CurrentCall) -> Result<Value, NvmlError> {
    call.begin("nvmlDeviceGetTotalEnergyConsumption");
    let counter_j = device.total_energy_consumption()? as f64 / MILLIJOULES_PER_JOULE;
    Ok(Value {
        at: Monotonic::now(),
        counter_j: Some(counter_j),
        power_w: None,
    })
}

/// Reads the instant power in W.
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
    Ok(milliwatts / MILLIWATTS_PER_WATT)
}

/// Returns the description of a power reading for findings.
fn named(power: PowerReading) -> &'static str {
    match power {
        PowerReading::Instant => "instant power (field 186)",
        PowerReading::InstantUsage => "instant power (nvmlDeviceGetPowerUsage up to GA100)",
        PowerReading::Averaged => "power averaged by the board over up to 1 s",
        PowerReading::Missing => "no power reading",
    }
}
