//! Reads the host's settings and the build, which a repetition of an experiment needs; a setting that the kernel does
//! not report is unknown. Of the environment, reads only the variables of a fixed list.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::Path;

use joulemark_experiment::report::{GpuConditions, RaplLimit, RunConditions};
use joulemark_meter::HostMeter;

/// Variables that change how or on what an engine computes. None of them can contain a secret.
const ENVIRONMENT: [&str; 21] = [
    "CUDA_DEVICE_ORDER",
    "CUDA_DEVICE_MAX_CONNECTIONS",
    "CUDA_DISABLE_PTX_JIT",
    "CUDA_FORCE_PTX_JIT",
    "CUDA_LAUNCH_BLOCKING",
    "CUDA_MODULE_LOADING",
    "CUDA_VISIBLE_DEVICES",
    "GGML_CUDA_ENABLE_UNIFIED_MEMORY",
    "LANG",
    "LC_ALL",
    "MALLOC_ARENA_MAX",
    "MKL_NUM_THREADS",
    "NCCL_ALGO",
    "NCCL_P2P_DISABLE",
    "NCCL_PROTO",
    "NCCL_SHM_DISABLE",
    "NVIDIA_TF32_OVERRIDE",
    "NVIDIA_VISIBLE_DEVICES",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "RAYON_NUM_THREADS",
];
const MICROWATTS_PER_WATT: f64 = 1e6;
const MICROSECONDS_PER_SECOND: f64 = 1e6;
const BYTES_PER_KIBIBYTE: u64 = 1024;
/// Maximum number of constraints that are read; a zone has up to three (long term, short term, peak power).
const MAX_CONSTRAINTS: u32 = 8;
const MAX_VALUE_CHARS: usize = 500;

/// Reads the settings of the GPUs and of the host; `root` is the root of the file system. RAPL limits are read by
/// [`rapl_limits`]. Blocks on the file system for a moment.
pub fn read(root: &Path, meter: &HostMeter, gpus: &[String], environment: Vec<(OsString, OsString)>) -> RunConditions {
    let cpu = root.join("sys/devices/system/cpu");
    RunConditions {
        joulemark_commit: Some(env!("BUILT_COMMIT"))
            .filter(|commit| !commit.is_empty())
            .map(str::to_owned),
        cpu_governors: each_cpu(&cpu, "cpufreq/scaling_governor"),
        cpu_scaling_driver: each_cpu(&cpu, "cpufreq/scaling_driver").into_iter().next(),
        turbo: turbo(&cpu),
        smt: flag(&cpu.join("smt/active")),
        memory_bytes: memory_bytes(root),
        gpus: gpus.iter().map(|uuid| gpu(meter, uuid)).collect(),
        container: container(root),
        virtual_machine: virtual_machine(root),
        environment: listed(environment),
        ..RunConditions::default()
    }
}

fn text(path: &Path) -> Option<String> {
    let read = std::fs::read_to_string(path).ok()?;
    let read = read.trim();
    (!read.is_empty()).then(|| read.chars().take(MAX_VALUE_CHARS).collect())
}

fn flag(path: &Path) -> Option<bool> {
    match text(path)?.as_str() {
        "0" => Some(false),
        "1" => Some(true),
        _ => None,
    }
}

/// Returns the distinct values of a file that each CPU has.
fn each_cpu(cpu: &Path, file: &str) -> Vec<String> {
    let folders = std::fs::read_dir(cpu).into_iter().flatten().flatten();
    let is_cpu = |name: &str| {
        name.strip_prefix("cpu")
            .is_some_and(|number| number.parse::<u32>().is_ok())
    };
    let of_cpus = folders.filter(|folder| folder.file_name().to_str().is_some_and(is_cpu));
    let values: BTreeSet<String> = of_cpus.filter_map(|folder| text(&folder.path().join(file))).collect();
    values.into_iter().collect()
}

