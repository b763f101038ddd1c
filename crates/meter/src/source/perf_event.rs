//! Reads CPU and memory energy through the kernel's `power` PMU (perf_event): RAPL counters extended to 64 bits, which
//! do not wrap.
//!
//! Owns the set of events, one for each package and domain, and the explanation of a refusal. Zones have powercap's
//! names, so that results look alike for both interfaces. The choice between the two is `discovery`'s.

mod events;
mod open;
mod roots;

use std::io;
use std::path::Path;

use events::{Event, Pmu};
pub use roots::PerfEventRoots;

use super::same_register::{Register, SameRegister};
use super::{EnergySource, Finding, Place, PollError, SourceDescription, SourceId, Value};
use joulemark_measurement::clock::Monotonic;
use joulemark_measurement::{EnergyDomain, EnergyMethod, EnergySourceKind};

/// Refresh period of RAPL registers in seconds: about every millisecond, as Intel's SDM (volume 3, RAPL interfaces)
/// states for its own. The kernel reads them when the event is read.
const REFRESH_SEC: f64 = 1e-3;

/// The fix for a missing permission.
const FIX: &str = "`sudo setcap cap_perfmon+ep \"$(readlink -f \"$(command -v joulemark)\")\"` (Linux 5.8 or later), or \
                   `sudo sysctl kernel.perf_event_paranoid=0`, or run joulemark as root; in a container: start it with \
                   `--cap-add PERFMON`";

/// Function that returns the count of an open event since its opening.
type Counter = Box<dyn FnMut() -> io::Result<u64> + Send>;

/// The energy events of the `power` PMU that could be opened.
pub struct PerfEventSource {
    counters: Vec<(Counter, f64)>,
    descriptions: Vec<SourceDescription>,
    same: SameRegister,
}

impl PerfEventSource {
    /// Opens every event of the PMU. Returns the source with a finding for each event, or with one for the PMU when it
    /// has none.
    pub fn open(roots: &PerfEventRoots) -> (Self, Vec<Finding>) {
        Self::open_on(roots, None)
    }

    /// Opens as [`open`](Self::open) does. `guest` is the sign that this host is a virtual machine.
    pub(crate) fn open_on(roots: &PerfEventRoots, guest: Option<&str>) -> (Self, Vec<Finding>) {
        Self::open_with(roots, guest, |pmu, event| {
            let mut counter = open::open(pmu.kind, event.config, event.cpu)?;
            Ok(Box::new(move || counter.read()))
        })
    }

    /// Opens the events by `open`.
    fn open_with(
        roots: &PerfEventRoots,
        guest: Option<&str>,
        open: impl Fn(&Pmu, &Event) -> io::Result<Counter>,
    ) -> (Self, Vec<Finding>) {
        let mut source = Self {
            counters: Vec::new(),
            descriptions: Vec::new(),
            same: SameRegister::default(),
        };
        let pmu = match events::read(roots) {
            Ok(pmu) => pmu,
            Err(why) => return (source, vec![absent(&roots.pmu, &why.to_string(), guest)]),
        };
        let mut findings: Vec<Finding> = pmu
            .not_understood
            .iter()
            .map(|why| not_understood_finding(&roots.pmu, why))
            .collect();
        for event in &pmu.events {
            let subject = format!("{} ({})", event.zone, event.path());
            findings.push(match open(&pmu, event) {
                Ok(counter) => {
                    source.add(event, counter);
                    finding(
                        subject,
                        true,
                        "64-bit energy counter through perf_event".to_owned(),
                        None,
                    )
                }
                Err(error) => refused(subject, &error),
            });
        }
        source.leave_out_repeats(&mut findings);
        (source, findings)
    }

    /// Compares the events' registers: a `cpumask` may list several CPUs of one package, and dies may share a register.
    /// Drops events that repeat another, and states in the findings which are undecided. Those are compared again
    /// later.
    fn leave_out_repeats(&mut self, findings: &mut [Finding]) {
        let mut same = SameRegister::new(&self.registers());
        let counters = &mut self.counters;
        same.look(&mut |index| (counters[index].0)().ok());
        let names: Vec<String> = self.descriptions.iter().map(SourceDescription::subject).collect();
        let left_out = super::report_repeats(&same, &names, findings);
        super::leave_out(&left_out, &mut self.counters);
        super::leave_out(&left_out, &mut self.descriptions);
        if same.is_undecided() {
            self.same = SameRegister::new(&self.registers());
        }
    }

