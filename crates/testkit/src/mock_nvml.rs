//! The mock NVML library for tests and benches.
//!
//! Environment variables are shared by the whole process, so that each user gets a copy of the library in its own
//! folder: the loader treats it as another library with its own statics, and reads its switches from `<library>.conf`
//! next to it. The mock has no dependencies, is built with `rustc` once for each process, and is therefore never stale.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use joulemark_measurement::clock::Monotonic;

use crate::programs::scratch_folder;

/// A copy of the mock with its own switches; its folder is removed when it is dropped.
pub struct MockNvml {
    folder: tempfile::TempDir,
}

impl MockNvml {
    /// Creates a copy with these switches, one `KEY=VALUE` on each line.
    pub fn new(switches: &str) -> Self {
        let built = built();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mock = Self { folder };
        std::fs::copy(built, mock.library()).expect("a copy of the mock");
        std::fs::write(mock.folder.path().join("libmock_nvml.so.conf"), switches).expect("its switches");
        mock
    }

    /// Returns the path of the library.
    pub fn library(&self) -> PathBuf {
        self.folder.path().join("libmock_nvml.so")
    }

    /// Returns the record of what processes that load this copy have set on its devices.
    pub fn record(&self) -> PathBuf {
        self.folder.path().join("libmock_nvml.so.set")
    }

    /// Simulates a reload of the driver, for a mock with the switch `reload_when_told=1`.
    ///
    /// # Panics
    /// Panics when the record cannot be written.
    pub fn reload_driver(&self) {
        let mut record = std::fs::File::options()
            .append(true)
            .create(true)
            .open(self.record())
            .expect("the record");
        writeln!(record, "{} 0 reload 1", Monotonic::now().as_sec()).expect("it is written");
    }
}

fn built() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(build)
}

fn build() -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/mock_nvml/src/lib.rs");
    let output = scratch_folder().join(format!("libmock_nvml_{}.so", std::process::id()));
    let status = Command::new(option_env!("RUSTC").unwrap_or("rustc"))
        .args([
            "--edition",
            "2024",
            "--crate-type",
            "cdylib",
            "--crate-name",
            "mock_nvml",
            "-O",
            "-o",
        ])
        .arg(&output)
        .arg(source)
        .status()
        .expect("rustc runs");
    assert!(status.success(), "the mock builds");
    output
}

/// Returns the UUID of a device, for a mock whose serial numbers begin at 0.
pub fn uuid(device: u32) -> String {
    format!("GPU-00000000-0000-0000-0000-{device:012}")
}
