//! A PostgreSQL cluster for one test: a folder and a socket without a port, removed with the test. It can be stopped
//! and started again.

use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid, User};
use tempfile::TempDir;

/// A running or stopped cluster.
pub struct PostgresCluster {
    binaries: PathBuf,
    folder: TempDir,
    settings: &'static [&'static str],
    server: Option<Child>,
}

/// Settings of a cluster whose data need not survive a power cut.
const QUICK: &[&str] = &["fsync=off"];

impl PostgresCluster {
    /// Starts a cluster whose data does not survive a power cut, and returns when it accepts connections.
    ///
    /// # Panics
    /// Panics when PostgreSQL is not installed, with the package to install, so that no test passes without it.
    pub fn start() -> Self {
        Self::start_with(QUICK)
    }

    /// Starts a cluster with these settings, each `NAME=VALUE`; without any it has PostgreSQL's own durability.
    ///
    /// # Panics
    /// Panics when PostgreSQL is not installed, like [`start`](Self::start).
    pub fn start_with(settings: &'static [&'static str]) -> Self {
        let binaries = binaries()
            .expect("there is no PostgreSQL under /usr/lib/postgresql; install it with: apt-get install postgresql");
        let folder = tempfile::tempdir().expect("a temporary folder");
        if let Some(owner) = owner() {
            chown(folder.path(), Some(owner.uid.as_raw()), Some(owner.gid.as_raw())).expect("its folder");
            std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).expect("its folder");
        }
        let mut cluster = Self {
            binaries,
            folder,
            settings,
            server: None,
        };
        let made = cluster
            .command("initdb")
            .args(["--auth=trust", "--username=postgres", "--no-sync", "--encoding=UTF8"])
            .args(["--locale=C.UTF-8", "-D", "data"])
            .status();
        assert!(made.is_ok_and(|made| made.success()), "initdb failed");
        cluster.start_again();
        cluster
    }

    /// Returns the URL of the database that every cluster has.
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// Returns the URL of a database of this name, which need not exist yet.
    pub fn url_of(&self, database: &str) -> String {
        format!(
            "postgres://postgres@localhost/{database}?host={}",
            self.folder.path().display()
        )
    }

    /// Starts the stopped cluster and returns when it accepts connections.
    pub fn start_again(&mut self) {
        self.start_again_with(&[]);
    }

    /// Starts the stopped cluster with additional settings and returns when it accepts connections.
    pub fn start_again_with(&mut self, settings: &[&str]) {
        let server = self
            .command("postgres")
            .args(["-D", "data", "-k"])
            .arg(self.folder.path())
            .args(["-c", "listen_addresses="])
            .args(self.settings.iter().chain(settings).flat_map(|setting| ["-c", setting]))
            .spawn();
        self.server = Some(server.expect("postgres starts"));
        for _ in 0..600 {
            let ready = self.command("pg_isready").arg("-h").arg(self.folder.path()).status();
            if ready.is_ok_and(|ready| ready.success()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("postgres does not answer");
    }

    /// Cuts every connection and returns when all processes have ended, like `systemctl stop`.
    pub fn stop(&mut self) {
        self.end(Signal::SIGINT);
    }

    fn end(&mut self, signal: Signal) {
        if let Some(mut server) = self.server.take() {
            let _ = kill(Pid::from_raw(server.id() as i32), signal);
            let _ = server.wait();
        }
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.binaries.join(program));
        command
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if let Some(owner) = owner() {
            command.uid(owner.uid.as_raw()).gid(owner.gid.as_raw());
        }
        command
    }
}

impl Drop for PostgresCluster {
    fn drop(&mut self) {
        // PostgreSQL's immediate shutdown also ends its children, SIGKILL would not.
        self.end(Signal::SIGQUIT);
    }
}

/// Returns the folder with the programs of the newest installed version.
fn binaries() -> Option<PathBuf> {
    let versions = Path::new("/usr/lib/postgresql").read_dir().ok()?;
    let folders = versions.flatten().map(|version| version.path().join("bin"));
    folders.filter(|folder| folder.join("initdb").is_file()).max()
}

/// Returns the user to run the programs as, where the test runs as root, which PostgreSQL rejects.
fn owner() -> Option<User> {
    let name = |name| User::from_name(name).ok().flatten();
    Uid::effective().is_root().then(|| {
        name("postgres")
            .or_else(|| name("nobody"))
            .expect("there is a plain user")
    })
}
