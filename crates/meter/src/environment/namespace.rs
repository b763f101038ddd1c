//! Finds out whether process ids that an NVIDIA driver reports can be compared with this process's view.

use std::path::Path;

/// Link of the host's pid namespace. The kernel fixes its inode (`PROC_PID_INIT_INO`, 0xEFFFFFFC).
const HOST_NAMESPACE: &str = "pid:[4026531836]";

/// Returns whether `namespace_link`, usually `/proc/self/ns/pid`, points to the host's pid namespace. Returns false in
/// a container with a pid namespace of its own, and when the link cannot be read.
///
/// An NVIDIA driver reports process ids of the host's namespace; inside a container the same processes have other ids.
pub fn pids_are_the_hosts(namespace_link: &Path) -> bool {
    std::fs::read_link(namespace_link).is_ok_and(|target| target == Path::new(HOST_NAMESPACE))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn only_the_host_s_own_namespace_counts() {
        let folder = tempfile::tempdir().expect("a folder");
        let (host, container) = (folder.path().join("host"), folder.path().join("container"));
        symlink("pid:[4026531836]", &host).expect("a link");
        symlink("pid:[4026532201]", &container).expect("a link");
        assert!(pids_are_the_hosts(&host));
        assert!(!pids_are_the_hosts(&container));
        assert!(!pids_are_the_hosts(&folder.path().join("missing")));
    }
}
