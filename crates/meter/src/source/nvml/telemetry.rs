//! Reads load, clocks, temperature, limits and processes of GPUs through NVML.
//!
//! Owns which readings a board does not have or refuses; they are not requested again. Reads what NVML reports for the
//! whole board. Leaves the pace, windows, and what is worth a warning to others.

use std::sync::Arc;

use nvml_wrapper::enum_wrappers::device::{Clock, TemperatureSensor};
use nvml_wrapper::enums::device::UsedGpuMemory;
use nvml_wrapper::error::{Bits, NvmlError};
use nvml_wrapper::{Device, struct_wrappers::device::ProcessInfo};

use super::session::Session;
use crate::source::current_call::CurrentCall;
use crate::telemetry::{ClockEvents, Fast, GpuId, Slow, TelemetrySource, Trouble};
use joulemark_measurement::units::MILLIWATTS_PER_WATT;

/// One kind of reading.
#[derive(Clone, Copy, Debug)]
enum Reading {
    Utilisation,
    SmClock,
    MemoryClock,
    ClockEvents,
    Temperature,
    MemoryUsed,
    PowerLimit,
    PersistenceMode,
    MigMode,
    ComputeProcesses,
}

impl Reading {
    /// Number of kinds.
    const COUNT: usize = Self::ComputeProcesses as usize + 1;

    /// Returns the name that a warning shows.
    fn name(self) -> &'static str {
        match self {
            Self::Utilisation => "utilisation",
            Self::SmClock => "SM clock",
            Self::MemoryClock => "memory clock",
            Self::ClockEvents => "clock event reasons",
            Self::Temperature => "temperature",
            Self::MemoryUsed => "memory used",
            Self::PowerLimit => "power limit",
            Self::PersistenceMode => "persistence mode",
            Self::MigMode => "MIG mode",
            Self::ComputeProcesses => "compute processes",
        }
    }
}

/// The telemetry of one board, including one without a readable energy.
pub struct NvmlTelemetry {
    session: Arc<Session>,
    generation: u32,
    gpu: [GpuId; 1],
    board: Board,
    call: CurrentCall,
}

/// The state of one board.
#[derive(Default)]
struct Board {
    /// NVML's index in the session's generation.
    index: u32,
    /// Whether the board does not have or refuses a reading, by kind of reading.
    retired: [bool; Reading::COUNT],
    /// What prevents readings.
    trouble: Trouble,
}

impl Board {
    /// Makes a reading; returns `None` when it fails. A failure that is permanent, or means that the board is lost, is
    /// recorded.
    fn ask<T>(&mut self, reading: Reading, answer: impl FnOnce() -> Result<T, NvmlError>) -> Option<T> {
        if self.retired[reading as usize] || self.trouble.lost.is_some() {
            return None;
        }
        match answer() {
            Ok(value) => return Some(value),
            Err(error) if means_lost(&error) => {
                self.trouble.lost = Some(format!("NVML: {error}"));
            }
            Err(NvmlError::NoPermission) => {
                self.retired[reading as usize] = true;
                self.trouble.refused.push(reading.name());
            }
            Err(NvmlError::NotSupported | NvmlError::FailedToLoadSymbol(_) | NvmlError::FunctionNotFound) => {
                self.retired[reading as usize] = true;
            }
            Err(_) => {}
        }
        None
    }
}

impl NvmlTelemetry {
    /// Creates the telemetry of a board.
    pub fn new(session: Arc<Session>, gpu: GpuId, call: CurrentCall) -> Self {
        let board = Board {
            index: gpu.index,
            ..Board::default()
        };
        Self {
            generation: session.current().map_or(0, |(_, generation)| generation),
            session,
            gpu: [gpu],
            board,
            call,
        }
    }

