//! Sets and restores boards of the mock driver directly.

use std::path::Path;

use joulemark_power_control::{Controller, PowerControl, Restored, Setting, reads};
use joulemark_testkit::mock_nvml::{MockNvml, uuid};

const LIMITS: &str = "devices=2\nmax_limit=500\ndefault_limit=400\npower_limit=400";

fn controller(mock: &MockNvml, journals: &Path) -> Controller {
    Controller {
        control: PowerControl::Nvml,
        nvml_library: Some(mock.library()),
        journals: journals.to_owned(),
    }
}

fn limit(watts: f64) -> Setting {
    Setting {
        power_limit_w: Some(watts),
        ..Setting::default()
    }
}

fn shown_w(mock: &MockNvml, device: u32) -> f64 {
    let limits = reads(Some(&mock.library()), &uuid(device)).expect("the board answers");
    limits.set_w.expect("it has a limit")
}

fn both() -> Vec<String> {
    vec![uuid(0), uuid(1)]
}

#[tokio::test]
async fn boards_have_the_requested_limits_until_they_are_restored() {
    let (mock, folder) = (MockNvml::new(LIMITS), tempfile::tempdir().expect("a folder"));
    let controller = controller(&mock, folder.path());
    let held = controller
        .set(&both(), limit(300.0), "a test")
        .await
        .expect("they are set");
    let in_force: Vec<_> = held.boards().map(|board| board.limit_in_force_w).collect();
    assert_eq!(in_force, [Some(300.0), Some(300.0)]);
    assert_eq!((shown_w(&mock, 0), shown_w(&mock, 1)), (300.0, 300.0));
    let busy = controller
        .set(&both(), limit(350.0), "another")
        .await
        .expect_err("it is held");
    assert!(
        busy.to_string().contains("another process has set this board"),
        "{busy}"
    );
    let restored = held.restore().await;
    let back = Restored::Back { limit_w: Some(400.0) };
    assert!(restored.iter().all(|board| board.restored == back), "{restored:?}");
    assert_eq!((shown_w(&mock, 0), shown_w(&mock, 1)), (400.0, 400.0));
    assert_eq!(controller.restore_left().await.expect("journals"), []);
}

#[tokio::test]
async fn boards_left_set_are_restored_but_not_limits_set_by_others() {
    let (mock, folder) = (MockNvml::new(LIMITS), tempfile::tempdir().expect("a folder"));
    let controller = controller(&mock, folder.path());
    let held = controller
        .set(&both(), limit(300.0), "a test")
        .await
        .expect("they are set");
    drop(held);
    assert_eq!(shown_w(&mock, 0), 300.0, "it has not been restored");
    let other_folder = tempfile::tempdir().expect("a folder");
    let other = Controller {
        journals: other_folder.path().to_owned(),
        ..controller.clone()
    };
    let _ = other
        .set(&[uuid(1)], limit(250.0), "somebody else")
        .await
        .expect("it is set");
    let restored = controller.restore_left().await.expect("journals");
    let found: Vec<_> = restored
        .iter()
        .map(|board| (board.uuid.clone(), board.restored.clone()))
        .collect();
    let left = Restored::LeftAlone {
        found_w: 250.0,
        set_w: 300.0,
    };
    assert!(
        found.contains(&(uuid(0), Restored::Back { limit_w: Some(400.0) })),
        "{found:?}"
    );
    assert!(found.contains(&(uuid(1), left)), "{found:?}");
    assert_eq!((shown_w(&mock, 0), shown_w(&mock, 1)), (400.0, 250.0));
    assert_eq!(
        controller.restore_left().await.expect("journals"),
        [],
        "it is done once"
    );
}

#[tokio::test]
async fn a_board_left_set_is_restored_before_it_is_set_again() {
    let (mock, folder) = (MockNvml::new(LIMITS), tempfile::tempdir().expect("a folder"));
    let controller = controller(&mock, folder.path());
    drop(
        controller
            .set(&[uuid(0)], limit(300.0), "a test")
            .await
            .expect("it is set"),
    );
    let held = controller
        .set(&[uuid(0)], limit(350.0), "the next")
        .await
        .expect("it is set");
    assert_eq!(held.boards().next().and_then(|board| board.limit_before_w), Some(400.0));
    held.restore().await;
    assert_eq!(shown_w(&mock, 0), 400.0);
}

