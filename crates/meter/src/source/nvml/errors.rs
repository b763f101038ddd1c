//! Explains NVML's return codes: the cause, and the fix where there is one.

use nvml_wrapper::error::NvmlError;

/// The meaning of an error and the next step for the operator.
#[derive(Clone, Copy, Debug)]
pub struct Explanation {
    /// NVML's code of the error; `None` for a failure of the loader or the wrapper.
    pub code: Option<u32>,
    /// Cause of the error.
    pub cause: &'static str,
    /// Exact next step; `None` where nothing helps.
    pub fix: Option<&'static str>,
}

const RESET: &str =
    "`sudo nvidia-smi --gpu-reset`, or reboot the host; `sudo dmesg | grep -i -e xid -e nvrm` shows the reason";
const ONE_VERSION: &str = "install the driver anew, its libraries and kernel modules of one version, and reboot the host; \
                           where several libraries are installed, name the driver's own with --nvml-lib";
const PERMIT: &str = "run as a user who may open /dev/nvidia* (`ls -l /dev/nvidia*` shows the group: `sudo usermod -aG \
                      GROUP USER`, then log in again), or give the container the device (`--gpus all`)";
const RELOAD: &str = "reboot the host, or stop all that uses the GPUs and reload the modules: `sudo modprobe -r nvidia_uvm \
                      nvidia_drm nvidia_modeset nvidia && sudo modprobe nvidia`; then restart containers that use GPUs";
const INSTALL: &str = "install the NVIDIA driver's own libraries (libnvidia-ml.so.1 comes with the driver, not with the CUDA \
                       toolkit); in a container: install the NVIDIA Container Toolkit on the host and start the container \
                       with `--gpus all`";

/// Returns the explanation of `error`.
#[expect(deprecated, reason = "old drivers still answer with the code")]
pub fn explain(error: &NvmlError) -> Explanation {
    use NvmlError as E;
    let (code, cause, fix) = match error {
        E::Uninitialized => (
            1,
            "the driver was unloaded or reloaded meanwhile",
            Some("start joulemark again"),
        ),
        E::InvalidArg => (2, "the library and the driver do not match", Some(ONE_VERSION)),
        E::NotSupported => (3, "the board or its driver does not have this", None),
        E::NoPermission => (4, "this user may not use the driver", Some(PERMIT)),
        E::AlreadyInitialized => (5, "the library is in use already", None),
        E::NotFound => (6, "the driver does not know what was requested", None),
        E::InsufficientSize(_) => (7, "the driver's answer is longer than this program expects", None),
        E::InsufficientPower => (
            8,
            "a board's external power cables are not attached",
            Some("switch the host off and attach the power cables of its GPUs"),
        ),
        E::DriverNotLoaded => (9, "the NVIDIA driver is not loaded", Some("`sudo modprobe nvidia`")),
        E::Timeout => (10, "the driver did not answer in time", Some(RESET)),
        E::IrqIssue => (
            11,
            "the kernel has trouble with a GPU's interrupts",
            Some("reboot the host; `sudo dmesg | grep -i nvrm` names the GPU"),
        ),
        E::LibraryNotFound => (
            12,
            "a library of the driver is missing, or this one is a stub",
            Some(INSTALL),
        ),
        E::FunctionNotFound => (13, "the library is too old and lacks this function", Some(ONE_VERSION)),
        E::CorruptedInfoROM => (
            14,
            "a board's infoROM is corrupted",
            Some(
                "`sudo nvidia-smi --gpu-reset`, or reboot the host; when it stays, have the board that `nvidia-smi -q` \
                 names serviced",
            ),
        ),
        E::GpuLost => (15, "a GPU fell off the bus", Some(RESET)),
        E::ResetRequired => (16, "a GPU has to be reset", Some(RESET)),
        E::OperatingSystem => (
            17,
            "the operating system or a cgroup denies this process access to the devices",
            Some(
                "give the container its devices (`--gpus all`), a systemd service `DeviceAllow=char-nvidia-frontend rw` \
                 and `DeviceAllow=char-nvidia rw`",
            ),
        ),
        E::LibRmVersionMismatch => (
            18,
            "library and loaded kernel modules are of different versions, as after an update of the driver",
            Some(RELOAD),
        ),
        E::InUse => (
            19,
            "another process has the GPU",
            Some("end the process that has it: `sudo fuser -v /dev/nvidia*` names it"),
        ),
        E::InsufficientMemory => (
            20,
            "there is not enough memory",
            Some("free memory on the host (`free -h` shows it), then start joulemark again"),
        ),
        E::NoData => (21, "the driver has no data for this", None),
        E::VgpuEccNotSupported => (
            22,
            "a vGPU cannot be used while ECC is on",
            Some("`sudo nvidia-smi -e 0`, then reboot the host"),
        ),
        E::Unknown => (
            999,
            "the driver has an internal error",
            Some(
                "in a container: start it anew with its devices (`--gpus all`); on the host: `sudo nvidia-smi \
                 --gpu-reset`, or reboot; `sudo dmesg | grep -i nvrm` shows the reason",
            ),
        ),
        E::UnexpectedVariant(code) => later(*code),
        _ => {
            return Explanation {
                code: None,
                cause: "the library cannot be used",
                fix: None,
            };
        }
    };
    Explanation {
        code: Some(code),
        cause,
        fix,
    }
}

/// Returns the code, cause and fix of errors that the wrapper has no names for.
fn later(code: u32) -> (u32, &'static str, Option<&'static str>) {
    let (cause, fix) = match code {
        23 => (
            "the driver has no resources left",
            Some("end other programs that use the GPUs, or reboot the host"),
        ),
        24 => ("the board does not have this clock", None),
        25 => (
            "the library and this program use different versions of a call",
            Some(ONE_VERSION),
        ),
        26 => ("the driver no longer has this call", None),
        27 => (
            "the driver is not ready yet",
            Some("start joulemark again once `nvidia-smi` answers; `sudo nvidia-smi -pm 1` keeps the driver ready"),
        ),
        28 => (
            "the driver sees no GPU",
            Some("`lspci | grep -i nvidia` shows whether one is there; a container gets them with `--gpus all`"),
        ),
        29 => ("a GPU or the driver is in an invalid state", Some(RESET)),
        30 => ("this kind of reset is not possible", None),
        _ => ("the driver returned an unknown code", None),
    };
    (code, cause, fix)
}

/// Returns the cause with NVML's error code.
pub fn describe_error(error: &NvmlError) -> String {
    match explain(error) {
        Explanation {
            code: Some(code),
            cause,
            ..
        } => format!("{cause} (NVML error {code}: {error})"),
        Explanation { cause, .. } => format!("{cause}: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_return_code_has_its_number_and_its_cause_and_a_fix_where_one_helps() {
        let helpless = [3, 5, 6, 7, 21, 24, 26, 30];
        for code in (1..=30).chain([999]) {
            let error = NvmlError::from(code);
            let explanation = explain(&error);
            assert_eq!(explanation.code, Some(code), "{error}");
            assert_eq!(explanation.fix.is_none(), helpless.contains(&code), "{code}: {error}");
            assert!(describe_error(&error).contains(&format!("NVML error {code}")));
        }
        assert!(explain(&NvmlError::from(77)).cause.contains("unknown code"));
    }
}