/// Returns whether turbo is on, from `no_turbo` of `intel_pstate` or `boost` of other drivers; `None` when neither
/// exists.
fn turbo(cpu: &Path) -> Option<bool> {
    flag(&cpu.join("intel_pstate/no_turbo"))
        .map(|is_off| !is_off)
        .or_else(|| flag(&cpu.join("cpufreq/boost")))
}

fn memory_bytes(root: &Path) -> Option<u64> {
    let meminfo = std::fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(BYTES_PER_KIBIBYTE)
}

/// Reads the power limits that RAPL enforces from the powercap tree; empty when there is no such tree.
pub fn rapl_limits(powercap: &Path) -> Vec<RaplLimit> {
    let zones = std::fs::read_dir(powercap).into_iter().flatten().flatten();
    let mut zones: Vec<_> = zones.map(|zone| zone.path()).collect();
    zones.sort();
    let mut limits = Vec::new();
    for zone in zones {
        let Some(name) = text(&zone.join("name")) else { continue };
        for number in 0..MAX_CONSTRAINTS {
            let of = |what: &str| text(&zone.join(format!("constraint_{number}_{what}")));
            let micro = |what: &str| of(what)?.parse::<u64>().ok().map(|micro| micro as f64);
            let Some(limit) = micro("power_limit_uw").filter(|limit| *limit > 0.0) else {
                continue;
            };
            limits.push(RaplLimit {
                zone: name.clone(),
                constraint: of("name").unwrap_or_else(|| number.to_string()),
                power_limit_w: limit / MICROWATTS_PER_WATT,
                time_window_sec: micro("time_window_us").map(|window| window / MICROSECONDS_PER_SECOND),
            });
        }
    }
    // A zone appears once below each of its parents.
    limits.dedup();
    limits
}

fn gpu(meter: &HostMeter, uuid: &str) -> GpuConditions {
    let devices = meter.devices().gpus;
    let device = devices.iter().find(|device| device.uuid == uuid);
    let state = meter.gpu_state(uuid).unwrap_or_default();
    GpuConditions {
        uuid: uuid.to_owned(),
        name: device.and_then(|device| device.name.clone()),
        memory_bytes: device.and_then(|device| device.memory_bytes),
        driver_version: device.and_then(|device| device.driver_version.clone()),
        sm_clock_mhz: state.sm_clock_mhz,
        memory_clock_mhz: state.memory_clock_mhz,
        power_limit_w: state.power_limit_w,
        persistence_mode: state.persistence_mode,
        mig_enabled: state.mig_enabled,
    }
}

/// Returns the kind of container, detected by the files that container programs leave; `none` without such a file,
/// `None` without `/proc`.
fn container(root: &Path) -> Option<String> {
    let marks = [
        (".dockerenv", "docker"),
        ("run/.containerenv", "podman"),
        ("var/run/secrets/kubernetes.io", "kubernetes"),
    ];
    if let Some((_, name)) = marks.iter().rev().find(|(mark, _)| root.join(mark).exists()) {
        return Some((*name).to_owned());
    }
    if let Some(name) = text(&root.join("run/systemd/container")) {
        return Some(name);
    }
    let groups = text(&root.join("proc/1/cgroup"))?;
    let known = ["docker", "kubepods", "lxc", "containerd", "libpod"];
    let found = known.into_iter().find(|name| groups.contains(name));
    Some(found.unwrap_or("none").to_owned())
}

/// Returns the name of the virtual machine as its firmware or hypervisor gives it; `none` when the CPU reports no
/// hypervisor, `None` when the CPU has no such flags.
fn virtual_machine(root: &Path) -> Option<String> {
    let cpus = std::fs::read_to_string(root.join("proc/cpuinfo")).ok()?;
    let flags = cpus.lines().find(|line| line.starts_with("flags"))?;
    if !flags.split_whitespace().any(|flag| flag == "hypervisor") {
        return Some("none".to_owned());
    }
    let firmware = root.join("sys/class/dmi/id");
    let named = ["sys_vendor", "product_name"].map(|file| text(&firmware.join(file)));
    let named: Vec<String> = named.into_iter().flatten().collect();
    if !named.is_empty() {
        return Some(named.join(" "));
    }
    Some(text(&root.join("sys/hypervisor/type")).unwrap_or_else(|| "unnamed".to_owned()))
}

