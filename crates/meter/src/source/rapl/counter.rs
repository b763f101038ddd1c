//! Reads the counter of one powercap zone and unwraps it.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::access::Access;
use super::counts::{read_count, retried};
use super::{COUNTER, REFRESH_SEC};
use crate::source::{PollError, Value};
use joulemark_measurement::clock::Monotonic;
use joulemark_measurement::units::MICROJOULES_PER_JOULE;

/// Maximum power as a multiple of the highest power seen, by which a wrap is distinguished from a reset.
const PEAK_FACTOR: f64 = 4.0;

/// Minimum time in seconds over which a peak is measured. Over less, the jitter of a tick would pass for a peak.
const SHORTEST_PEAK_SEC: f64 = 0.02;

/// The counter of one zone.
#[derive(Debug)]
pub struct Counter {
    /// Facts for the fix of a failed reading.
    pub access: Arc<Access>,
    /// Folder of the zone.
    pub folder: PathBuf,
    /// Number of the zone's package.
    pub package: Option<u32>,
    /// The counter's file, kept open so that a reading takes one system call.
    pub file: Option<File>,
    /// Counter in µJ after which it restarts from 0; `None` when the kernel does not report it.
    pub range_uj: Option<u64>,
    /// Largest of the zone's `constraint_*_max_power_uw`, in W.
    pub max_power_w: Option<f64>,
    /// Maximum power in W. Growth above it is a reset and not a wrap.
    pub highest_power_w: f64,
    /// Time of the last reading.
    pub last: Option<Monotonic>,
    /// Last value in µJ; `None` before the first.
    pub last_uj: Option<u64>,
    /// Unwrapped counter in µJ.
    pub unwrapped_uj: u64,
    /// Highest power seen, in W.
    pub peak_w: f64,
    /// Whether the last reading failed. Such a zone is not retried within a sweep.
    pub failed: bool,
}

impl Counter {
    /// Records a reading and returns the unwrapped counter in J.
    ///
    /// A counter that went backwards without a known range, or by more than the socket can have drawn since, was reset.
    /// The new value is passed on as it is: the timeline sees the counter fall and marks the interval as unknown.
    pub fn advance(&mut self, at: Monotonic, now_uj: u64) -> f64 {
        let since_sec = self.last.replace(at).map(|last| at.sec_since(last));
        let last_uj = self.last_uj.replace(now_uj);
        match last_uj {
            None => self.unwrapped_uj = now_uj,
            Some(last_uj) if now_uj >= last_uj => {
                let grown_uj = now_uj - last_uj;
                self.unwrapped_uj += grown_uj;
                if let Some(sec) = since_sec.filter(|sec| *sec >= SHORTEST_PEAK_SEC) {
                    self.peak_w = self.peak_w.max(grown_uj as f64 / MICROJOULES_PER_JOULE / sec);
                }
            }
            Some(last_uj) => match self.range_uj.map(|range| range.saturating_sub(last_uj) + now_uj) {
                Some(grown_uj) if self.can_have_drawn(grown_uj, since_sec) => self.unwrapped_uj += grown_uj,
                _ => self.unwrapped_uj = now_uj,
            },
        }
        self.unwrapped_uj as f64 / MICROJOULES_PER_JOULE
    }

    /// Reads the counter, and retries while its file is being rewritten.
    pub fn read(&mut self) -> Result<Value, PollError> {
        let read = if self.failed {
            self.read_once()
        } else {
            retried(|| self.read_once())
        };
        let at = Monotonic::now();
        self.failed = read.is_err();
        match read {
            Ok(now_uj) => {
                let counter_j = self.advance(at, now_uj);
                Ok(Value {
                    at,
                    counter_j: Some(counter_j),
                    power_w: None,
                })
            }
            Err(error) => Err(PollError::Retry(match self.access.explain(&self.folder, &error, &[]) {
                (detail, Some(fix)) => format!("{detail}. Fix: {fix}"),
                (detail, None) => detail,
            })),
        }
    }

    /// Reads the file once. When a reloaded driver has replaced it, the old file fails and the new one is opened.
    pub fn read_once(&mut self) -> io::Result<u64> {
        if let Some(Ok(count)) = self.file.as_ref().map(read_count) {
            return Ok(count);
        }
        let file = self.file.insert(File::open(self.folder.join(COUNTER))?);
        read_count(file)
    }

    /// Returns whether the socket can have drawn this energy since the last reading.
    fn can_have_drawn(&self, grown_uj: u64, since_sec: Option<f64>) -> bool {
        let grown_j = grown_uj as f64 / MICROJOULES_PER_JOULE;
        // A declared limit can be far below what the socket draws, which the peak shows.
        let highest_w = self.highest_power_w.max(PEAK_FACTOR * self.peak_w);
        since_sec.is_none_or(|sec| grown_j <= highest_w * (sec + REFRESH_SEC))
    }
}