    /// Calls `ask` with the board's device, unless the board is lost. Records when it turns out to be lost.
    fn with<T: Default>(&mut self, ask: impl FnOnce(&Device<'_>, &mut Board) -> T) -> T {
        let board = &mut self.board;
        if board.trouble.lost.is_some() {
            return T::default();
        }
        self.call.begin("a call for clocks, temperature, limits or processes");
        let (nvml, generation) = match self.session.current() {
            Ok(current) => current,
            Err(away) => {
                board.trouble.lost = Some(away.to_string());
                return T::default();
            }
        };
        // The library came back a moment ago, perhaps with its devices in another order. The next round reads it.
        if generation != self.generation {
            return T::default();
        }
        match nvml.device_by_index(board.index) {
            Ok(device) => ask(&device, board),
            Err(error) => {
                if means_lost(&error) {
                    let why = format!("NVML: {error}");
                    // Needed also when no board has a readable energy, where the failure would be noticed otherwise.
                    if matches!(error, NvmlError::Uninitialized | NvmlError::DriverNotLoaded) {
                        self.session.reopen(generation, &why);
                    }
                    board.trouble.lost = Some(why);
                }
                T::default()
            }
        }
    }
}

/// Returns whether an error means that the board is lost.
fn means_lost(error: &NvmlError) -> bool {
    use NvmlError::{DriverNotLoaded, GpuLost, ResetRequired, Uninitialized};
    matches!(error, GpuLost | Uninitialized | DriverNotLoaded | ResetRequired)
}

impl TelemetrySource for NvmlTelemetry {
    fn gpus(&self) -> &[GpuId] {
        &self.gpu
    }

    /// Looks the board up by its UUID after the library came back.
    fn look_again(&mut self) {
        let Ok((nvml, generation)) = self.session.current() else {
            return;
        };
        if generation == self.generation {
            return;
        }
        self.generation = generation;
        let found = nvml.device_by_uuid(self.gpu[0].uuid.as_str());
        if let Ok(index) = found.and_then(|device| device.index()) {
            self.board.index = index;
            self.board.trouble.lost = None;
        }
    }

    fn fast(&mut self, _: usize) -> Fast {
        self.with(|device, board| Fast {
            utilisation_percent: board
                .ask(Reading::Utilisation, || device.utilization_rates())
                .map(|rates| rates.gpu),
            sm_clock_mhz: board.ask(Reading::SmClock, || device.clock_info(Clock::SM)),
            memory_clock_mhz: board.ask(Reading::MemoryClock, || device.clock_info(Clock::Memory)),
            clock_events: board.ask(Reading::ClockEvents, || clock_events(device)),
        })
    }

    fn slow(&mut self, _: usize) -> Slow {
        self.with(|device, board| {
            let processes = board.ask(Reading::ComputeProcesses, || device.running_compute_processes());
            Slow {
                read_at: None,
                temperature_c: board.ask(Reading::Temperature, || device.temperature(TemperatureSensor::Gpu)),
                memory_used_bytes: board
                    .ask(Reading::MemoryUsed, || device.memory_info())
                    .map(|memory| memory.used),
                power_limit_w: board
                    .ask(Reading::PowerLimit, || device.enforced_power_limit())
                    .map(|milliwatts| f64::from(milliwatts) / MILLIWATTS_PER_WATT),
                persistence_mode: board.ask(Reading::PersistenceMode, || device.is_in_persistent_mode()),
                mig_enabled: board
                    .ask(Reading::MigMode, || device.mig_mode())
                    .map(|mode| mode.current == 1),
                compute_pids: processes.as_deref().map(pids),
                process_bytes: processes.as_deref().map(process_bytes),
            }
        })
    }

    fn trouble(&self, _: usize) -> &Trouble {
        &self.board.trouble
    }
}

/// Returns the clock event reasons. The wrapper names fewer of them than drivers have; its strict call returns the
/// unknown bits too.
fn clock_events(device: &Device<'_>) -> Result<ClockEvents, NvmlError> {
    match device.current_throttle_reasons_strict() {
        Ok(reasons) => Ok(ClockEvents::from_bits(reasons.bits())),
        Err(NvmlError::IncorrectBits(Bits::U64(bits))) => Ok(ClockEvents::from_bits(bits)),
        Err(error) => Err(error),
    }
}

/// Returns the memory in bytes of each process for which the driver reports it.
fn process_bytes(processes: &[ProcessInfo]) -> Arc<[(u32, u64)]> {
    let known = processes.iter().filter_map(|process| match process.used_gpu_memory {
        UsedGpuMemory::Used(bytes) => Some((process.pid, bytes)),
        UsedGpuMemory::Unavailable => None,
    });
    known.collect()
}

/// Returns the ids of the processes, sorted and without duplicates.
fn pids(processes: &[ProcessInfo]) -> Arc<[u32]> {
    let mut pids: Vec<u32> = processes.iter().map(|process| process.pid).collect();
    pids.sort_unstable();
    pids.dedup();
    pids.into()
}
