//! Load, clocks, temperature, limits and processes of GPUs through NVML, beside their energy.
//!
//! Owns which reading a board does not have or refuses: such a one is not asked for again. Reads only what NVML has told
//! for the whole board; deliberately does not know pace, windows or what is worth a warning.

use std::sync::Arc;

use nvml_wrapper::enum_wrappers::device::{Clock, TemperatureSensor};
use nvml_wrapper::enums::device::UsedGpuMemory;
use nvml_wrapper::error::{Bits, NvmlError};
use nvml_wrapper::{Device, struct_wrappers::device::ProcessInfo};

use super::session::Session;
use crate::source::current_call::CurrentCall;
use crate::telemetry::{Brisk, ClockEvents, GpuId, Slow, TelemetrySource, Trouble};
use joulemark_measurement::units::MILLIWATTS_PER_WATT;

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
    const COUNT: usize = Self::ComputeProcesses as usize + 1;

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

/// One board, also one without a readable energy.
pub struct NvmlTelemetry {
    session: Arc<Session>,
    generation: u32,
    gpu: [GpuId; 1],
    board: Board,
    call: CurrentCall,
}

#[derive(Default)]
struct Board {
    /// NVML's, as of the session's generation.
    index: u32,
    /// By reading: what this board does not have or refuses.
    retired: [bool; Reading::COUNT],
    trouble: Trouble,
}

impl Board {
    /// Null for whatever reason; one that will not go away is remembered.
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

    /// Asks a board that is there; whatever means that it is not marks it lost.
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
        // It came back a moment ago, perhaps with its devices in another order: asked in the next round.
        if generation != self.generation {
            return T::default();
        }
        match nvml.device_by_index(board.index) {
            Ok(device) => ask(&device, board),
            Err(error) => {
                if means_lost(&error) {
                    let why = format!("NVML: {error}");
                    // Also where no board has an energy to read, whose failure would be noticed there.
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

fn means_lost(error: &NvmlError) -> bool {
    use NvmlError::{DriverNotLoaded, GpuLost, ResetRequired, Uninitialized};
    matches!(error, GpuLost | Uninitialized | DriverNotLoaded | ResetRequired)
}

impl TelemetrySource for NvmlTelemetry {
    fn gpus(&self) -> &[GpuId] {
        &self.gpu
    }

    /// Whatever came back, the board is found again by its UUID.
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

    fn brisk(&mut self, _: usize) -> Brisk {
        self.with(|device, board| Brisk {
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

/// The wrapper names fewer reasons than drivers have; its strict call hands out the bits it does not know.
fn clock_events(device: &Device<'_>) -> Result<ClockEvents, NvmlError> {
    match device.current_throttle_reasons_strict() {
        Ok(reasons) => Ok(ClockEvents::from_bits(reasons.bits())),
        Err(NvmlError::IncorrectBits(Bits::U64(bits))) => Ok(ClockEvents::from_bits(bits)),
        Err(error) => Err(error),
    }
}

fn process_bytes(processes: &[ProcessInfo]) -> Arc<[(u32, u64)]> {
    let told = processes.iter().filter_map(|process| match process.used_gpu_memory {
        UsedGpuMemory::Used(bytes) => Some((process.pid, bytes)),
        UsedGpuMemory::Unavailable => None,
    });
    told.collect()
}

fn pids(processes: &[ProcessInfo]) -> Arc<[u32]> {
    let mut pids: Vec<u32> = processes.iter().map(|process| process.pid).collect();
    pids.sort_unstable();
    pids.dedup();
    pids.into()
}
