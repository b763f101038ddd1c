//! What systemd hears of a server, through a socket of the test's own.

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

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

#[test]
fn a_server_whose_meter_hangs_gives_no_sign_of_life_any_more() {
    let managed = Managed::start();
    managed.until("READY=1");
    managed.until("WATCHDOG=1");
    replace_by_a_pipe(&managed.counter());
    // Those of the while for which a silent meter is not yet a dead one.
    managed.socket.set_read_timeout(Some(2 * WATCH)).unwrap();
    let signs = (0..50).take_while(|_| managed.next().is_ok()).count();
    assert!(
        signs < 10,
        "{signs} signs of life of a server whose meter hangs\n{}",
        managed.log()
    );
    assert!(
        managed.log().contains("the energy meter has read nothing for"),
        "{}",
        managed.log()
    );
}
