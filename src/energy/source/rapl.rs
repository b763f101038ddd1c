//! CPU and memory energy from the Linux powercap tree (`/sys/class/powercap`), Intel and AMD.
//!
//! Owns zones, their names and the unwrapping of their counters. Deliberately does not know which zone contains
//! which: that is `window`'s concern. A zone is known by its `name` file; the number in its folder is not a socket.

mod zones;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{EnergySource, Finding, Place, PollError, SourceDescription, SourceId, Value, Wraps, tdp_table};
use crate::clock::Monotonic;
use crate::measurement::{EnergyDomain, EnergyMethod, EnergySourceKind};
use crate::units::{MICROJOULES_PER_JOULE, MICROWATTS_PER_WATT};

/// RAPL registers move about every millisecond, as Intel's SDM (volume 3, RAPL interfaces) says of its own.
const REFRESH_SEC: f64 = 1e-3;

/// Where a zone does not say its maximum power, this many times the socket's TDP is taken for it.
const TDP_FACTOR: f64 = 4.0;

/// TDP of the largest sockets, taken where the model is not in our table either, so that no wrap is missed.
const LARGEST_TDP_W: f64 = 500.0;

/// A file that is being rewritten can be caught empty.
const READ_ATTEMPTS: u32 = 3;

/// Zones of one powercap tree whose counters could be read when it was opened.
#[derive(Debug)]
pub struct RaplSource {
    counters: Vec<Counter>,
    descriptions: Vec<SourceDescription>,
}

#[derive(Debug)]
struct Counter {
    energy_file: PathBuf,
    /// Microjoules at which the counter starts again from 0; none when the kernel would not say.
    range_uj: Option<u64>,
    /// More than this in a while is no wrap but a reset.
    highest_power_w: f64,
    last: Option<Monotonic>,
    last_uj: u64,
    unwrapped_uj: u64,
}

impl Counter {
    /// Cumulative joules. A counter that went backwards without a known range, or by more than the socket can have
    /// drawn since, was reset. It is passed on as it is: the timeline sees it fall and voids the interval, which is all
    /// that can be known.
    fn advance(&mut self, at: Monotonic, now_uj: u64) -> f64 {
        let since_sec = self.last.replace(at).map(|last| at.sec_since(last));
        if now_uj >= self.last_uj {
            self.unwrapped_uj += now_uj - self.last_uj;
        } else {
            match self.range_uj.map(|range| range.saturating_sub(self.last_uj) + now_uj) {
                Some(grown_uj) if self.can_have_drawn(grown_uj, since_sec) => self.unwrapped_uj += grown_uj,
                _ => self.unwrapped_uj = now_uj,
            }
        }
        self.last_uj = now_uj;
        self.unwrapped_uj as f64 / MICROJOULES_PER_JOULE
    }

    /// The file is opened anew each time: a driver that is reloaded replaces it under the same name.
    fn read(&mut self) -> Result<Value, PollError> {
        let mut read = read_u64(&self.energy_file);
        for _ in 1..READ_ATTEMPTS {
            if read.is_ok() {
                break;
            }
            read = read_u64(&self.energy_file);
        }
        let at = Monotonic::now();
        match read {
            Ok(now_uj) => Ok(Value {
                at,
                counter_j: Some(self.advance(at, now_uj)),
                power_w: None,
            }),
            Err(error) => Err(PollError::Retry(format!("{}: {error}", self.energy_file.display()))),
        }
    }

    fn can_have_drawn(&self, grown_uj: u64, since_sec: Option<f64>) -> bool {
        let grown_j = grown_uj as f64 / MICROJOULES_PER_JOULE;
        since_sec.is_none_or(|sec| grown_j <= self.highest_power_w * (sec + REFRESH_SEC))
    }
}

