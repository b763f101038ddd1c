//! Defines how sources are read: a reader has a fixed list of sources, and gives one value or error for each at a time.
//! Does not know windows or threads.

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

/// The part of the host that a source measures. It stays the same when devices are reordered.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A GPU.
    Gpu {
        /// Index by NVML.
        index: u32,
        /// UUID by NVML, which identifies the GPU.
        uuid: String,
    },
    /// A RAPL zone.
    Zone {
        /// Text of the zone's `name` file.
        name: String,
        /// Name of the zone's folder (`intel-rapl:0:1`), which distinguishes equal names.
        path: String,
    },
    /// All CPU packages of the host together, for an estimate.
    Host,
}

/// The identity of a source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourceId {
    /// Interface by which it is read.
    pub kind: EnergySourceKind,
    /// Kind of device that it measures.
    pub domain: EnergyDomain,
    /// Device that it measures.
    pub place: Place,
}

/// The properties of a source on which its uncertainty depends.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceDescription {
    /// Identity of the source.
    pub id: SourceId,
    /// How its energy is obtained.
    pub method: EnergyMethod,
    /// Maximum age in seconds of a value when it is read: hardware counters refresh periodically. 0 for a value that is
    /// always fresh.
    pub refresh_sec: f64,
    /// Length in seconds of the average that the hardware shows as power; 0 when it does not average.
    pub averaging_sec: f64,
    /// Half-width of an estimate as a part of the energy; 0 for a measurement.
    pub relative_uncertainty: f64,
    /// Range after which the counter restarts from 0; `None` when it does not, or when the range is unknown.
    pub wraps: Option<Wraps>,
    /// The assumptions of an estimate, or another limit of the source.
    pub note: Option<String>,
}

impl SourceDescription {
    /// Returns the source's name in findings.
    pub(crate) fn subject(&self) -> String {
        match &self.id.place {
            Place::Zone { name, path } => format!("{name} ({path})"),
            Place::Gpu { index, uuid } => format!("GPU {index} ({uuid})"),
            Place::Host => "CPU packages".to_owned(),
        }
    }
}

/// The range of a counter that restarts from 0. It bounds the time between two readings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wraps {
    /// Range of the counter in J.
    pub range_j: f64,
    /// Maximum power in W: twice the declared limit, or a bound that no socket reaches.
    pub highest_power_w: f64,
}

impl Wraps {
    /// Returns the time in seconds between two readings within which no wrap can be missed.
    pub fn safe_gap_sec(&self) -> f64 {
        self.range_j / self.highest_power_w
    }
}

/// One reading of one source. It has its own time, because a sweep over slow devices takes milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Value {
    /// Time of the reading.
    pub at: Monotonic,
    /// Energy in J since any zero, unwrapped; `None` for a source that shows only power.
    pub counter_j: Option<f64>,
    /// Power in W; `None` for a source that only counts energy.
    pub power_w: Option<f64>,
}

/// The reason why there is no value. The variant states what the meter does next.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PollError {
    /// The reading failed. The source is read again at the next sweep.
    #[error("{0}")]
    Retry(String),
    /// A driver call has not returned for seconds. The meter waits for it, and the counter goes on meanwhile.
    #[error("{0}")]
    Silent(String),
    /// The device is away. If it comes back, values from before and after are not connected.
    #[error("{0}")]
    Gone(String),
    /// The source shows the same as another one. It is left out of everything from now on.
    #[error("{0}")]
    Repeats(String),
}

/// Returns the group within which zones may show one register: one for what a total sums, and one for each other
/// domain.
fn comparison_group(domain: EnergyDomain) -> u32 {
    match domain {
        EnergyDomain::Package | EnergyDomain::Dram => 0,
        EnergyDomain::Core => 1,
        EnergyDomain::Uncore => 2,
        EnergyDomain::Psys => 3,
        EnergyDomain::Gpu => 4,
    }
}

/// Removes the elements that are marked as left out.
fn leave_out<T>(left_out: &[bool], of: &mut Vec<T>) {
    let mut stays = left_out.iter().map(|left_out| !left_out);
    of.retain(|_| stays.next().unwrap_or(true));
}

