//! Load, clocks, temperature, limits and processes of GPUs through NVML, beside their energy.
//!
//! Owns which reading a board does not have or refuses: such a one is not asked for again. Reads only what NVML has told
//! for the whole board; deliberately does not know pace, windows or what is worth a warning.

use std::sync::Arc;

use nvml_wrapper::Nvml;
use nvml_wrapper::enum_wrappers::device::{Clock, TemperatureSensor};
use nvml_wrapper::error::{Bits, NvmlError};
use nvml_wrapper::{Device, struct_wrappers::device::ProcessInfo};

use crate::energy::telemetry::{Brisk, ClockEvents, GpuId, Slow, TelemetrySource, Trouble};
use crate::units::MILLIWATTS_PER_WATT;

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

/// All boards that NVML counts, also those without a readable energy.
pub struct NvmlTelemetry {
    nvml: Arc<Nvml>,
    gpus: Vec<GpuId>,
    boards: Vec<Board>,
}

#[derive(Default)]
struct Board {
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
            Err(error @ (NvmlError::GpuLost | NvmlError::Uninitialized | NvmlError::ResetRequired)) => {
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
    /// A board that cannot even be named is left out; its finding says so.
    pub fn new(nvml: Arc<Nvml>) -> Self {
        let indices = 0..nvml.device_count().unwrap_or(0);
        let named = |index| {
            Some(GpuId {
                index,
                uuid: nvml.device_by_index(index).ok()?.uuid().ok()?,
            })
        };
        let gpus: Vec<GpuId> = indices.filter_map(named).collect();
        let boards = gpus.iter().map(|_| Board::default()).collect();
        Self { nvml, gpus, boards }
    }

    /// The board's handle beside what is known of it; null marks it lost when that is the reason.
    fn open(&mut self, gpu: usize) -> Option<(Device<'_>, &mut Board)> {
        let (id, board) = (self.gpus.get(gpu)?, self.boards.get_mut(gpu)?);
        if board.trouble.lost.is_some() {
            return None;
        }
        match self.nvml.device_by_index(id.index) {
            Ok(device) => Some((device, board)),
            Err(error @ (NvmlError::GpuLost | NvmlError::Uninitialized | NvmlError::ResetRequired)) => {
                board.trouble.lost = Some(format!("NVML: {error}"));
                None
            }
            Err(_) => None,
        }
    }
}

impl TelemetrySource for NvmlTelemetry {
    fn gpus(&self) -> &[GpuId] {
        &self.gpus
    }

    fn brisk(&mut self, gpu: usize) -> Brisk {
        let Some((device, board)) = self.open(gpu) else {
            return Brisk::default();
        };
        Brisk {
            utilisation_percent: board
                .ask(Reading::Utilisation, || device.utilization_rates())
                .map(|rates| rates.gpu),
            sm_clock_mhz: board.ask(Reading::SmClock, || device.clock_info(Clock::SM)),
            memory_clock_mhz: board.ask(Reading::MemoryClock, || device.clock_info(Clock::Memory)),
            clock_events: board.ask(Reading::ClockEvents, || clock_events(&device)),
        }
    }

    fn slow(&mut self, gpu: usize) -> Slow {
        let Some((device, board)) = self.open(gpu) else {
            return Slow::default();
        };
        Slow {
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
            compute_pids: board
                .ask(Reading::ComputeProcesses, || device.running_compute_processes())
                .map(|processes| pids(&processes)),
        }
    }

    fn trouble(&self, gpu: usize) -> &Trouble {
        &self.boards[gpu].trouble
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

fn pids(processes: &[ProcessInfo]) -> Arc<[u32]> {
    let mut pids: Vec<u32> = processes.iter().map(|process| process.pid).collect();
    pids.sort_unstable();
    pids.dedup();
    pids.into()
}