impl RaplSource {
    /// Every readable zone under `root`, and a finding for each zone met or for the tree when there is none.
    /// `cpu_model` is the kernel's name of the CPU: its TDP bounds the power of zones that declare no limit.
    pub fn open(root: &Path, cpu_model: Option<&str>) -> (Self, Vec<Finding>) {
        let tdp_w = cpu_model
            .and_then(tdp_table::find)
            .map_or(LARGEST_TDP_W, |plate| plate.watts);
        let undeclared_w = TDP_FACTOR * tdp_w;
        let mut source = Self {
            counters: Vec::new(),
            descriptions: Vec::new(),
        };
        let mut findings = Vec::new();
        let zones = match zones::find(root) {
            Ok(zones) if !zones.is_empty() => zones,
            Ok(_) => {
                findings.push(absent(root, "the tree holds no RAPL zone"));
                return (source, findings);
            }
            Err(error) => {
                findings.push(absent(root, &error.to_string()));
                return (source, findings);
            }
        };
        for zone in zones {
            let subject = format!("{} ({})", zone.name, zone.path);
            let detail = match (zone.domain(), read_u64(&zone.folder.join("energy_uj"))) {
                _ if zone.repeats_another => Err(("another control type shows the same zone".to_owned(), None)),
                (None, _) => Err((
                    "a zone of this name is not known to measure energy we report".to_owned(),
                    None,
                )),
                (Some(_), Err(error)) => Err(explain(root, &zone.folder, &error)),
                (Some(domain), Ok(first_uj)) => Ok(source.add(&zone, domain, first_uj, undeclared_w)),
            };
            let works = detail.is_ok();
            let (detail, fix) = detail.map_or_else(|problem| problem, |detail| (detail, None));
            findings.push(Finding {
                source: EnergySourceKind::RaplPowercap,
                subject,
                works,
                detail,
                fix,
            });
        }
        (source, findings)
    }

    fn add(&mut self, zone: &zones::Zone, domain: EnergyDomain, first_uj: u64, undeclared_w: f64) -> String {
        let range_uj = read_u64(&zone.folder.join("max_energy_range_uj"))
            .ok()
            .filter(|range| *range > 0);
        let highest_power_w = zone
            .highest_power_uw()
            .map_or(undeclared_w, |uw| uw as f64 / MICROWATTS_PER_WATT);
        let wraps = range_uj.map(|range| Wraps {
            range_j: range as f64 / MICROJOULES_PER_JOULE,
            highest_power_w,
        });
        let energy_file = zone.folder.join("energy_uj");
        self.counters.push(Counter {
            energy_file,
            range_uj,
            highest_power_w,
            last: None,
            last_uj: first_uj,
            unwrapped_uj: first_uj,
        });
        self.descriptions.push(SourceDescription {
            id: SourceId {
                kind: EnergySourceKind::RaplPowercap,
                domain,
                place: Place::Zone {
                    name: zone.name.clone(),
                    path: zone.path.clone(),
                },
            },
            method: EnergyMethod::EnergyCounter,
            refresh_sec: REFRESH_SEC,
            averaging_sec: 0.0,
            relative_uncertainty: 0.0,
            wraps,
            note: range_uj
                .is_none()
                .then(|| "max_energy_range_uj is unreadable: an interval with a wrap is lost".to_owned()),
        });
        match wraps {
            Some(Wraps { range_j, .. }) => format!("energy counter, wraps every {range_j:.0} J"),
            None => "energy counter, range unknown".to_owned(),
        }
    }
}

impl EnergySource for RaplSource {
    fn sources(&self) -> &[SourceDescription] {
        &self.descriptions
    }

    fn sample(&mut self) -> Vec<Result<Value, PollError>> {
        self.counters.iter_mut().map(Counter::read).collect()
    }

    fn sample_one(&mut self, index: usize) -> Result<Value, PollError> {
        let Some(counter) = self.counters.get_mut(index) else {
            return Err(PollError::Gone(format!("no zone has the number {index}")));
        };
        counter.read()
    }
}

fn read_u64(file: &Path) -> io::Result<u64> {
    let text = fs::read_to_string(file)?;
    text.trim()
        .parse()
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, format!("`{}` is no count", text.trim())))
}

fn absent(root: &Path, why: &str) -> Finding {
    Finding {
        source: EnergySourceKind::RaplPowercap,
        subject: root.display().to_string(),
        works: false,
        detail: format!("no RAPL: {why}; virtual machines usually show none, and containers hide it"),
        fix: Some(
            "on bare metal: `sudo modprobe intel_rapl_msr` (AMD too); in a container: mount the host's \
             /sys/devices/virtual/powercap read-only and unmask it; in a virtual machine nothing helps"
                .to_owned(),
        ),
    }
}

/// Why a zone's counter cannot be read, with the exact fix where there is one.
fn explain(root: &Path, zone: &Path, error: &io::Error) -> (String, Option<String>) {
    let file = zone.join("energy_uj");
    if error.kind() == io::ErrorKind::PermissionDenied {
        let root = root.display();
        return (
            format!(
                "{}: permission denied; since Linux 5.10 only root may read it (CVE-2020-8694)",
                file.display()
            ),
            Some(format!(
                "`sudo chmod a+r {root}/intel-rapl:*/energy_uj {root}/intel-rapl:*:*/energy_uj` (until the next boot; \
                 a udev or tmpfiles.d rule makes it last), or run joulemark with CAP_DAC_READ_SEARCH"
            )),
        );
    }
    (format!("{}: {error}", file.display()), None)
}

#[cfg(test)]
mod tests;
