//! What an energy source is to the meter: a fixed list of things it reads, and one value or error for each at a time.
//! Deliberately does not know windows, threads or experiments. perf events and vendor libraries fit behind it.

pub mod current_call;
mod guest;
pub mod nvml;
pub mod perf_event;
pub mod rapl;
mod same_register;
pub mod tdp;
mod tdp_table;

use serde::Serialize;

use self::current_call::CurrentCall;
use super::telemetry::TelemetrySource;
use joulemark_measurement::clock::Monotonic;
use joulemark_measurement::{ComputeCapability, EnergyDomain, EnergyMethod, EnergySourceKind};
use same_register::SameRegister;

/// The part of the host that a source measures: the identity that survives a reordering.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A GPU.
    Gpu {
        /// NVML's index.
        index: u32,
        /// NVML's UUID, the identity.
        uuid: String,
    },
    /// A RAPL zone.
    Zone {
        /// The text of the zone's `name` file.
        name: String,
        /// The zone's folder (`intel-rapl:0:1`), which tells equal names apart.
        path: String,
    },
    /// The host's CPUs together, without a zone: an estimate.
    Host,
}

/// The identity of a source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourceId {
    /// The interface it is read through.
    pub kind: EnergySourceKind,
    /// The kind of device it measures.
    pub domain: EnergyDomain,
    /// The device.
    pub place: Place,
}

/// The facts about a source that decide how far its figures may be trusted.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceDescription {
    /// The source.
    pub id: SourceId,
    /// How its energy is known.
    pub method: EnergyMethod,
    /// The longest age of a value at the moment it is read: hardware counters move in steps of time.
    pub refresh_sec: f64,
    /// Length over which the hardware itself averages a power value before showing it; 0 for none.
    pub averaging_sec: f64,
    /// Half-width of an estimate as a part of the energy; 0 for a measurement.
    pub relative_uncertainty: f64,
    /// Where the counter starts again from 0; `None` where it does not, or nobody knows where.
    pub wraps: Option<Wraps>,
    /// The assumptions of an estimate, or another limit of the source.
    pub note: Option<String>,
}

impl SourceDescription {
    /// Returns what findings call it.
    pub(crate) fn subject(&self) -> String {
        match &self.id.place {
            Place::Zone { name, path } => format!("{name} ({path})"),
            Place::Gpu { index, uuid } => format!("GPU {index} ({uuid})"),
            Place::Host => "CPU packages".to_owned(),
        }
    }
}

/// The range of a counter that starts again from 0, which bounds the time between two readings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wraps {
    /// The counter's range in joules.
    pub range_j: f64,
    /// No power above this is believed: the declared limit doubled, or a bound that no socket reaches.
    pub highest_power_w: f64,
}

impl Wraps {
    /// Returns the gap between two readings, in seconds, below which no wrap can be missed, whatever the load.
    pub fn safe_gap_sec(&self) -> f64 {
        self.range_j / self.highest_power_w
    }
}

/// One reading of one source, with its own time: a sweep over slow devices takes milliseconds, so one time for all would
/// be wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Value {
    /// When it was read.
    pub at: Monotonic,
    /// Cumulative joules since any zero, unwrapped; `None` for a source that only shows power.
    pub counter_j: Option<f64>,
    /// Power in watts; `None` for a source that only counts.
    pub power_w: Option<f64>,
}

/// The reason why there is no value now; the variant says what to do next.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PollError {
    /// Ask again at the next sweep.
    #[error("{0}")]
    Retry(String),
    /// The driver has not returned from a call for seconds. What it counts goes on meanwhile; it is waited for.
    #[error("{0}")]
    Silent(String),
    /// The device is away. Should it come back, nothing connects what was read before with what is read then.
    #[error("{0}")]
    Gone(String),
    /// It turned out to show what another source shows already: it is left out of everything from now on.
    #[error("{0}")]
    Repeats(String),
}

/// Zones of one group may show one register: what a total adds up, and beside it each domain by itself.
fn comparison_group(domain: EnergyDomain) -> u32 {
    match domain {
        EnergyDomain::Package | EnergyDomain::Dram => 0,
        EnergyDomain::Core => 1,
        EnergyDomain::Uncore => 2,
        EnergyDomain::Psys => 3,
        EnergyDomain::Gpu => 4,
    }
}

