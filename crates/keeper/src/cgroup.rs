//! A cgroup (v2) for one engine. Every process that the engine starts stays in it, and one write kills all of them at
//! once. Uses only `cgroup.procs` and `cgroup.kill`, and no controllers.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Returns the folder of the cgroup (v2) that this process is in; `None` when there is none or it is not mounted.
pub fn own_cgroup() -> Option<PathBuf> {
    let membership = fs::read_to_string("/proc/self/cgroup").ok()?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    folder_of(&membership, &mounts)
}

fn folder_of(membership: &str, mounts: &str) -> Option<PathBuf> {
    let path = membership.lines().find_map(|line| line.strip_prefix("0::"))?;
    mounts.lines().find_map(|line| {
        let (mount, kind) = line.split_once(" - ")?;
        // proc(5): the fourth field is the mounted folder, the fifth the mount point.
        let mut fields = mount.split(' ').skip(3);
        let (root, seen_at) = (fields.next()?, fields.next()?);
        let below = Path::new(path).strip_prefix(root).ok()?;
        kind.starts_with("cgroup2 ").then(|| Path::new(seen_at).join(below))
    })
}

/// A cgroup that contains an engine and the processes it started, and no others.
#[derive(Debug)]
pub struct Cgroup {
    folder: PathBuf,
}

impl Cgroup {
    /// Returns the folder in `parent` for the engine with this mark.
    pub fn folder_in(parent: &Path, mark: &str) -> PathBuf {
        parent.join(format!("joulemark-engine-{mark}"))
    }

    /// Creates the cgroup. Returns `None` when the folder cannot be created, or the kernel is older than 5.14 and has
    /// no `cgroup.kill`.
    pub fn make(folder: PathBuf) -> Option<Self> {
        fs::create_dir(&folder).ok()?;
        let cgroup = Self { folder };
        if cgroup.kill_file().exists() && cgroup.entrance().is_ok() {
            return Some(cgroup);
        }
        cgroup.remove();
        None
    }

    /// Returns the cgroup of an earlier keeper, which may no longer exist.
    pub fn existing(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Returns its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Opens `cgroup.procs`; a process that writes to it enters the cgroup.
    pub fn entrance(&self) -> io::Result<File> {
        File::options().write(true).open(self.folder.join("cgroup.procs"))
    }

    /// Returns whether the text of a `/proc/<pid>/cgroup` places the process in this cgroup itself, not in one below
    /// it.
    pub fn holds(&self, membership: &str) -> bool {
        let name = self.folder.file_name();
        let paths = membership.lines().filter_map(|line| line.strip_prefix("0::"));
        paths.map(Path::new).any(|path| path.file_name() == name)
    }

    /// Returns the pids of its members, including those of cgroups below it; empty when it no longer exists.
    pub fn members(&self) -> Vec<u32> {
        let lists = self.folders().into_iter();
        let lists = lists.filter_map(|folder| fs::read_to_string(folder.join("cgroup.procs")).ok());
        lists
            .flat_map(|list| list.lines().flat_map(str::parse).collect::<Vec<_>>())
            .collect()
    }

    /// Kills all members at once, including processes that are being forked. When this fails, the caller must kill them
    /// one by one.
    pub fn kill(&self) {
        let _ = fs::write(self.kill_file(), "1");
    }

    /// Removes the cgroup and those below it, except cgroups that still have members.
    pub fn remove(&self) {
        for folder in self.folders().iter().rev() {
            let _ = fs::remove_dir(folder);
        }
    }

    fn kill_file(&self) -> PathBuf {
        self.folder.join("cgroup.kill")
    }

    /// Returns its folder and those below it, parents before children.
    fn folders(&self) -> Vec<PathBuf> {
        let mut folders = vec![self.folder.clone()];
        let mut next = 0;
        while let Some(folder) = folders.get(next) {
            let entries = fs::read_dir(folder).into_iter().flatten().flatten();
            let within = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
            let within: Vec<_> = within.map(|entry| entry.path()).collect();
            folders.extend(within);
            next += 1;
        }
        folders
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYSTEMD: &str = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate";

    #[test]
    fn the_folder_is_found_below_its_mount_point() {
        let found = |membership: &str, mounts: &str| folder_of(membership, mounts);
        let unit = "0::/system.slice/joulemark.service\n";
        let expected = Path::new("/sys/fs/cgroup/system.slice/joulemark.service");
        assert_eq!(found(unit, SYSTEMD).as_deref(), Some(expected));
        let hybrid = "31 30 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
                      32 30 0:28 / /sys/fs/cgroup/unified rw shared:9 - cgroup2 cgroup2 rw";
        let expected = Path::new("/sys/fs/cgroup/unified");
        assert_eq!(found("4:cpu:/a\n0::/\n", hybrid).as_deref(), Some(expected));
        let container = "40 39 0:26 /docker/1a /sys/fs/cgroup ro - cgroup2 cgroup rw";
        let expected = Path::new("/sys/fs/cgroup/in");
        assert_eq!(found("0::/docker/1a/in\n", container).as_deref(), Some(expected));
        assert_eq!(found("0::/docker/2b\n", container), None, "it is not mounted here");
        assert_eq!(found("4:cpu:/a\n", SYSTEMD), None, "cgroup v1 alone");
    }

    #[test]
    fn without_a_usable_cgroup_none_is_left() {
        let plain = tempfile::tempdir().expect("a folder");
        let folder = Cgroup::folder_in(plain.path(), "a");
        assert!(
            Cgroup::make(folder.clone()).is_none(),
            "an ordinary folder is not a cgroup"
        );
        assert!(!folder.exists());
        assert!(Cgroup::make(Cgroup::folder_in(&plain.path().join("missing"), "a")).is_none());
    }

    #[test]
    fn nested_folders_are_removed_first() {
        let plain = tempfile::tempdir().expect("a folder");
        let folder = plain.path().join("a");
        fs::create_dir_all(folder.join("b/c")).expect("folders");
        fs::create_dir_all(folder.join("d")).expect("folders");
        Cgroup::existing(folder.clone()).remove();
        assert!(!folder.exists());
    }
}
