//! A fake host in a temporary folder, with processes, sockets and units in the format of the kernel.

use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::host::Host;

pub const LOOPBACK: &str = "127.0.0.1";
/// Boot time of the fake host, in seconds since 1970.
pub const BOOT_SEC: u64 = 1_700_000_000;
pub const TICKS_PER_SEC: u64 = 100;

static FORKS: Mutex<()> = Mutex::new(());

/// Excludes other tests that start processes: between fork and exec, a child holds all sockets of this process.
pub fn exclude_other_forks() -> MutexGuard<'static, ()> {
    FORKS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A fake host; its folder is removed when it is dropped.
pub struct FakeHost(tempfile::TempDir);

impl FakeHost {
    /// Returns a host without processes, sockets and units.
    pub fn new() -> Self {
        Self::with_cgroups_in("")
    }

    /// Returns a host whose cgroup v2 tree is in this folder below `/sys/fs/cgroup`.
    pub fn with_cgroups_in(tree: &str) -> Self {
        let fake = Self(tempfile::tempdir().expect("a temporary folder"));
        fake.write(&format!("sys/fs/cgroup/{tree}cgroup.controllers"), "cpu\n");
        fake.write("proc/stat", &format!("cpu  1 1 1 1\nbtime {BOOT_SEC}\nprocesses 9\n"));
        fake.write("proc/net/tcp", "  sl  local_address rem_address   st\n");
        fake.write("proc/net/tcp6", "  sl  local_address rem_address   st\n");
        fake.pid_namespace("pid:[4026531836]");
        fake
    }

    /// Returns the folders to search.
    pub fn host(&self) -> Host {
        Host::below(self.0.path())
    }

    /// Returns a path below the root of the host.
    pub fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    /// Writes a file, creates its folders, and returns its path.
    pub fn write(&self, path: &str, text: &str) -> PathBuf {
        let file = self.path(path);
        fs::create_dir_all(file.parent().expect("a parent")).expect("a folder");
        fs::write(&file, text).expect("a file");
        file
    }

    /// Creates or replaces a symbolic link.
    pub fn link(&self, path: &str, target: &str) {
        let link = self.path(path);
        fs::create_dir_all(link.parent().expect("a parent")).expect("a folder");
        let _ = fs::remove_file(&link);
        symlink(target, link).expect("a link");
    }

    /// Sets the pid namespace of this process.
    pub fn pid_namespace(&self, namespace: &str) {
        self.link("proc/self/ns/pid", namespace);
    }

    /// Adds a process that started one second after boot.
    pub fn process(&self, pid: u32, name: &str, parent: u32) {
        self.process_started(pid, name, parent, TICKS_PER_SEC);
    }

    /// Adds a process with its start time in clock ticks after boot.
    pub fn process_started(&self, pid: u32, name: &str, parent: u32, started_ticks: u64) {
        let stat = format!("{pid} ({name}) S {parent} 0 0 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 {started_ticks} 0 0\n");
        self.write(&format!("proc/{pid}/stat"), &stat);
        self.link(&format!("proc/{pid}/fd/0"), "/dev/null");
    }

    /// Adds a listening socket held by these processes.
    pub fn listens(&self, address: &str, port: u16, inode: u64, holders: &[u32]) {
        let address: IpAddr = address.parse().expect("an address");
        let file = if address.is_ipv4() {
            "proc/net/tcp"
        } else {
            "proc/net/tcp6"
        };
        let line = tcp_line(address, port, 1000, inode);
        let text = fs::read_to_string(self.path(file)).expect("the list");
        self.write(file, &format!("{text}{line}\n"));
        for pid in holders {
            self.link(&format!("proc/{pid}/fd/{inode}"), &format!("socket:[{inode}]"));
        }
    }

    /// Adds a control group with these processes and 1.5 s of CPU time.
    pub fn unit(&self, path: &str, pids: &[u32]) {
        let list: String = pids.iter().map(|pid| format!("{pid}\n")).collect();
        self.write(&format!("sys/fs/cgroup/{path}/cgroup.procs"), &list);
        self.write(
            &format!("sys/fs/cgroup/{path}/cpu.stat"),
            "usage_usec 1500000\nuser_usec 9\n",
        );
    }

    /// Makes a folder unreadable, also for root, for whom permissions do not apply.
    pub fn forbid(&self, path: &str) {
        let folder = self.path(path);
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o000)).expect("a mode");
        if fs::read_dir(&folder).is_ok() {
            fs::remove_dir_all(&folder).expect("a folder");
            fs::write(&folder, "").expect("a file in its place");
        }
    }
}

/// Returns the kernel's line for a listening socket.
pub fn tcp_line(address: IpAddr, port: u16, uid: u32, inode: u64) -> String {
    let bytes = match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let words = bytes
        .chunks(4)
        .map(|word| u32::from_ne_bytes(word.try_into().expect("four bytes")));
    let address: String = words.map(|word| format!("{word:08X}")).collect();
    let (remote, queues) = ("00000000:0000", "00000000:00000000 00:00000000 00000000");
    format!("   0: {address}:{port:04X} {remote} 0A {queues} {uid:5}        0 {inode} 1 0 100 0")
}