fn listed(environment: Vec<(OsString, OsString)>) -> BTreeMap<String, String> {
    let shown = environment.into_iter().filter_map(|(name, value)| {
        let name = name.into_string().ok()?;
        let is_listed = ENVIRONMENT.contains(&name.as_str());
        let value: String = value.to_string_lossy().chars().take(MAX_VALUE_CHARS).collect();
        is_listed.then_some((name, value))
    });
    shown.collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn settings_are_read_from_the_kernel_and_missing_ones_are_unknown() {
        let root = tree(&[
            ("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "performance\n"),
            ("sys/devices/system/cpu/cpu1/cpufreq/scaling_governor", "powersave\n"),
            ("sys/devices/system/cpu/intel_pstate/no_turbo", "1\n"),
            ("sys/class/powercap/intel-rapl:0/name", "package-0\n"),
            ("sys/class/powercap/intel-rapl:0/constraint_0_name", "long_term\n"),
            (
                "sys/class/powercap/intel-rapl:0/constraint_0_power_limit_uw",
                "125000000\n",
            ),
            (
                "sys/class/powercap/intel-rapl:0/constraint_0_time_window_us",
                "27983872\n",
            ),
            ("sys/class/powercap/intel-rapl:0/constraint_1_power_limit_uw", "0\n"),
            ("proc/meminfo", "MemTotal:       16384 kB\nMemFree: 1 kB\n"),
            ("proc/cpuinfo", "flags\t\t: fpu hypervisor avx2\n"),
            ("sys/class/dmi/id/sys_vendor", "QEMU\n"),
            ("proc/1/cgroup", "0::/docker/ab\n"),
        ]);
        let cpu = root.path().join("sys/devices/system/cpu");
        assert_eq!(each_cpu(&cpu, "cpufreq/scaling_governor"), ["performance", "powersave"]);
        assert_eq!(turbo(&cpu), Some(false));
        assert_eq!(memory_bytes(root.path()), Some(16_777_216));
        let limits = rapl_limits(&root.path().join("sys/class/powercap"));
        assert_eq!(
            limits,
            [RaplLimit {
                zone: "package-0".to_owned(),
                constraint: "long_term".to_owned(),
                power_limit_w: 125.0,
                time_window_sec: Some(27.983_872),
            }]
        );
        assert_eq!(virtual_machine(root.path()).as_deref(), Some("QEMU"));
        assert_eq!(container(root.path()).as_deref(), Some("docker"));

        let empty = tree(&[("proc/cpuinfo", "processor: 0\n")]);
        let cpu = empty.path().join("sys/devices/system/cpu");
        assert!(each_cpu(&cpu, "cpufreq/scaling_governor").is_empty());
        assert_eq!((turbo(&cpu), memory_bytes(empty.path())), (None, None));
        assert_eq!((container(empty.path()), virtual_machine(empty.path())), (None, None));
    }

    #[test]
    fn only_listed_variables_of_the_environment_are_reported() {
        let variables = [
            ("CUDA_VISIBLE_DEVICES", "0"),
            ("HF_TOKEN", "hf_secret"),
            ("NCCL_SECRET", "s"),
            ("DATABASE_URL", "postgres://u:p@h/d"),
        ];
        let reported = listed(variables.map(|(name, value)| (name.into(), value.into())).into());
        assert_eq!(
            reported.into_iter().collect::<Vec<_>>(),
            [("CUDA_VISIBLE_DEVICES".to_owned(), "0".to_owned())]
        );
        let words = [
            "KEY",
            "TOKEN",
            "SECRET",
            "PASS",
            "CREDENTIAL",
            "AUTH",
            "COOKIE",
            "PROXY",
            "URL",
        ];
        assert!(
            ENVIRONMENT
                .iter()
                .all(|name| !words.iter().any(|word| name.contains(word)))
        );
    }
}
