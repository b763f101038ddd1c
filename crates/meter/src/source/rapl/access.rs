//! Explains why the powercap tree, or a counter in it, cannot be read, and gives the fix where there is one: commands
//! that work as printed. Reads no energy.

use std::io;
use std::path::{Path, PathBuf};

use super::COUNTER;
use super::mounts::Mounts;
use crate::source::Finding;
use crate::source::tdp::CpuInfo;
use joulemark_measurement::EnergySourceKind;

/// The fix for a container: it mounts the host's tree, which container runtimes mask in `/sys`.
const MOUNT_IT: &str = "start the container with `-v /sys/devices/virtual/powercap:/powercap:ro -e \
                        JOULEMARK_RAPL_ROOT=/powercap --user root`";

/// The facts about this process and host on which the fix depends.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Mounts of this process.
    pub mounts: Mounts,
    /// Sign that this host is a virtual machine; `None` when there is none.
    pub guest: Option<String>,
    /// Whether this process runs in a container.
    pub is_container: bool,
    /// Whether the operator named a folder other than the kernel's, which may be wrong.
    pub is_elsewhere: bool,
}

impl Access {
    /// Reads the facts. `proc_root` is the proc file system with this process's mounts.
    pub fn read(proc_root: &Path, cpu: &CpuInfo, is_elsewhere: bool) -> Self {
        let mounts = Mounts::read(proc_root);
        let root = proc_root.parent().unwrap_or(proc_root);
        let marks = [".dockerenv", "run/.containerenv"];
        Self {
            is_container: mounts.is_container() || marks.iter().any(|mark| root.join(mark).exists()),
            mounts,
            guest: cpu.guest.clone(),
            is_elsewhere,
        }
    }

    /// Returns the finding of a tree without a readable zone. `masked` are zones that are listed but empty.
    pub fn absent(&self, root: &Path, why: &str, masked: &[PathBuf]) -> Finding {
        let (detail, fix) = if let Some(first) = masked.first() {
            let detail = format!(
                "no RAPL: {} is listed but empty: the tree is masked, as container runtimes do",
                first.display()
            );
            (detail, Some(MOUNT_IT.to_owned()))
        } else {
            (self.why_missing(why), self.fix_for_missing_tree())
        };
        Finding {
            source: EnergySourceKind::RaplPowercap,
            subject: root.display().to_string(),
            works: false,
            detail,
            fix,
        }
    }

    /// Returns the reason why there is no tree.
    fn why_missing(&self, why: &str) -> String {
        match (&self.guest, self.is_container) {
            (Some(guest), _) => format!(
                "No energy counter here ({why}). This is a virtual machine ({guest}): nothing you do inside it helps"
            ),
            (None, true) => format!("no RAPL: {why}; containers hide it"),
            (None, false) => format!("no RAPL: {why}"),
        }
    }

    /// Returns the fix for a missing tree; `None` where nothing helps.
    fn fix_for_missing_tree(&self) -> Option<String> {
        let is_x86 = cfg!(any(target_arch = "x86_64", target_arch = "x86"));
        if self.is_elsewhere {
            let folder = "name the folder that holds `intel-rapl:0`, which is /sys/class/powercap unless a container \
                          mounts it elsewhere, or leave --rapl-root out";
            let fix = if self.is_container {
                format!("{folder}; {MOUNT_IT}")
            } else {
                folder.to_owned()
            };
            return Some(fix);
        }
        if self.guest.is_some() || !is_x86 {
            return None;
        }
        Some(if self.is_container {
            format!("{MOUNT_IT}; where the host has no such folder: `sudo modprobe intel_rapl_msr` there (AMD too)")
        } else {
            "`sudo modprobe intel_rapl_msr` (AMD too)".to_owned()
        })
    }

    /// Returns the reason why a zone's counter cannot be read, and the fix where there is one. `refused` are all
    /// counters of the tree without permission, so that one command covers all of them.
    pub fn explain(&self, zone: &Path, error: &io::Error, refused: &[PathBuf]) -> (String, Option<String>) {
        let file = zone.join(COUNTER);
        if error.kind() == io::ErrorKind::PermissionDenied {
            let detail = format!(
                "{}: permission denied; since Linux 5.10 only root may read it (CVE-2020-8694)",
                file.display()
            );
            let own = [file];
            return (
                detail,
                Some(self.permit(if refused.is_empty() { &own } else { refused })),
            );
        }
        (format!("{}: {error}", file.display()), None)
    }

    /// Returns the fix that permits reading these files.
    fn permit(&self, files: &[PathBuf]) -> String {
        let until = "until the next boot, and for every user; deploy/60-joulemark.rules makes it last, for the service \
                     alone";
        let resolved: Vec<PathBuf> = files
            .iter()
            .map(|file| std::fs::canonicalize(file).unwrap_or_else(|_| file.clone()))
            .collect();
        let is_read_only = |file: &PathBuf| self.mounts.of(file).is_some_and(|mount| mount.is_read_only);
        if !resolved.iter().any(is_read_only) {
            return format!(
                "`sudo chmod a+r {}` ({until}), or run joulemark with CAP_DAC_READ_SEARCH",
                shell_words(files)
            );
        }
        let on_host = |file: &PathBuf| self.mounts.of(file).and_then(|mount| mount.name_on_host(file));
        let names: Option<Vec<PathBuf>> = resolved.iter().map(on_host).collect();
        let capability = "or start the container as root with `--cap-add DAC_READ_SEARCH`";
        match names {
            Some(names) => format!(
                "the files are mounted read-only here; on the host: `sudo chmod a+r {}` ({until}), {capability}",
                shell_words(&names)
            ),
            None => format!(
                "the files are mounted read-only here: make them readable for all where they are mounted from, \
                 {capability}"
            ),
        }
    }
}

/// Returns the files as words of a shell command.
fn shell_words(files: &[PathBuf]) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/_.:@%+=,-".contains(c);
    let word = |file: &PathBuf| {
        let text = file.display().to_string();
        if text.chars().all(is_plain) {
            text
        } else {
            format!("'{}'", text.replace('\'', "'\\''"))
        }
    };
    files.iter().map(word).collect::<Vec<_>>().join(" ")
}
