//! A cgroup (v2) of the engine's own: whatever it starts stays in it, and one write kills all of it at once. Uses
//! `cgroup.procs` and `cgroup.kill` alone, and no controller.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Returns the folder of the cgroup (v2) that this process is in; `None` where there is none to be seen.
pub fn own_cgroup() -> Option<PathBuf> {
    let membership = fs::read_to_string("/proc/self/cgroup").ok()?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    folder_of(&membership, &mounts)
}

fn folder_of(membership: &str, mounts: &str) -> Option<PathBuf> {
    let path = membership.lines().find_map(|line| line.strip_prefix("0::"))?;
    mounts.lines().find_map(|line| {
        let (mount, kind) = line.split_once(" - ")?;
        // proc(5): the fourth field is the mounted folder, the fifth where it is seen.
        let mut fields = mount.split(' ').skip(3);
        let (root, seen_at) = (fields.next()?, fields.next()?);
        let below = Path::new(path).strip_prefix(root).ok()?;
        kind.starts_with("cgroup2 ").then(|| Path::new(seen_at).join(below))
    })
}

/// A cgroup that holds an engine and what it started, and nothing else.
#[derive(Debug)]
pub struct Cgroup {
    folder: PathBuf,
}

impl Cgroup {
    /// Returns the folder that the engine with this mark gets in `parent`.
    pub fn folder_in(parent: &Path, mark: &str) -> PathBuf {
        parent.join(format!("joulemark-engine-{mark}"))
    }

    /// Makes the cgroup. `None` where the folder may not be written, or the kernel is too old (5.14) to kill by it.
    pub fn make(folder: PathBuf) -> Option<Self> {
        fs::create_dir(&folder).ok()?;
        let cgroup = Self { folder };
        if cgroup.kill_file().exists() && cgroup.entrance().is_ok() {
            return Some(cgroup);
        }
        cgroup.remove();
        None
    }

    /// Returns the cgroup that a keeper left, which may be gone by now.
    pub fn left_at(folder: PathBuf) -> Self {
        Self { folder }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Opens the file by which a process enters.
    pub fn entrance(&self) -> io::Result<File> {
        File::options().write(true).open(self.folder.join("cgroup.procs"))
    }

    /// Tells whether the text of a `/proc/<pid>/cgroup` says that the process is in it.
    pub fn holds(&self, membership: &str) -> bool {
        let name = self.folder.file_name();
        let paths = membership.lines().filter_map(|line| line.strip_prefix("0::"));
        paths.map(Path::new).any(|path| path.file_name() == name)
    }

    /// Returns the pids of its members, those of cgroups within included; none when it is gone.
    pub fn members(&self) -> Vec<u32> {
        let lists = self.folders().into_iter();
        let lists = lists.filter_map(|folder| fs::read_to_string(folder.join("cgroup.procs")).ok());
        lists
            .flat_map(|list| list.lines().flat_map(str::parse).collect::<Vec<_>>())
            .collect()
    }

    /// Kills all members at once, also those that are just being forked. Where that fails the caller kills them one by one.
    pub fn kill(&self) {
        let _ = fs::write(self.kill_file(), "1");
    }

    /// Removes the cgroup with those that the engine made within; one with a member stays.
    pub fn remove(&self) {
        for folder in self.folders().iter().rev() {
            let _ = fs::remove_dir(folder);
        }
    }

    fn kill_file(&self) -> PathBuf {
        self.folder.join("cgroup.kill")
    }

    /// Returns its folder and those within, each after the one that it is in.
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
    fn the_folder_is_found_below_where_it_is_mounted() {
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
    fn where_no_cgroup_can_be_had_none_is_left() {
        let plain = tempfile::tempdir().expect("a folder");
        let folder = Cgroup::folder_in(plain.path(), "a");
        assert!(
            Cgroup::make(folder.clone()).is_none(),
            "an ordinary folder kills nobody"
        );
        assert!(!folder.exists());
        assert!(Cgroup::make(Cgroup::folder_in(&plain.path().join("missing"), "a")).is_none());
    }

    #[test]
    fn folders_within_are_removed_first() {
        let plain = tempfile::tempdir().expect("a folder");
        let folder = plain.path().join("a");
        fs::create_dir_all(folder.join("b/c")).expect("folders");
        fs::create_dir_all(folder.join("d")).expect("folders");
        Cgroup::left_at(folder.clone()).remove();
        assert!(!folder.exists());
    }
}
