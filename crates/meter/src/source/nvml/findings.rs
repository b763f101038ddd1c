//! What `doctor` says of NVML and of each board: whether it works, why not, and the exact fix.

use nvml_wrapper::error::NvmlError;

use super::super::Finding;
use super::errors::explain;
use joulemark_measurement::EnergySourceKind;

pub fn works(subject: String, detail: String) -> Finding {
    Finding {
        source: EnergySourceKind::Nvml,
        subject,
        works: true,
        detail,
        fix: None,
    }
}

pub fn failed(subject: String, detail: String, error: &NvmlError) -> Finding {
    Finding {
        source: EnergySourceKind::Nvml,
        subject,
        works: false,
        detail,
        fix: explain(error).fix.map(str::to_owned),
    }
}

/// Says that a driver call does not return, and what ends that.
pub fn hanging(subject: String, detail: String) -> Finding {
    Finding {
        source: EnergySourceKind::Nvml,
        subject,
        works: false,
        detail,
        fix: Some(
            "see the kernel log for Xid errors (`sudo dmesg | grep -i xid`); reset the board or reboot".to_owned(),
        ),
    }
}

/// What stands in the way of the whole library.
pub fn library_failed(detail: String, error: &NvmlError) -> Finding {
    failed("NVML".to_owned(), detail, error)
}

pub fn no_gpu() -> Finding {
    Finding {
        source: EnergySourceKind::Nvml,
        subject: "NVML".to_owned(),
        works: false,
        detail: "NVML works but sees no GPU".to_owned(),
        fix: None,
    }
}