/// Removes those that are left out, by their place.
fn leave_out<T>(left_out: &[bool], of: &mut Vec<T>) {
    let mut kept = left_out.iter().map(|left_out| !left_out);
    of.retain(|_| kept.next().unwrap_or(true));
}

/// Says in the findings what repeats another source and what is undecided. Returns which sources repeat another.
fn say_repeats(same: &SameRegister, names: &[String], findings: &mut [Finding]) -> Vec<bool> {
    let say = |(index, name): (usize, &String)| {
        let repeats = same.original_of(index);
        if let Some(finding) = findings.iter_mut().find(|finding| finding.subject == *name) {
            if let Some((kept, moves)) = repeats {
                finding.works = false;
                finding.detail = same_register_said(&names[kept], moves);
            } else if let Some(other) = same.maybe_same_as(index) {
                finding.detail.push_str(&undecided_said(&names[other]));
            }
        }
        repeats.is_some()
    };
    names.iter().enumerate().map(say).collect()
}

fn same_register_said(kept: &str, moves: u32) -> String {
    format!(
        "left out: it shows the same register as {kept}, which is counted; read in turn, the two moved as one {moves} times"
    )
}

fn undecided_said(other: &str) -> String {
    format!(
        "; whether it shows the same register as {other} is not decided yet, because nothing has moved: it is compared \
         again at each reading"
    )
}

/// A source of energy readings. Vendors' libraries, kernel interfaces and models fit behind it.
///
/// A platform counter at 10 W, added to the sources of the host:
///
/// ```
/// use joulemark_meter::{
///     EnergyDomain, EnergyMethod, EnergyOptions, EnergySource, EnergySourceKind, HostMeter, Monotonic, Place, PollError,
///     SourceDescription, SourceId, Value, open,
/// };
///
/// struct Board([SourceDescription; 1]);
///
/// impl EnergySource for Board {
///     fn sources(&self) -> &[SourceDescription] {
///         &self.0
///     }
///
///     fn sample(&mut self) -> Vec<Result<Value, PollError>> {
///         let at = Monotonic::now();
///         vec![Ok(Value { at, counter_j: Some(10.0 * at.as_sec()), power_w: None })]
///     }
/// }
///
/// let board = Board([SourceDescription {
///     id: SourceId {
///         kind: EnergySourceKind::RaplPowercap,
///         domain: EnergyDomain::Psys,
///         place: Place::Zone { name: "psys".to_owned(), path: "board:0".to_owned() },
///     },
///     method: EnergyMethod::EnergyCounter,
///     refresh_sec: 0.0,
///     averaging_sec: 0.0,
///     relative_uncertainty: 0.0,
///     wraps: None,
///     note: None,
/// }]);
/// let mut opened = open(&EnergyOptions::default());
/// opened.sources.push(Box::new(board));
/// let meter = HostMeter::start(opened)?;
/// let metered = meter.measure(|| std::thread::sleep(std::time::Duration::from_millis(100)));
/// let board = metered.energy.sources.iter().find(|source| source.zone_path.as_deref() == Some("board:0"));
/// assert!((board.unwrap().mean_power_w.unwrap() - 10.0).abs() < 0.1);
/// # Ok::<(), std::io::Error>(())
/// ```
pub trait EnergySource: Send {
    /// Returns what this source reads. The list stays the same for the source's life.
    fn sources(&self) -> &[SourceDescription];

    /// Reads everything: one result for each of `sources`, in the same order. One failure never costs another its value.
    fn sample(&mut self) -> Vec<Result<Value, PollError>>;

    /// Reads only number `index` of them, as cheaply as possible; power beside a counter may be left out.
    fn sample_one(&mut self, index: usize) -> Result<Value, PollError> {
        self.sample().swap_remove(index)
    }

    /// Returns the most that number `index` can draw by its own account, in watts; `None` where it does not say.
    fn power_limit_w(&self, index: usize) -> Option<f64> {
        let _ = index;
        None
    }

    /// Returns what tells which driver call it is in, to be named should it hang; `None` where it does not tell.
    fn current_call(&self) -> Option<CurrentCall> {
        None
    }

    /// Returns the reader of what else its devices show (clocks, temperature, processes), to be asked on the same thread;
    /// `None` for a source that shows energy alone.
    fn telemetry(&self) -> Option<Box<dyn TelemetrySource>> {
        None
    }

