//! Reads CPU and memory energy from the Linux powercap tree (`/sys/class/powercap`), on Intel and AMD.
//!
//! Owns zones, their names, the unwrapping of their counters, and which of them show one register. Leaves which zone
//! contains which to `window`. A zone is identified by its `name` file; the number in its folder is not a socket.

mod access;
mod counter;
mod counts;
mod mounts;
mod zones;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use access::Access;
use counter::Counter;
use counts::read_u64;

use super::same_register::{Register, SameRegister};
use super::tdp::CpuInfo;
use super::{EnergySource, Finding, Place, PollError, SourceDescription, SourceId, Value, Wraps, tdp_table};
use joulemark_measurement::units::{MICROJOULES_PER_JOULE, MICROWATTS_PER_WATT};
use joulemark_measurement::{EnergyDomain, EnergyMethod, EnergySourceKind};

/// File of a zone that holds its energy in µJ.
const COUNTER: &str = "energy_uj";

/// Refresh period of RAPL registers in seconds: about every millisecond, as Intel's SDM (volume 3, RAPL interfaces)
/// states for its own.
const REFRESH_SEC: f64 = 1e-3;

/// Maximum power of a zone that declares none, as a multiple of the socket's TDP.
const TDP_FACTOR: f64 = 4.0;

/// TDP in W of the largest sockets. It is used for a model that is not in the table, so that no wrap is missed.
const LARGEST_TDP_W: f64 = 500.0;

/// Maximum power of a zone as a multiple of its declared limit. Peaks above the limit last for milliseconds.
const LIMIT_FACTOR: f64 = 2.0;

/// The zones of one powercap tree. A package or memory zone that cannot be read is included when others can, so that a
/// sum without it is unknown.
#[derive(Debug)]
pub struct RaplSource {
    counters: Vec<Counter>,
    descriptions: Vec<SourceDescription>,
    same: SameRegister,
}

/// A zone, and the first value of its counter.
type Read = (zones::Zone, io::Result<u64>);

/// The result for a zone: how it is read, or the reason why not and the fix.
type Outcome = Result<String, (String, Option<String>)>;

impl RaplSource {
    /// Opens every readable zone under `root`. Returns the source with a finding for each zone, or with one for the
    /// tree when it has none.
    ///
    /// `cpu_model` is the kernel's name of the CPU. Its TDP bounds the power of zones that declare no limit.
    pub fn open(root: &Path, cpu_model: Option<&str>) -> (Self, Vec<Finding>) {
        let (proc_root, is_elsewhere) = (Path::new("/proc"), root != Path::new("/sys/class/powercap"));
        let access = Access::read(proc_root, &CpuInfo::read(proc_root), is_elsewhere);
        Self::open_with(root, cpu_model, access)
    }

    /// Opens as [`open`](Self::open) does. `access` holds the facts on which a fix depends.
    pub(crate) fn open_with(root: &Path, cpu_model: Option<&str>, access: Access) -> (Self, Vec<Finding>) {
        let mut source = Self {
            counters: Vec::new(),
            descriptions: Vec::new(),
            same: SameRegister::default(),
        };
        let found = match zones::find(root) {
            Ok(found) if !found.zones.is_empty() => found,
            Ok(found) => {
                let why = "the tree holds no RAPL zone";
                return (source, vec![access.absent(root, why, &found.masked)]);
            }
            Err(error) => return (source, vec![access.absent(root, &error.to_string(), &[])]),
        };
        let first = |zone: zones::Zone| {
            let first = read_u64(&zone.folder.join(COUNTER));
            (zone, first)
        };
        let read: Vec<Read> = found.zones.into_iter().map(first).collect();
        let (tdp_w, access) = (
            cpu_model.and_then(tdp_table::find).map(|plate| plate.watts),
            Arc::new(access),
        );
        let mut findings = source.add_all(&read, tdp_w, &access);
        source.leave_out_repeats(&mut findings);
        (source, findings)
    }

    /// Adds the zones that are to be read, and returns a finding for each.
    fn add_all(&mut self, read: &[Read], tdp_w: Option<f64>, access: &Arc<Access>) -> Vec<Finding> {
        let works =
            |wanted: &dyn Fn(&zones::Zone) -> bool| read.iter().any(|(zone, first)| first.is_ok() && wanted(zone));
        let has_packages = works(&|zone| zone.domain() == Some(EnergyDomain::Package));
        let is_other_view =
            |zone: &zones::Zone, other: &zones::Zone| other.covers == zone.covers && other.is_mmio() != zone.is_mmio();
        // Of two views of a zone at most one is read: the first if it works, else the second.
        let repeats = |(zone, first): &Read| {
            let has_other_view = read.iter().any(|(other, _)| is_other_view(zone, other));
            zone.is_mmio() && (works(&|other| is_other_view(zone, other)) || (has_other_view && first.is_err()))
        };
        let is_refused = |read: &&Read| {
            let denied = |error: &io::Error| error.kind() == io::ErrorKind::PermissionDenied;
            read.0.domain().is_some() && !repeats(read) && read.1.as_ref().is_err_and(denied)
        };
        let refused: Vec<PathBuf> = read
            .iter()
            .filter(is_refused)
            .map(|(zone, _)| zone.folder.join(COUNTER))
            .collect();
        let mut findings = Vec::new();
        for zone_read in read {
            let (zone, first) = zone_read;
            let outcome: Outcome = match (zone.domain(), first) {
                _ if repeats(zone_read) => Err(("another control type shows the same zone".to_owned(), None)),
                (None, _) => Err(("zones of this name are not known to measure energy".to_owned(), None)),
                (Some(domain), Err(error)) => {
                    let is_summed = matches!(domain, EnergyDomain::Package | EnergyDomain::Dram);
                    // When no package works, the estimate stands in for all of them.
                    if is_summed && has_packages && !works(&|other| is_other_view(zone, other)) {
                        self.add(access, zone, domain, None, tdp_w);
                    }
                    Err(access.explain(&zone.folder, error, &refused))
                }
                (Some(domain), Ok(first_uj)) => Ok(self.add(access, zone, domain, Some(*first_uj), tdp_w)),
            };
            findings.push(finding(subject(&zone.name, &zone.path), outcome));
        }
        findings
    }