/// Adds to the findings which sources repeat another and which are undecided. Returns whether each source repeats
/// another.
fn report_repeats(same: &SameRegister, names: &[String], findings: &mut [Finding]) -> Vec<bool> {
    let say = |(index, name): (usize, &String)| {
        let repeats = same.original_of(index);
        if let Some(finding) = findings.iter_mut().find(|finding| finding.subject == *name) {
            if let Some((kept, moves)) = repeats {
                finding.works = false;
                finding.detail = same_register_text(&names[kept], moves);
            } else if let Some(other) = same.maybe_same_as(index) {
                finding.detail.push_str(&undecided_text(&names[other]));
            }
        }
        repeats.is_some()
    };
    names.iter().enumerate().map(say).collect()
}

/// Returns the text for a source that repeats another.
fn same_register_text(kept: &str, moves: u32) -> String {
    format!(
        "left out: it shows the same register as {kept}, which is counted; read in turn, the two moved as one {moves} times"
    )
}

/// Returns the text for a source that may repeat another.
fn undecided_text(other: &str) -> String {
    format!(
        "; whether it shows the same register as {other} is not decided yet, because nothing has moved: it is compared \
         again at each reading"
    )
}

/// A reader of one or several sources: a vendor's library, a kernel interface or a model.
///
/// Implement it to meter another sensor. [`SourceId`] has no kind for sensors that this crate does not know: choose the
/// existing [`EnergySourceKind`] and [`EnergyDomain`] that come closest, and a [`Place`] that no other source has. The
/// kind decides on two figures: `Nvml` states an instrument accuracy of 5 %, and the RAPL kinds assume counter steps of
/// 61 µJ. The domain decides what the sensor counts for: `Gpu`, `Package` and `Dram` are added to the total, `Psys`,
/// `Core` and `Uncore` are not.
///
/// # Examples
///
/// Adds a board's own counter, of 10 W, to the sources of the host. Of the existing kinds it chooses `RaplPowercap`,
/// because its counter behaves like a RAPL counter. Results name that kind; the zone's path tells the two apart.
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
/// let mut found = open(&EnergyOptions::default());
/// found.sources.push(Box::new(board));
/// let meter = HostMeter::start(found)?;
/// let measured = meter.measure(|| std::thread::sleep(std::time::Duration::from_millis(100)));
/// let board = measured.energy.sources.iter().find(|source| source.zone_path.as_deref() == Some("board:0"));
/// assert!((board.unwrap().mean_power_w.unwrap() - 10.0).abs() < 0.1);
/// # Ok::<(), std::io::Error>(())
/// ```
pub trait EnergySource: Send {
    /// Returns the descriptions of the sources that it reads. The list is constant.
    fn sources(&self) -> &[SourceDescription];

    /// Reads all sources. Returns one result for each of [`sources`](Self::sources), in the same order. A failure
    /// affects only its own result. A call that takes longer than 0.1 s no longer delays other readers: they are then
    /// read on another thread.
    fn sample(&mut self) -> Vec<Result<Value, PollError>>;

    /// Reads only source number `index`, as cheaply as possible. Power beside a counter may be left out.
    fn sample_one(&mut self, index: usize) -> Result<Value, PollError> {
        self.sample().swap_remove(index)
    }

    /// Returns the maximum power in W that the device of number `index` declares; `None` when it declares none.
    fn power_limit_w(&self, index: usize) -> Option<f64> {
        let _ = index;
        None
    }

    /// Returns a handle that names the driver call in progress, for reports of a call that hangs; `None` when the
    /// reader does not name its calls.
    fn current_call(&self) -> Option<CurrentCall> {
        None
    }

    /// Returns the reader of its devices' clocks, temperature and processes, which is used on the same thread; `None`
    /// for a reader that shows only energy.
    fn telemetry(&self) -> Option<Box<dyn TelemetrySource>> {
        None
    }

    /// Returns a function that finds the board of a MIG slice on any thread; `None` for a reader without GPUs.
    fn board_of_slice(&self) -> Option<BoardOfSlice> {
        None
    }
}

