//! Detects a virtual machine, also when the hypervisor hides its CPU flag, from the firmware, the kernel and the names
//! of the CPUs.

use std::fs;
use std::path::Path;

/// Names that hypervisors put into DMI, as in systemd-detect-virt, and those of large clouds.
const VENDORS: [&str; 24] = [
    "KVM",
    "QEMU",
    "VMware",
    "VMW",
    "innotek GmbH",
    "VirtualBox",
    "Xen",
    "Bochs",
    "Parallels",
    "BHYVE",
    "Hyper-V",
    "Virtual Machine",
    "Apple Virtualization",
    "Google Compute Engine",
    "OpenStack",
    "KubeVirt",
    "oVirt",
    "RHEV",
    "Alibaba Cloud ECS",
    "Droplet",
    "vServer",
    "AHV",
    "cloud-hypervisor",
    "Virtual Platform",
];

/// Amazon's name, which is also in the DMI of its bare metal.
const AMAZON: &str = "Amazon EC2";

/// CPU models that exist only in QEMU.
const MODELS: [&str; 18] = [
    "QEMU Virtual CPU",
    "QEMU TCG CPU",
    "Common KVM processor",
    "Common 32-bit KVM processor",
    "AMD EPYC Processor",
    "AMD EPYC-Rome Processor",
    "AMD EPYC-Milan Processor",
    "AMD EPYC-Genoa Processor",
    "AMD EPYC-Turin Processor",
    "Intel Core Processor (",
    "Intel Xeon Processor (",
    "Intel Xeon E312xx",
    "Intel Core i7 9xx",
    "Intel Celeron_4x0",
    "Intel Core 2 Duo P9xxx",
    "Westmere E56xx/L56xx/X56xx",
    "AMD Opteron 6",
    "AMD Opteron 2",
];

/// End of the names of QEMU's Opterons; real ones have a number.
const CLASS: &str = "class CPU";

/// Clock sources that hypervisors offer to guests.
const CLOCKS: [&str; 3] = ["kvm-clock", "hyperv_clocksource", "xen"];

/// What `cpuinfo` states of the CPUs.
pub struct CpuSigns<'a> {
    /// Model name; `None` when none is listed.
    pub model: Option<&'a str>,
    /// Whether the CPUs have the flag `hypervisor`.
    pub has_hypervisor_flag: bool,
    /// Number of logical CPUs and of packages listed.
    pub listed: (u32, u32),
}

/// Returns the sign that this host is a virtual machine; `None` when there is no sign.
pub fn sign(sys_root: &Path, cpu: &CpuSigns<'_>) -> Option<String> {
    if cpu.has_hypervisor_flag {
        return Some("its CPUs have the flag `hypervisor`".to_owned());
    }
    let model = cpu.model.unwrap_or_default();
    if is_qemus(model) {
        return Some(format!("its CPUs are called `{model}`"));
    }
    let text = |path: &str| {
        let text = fs::read_to_string(sys_root.join(path)).unwrap_or_default();
        text.trim().to_owned()
    };
    let vendor = text("class/dmi/id/sys_vendor");
    let product = text("class/dmi/id/product_name");
    for (file, text) in [
        ("sys_vendor", &vendor),
        ("product_name", &product),
        ("bios_vendor", &text("class/dmi/id/bios_vendor")),
        ("board_vendor", &text("class/dmi/id/board_vendor")),
        ("product_version", &text("class/dmi/id/product_version")),
    ] {
        let is_amazons = text.starts_with(AMAZON) && !product.contains(".metal");
        if is_amazons || VENDORS.iter().any(|vendor| text.contains(vendor)) {
            return Some(format!("its firmware's {file} is `{text}`"));
        }
    }
    let hypervisor = text("hypervisor/type");
    if !hypervisor.is_empty() {
        return Some(format!("/sys/hypervisor/type is `{hypervisor}`"));
    }
    let clocks = text("devices/system/clocksource/clocksource0/available_clocksource");
    if let Some(clock) = clocks.split_whitespace().find(|clock| CLOCKS.contains(clock)) {
        return Some(format!("it has the clock source {clock}"));
    }
    let (logical_cpus, packages) = cpu.listed;
    // The last socket with a single hardware thread was sold in 2005.
    (packages > 1 && packages == logical_cpus).then(|| format!("each of its {packages} CPUs is a separate socket"))
}