    /// Returns what tells the board that a MIG slice is cut from, on any thread; `None` for a source without GPUs.
    fn board_of_slice(&self) -> Option<BoardOfSlice> {
        None
    }
}

/// Finds the UUID of the board that a slice, named by its UUID, is a part of.
pub type BoardOfSlice = Box<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// What stands for the UUID of a board that does not tell it, with its index behind it.
const UNIDENTIFIED_GPU: &str = "GPU-unidentified-";

/// Returns whether this stands for the UUID of a board that could not be opened or named: no energy of it is known.
pub fn is_unidentified_gpu(uuid: &str) -> bool {
    uuid.starts_with(UNIDENTIFIED_GPU)
}

/// One source that was looked for: whether it works and, if not, why and what to do.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Finding {
    pub source: EnergySourceKind,
    /// What it would measure: a GPU, a zone, or the whole source.
    pub subject: String,
    /// Whether it can be read here.
    pub works: bool,
    /// How it is read when it works, why not when it does not.
    pub detail: String,
    /// The exact next step for the operator; null when nothing is to be done.
    pub fix: Option<String>,
}

impl Finding {
    /// Returns why it does not work, and the fix behind it where there is one.
    pub(crate) fn detail_and_fix(&self) -> String {
        match &self.fix {
            Some(fix) => format!("{}. Fix: {fix}", self.detail),
            None => self.detail.clone(),
        }
    }
}

/// A GPU as NVML describes it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GpuDevice {
    /// NVML index, in PCI order; CUDA may count differently.
    pub index: u32,
    /// NVML's UUID of the board, `GPU-…`; `GPU-unidentified-` and the index for a board that could not be opened.
    pub uuid: String,
    /// As NVML names it.
    pub name: Option<String>,
    /// Which kernels run on it, as NVIDIA counts, e.g. `9.0`; null when NVML does not tell.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub compute_capability: Option<ComputeCapability>,
    /// Total memory of the board in bytes.
    pub memory_bytes: Option<u64>,
    /// Version of the NVIDIA driver.
    pub driver_version: Option<String>,
    /// What its power limit can be set to; null for a board that has none to set.
    pub power_limits: Option<PowerLimits>,
    /// What its clocks can be locked at; null when NVML does not tell.
    pub lockable_clocks: Option<LockableClocks>,
    /// How its energy is read; null when it cannot be.
    pub energy_method: Option<EnergyMethod>,
    /// Mean power in watts between the last two samples; null when unknown.
    pub live_power_w: Option<f64>,
    /// Why its energy cannot be read, now or at all; null while it can.
    pub problem: Option<String>,
}

/// What the power limit of a board can be set to, in watts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PowerLimits {
    /// The lowest.
    pub min_w: f64,
    /// The highest.
    pub max_w: f64,
    /// What the board has when the driver is loaded; null when NVML does not tell.
    pub default_w: Option<f64>,
}

/// What the clocks of a board can be locked at, in MHz.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LockableClocks {
    /// The lowest clock of the streaming multiprocessors.
    pub gpu_min_mhz: u32,
    /// The highest clock of the streaming multiprocessors.
    pub gpu_max_mhz: u32,
    /// Each clock of the memory, the highest first.
    pub memory_mhz: Vec<u32>,
}

/// The host's CPUs as one device.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CpuDevice {
    /// CPU model as the kernel names it.
    pub model: Option<String>,
    /// Logical CPUs that the server may use.
    pub logical_cpus: u32,
    /// Which source the packages' energy comes from; null when there is none.
    pub energy_source: Option<EnergySourceKind>,
    /// Why RAPL is not used, with the fix; null when it is.
    pub rapl_problem: Option<String>,
    /// Where the host's busy CPU time comes from, which host energy is split by.
    pub cpu_time_source: Option<String>,
    /// Power of all packages in watts between the last two samples; null when unknown.
    pub live_power_w: Option<f64>,
}

/// The devices of a host, and what became of every source that was looked for.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Devices {
    /// The GPUs, in NVML order.
    pub gpus: Vec<GpuDevice>,
    /// The CPUs, as one device.
    pub cpu: CpuDevice,
    /// Each source that was looked for: whether it works, why not, and the fix.
    pub findings: Vec<Finding>,
}