    /// Returns the events' registers with their numbers.
    fn registers(&self) -> Vec<(usize, Register)> {
        let all = self.counters.iter().zip(&self.descriptions).enumerate();
        let register =
            |(index, ((_, joules_per_count), description)): (usize, (&(Counter, f64), &SourceDescription))| {
                let domain = description.id.domain;
                let register = Register {
                    joules_per_count: *joules_per_count,
                    range: None,
                    counts_from_opening: true,
                    group: super::comparison_group(domain),
                    package: None,
                    is_second_choice: domain == EnergyDomain::Dram,
                };
                (index, register)
            };
        all.map(register).collect()
    }

    /// Reads one event.
    fn read(&mut self, index: usize) -> Result<Value, PollError> {
        if let Some((original, moves)) = self.same.original_of(index) {
            let original = self.descriptions[original].subject();
            return Err(PollError::Repeats(super::same_register_text(&original, moves)));
        }
        let (counter, joules_per_count) = &mut self.counters[index];
        let count = counter();
        let at = Monotonic::now();
        match count {
            Ok(count) => Ok(Value {
                at,
                counter_j: Some(count as f64 * *joules_per_count),
                power_w: None,
            }),
            Err(error) => Err(PollError::Retry(format!("perf_event: {error}"))),
        }
    }

    /// Returns whether a package's energy was opened. Otherwise the powercap tree is the better source.
    pub fn has_packages(&self) -> bool {
        self.descriptions
            .iter()
            .any(|description| description.id.domain == EnergyDomain::Package)
    }

    /// Adds an open event.
    fn add(&mut self, event: &Event, counter: Counter) {
        self.counters.push((counter, event.joules_per_count));
        self.descriptions.push(SourceDescription {
            id: SourceId {
                kind: EnergySourceKind::RaplPerfEvent,
                domain: event.domain,
                place: Place::Zone {
                    name: event.zone.clone(),
                    path: event.path(),
                },
            },
            method: EnergyMethod::EnergyCounter,
            refresh_sec: REFRESH_SEC,
            averaging_sec: 0.0,
            relative_uncertainty: 0.0,
            wraps: None,
            note: None,
        });
    }
}

impl EnergySource for PerfEventSource {
    fn sources(&self) -> &[SourceDescription] {
        &self.descriptions
    }

    fn sample(&mut self) -> Vec<Result<Value, PollError>> {
        if self.same.is_undecided() {
            let counters = &mut self.counters;
            self.same.look_once(&mut |index| (counters[index].0)().ok());
        }
        (0..self.counters.len()).map(|index| self.read(index)).collect()
    }
}

/// Creates a finding.
fn finding(subject: String, works: bool, detail: String, fix: Option<String>) -> Finding {
    Finding {
        source: EnergySourceKind::RaplPerfEvent,
        subject,
        works,
        detail,
        fix,
    }
}

/// Creates the finding of an event that cannot be opened.
fn refused(subject: String, error: &io::Error) -> Finding {
    if error.kind() == io::ErrorKind::PermissionDenied {
        let detail =
            format!("the kernel refuses the event ({error}): it requires CAP_PERFMON or perf_event_paranoid 0");
        return finding(subject, false, detail, Some(FIX.to_owned()));
    }
    finding(subject, false, format!("the event cannot be opened: {error}"), None)
}

/// Creates the finding of a PMU that cannot be read.
fn absent(pmu: &Path, why: &str, guest: Option<&str>) -> Finding {
    let subject = pmu.display().to_string();
    match guest {
        Some(guest) => {
            let detail = format!("{why}. This is a virtual machine ({guest}): nothing you do inside it helps");
            finding(subject, false, detail, None)
        }
        None => {
            let has_driver = cfg!(any(target_arch = "x86_64", target_arch = "x86"));
            let fix = has_driver.then(|| "`sudo modprobe rapl` on the host (Intel and AMD)".to_owned());
            finding(subject, false, why.to_owned(), fix)
        }
    }
}

/// Creates the finding of an event that is not understood. There is no fix, because the driver is loaded.
fn not_understood_finding(pmu: &Path, why: &str) -> Finding {
    finding(pmu.display().to_string(), false, why.to_owned(), None)
}

#[cfg(test)]
mod tests;
