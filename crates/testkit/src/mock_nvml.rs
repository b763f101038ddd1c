//! The mock NVML library for a test or a bench: built once a process, a copy with switches of its own for each user.
//!
//! Environment variables are one for the process, so each user has a copy of the library in a folder of its own: the
//! loader sees another file and gives it its own statics, and its switches stand in `<library>.conf` beside it.
//! The mock has no dependencies: it is built with `rustc`, once a process, and is never stale.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use joulemark_measurement::clock::Monotonic;

use crate::programs::scratch_folder;

/// A copy of the mock with its own switches; the folder goes when it is dropped.
pub struct MockNvml {
    folder: tempfile::TempDir,
}

impl MockNvml {
    pub fn new(switches: &str) -> Self {
        let built = built();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mock = Self { folder };
        std::fs::copy(built, mock.library()).expect("a copy of the mock");
        std::fs::write(mock.folder.path().join("libmock_nvml.so.conf"), switches).expect("its switches");
        mock
    }

    pub fn library(&self) -> PathBuf {
        self.folder.path().join("libmock_nvml.so")
    }

    /// Returns the file in which every process that loads this copy finds what any of them has set.
    pub fn record(&self) -> PathBuf {
        self.folder.path().join("libmock_nvml.so.set")
    }

    /// Has the driver loaded anew, of a mock whose switches have `reload_when_told=1`.
    ///
    /// # Panics
    /// When the record cannot be written.
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

pub fn uuid(device: u32) -> String {
    format!("GPU-00000000-0000-0000-0000-{device:012}")
}