/// Returns whether a CPU model exists only in QEMU.
fn is_qemus(model: &str) -> bool {
    // A real model has a number in between, such as `AMD EPYC 7763 64-Core Processor`.
    let is_known = MODELS.iter().any(|name| model.starts_with(name));
    is_known && (!model.starts_with("AMD Opteron") || model.contains(CLASS))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sign_of(model: &str, listed: (u32, u32), files: &[(&str, &str)]) -> Option<String> {
        let root = tempfile::tempdir().expect("a folder");
        for (path, text) in files {
            let file = root.path().join(path);
            fs::create_dir_all(file.parent().expect("a parent")).expect("folders");
            fs::write(file, text).expect("a file");
        }
        let cpu = CpuSigns {
            model: Some(model),
            has_hypervisor_flag: false,
            listed,
        };
        sign(root.path(), &cpu)
    }

    #[test]
    fn a_guest_that_hides_its_flag_is_detected_by_its_firmware_its_model_its_clock_or_its_sockets() {
        let real = "AMD EPYC 7763 64-Core Processor";
        for (model, listed, files) in [
            ("QEMU Virtual CPU version 2.5+", (2, 1), vec![]),
            ("Common KVM processor", (2, 1), vec![]),
            ("AMD EPYC Processor", (2, 1), vec![]),
            ("AMD EPYC-Rome Processor", (2, 1), vec![]),
            ("Intel Xeon Processor (Skylake, IBRS)", (2, 1), vec![]),
            ("AMD Opteron 63xx class CPU", (2, 1), vec![]),
            (real, (4, 4), vec![]),
            (real, (4, 1), vec![("class/dmi/id/sys_vendor", "QEMU\n")]),
            (
                real,
                (4, 1),
                vec![
                    ("class/dmi/id/sys_vendor", "Microsoft Corporation\n"),
                    ("class/dmi/id/product_name", "Virtual Machine\n"),
                ],
            ),
            (
                real,
                (4, 1),
                vec![
                    ("class/dmi/id/sys_vendor", "Amazon EC2\n"),
                    ("class/dmi/id/product_name", "m5.large\n"),
                ],
            ),
            (real, (4, 1), vec![("hypervisor/type", "xen\n")]),
            (
                real,
                (4, 1),
                vec![(
                    "devices/system/clocksource/clocksource0/available_clocksource",
                    "kvm-clock tsc acpi_pm\n",
                )],
            ),
        ] {
            assert!(sign_of(model, listed, &files).is_some(), "{model} {listed:?} {files:?}");
        }
    }

    #[test]
    fn a_host_of_its_own_is_not_taken_for_a_guest() {
        for (model, listed, files) in [
            ("AMD EPYC 7763 64-Core Processor", (256, 2), vec![]),
            ("Intel(R) Xeon(R) Gold 6248 CPU @ 2.50GHz", (1, 1), vec![]),
            ("AMD Opteron(tm) Processor 6272", (32, 2), vec![]),
            (
                "Intel(R) Xeon(R) Platinum 8175M CPU @ 2.50GHz",
                (96, 2),
                vec![
                    ("class/dmi/id/sys_vendor", "Amazon EC2\n"),
                    ("class/dmi/id/product_name", "m5.metal\n"),
                ],
            ),
            (
                "12th Gen Intel(R) Core(TM) i9-12900K",
                (24, 1),
                vec![
                    ("class/dmi/id/sys_vendor", "ASUS\n"),
                    (
                        "devices/system/clocksource/clocksource0/available_clocksource",
                        "tsc hpet acpi_pm\n",
                    ),
                ],
            ),
        ] {
            assert_eq!(sign_of(model, listed, &files), None, "{model}");
        }
    }
}
