//! Kills processes at random times while they set boards, and checks that the boards are restored.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use joulemark_power_control::{Controller, PowerControl, Setting, reads};
use joulemark_testkit::mock_nvml::{MockNvml, uuid};
use joulemark_testkit::simulation::Chance;

const LIBRARY: &str = "POWER_CONTROL_TEST_LIBRARY";
const JOURNALS: &str = "POWER_CONTROL_TEST_JOURNALS";
const KILLS: u32 = 50;
/// Maximum time before a kill. Starting and setting two boards take a few milliseconds each, so that kills fall before,
/// during and after.
const MAX_MS: f64 = 25.0;

fn controller(library: &Path, journals: &Path) -> Controller {
    Controller {
        control: PowerControl::Nvml,
        nvml_library: Some(library.to_owned()),
        journals: journals.to_owned(),
    }
}

/// Sets and restores boards until it is killed. The test below runs it as a process of its own.
#[test]
fn a_process_to_be_killed() {
    let (Some(library), Some(journals)) = (std::env::var_os(LIBRARY), std::env::var_os(JOURNALS)) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let controller = controller(Path::new(&library), Path::new(&journals));
        let setting = Setting {
            power_limit_w: Some(300.0),
            gpu_clock_mhz: Some(1200),
            memory_clock_mhz: None,
        };
        loop {
            let held = controller
                .set(&[uuid(0), uuid(1)], setting, "a test")
                .await
                .expect("they are set");
            held.restore().await;
        }
    });
}

#[tokio::test]
async fn boards_are_restored_whenever_their_process_is_killed() {
    let mock = MockNvml::new("devices=2\nmax_limit=500\ndefault_limit=400\npower_limit=400");
    let folder = tempfile::tempdir().expect("a folder");
    let controller = controller(&mock.library(), folder.path());
    let mut chance = Chance::new(23);
    let mut left = 0;
    for _ in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "a_process_to_be_killed"])
            .env(LIBRARY, mock.library())
            .env(JOURNALS, folder.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("it starts");
        tokio::time::sleep(Duration::from_secs_f64(chance.between(0.0, MAX_MS) / 1e3)).await;
        child.kill().expect("it lives");
        child.wait().expect("it is ours");
        left += controller.restore_left().await.expect("journals").len();
        for device in 0..2 {
            let limits = reads(Some(&mock.library()), &uuid(device)).expect("the board answers");
            assert_eq!(limits.set_w, Some(400.0));
        }
        let nvml = joulemark_meter::open_nvml(Some(&mock.library())).expect("the mock");
        let clock = nvml
            .device_by_index(0)
            .and_then(|board| board.clock_info(nvml_wrapper::enum_wrappers::device::Clock::SM));
        assert_eq!(clock.expect("its clock"), 1410);
    }
    assert!(left > 0, "none of the kills left a board set");
}
