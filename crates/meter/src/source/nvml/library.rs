//! Finds the library `libnvidia-ml` and chooses among several. Knows paths, not devices.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use nvml_wrapper::Nvml;
use nvml_wrapper::error::NvmlError;

use super::super::Finding;
use super::errors::describe_error;
use super::findings::library_failed;
use joulemark_measurement::EnergySourceKind;

/// Names and paths in order of preference. Names come first, so that the loader's search decides; some hosts have only
/// one of the two names.
const CANDIDATES: &[&str] = &[
    "libnvidia-ml.so",
    "libnvidia-ml.so.1",
    "/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1",
    "/usr/lib/aarch64-linux-gnu/libnvidia-ml.so.1",
    "/usr/lib64/libnvidia-ml.so.1",
    "/usr/lib/libnvidia-ml.so.1",
    "/usr/local/nvidia/lib64/libnvidia-ml.so.1",
    "/usr/lib/wsl/lib/libnvidia-ml.so.1",
    "/run/opengl-driver/lib/libnvidia-ml.so.1",
];

/// Loads the library that the operator named, or else the first candidate that initialises. Returns it with its name or
/// path.
///
/// # Errors
/// Returns the finding that states why no library can be used.
pub fn load(named: Option<&Path>) -> Result<(Nvml, OsString), Finding> {
    let candidates = match named {
        Some(path) => vec![path.as_os_str()],
        None => CANDIDATES.iter().map(OsStr::new).collect(),
    };
    let mut loaded_but_failed = None;
    let mut not_loaded = None;
    for candidate in &candidates {
        match Nvml::builder().lib_path(candidate).init() {
            Ok(nvml) => return Ok((nvml, (*candidate).to_owned())),
            Err(error @ NvmlError::LibloadingError(_)) => not_loaded = Some(error),
            // The CUDA toolkit ships a stub under the same name. The driver's library may come later, and its error is
            // the cause.
            Err(NvmlError::LibraryNotFound) if loaded_but_failed.is_some() => {}
            Err(error) => loaded_but_failed = Some((candidate.to_string_lossy().into_owned(), error)),
        }
    }
    let (detail, fix) = match (loaded_but_failed, named, not_loaded) {
        (Some((path, error)), ..) => {
            let detail = format!("{path} does not initialise: {}", describe_error(&error));
            return Err(library_failed(detail, &error));
        }
        (None, Some(path), error) => (
            format!(
                "{} cannot be loaded{}",
                path.display(),
                error.map(|error| format!(": {error}")).unwrap_or_default()
            ),
            Some("give --nvml-lib the driver's own libnvidia-ml.so.1, or leave it out".to_owned()),
        ),
        (None, None, _) => (
            format!("no NVIDIA library among {}", CANDIDATES.join(", ")),
            Some("with an NVIDIA GPU: install its driver, or name the library with --nvml-lib".to_owned()),
        ),
    };
    Err(Finding {
        source: EnergySourceKind::Nvml,
        subject: "NVML".to_owned(),
        works: false,
        detail,
        fix,
    })
}
