//! One zone's counter: its file and its wraps.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::access::Access;
use super::counts::{patiently, read_count};
use super::{COUNTER, REFRESH_SEC};
use crate::source::{PollError, Value};
use joulemark_measurement::clock::Monotonic;
use joulemark_measurement::units::MICROJOULES_PER_JOULE;

/// A wrap is told from a reset by this many times the most power that was seen.
const PEAK_FACTOR: f64 = 4.0;

/// Peaks are measured over at least this long: the jitter of a tick would pass for a peak over less.
const SHORTEST_PEAK_SEC: f64 = 0.02;

#[derive(Debug)]
pub struct Counter {
    pub access: Arc<Access>,
    pub folder: PathBuf,
    /// The number of the package it is of.
    pub package: Option<u32>,
    /// Kept open: a reading then is one system call.
    pub file: Option<File>,
    /// Microjoules at which the counter starts again from 0; none when the kernel would not say.
    pub range_uj: Option<u64>,
    /// The zone's own `constraint_*_max_power_uw`, the largest of them, in watts.
    pub max_power_w: Option<f64>,
    /// More than this in a while is no wrap but a reset.
    pub highest_power_w: f64,
    pub last: Option<Monotonic>,
    /// None until it could be read.
    pub last_uj: Option<u64>,
    pub unwrapped_uj: u64,
    pub peak_w: f64,
    /// A zone that stays broken is not waited for at every sweep.
    pub failed: bool,
}

impl Counter {
    /// Cumulative joules. A counter that went backwards without a known range, or by more than the socket can have
    /// drawn since, was reset. It is passed on as it is: the timeline sees it fall and voids the interval, which is all
    /// that can be known.
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

    pub fn read(&mut self) -> Result<Value, PollError> {
        let read = if self.failed {
            self.read_once()
        } else {
            patiently(|| self.read_once())
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

    /// A driver that is reloaded puts another file under the same name; the old one then fails, and is opened anew.
    pub fn read_once(&mut self) -> io::Result<u64> {
        if let Some(Ok(count)) = self.file.as_ref().map(read_count) {
            return Ok(count);
        }
        let file = self.file.insert(File::open(self.folder.join(COUNTER))?);
        read_count(file)
    }

    fn can_have_drawn(&self, grown_uj: u64, since_sec: Option<f64>) -> bool {
        let grown_j = grown_uj as f64 / MICROJOULES_PER_JOULE;
        // A declared limit can be far below what the socket draws; what was seen shows it.
        let highest_w = self.highest_power_w.max(PEAK_FACTOR * self.peak_w);
        since_sec.is_none_or(|sec| grown_j <= highest_w * (sec + REFRESH_SEC))
    }
}
