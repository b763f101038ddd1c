//! What `doctor` says of NVML and of each board: whether it works, why not, and the exact fix.

use nvml_wrapper::error::NvmlError;

use super::super::Finding;
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
    let fix = match error {
        NvmlError::NoPermission => {
            Some("run as a user who may open /dev/nvidia*, or give the container the device (`--gpus all`)")
        }
        NvmlError::GpuLost | NvmlError::ResetRequired => Some("`sudo nvidia-smi --gpu-reset`, or reboot the host"),
        NvmlError::DriverNotLoaded => Some("`sudo modprobe nvidia`"),
        _ => None,
    };
    Finding {
        source: EnergySourceKind::Nvml,
        subject,
        works: false,
        detail,
        fix: fix.map(str::to_owned),
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

pub fn whole_library(detail: String) -> Finding {
    Finding {
        source: EnergySourceKind::Nvml,
        subject: "NVML".to_owned(),
        works: false,
        detail,
        fix: None,
    }
}
