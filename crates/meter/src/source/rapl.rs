//! CPU and memory energy from the Linux powercap tree (`/sys/class/powercap`), Intel and AMD.
//!
//! Owns zones, their names and the unwrapping of their counters. Deliberately does not know which zone contains
//! which: that is `window`'s concern. A zone is known by its `name` file; the number in its folder is not a socket.

mod counts;
mod zones;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use counts::{patiently, read_count, read_u64};

use super::{EnergySource, Finding, Place, PollError, SourceDescription, SourceId, Value, Wraps, tdp_table};
use joulemark_measurement::clock::Monotonic;
use joulemark_measurement::units::{MICROJOULES_PER_JOULE, MICROWATTS_PER_WATT};
use joulemark_measurement::{EnergyDomain, EnergyMethod, EnergySourceKind};

/// A zone's file with its microjoules.
const COUNTER: &str = "energy_uj";

/// RAPL registers move about every millisecond, as Intel's SDM (volume 3, RAPL interfaces) says of its own.
const REFRESH_SEC: f64 = 1e-3;

/// Where a zone does not say its maximum power, this many times the socket's TDP is taken for it.
const TDP_FACTOR: f64 = 4.0;

/// A wrap is told from a reset by this many times the most power that was seen.
const PEAK_FACTOR: f64 = 4.0;

/// TDP of the largest sockets, taken where the model is not in our table either, so that no wrap is missed.
const LARGEST_TDP_W: f64 = 500.0;

/// Peaks are measured over at least this long: the jitter of a tick would pass for a peak over less.
const SHORTEST_PEAK_SEC: f64 = 0.02;

/// The zones of one powercap tree. A package or memory zone that cannot be read stays among them beside those that can, so
/// that a sum that lacks it is known to lack it.
#[derive(Debug)]
pub struct RaplSource {
    counters: Vec<Counter>,
    descriptions: Vec<SourceDescription>,
}

#[derive(Debug)]
struct Counter {
    root: PathBuf,
    folder: PathBuf,
    /// Kept open: a reading then is one system call.
    file: Option<File>,
    /// Microjoules at which the counter starts again from 0; none when the kernel would not say.
    range_uj: Option<u64>,
    /// More than this in a while is no wrap but a reset.
    highest_power_w: f64,
    last: Option<Monotonic>,
    /// None until it could be read.
    last_uj: Option<u64>,
    unwrapped_uj: u64,
    peak_w: f64,
    /// A zone that stays broken is not waited for at every sweep.
    failed: bool,
}

impl Counter {
    /// Cumulative joules. A counter that went backwards without a known range, or by more than the socket can have
    /// drawn since, was reset. It is passed on as it is: the timeline sees it fall and voids the interval, which is all
    /// that can be known.
    fn advance(&mut self, at: Monotonic, now_uj: u64) -> f64 {
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

    fn read(&mut self) -> Result<Value, PollError> {
        let read = if self.failed {
            self.read_once()
        } else {
            patiently(|| self.read_once())
        };
        let at = Monotonic::now();
        self.failed = read.is_err();
        match read {
            Ok(now_uj) => Ok(Value {
                at,
                counter_j: Some(self.advance(at, now_uj)),
                power_w: None,
            }),
            Err(error) => Err(PollError::Retry(match explain(&self.root, &self.folder, &error) {
                (detail, Some(fix)) => format!("{detail}. Fix: {fix}"),
                (detail, None) => detail,
            })),
        }
    }

    /// A driver that is reloaded puts another file under the same name; the old one then fails, and is opened anew.
    fn read_once(&mut self) -> io::Result<u64> {
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

impl RaplSource {
    /// Opens every readable zone under `root`. Returns them with a finding for each zone met, or one for the tree when
    /// there is none.
    ///
    /// `cpu_model` is the kernel's name of the CPU: its TDP bounds the power of zones that declare no limit.
    pub fn open(root: &Path, cpu_model: Option<&str>) -> (Self, Vec<Finding>) {
        let tdp_w = cpu_model.and_then(tdp_table::find).map(|plate| plate.watts);
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
        let read: Vec<_> = zones
            .into_iter()
            .map(|zone| {
                let first = read_u64(&zone.folder.join(COUNTER));
                (zone, first)
            })
            .collect();
        let works =
            |wanted: &dyn Fn(&zones::Zone) -> bool| read.iter().any(|(zone, first)| first.is_ok() && wanted(zone));
        let has_packages = works(&|zone| zone.domain() == Some(EnergyDomain::Package));
        for (zone, first) in &read {
            let subject = format!("{} ({})", zone.name, zone.path);
            // Of two views of a zone one is read: the first where it works, else the second, else neither.
            let other_view_works = works(&|other| other.covers == zone.covers && other.is_mmio() != zone.is_mmio());
            let has_other_view = read
                .iter()
                .any(|(other, _)| other.covers == zone.covers && other.is_mmio() != zone.is_mmio());
            let repeats = zone.is_mmio() && (other_view_works || (has_other_view && first.is_err()));
            let detail = match (zone.domain(), first) {
                _ if repeats => Err(("another control type shows the same zone".to_owned(), None)),
                (None, _) => Err((
                    "a zone of this name is not known to measure energy we report".to_owned(),
                    None,
                )),
                (Some(domain), Err(error)) => {
                    let is_summed = matches!(domain, EnergyDomain::Package | EnergyDomain::Dram);
                    // Without any package that works the estimate stands in for all of them.
                    if is_summed && has_packages && !other_view_works {
                        source.add(root, zone, domain, None, tdp_w);
                    }
                    Err(explain(root, &zone.folder, error))
                }
                (Some(domain), Ok(first_uj)) => Ok(source.add(root, zone, domain, Some(*first_uj), tdp_w)),
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

    fn add(
        &mut self,
        root: &Path,
        zone: &zones::Zone,
        domain: EnergyDomain,
        first_uj: Option<u64>,
        tdp_w: Option<f64>,
    ) -> String {
        let range_uj = read_u64(&zone.folder.join("max_energy_range_uj"))
            .ok()
            .filter(|range| *range > 0);
        let highest_power_w = zone
            .highest_power_uw()
            .map_or(TDP_FACTOR * tdp_w.unwrap_or(LARGEST_TDP_W), |uw| {
                uw as f64 / MICROWATTS_PER_WATT
            });
        let wraps = range_uj.map(|range| Wraps {
            range_j: range as f64 / MICROJOULES_PER_JOULE,
            highest_power_w,
        });
        self.counters.push(Counter {
            root: root.to_owned(),
            folder: zone.folder.clone(),
            file: None,
            range_uj,
            highest_power_w: highest_power_w.max(TDP_FACTOR * tdp_w.unwrap_or(0.0)),
            last: None,
            last_uj: first_uj,
            unwrapped_uj: first_uj.unwrap_or(0),
            peak_w: 0.0,
            failed: first_uj.is_none(),
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
    let file = zone.join(COUNTER);
    if error.kind() == io::ErrorKind::PermissionDenied {
        let root = root.display();
        return (
            format!(
                "{}: permission denied; since Linux 5.10 only root may read it (CVE-2020-8694)",
                file.display()
            ),
            Some(format!(
                "`sudo chmod a+r {root}/intel-rapl:*/energy_uj {root}/intel-rapl:*:*/energy_uj` (until the next boot, \
                 and for every user; deploy/60-joulemark.rules makes it last, for the service alone), or run joulemark \
                 with CAP_DAC_READ_SEARCH"
            )),
        );
    }
    (format!("{}: {error}", file.display()), None)
}

#[cfg(test)]
mod tests;
