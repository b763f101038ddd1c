//! What systemd hears of a server, through a socket of the test's own.

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use joulemark_measurement::clock::Monotonic;
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};

/// `WatchdogSec=` of the test.
const WATCH: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(60);

struct Managed {
    child: Child,
    socket: UnixDatagram,
    folder: tempfile::TempDir,
}

impl Managed {
    /// A server whose only energy source is a powercap tree in a folder.
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let socket = UnixDatagram::bind(path("notify.sock")).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let zone = path("powercap/intel-rapl:0");
        std::fs::create_dir_all(&zone).unwrap();
        std::fs::write(zone.join("name"), "package-0\n").unwrap();
        std::fs::write(zone.join("energy_uj"), "1\n").unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_joulemark"))
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--nvml-lib",
                "/none",
                "--models-dir",
                ".",
            ])
            .arg("--rapl-root")
            .arg(path("powercap"))
            .arg("--lock-dir")
            .arg(path("locks"))
            .arg("--database-url")
            .arg(format!("sqlite://{}", path("joulemark.db").display()))
            .env("NOTIFY_SOCKET", path("notify.sock"))
            .env("WATCHDOG_USEC", WATCH.as_micros().to_string())
            .env_remove("JOULEMARK_CONFIG")
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(path("log")).unwrap())
            .spawn()
            .unwrap();
        Self { child, socket, folder }
    }

    fn next(&self) -> std::io::Result<String> {
        let mut message = [0; 4096];
        let length = self.socket.recv(&mut message)?;
        Ok(String::from_utf8_lossy(&message[..length]).into_owned())
    }

    fn until(&self, part: &str) -> String {
        loop {
            let message = self
                .next()
                .unwrap_or_else(|error| panic!("no {part}: {error}\n{}", self.log()));
            if message.contains(part) {
                return message;
            }
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn counter(&self) -> PathBuf {
        self.folder.path().join("powercap/intel-rapl:0/energy_uj")
    }
}

impl Drop for Managed {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whoever opens it waits until somebody writes: a counter that hangs. What is open already fails, so that it is opened.
fn replace_by_a_pipe(path: &Path) {
    let opened = std::fs::File::options().write(true).open(path).unwrap();
    let beside = path.with_extension("pipe");
    mkfifo(&beside, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
    std::fs::rename(beside, path).unwrap();
    opened.set_len(0).unwrap();
}

#[test]
fn the_service_manager_hears_of_readiness_of_life_and_of_the_end() {
    let mut managed = Managed::start();
    let ready = managed.until("READY=1");
    assert!(ready.contains("STATUS=listening on http://127.0.0.1:"), "{ready}");
    for _ in 0..3 {
        managed.until("WATCHDOG=1");
    }
    kill(Pid::from_raw(managed.child.id() as i32), Signal::SIGTERM).unwrap();
    managed.until("STOPPING=1");
    assert!(managed.child.wait().unwrap().success());
}

/// One source that hangs is its own loss: the server goes on, and says so.
#[tokio::test]
async fn a_server_one_of_whose_counters_hangs_lives_on_and_tells() {
    let managed = Managed::start();
    let ready = managed.until("READY=1");
    let (_, address) = ready.split_once("http://").expect("an address");
    managed.until("WATCHDOG=1");
    replace_by_a_pipe(&managed.counter());
    let begun = Monotonic::now();
    while Monotonic::now().sec_since(begun) < 3.0 * WATCH.as_secs_f64() {
        managed.until("WATCHDOG=1");
    }
    let client = reqwest::Client::new();
    let url = format!("http://{}/readyz", address.trim());
    loop {
        let answer: serde_json::Value = client.get(&url).send().await.unwrap().json().await.unwrap();
        if answer["energy_problems"].to_string().contains("has not returned") {
            break;
        }
        let waited_sec = Monotonic::now().sec_since(begun);
        assert!(waited_sec < 60.0, "{answer}\n{}", managed.log());
        managed.until("WATCHDOG=1");
    }
    assert!(managed.log().contains("has not returned"), "{}", managed.log());
}
