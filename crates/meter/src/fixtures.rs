//! Creates source descriptions for tests.

use super::source::{Place, SourceDescription, SourceId, Wraps};
use joulemark_measurement::{EnergyDomain, EnergyMethod, EnergySourceKind};

/// Describes the counter of a package that refreshes every millisecond.
pub fn package(wraps: Option<Wraps>) -> SourceDescription {
    SourceDescription {
        id: SourceId {
            kind: EnergySourceKind::RaplPowercap,
            domain: EnergyDomain::Package,
            place: Place::Zone {
                name: "package-0".to_owned(),
                path: "intel-rapl:0".to_owned(),
            },
        },
        method: EnergyMethod::EnergyCounter,
        refresh_sec: 0.001,
        averaging_sec: 0.0,
        relative_uncertainty: 0.0,
        wraps,
        note: None,
    }
}

/// Describes a GPU that refreshes every 100 ms, unless its readings show another period.
pub fn gpu(index: u32, method: EnergyMethod) -> SourceDescription {
    SourceDescription {
        id: SourceId {
            kind: EnergySourceKind::Nvml,
            domain: EnergyDomain::Gpu,
            place: Place::Gpu {
                index,
                uuid: format!("GPU-{index}"),
            },
        },
        method,
        refresh_sec: 0.1,
        ..package(None)
    }
}
