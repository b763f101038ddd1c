//! Finds the mount that a file lies on from `/proc/self/mountinfo`, whether it is read-only, and the file's name on the
//! host. Owns that file's format; knows nothing of powercap.

use std::fs;
use std::path::{Path, PathBuf};

/// The mounts that this process sees.
#[derive(Clone, Debug, Default)]
pub struct Mounts(Vec<Mount>);

/// One mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Folder within the file system that is mounted.
    root: PathBuf,
    /// Mount point.
    point: PathBuf,
    /// Type of the file system.
    file_system: String,
    /// Whether the mount or its file system is read-only.
    pub is_read_only: bool,
}

impl Mounts {
    /// Reads the mounts of this process; empty when the file cannot be read.
    pub fn read(proc_root: &Path) -> Self {
        let text = fs::read_to_string(proc_root.join("self/mountinfo")).unwrap_or_default();
        Self(text.lines().filter_map(parse).collect())
    }

    /// Returns the mount on which `path`, which contains no links, lies.
    pub fn of(&self, path: &Path) -> Option<&Mount> {
        let holding = self.0.iter().filter(|mount| path.starts_with(&mount.point));
        // Of several mounts at one point the last hides the others.
        holding.max_by_key(|mount| mount.point.components().count())
    }

    /// Returns whether this process runs in a container: its root is an image's layers and not a disk.
    pub fn is_container(&self) -> bool {
        self.of(Path::new("/"))
            .is_some_and(|root| ["overlay", "aufs", "fuse-overlayfs"].contains(&root.file_system.as_str()))
    }
}

impl Mount {
    /// Returns the host's name of `path`; `None` outside of sysfs, whose names are known wherever it is mounted.
    pub fn name_on_host(&self, path: &Path) -> Option<PathBuf> {
        if self.file_system != "sysfs" {
            return None;
        }
        let within = path.strip_prefix(&self.point).ok()?;
        let root = self.root.strip_prefix("/").ok()?;
        Some(Path::new("/sys").join(root).join(within))
    }
}

/// Parses a line such as `36 35 98:0 /root /point rw,noatime master:1 - sysfs source ro`. Spaces within a field are
/// `\040`.
fn parse(line: &str) -> Option<Mount> {
    let (before, after) = line.split_once(" - ")?;
    let before: Vec<&str> = before.split(' ').collect();
    let [_, _, _, root, point, options, ..] = before[..] else {
        return None;
    };
    let mut after = after.split(' ');
    let file_system = after.next()?.to_owned();
    let super_options = after.nth(1).unwrap_or_default();
    let is_read_only = |options: &str| options.split(',').any(|option| option == "ro");
    Some(Mount {
        root: unescaped(root),
        point: unescaped(point),
        file_system,
        is_read_only: is_read_only(options) || is_read_only(super_options),
    })
}

/// Returns the path without octal escapes.
fn unescaped(text: &str) -> PathBuf {
    PathBuf::from(text.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mounts(lines: &[&str]) -> Mounts {
        Mounts(lines.iter().filter_map(|line| parse(line)).collect())
    }

    #[test]
    fn the_innermost_mount_counts_and_a_part_of_sysfs_has_the_hosts_name() {
        let mounts = mounts(&[
            "1 0 0:1 / / rw,relatime master:1 - overlay overlay rw,lowerdir=/a",
            "2 1 0:2 / /sys ro,nosuid - sysfs sysfs rw",
            "3 1 0:2 /devices/virtual/powercap /power\\040cap ro - sysfs sysfs rw",
        ]);
        assert!(mounts.is_container());
        let file = Path::new("/power cap/intel-rapl/intel-rapl:0/energy_uj");
        let mount = mounts.of(file).expect("a mount");
        assert!(mount.is_read_only);
        assert_eq!(
            mount.name_on_host(file),
            Some(PathBuf::from(
                "/sys/devices/virtual/powercap/intel-rapl/intel-rapl:0/energy_uj"
            ))
        );
        let root = mounts.of(Path::new("/sysfoo")).expect("a mount");
        assert!(!root.is_read_only && root.name_on_host(Path::new("/sysfoo")).is_none());
    }
}
