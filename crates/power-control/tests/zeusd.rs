//! The protocol of zeusd 0.5, with the answers that the real daemon gave on two boards of the mock driver
//! (`tests/zeusd.sh` runs it).

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use joulemark_power_control::{ControlError, Controller, PowerControl, Restored, Setting, reads};
use joulemark_testkit::mock_nvml::{MockNvml, uuid};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixListener;

const DISCOVERED: &str = r#"{"gpus":[{"id":0,"name":"Mock GPU 80GB"},{"id":1,"name":"Mock GPU 80GB"}],"cpus":[],"enabled_api_groups":["gpu-control","gpu-read"],"auth_required":false}"#;
const READS_ONLY: &str = r#"{"gpus":[{"id":0,"name":"Mock GPU 80GB"},{"id":1,"name":"Mock GPU 80GB"}],"cpus":[],"enabled_api_groups":["gpu-read"],"auth_required":false}"#;
const REFUSED: &str = r#"{"errors":{"0":"NVML error: a supplied argument was invalid"}}"#;
const FORBIDDEN: &str =
    r#"{"errors":{"0":"NVML error: the current user does not have permission to perform this operation"}}"#;
const DISABLED: &str = r#"{"error":"API group 'gpu-control' is not enabled on this server."}"#;

/// A socket that gives recorded answers in order, has the effect of each successful call, and records the requests.
struct Recorded {
    socket: PathBuf,
    asked: Arc<Mutex<Vec<String>>>,
    _folder: tempfile::TempDir,
}

impl Recorded {
    /// Starts it; `acts` runs with each request line before a 200 is sent.
    fn start(answers: &[(u16, &str)], acts: impl Fn(&str) + Send + Sync + 'static) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("zeusd.sock");
        let listener = UnixListener::bind(&socket).expect("a socket");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let mut answers: VecDeque<(u16, String)> =
            answers.iter().map(|(code, body)| (*code, (*body).to_owned())).collect();
        let noted = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Some((code, body)) = answers.pop_front() {
                let (mut stream, _) = listener.accept().await.expect("somebody asks");
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(stream.read_u8().await.expect("a request"));
                }
                let line = String::from_utf8_lossy(&request)
                    .lines()
                    .next()
                    .unwrap_or_default()
                    .to_owned();
                if code == 200 {
                    acts(&line);
                }
                noted.lock().expect("nobody panicked").push(line);
                let length = body.len();
                let answer =
                    format!("HTTP/1.1 {code} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
                stream.write_all(answer.as_bytes()).await.expect("it is taken");
            }
        });
        Self {
            socket,
            asked,
            _folder: folder,
        }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("nobody panicked").clone()
    }

    fn controller(&self, mock: &MockNvml, journals: &Path) -> Controller {
        Controller {
            control: PowerControl::Zeusd(self.socket.clone()),
            nvml_library: Some(mock.library()),
            journals: journals.to_owned(),
        }
    }
}

fn boards() -> MockNvml {
    MockNvml::new("devices=2\nmax_limit=500\ndefault_limit=400\npower_limit=400")
}

fn limit(watts: f64) -> Setting {
    Setting {
        power_limit_w: Some(watts),
        ..Setting::default()
    }
}

#[tokio::test]
async fn calls_have_the_daemon_s_form_and_name_the_board_by_its_index() {
    let (mock, folder) = (boards(), tempfile::tempdir().expect("a folder"));
    let library = mock.library();
    // The effect of the daemon: it sets the board.
    let sets = move |line: &str| {
        let Some(milliwatts) = line.split("power_limit_mw=").nth(1) else {
            return;
        };
        let milliwatts = milliwatts.split('&').next().and_then(|text| text.parse().ok());
        let nvml = joulemark_meter::open_nvml(Some(&library)).expect("the mock");
        let mut board = nvml.device_by_index(1).expect("a board");
        board
            .set_power_management_limit(milliwatts.expect("a number"))
            .expect("it is taken");
    };
    let zeusd = Recorded::start(&[(200, ""), (200, ""), (200, ""), (200, "")], sets);
    let controller = zeusd.controller(&mock, folder.path());
    let setting = Setting {
        gpu_clock_mhz: Some(1200),
        ..limit(300.0)
    };
    let held = controller.set(&[uuid(1)], setting, "a test").await.expect("it is set");
    let restored = held.restore().await;
    assert_eq!(restored[0].restored, Restored::Back { limit_w: Some(400.0) });
    assert_eq!(
        zeusd.asked(),
        [
            "POST /gpu/set_gpu_locked_clocks?gpu_ids=1&min_clock_mhz=1200&max_clock_mhz=1200&block=true HTTP/1.1",
            "POST /gpu/set_power_limit?gpu_ids=1&power_limit_mw=300000&block=true HTTP/1.1",
            "POST /gpu/reset_gpu_locked_clocks?gpu_ids=1&block=true HTTP/1.1",
            "POST /gpu/set_power_limit?gpu_ids=1&power_limit_mw=400000&block=true HTTP/1.1",
        ]
    );
}

#[tokio::test]
async fn refusals_are_reported_and_nothing_is_left_set() {
    for (answer, message) in [
        ((400, REFUSED), "a supplied argument was invalid"),
        ((403, FORBIDDEN), "may not be set"),
        ((404, DISABLED), "was it started with --enable gpu-control?"),
    ] {
        let (mock, folder) = (boards(), tempfile::tempdir().expect("a folder"));
        let zeusd = Recorded::start(&[answer], |_| ());
        let controller = zeusd.controller(&mock, folder.path());
        let error = controller
            .set(&[uuid(0)], limit(300.0), "a test")
            .await
            .expect_err(message);
        assert!(error.to_string().contains(message), "{error}");
        assert_eq!(controller.restore_left().await.expect("journals"), []);
        let shown = reads(Some(&mock.library()), &uuid(0)).expect("the board answers");
        assert_eq!(shown.set_w, Some(400.0));
    }
}

#[tokio::test]
async fn a_daemon_that_cannot_set_boards_is_detected() {
    let (mock, folder) = (boards(), tempfile::tempdir().expect("a folder"));
    let uuids = [uuid(0), uuid(1)];
    let check = async |body: &str| {
        let zeusd = Recorded::start(&[(200, body)], |_| ());
        zeusd.controller(&mock, folder.path()).check(&uuids, uuids.len()).await
    };
    assert_eq!(check(DISCOVERED).await, Ok(()));
    let ControlError::Forbidden(message) = check(READS_ONLY).await.expect_err("it sets nothing") else {
        panic!("it is a matter of rights")
    };
    assert!(
        message.contains("--enable gpu-read; enable gpu-control as well"),
        "{message}"
    );
    let locked = DISCOVERED.replace("false", "true");
    assert!(matches!(check(&locked).await, Err(ControlError::Forbidden(_))));
    assert!(matches!(check("<html>").await, Err(ControlError::Away(_))));
    let nobody = Controller {
        control: PowerControl::Zeusd(folder.path().join("none.sock")),
        nvml_library: None,
        journals: folder.path().to_owned(),
    };
    let away = nobody
        .check(&uuids, uuids.len())
        .await
        .expect_err("nobody listens")
        .to_string();
    assert!(away.contains("zeusd does not answer at"), "{away}");
}