    /// Adds a zone. Returns the detail for its finding.
    fn add(
        &mut self,
        access: &Arc<Access>,
        zone: &zones::Zone,
        domain: EnergyDomain,
        first_uj: Option<u64>,
        tdp_w: Option<f64>,
    ) -> String {
        let range_uj = read_u64(&zone.folder.join("max_energy_range_uj"))
            .ok()
            .filter(|range| *range > 0);
        let max_power_w = zone.max_power_uw().map(|uw| uw as f64 / MICROWATTS_PER_WATT);
        let highest_power_w = max_power_w.map_or(TDP_FACTOR * tdp_w.unwrap_or(LARGEST_TDP_W), |max_w| {
            LIMIT_FACTOR * max_w
        });
        let wraps = range_uj.map(|range| Wraps {
            range_j: range as f64 / MICROJOULES_PER_JOULE,
            highest_power_w,
        });
        self.counters.push(Counter {
            access: Arc::clone(access),
            folder: zone.folder.clone(),
            package: zone.package(),
            file: None,
            range_uj,
            max_power_w,
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

    /// Compares the zones' registers. Drops zones that repeat another, and states in the findings which are undecided.
    /// Those are compared again later.
    fn leave_out_repeats(&mut self, findings: &mut [Finding]) {
        let mut same = SameRegister::new(&self.registers());
        let counters = &mut self.counters;
        same.look(&mut |index| counters[index].read_once().ok());
        let names: Vec<String> = self.descriptions.iter().map(SourceDescription::subject).collect();
        let left_out = super::report_repeats(&same, &names, findings);
        super::leave_out(&left_out, &mut self.counters);
        super::leave_out(&left_out, &mut self.descriptions);
        if same.is_undecided() {
            self.same = SameRegister::new(&self.registers());
        }
    }

    /// Returns the registers of the readable zones with their numbers.
    fn registers(&self) -> Vec<(usize, Register)> {
        let all = self.counters.iter().zip(&self.descriptions).enumerate();
        let readable = all.filter(|(_, (counter, _))| counter.last_uj.is_some());
        let register = |(index, (counter, description)): (usize, (&Counter, &SourceDescription))| {
            let is_mmio = matches!(&description.id.place, Place::Zone { path, .. } if zones::is_mmio(path));
            let register = Register {
                joules_per_count: 1.0 / MICROJOULES_PER_JOULE,
                range: counter.range_uj,
                counts_from_opening: false,
                group: super::comparison_group(description.id.domain),
                package: counter.package,
                is_second_choice: is_mmio || description.id.domain == EnergyDomain::Dram,
            };
            (index, register)
        };
        readable.map(register).collect()
    }

    /// Returns the error of a zone that repeats another; `None` when it does not.
    fn repeat(&self, index: usize) -> Option<PollError> {
        let (original, moves) = self.same.original_of(index)?;
        let original = self.descriptions.get(original)?.subject();
        Some(PollError::Repeats(super::same_register_text(&original, moves)))
    }
}

impl EnergySource for RaplSource {
    fn sources(&self) -> &[SourceDescription] {
        &self.descriptions
    }

    fn sample(&mut self) -> Vec<Result<Value, PollError>> {
        if self.same.is_undecided() {
            let counters = &mut self.counters;
            self.same.look_once(&mut |index| counters[index].read_once().ok());
        }
        (0..self.counters.len()).map(|index| self.sample_one(index)).collect()
    }

    fn sample_one(&mut self, index: usize) -> Result<Value, PollError> {
        if let Some(repeat) = self.repeat(index) {
            return Err(repeat);
        }
        let Some(counter) = self.counters.get_mut(index) else {
            return Err(PollError::Gone(format!("no zone has the number {index}")));
        };
        counter.read()
    }

    /// Returns the largest power in W that the zone's constraints allow.
    fn power_limit_w(&self, index: usize) -> Option<f64> {
        self.counters.get(index)?.max_power_w
    }
}

/// Returns a zone's name in findings.
fn subject(name: &str, path: &str) -> String {
    format!("{name} ({path})")
}

/// Creates a finding.
fn finding(subject: String, outcome: Outcome) -> Finding {
    let works = outcome.is_ok();
    let (detail, fix) = outcome.map_or_else(|problem| problem, |detail| (detail, None));
    Finding {
        source: EnergySourceKind::RaplPowercap,
        subject,
        works,
        detail,
        fix,
    }
}

#[cfg(test)]
mod tests;
