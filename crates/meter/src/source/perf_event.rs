//! CPU and memory energy through the kernel's `power` PMU (perf_event): RAPL widened to 64 bits, so it never wraps.
//!
//! Owns which events there are, one for each package and domain, and what a refusal means for the operator. Zones are
//! named as the powercap tree names them, so that a result reads the same by either way. Deliberately does not know
//! the powercap tree: which of the two is taken is `discovery`'s choice.

mod events;
mod open;
mod roots;

use std::io;
use std::path::Path;

use events::{Event, Pmu};
pub use roots::PerfEventRoots;

use super::{EnergySource, Finding, Place, PollError, SourceDescription, SourceId, Value};
use joulemark_measurement::clock::Monotonic;
use joulemark_measurement::{EnergyDomain, EnergyMethod, EnergySourceKind};

/// RAPL registers move about every millisecond, as Intel's SDM (volume 3, RAPL interfaces) says of its own; the kernel
/// reads them when the event is read.
const REFRESH_SEC: f64 = 1e-3;

const FIX: &str = "`sudo setcap cap_perfmon+ep \"$(readlink -f \"$(command -v joulemark)\")\"` (Linux 5.8 or later), or \
                   `sudo sysctl kernel.perf_event_paranoid=0`, or run joulemark as root; in a container: start it with \
                   `--cap-add PERFMON`";

/// What an opened event counts, since it was opened.
type Counter = Box<dyn FnMut() -> io::Result<u64> + Send>;

/// The energy events of the `power` PMU that could be opened.
pub struct PerfEventSource {
    counters: Vec<(Counter, f64)>,
    descriptions: Vec<SourceDescription>,
}

impl PerfEventSource {
    /// Opens every event of the PMU. Returns them with a finding for each, or one for the PMU when there is none.
    pub fn open(roots: &PerfEventRoots) -> (Self, Vec<Finding>) {
        Self::open_with(roots, |pmu, event| {
            let mut counter = open::open(pmu.kind, event.config, event.cpu)?;
            Ok(Box::new(move || counter.read()))
        })
    }

    fn open_with(roots: &PerfEventRoots, open: impl Fn(&Pmu, &Event) -> io::Result<Counter>) -> (Self, Vec<Finding>) {
        let mut source = Self {
            counters: Vec::new(),
            descriptions: Vec::new(),
        };
        let pmu = match events::read(roots) {
            Ok(pmu) => pmu,
            Err(why) => return (source, vec![absent(&roots.pmu, &why.to_string())]),
        };
        let mut findings: Vec<Finding> = pmu.oddities.iter().map(|why| absent(&roots.pmu, why)).collect();
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
        (source, findings)
    }

    /// Returns whether the packages' energy is among what was opened; without it the powercap tree is the better source.
    pub fn has_packages(&self) -> bool {
        self.descriptions
            .iter()
            .any(|description| description.id.domain == EnergyDomain::Package)
    }

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
        let read = |(counter, joules_per_count): &mut (Counter, f64)| {
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
        };
        self.counters.iter_mut().map(read).collect()
    }
}

fn finding(subject: String, works: bool, detail: String, fix: Option<String>) -> Finding {
    Finding {
        source: EnergySourceKind::RaplPerfEvent,
        subject,
        works,
        detail,
        fix,
    }
}

fn refused(subject: String, error: &io::Error) -> Finding {
    if error.kind() == io::ErrorKind::PermissionDenied {
        let detail = format!("the kernel refuses the event ({error}): it takes CAP_PERFMON or perf_event_paranoid 0");
        return finding(subject, false, detail, Some(FIX.to_owned()));
    }
    finding(subject, false, format!("the event cannot be opened: {error}"), None)
}

fn absent(pmu: &Path, why: &str) -> Finding {
    let detail = format!("{why}; virtual machines usually show no power PMU");
    let fix = "on bare metal: `sudo modprobe rapl` (Intel and AMD); in a virtual machine nothing helps".to_owned();
    finding(pmu.display().to_string(), false, detail, Some(fix))
}

#[cfg(test)]
mod tests;
