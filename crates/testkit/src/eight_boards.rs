//! A large host: eight GPUs, two CPU packages and their memory.

use std::time::Duration;

use joulemark_meter::{EnergyOptions, HostMeter, open};

use crate::fake_powercap::{FakePowercap, FakeZone};
use crate::mock_nvml::MockNvml;

/// The meter of eight mock GPUs and two fake CPU packages with DRAM, which exist as long as it does.
pub struct EightBoards {
    pub meter: HostMeter,
    _mock: MockNvml,
    _tree: FakePowercap,
}

impl EightBoards {
    /// Starts the meter. `refresh_ms` is one refresh period for all GPUs, or one for each, separated by commas.
    ///
    /// # Panics
    /// Panics where the meter does not start.
    pub fn start(refresh_ms: &str, sample_interval: Duration) -> Self {
        let mock = MockNvml::new(&format!("devices=8\nrefresh_ms={refresh_ms}\nshape=sine:250:100:3"));
        let tree = FakePowercap::start(vec![
            FakeZone::new("intel-rapl:0", "package-0", "constant:100"),
            FakeZone::new("intel-rapl:0:0", "dram", "constant:10"),
            FakeZone::new("intel-rapl:1", "package-1", "constant:100"),
            FakeZone::new("intel-rapl:1:0", "dram", "constant:10"),
        ]);
        let opened = open(&EnergyOptions {
            rapl_root: tree.root(),
            perf_event: None,
            nvml_library: Some(mock.library()),
            sample_interval,
            ..EnergyOptions::default()
        });
        Self {
            meter: HostMeter::start(opened).expect("a meter"),
            _mock: mock,
            _tree: tree,
        }
    }
}