#[tokio::test]
async fn a_board_is_restored_after_a_driver_reload_unless_it_was_set_since() {
    let mock = MockNvml::new(&format!("{LIMITS}\nreload_when_told=1\nreload_sec=0.2"));
    let folder = tempfile::tempdir().expect("a folder");
    let set = |device: u32, watts: u32| {
        let nvml = joulemark_meter::open_nvml(Some(&mock.library())).expect("the mock");
        let mut board = nvml.device_by_index(device).expect("a board");
        board.set_power_management_limit(watts * 1000).expect("it is taken");
    };
    // Not the driver's default.
    set(0, 350);
    set(1, 350);
    let controller = controller(&mock, folder.path());
    let held = controller
        .set(&both(), limit(300.0), "a test")
        .await
        .expect("they are set");
    mock.reload_driver();
    while reads(Some(&mock.library()), &uuid(0)).is_err() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(
        (shown_w(&mock, 0), shown_w(&mock, 1)),
        (400.0, 400.0),
        "it is forgotten"
    );
    set(1, 250);
    let restored = held.restore().await;
    let left = Restored::LeftAlone {
        found_w: 250.0,
        set_w: 300.0,
    };
    let became: Vec<_> = restored.iter().map(|board| board.restored.clone()).collect();
    assert_eq!(became, [Restored::Back { limit_w: Some(350.0) }, left]);
    assert_eq!((shown_w(&mock, 0), shown_w(&mock, 1)), (350.0, 250.0));
}

#[tokio::test]
async fn a_board_that_does_not_take_the_values_is_reported_and_all_are_restored() {
    for (switches, asked_w, message) in [
        (
            "limit_step=25",
            310.0,
            "took a power limit of 300 W where 310 W was asked for",
        ),
        ("stricter_limit=260", 300.0, "a stricter one of 260 W is in force"),
        ("set_refused=0,1", 300.0, "it may not be set"),
        ("", 90.0, "does not take what was asked for"),
    ] {
        let mock = MockNvml::new(&format!("{LIMITS}\n{switches}"));
        let folder = tempfile::tempdir().expect("a folder");
        let controller = controller(&mock, folder.path());
        let error = controller
            .set(&both(), limit(asked_w), "a test")
            .await
            .expect_err(switches);
        assert!(error.to_string().contains(message), "{error}");
        assert_eq!((shown_w(&mock, 0), shown_w(&mock, 1)), (400.0, 400.0), "{switches}");
        assert_eq!(controller.restore_left().await.expect("journals"), [], "{switches}");
    }
    let mock = MockNvml::new("devices=1");
    let folder = tempfile::tempdir().expect("a folder");
    let error = controller(&mock, folder.path())
        .set(&[uuid(0)], limit(300.0), "a test")
        .await;
    let error = error.expect_err("it has no limit");
    assert!(error.to_string().contains("has no power limit"), "{error}");
}

#[tokio::test]
async fn clocks_are_locked_and_unlocked_again() {
    let (mock, folder) = (MockNvml::new(LIMITS), tempfile::tempdir().expect("a folder"));
    let clocks = Setting {
        gpu_clock_mhz: Some(1200),
        memory_clock_mhz: Some(1593),
        ..Setting::default()
    };
    let clock = || {
        let nvml = joulemark_meter::open_nvml(Some(&mock.library())).expect("the mock");
        let device = nvml.device_by_index(0).expect("a board");
        device
            .clock_info(nvml_wrapper::enum_wrappers::device::Clock::SM)
            .expect("its clock")
    };
    let controller = controller(&mock, folder.path());
    let held = controller.set(&[uuid(0)], clocks, "a test").await.expect("it is set");
    assert_eq!(clock(), 1200);
    held.restore().await;
    assert_eq!((clock(), shown_w(&mock, 0)), (1410, 400.0));
}