/// A function that returns the UUID of the board that a MIG slice, named by its UUID, is part of.
pub type BoardOfSlice = Box<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Prefix that replaces the UUID of a board which does not report one. The board's index follows.
const UNIDENTIFIED_GPU: &str = "GPU-unidentified-";

/// Returns whether `uuid` is a replacement for the UUID of a board that could not be opened or identified. Its energy
/// is unknown.
pub fn is_unidentified_gpu(uuid: &str) -> bool {
    uuid.starts_with(UNIDENTIFIED_GPU)
}

/// The result for an interface, a GPU or a zone that was looked for: whether it works, or the reason why not and the
/// fix.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Finding {
    /// Interface by which it is read.
    pub source: EnergySourceKind,
    /// What is read: a GPU, a zone, or the whole interface.
    pub subject: String,
    /// Whether it can be read on this host.
    pub works: bool,
    /// How it is read when it works; why it cannot be read otherwise.
    pub detail: String,
    /// The next step for the person who runs the program: a command, a permission or a setting of the container. Null
    /// when nothing needs to be done or nothing helps.
    pub fix: Option<String>,
}

impl Finding {
    /// Returns the detail, followed by the fix where there is one.
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
    /// NVML index, in PCI order. CUDA may use another order.
    pub index: u32,
    /// UUID of the board as NVML reports it, `GPU-…`; `GPU-unidentified-` and the index for a board that could not be
    /// opened.
    pub uuid: String,
    /// Name of the board as NVML reports it.
    pub name: Option<String>,
    /// Compute capability, e.g. `9.0`, which determines the kernels that run on it; null when NVML does not report it.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub compute_capability: Option<ComputeCapability>,
    /// Total memory of the board in bytes.
    pub memory_bytes: Option<u64>,
    /// Version of the NVIDIA driver.
    pub driver_version: Option<String>,
    /// Range of the power limits that can be set; null when none can be set.
    pub power_limits: Option<PowerLimits>,
    /// Clocks that the board can be locked to; null when NVML does not report them.
    pub lockable_clocks: Option<LockableClocks>,
    /// How its energy is obtained; null when it cannot be read.
    pub energy_method: Option<EnergyMethod>,
    /// Present power in watts: the last power that the board reported, else the mean rate of its energy counter over
    /// 0.5 s. Boards that average power report it up to a second late. Null when unknown.
    pub live_power_w: Option<f64>,
    /// Why its energy cannot be read, now or ever; null while it can.
    pub problem: Option<String>,
}

/// The power limits that can be set on a board, in watts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PowerLimits {
    /// Lowest limit in watts.
    pub min_w: f64,
    /// Highest limit in watts.
    pub max_w: f64,
    /// Limit in watts after the driver was loaded; null when NVML does not report it.
    pub default_w: Option<f64>,
}

/// The clocks that a board can be locked to, in MHz.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LockableClocks {
    /// Lowest clock of the streaming multiprocessors in MHz.
    pub gpu_min_mhz: u32,
    /// Highest clock of the streaming multiprocessors in MHz.
    pub gpu_max_mhz: u32,
    /// Clocks of the memory in MHz, highest first.
    pub memory_mhz: Vec<u32>,
}

/// The host's CPUs as one device.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CpuDevice {
    /// CPU model as the kernel names it.
    pub model: Option<String>,
    /// Number of logical CPUs that `/proc/cpuinfo` lists.
    pub logical_cpus: u32,
    /// Source of the packages' energy; null when there is none.
    pub energy_source: Option<EnergySourceKind>,
    /// Why RAPL is not used, with the fix; null when it is used.
    pub rapl_problem: Option<String>,
    /// Source of the host's busy CPU time, by which the host's energy is split; null when it cannot be read.
    pub cpu_time_source: Option<String>,
    /// Present power of all packages together in watts: the mean rate of their counters over 0.5 s. Null when that of
    /// one package is unknown.
    pub live_power_w: Option<f64>,
}

/// The devices of a host, and the result for every source that was looked for.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Devices {
    /// GPUs in NVML order.
    pub gpus: Vec<GpuDevice>,
    /// CPUs as one device.
    pub cpu: CpuDevice,
    /// Every source that was looked for: whether it works, or the reason why not and the fix.
    pub findings: Vec<Finding>,
}
