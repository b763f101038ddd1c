use std::path::{Path, PathBuf};

/// Folders that systemd reads units from, for the system and for users.
const UNIT_FOLDERS: [&str; 12] = [
    "etc/systemd/system",
    "run/systemd/system",
    "run/systemd/transient",
    "run/systemd/generator",
    "usr/local/lib/systemd/system",
    "usr/lib/systemd/system",
    "lib/systemd/system",
    "etc/systemd/user",
    "run/systemd/user",
    "usr/local/lib/systemd/user",
    "usr/lib/systemd/user",
    "lib/systemd/user",
];

/// The folders that describe the processes of a host.
#[derive(Clone, Debug)]
pub struct Host {
    pub proc_root: PathBuf,
    pub cgroup_root: PathBuf,
    pub unit_folders: Vec<PathBuf>,
}

impl Host {
    /// Returns this host.
    pub fn here() -> Self {
        Self::below(Path::new("/"))
    }

    /// Returns the host whose file system has its root at `root`.
    pub fn below(root: &Path) -> Self {
        Self {
            proc_root: root.join("proc"),
            cgroup_root: root.join("sys/fs/cgroup"),
            unit_folders: UNIT_FOLDERS.map(|folder| root.join(folder)).into(),
        }
    }
}
