//! Builds the findings on NVML and on each board: whether it works, why not, and the exact fix.

use nvml_wrapper::error::NvmlError;

use super::super::Finding;
use super::errors::explain;
use joulemark_measurement::EnergySourceKind;

/// Creates the finding of something that works.
pub fn works(subject: String, detail: String) -> Finding {
    Finding {
        source: EnergySourceKind::Nvml,
        subject,
        works: true,
        detail,
        fix: None,
    }
}

/// Creates the finding of an error, with its fix.
pub fn failed(subject: String, detail: String, error: &NvmlError) -> Finding {
    Finding {
        source: EnergySourceKind::Nvml,
        subject,
        works: false,
        detail,
        fix: explain(error).fix.map(str::to_owned),
    }
}

/// Creates the finding of a driver call that does not return, with the fix.
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

/// Creates the finding of an error that prevents the use of the whole library.
pub fn library_failed(detail: String, error: &NvmlError) -> Finding {
    failed("NVML".to_owned(), detail, error)
}

/// Creates the finding of a host on which NVML sees no GPU.
pub fn no_gpu() -> Finding {
    Finding {
        source: EnergySourceKind::Nvml,
        subject: "NVML".to_owned(),
        works: false,
        detail: "NVML works but sees no GPU".to_owned(),
        fix: None,
    }
}
