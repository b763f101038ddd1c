use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

/// A fake `/sys` in a temporary folder.
struct FakeSys(tempfile::TempDir);

impl FakeSys {
    /// Creates a PMU of type 12 with these CPUs, given as CPU, package and die.
    fn new(cpus: &[(u32, u32, u32)]) -> Self {
        let sys = Self(tempfile::tempdir().expect("a folder"));
        sys.write("power/type", "12\n");
        let mask: Vec<String> = cpus.iter().map(|(cpu, ..)| cpu.to_string()).collect();
        sys.write("power/cpumask", &mask.join(","));
        for (cpu, package, die) in cpus {
            sys.write(
                &format!("cpu/cpu{cpu}/topology/physical_package_id"),
                &package.to_string(),
            );
            sys.write(&format!("cpu/cpu{cpu}/topology/die_id"), &die.to_string());
        }
        sys
    }

    fn event(&self, name: &str, code: &str, scale: &str, unit: &str) {
        self.write(&format!("power/events/{name}"), code);
        self.write(&format!("power/events/{name}.scale"), scale);
        self.write(&format!("power/events/{name}.unit"), unit);
    }

    fn write(&self, path: &str, text: &str) {
        let file = self.0.path().join(path);
        fs::create_dir_all(file.parent().expect("a parent")).expect("folders");
        fs::write(file, text).expect("a file");
    }

    fn roots(&self) -> PerfEventRoots {
        PerfEventRoots {
            pmu: self.0.path().join("power"),
            cpus: self.0.path().join("cpu"),
        }
    }
}

const SCALE: &str = "2.3283064365386962890625e-10";

fn zones(source: &PerfEventSource) -> Vec<(EnergyDomain, String, String)> {
    let zone = |description: &SourceDescription| match &description.id.place {
        Place::Zone { name, path } => (description.id.domain, name.clone(), path.clone()),
        other => panic!("{other:?} is no zone"),
    };
    source.sources().iter().map(zone).collect()
}

fn still(_: &Pmu, _: &Event) -> io::Result<Counter> {
    Ok(Box::new(|| Ok(0)))
}

#[test]
fn every_domain_is_opened_once_a_package_and_named_as_powercap_names_it() {
    let sys = FakeSys::new(&[(0, 0, 0), (18, 1, 0)]);
    for (name, code) in [
        ("energy-pkg", "event=0x02"),
        ("energy-ram", "event=0x03"),
        ("energy-psys", "event=0x05"),
    ] {
        sys.event(name, code, SCALE, "Joules");
    }
    let (source, findings) = PerfEventSource::open_with(&sys.roots(), None, still);
    let expected = [
        (EnergyDomain::Package, "package-0", "power/energy-pkg/cpu0"),
        (EnergyDomain::Package, "package-1", "power/energy-pkg/cpu18"),
        (EnergyDomain::Dram, "dram", "power/energy-ram/cpu0"),
        (EnergyDomain::Dram, "dram", "power/energy-ram/cpu18"),
        (EnergyDomain::Psys, "psys", "power/energy-psys/cpu0"),
        (EnergyDomain::Psys, "psys", "power/energy-psys/cpu18"),
    ];
    assert_eq!(
        zones(&source),
        expected.map(|(domain, name, path)| (domain, name.to_owned(), path.to_owned()))
    );
    assert!(source.has_packages());
    assert!(findings.len() == 6 && findings.iter().all(|finding| finding.works));
}

#[test]
fn dies_of_one_package_are_distinguished() {
    let sys = FakeSys::new(&[(0, 0, 0), (24, 0, 1)]);
    sys.event("energy-pkg", "event=0x02", SCALE, "Joules");
    let (source, _) = PerfEventSource::open_with(&sys.roots(), None, still);
    let names: Vec<String> = zones(&source).into_iter().map(|(_, name, _)| name).collect();
    assert_eq!(names, ["package-0-die-0", "package-0-die-1"]);
}

#[test]
fn a_count_becomes_joules_by_the_events_own_scale_and_type_code_and_cpu_are_the_kernels() {
    let sys = FakeSys::new(&[(3, 0, 0)]);
    sys.event("energy-ram", "event=0x03", "0.25", "Joules");
    let count = Arc::new(AtomicU64::new(400));
    let (mut source, _) = PerfEventSource::open_with(&sys.roots(), None, |pmu, event| {
        assert_eq!((pmu.kind, event.config, event.cpu), (12, 3, 3));
        let count = Arc::clone(&count);
        Ok(Box::new(move || Ok(count.load(Ordering::Relaxed))))
    });
    assert_eq!(source.sample()[0].as_ref().expect("a value").counter_j, Some(100.0));
    count.store(1 << 40, Ordering::Relaxed);
    let value = source.sample().remove(0).expect("a value");
    assert_eq!(value.counter_j, Some((1u64 << 38) as f64), "64 bits: no wrap at 32");
    assert_eq!(source.sources()[0].wraps, None);
}

#[test]
fn a_refusal_names_the_capability_and_the_setting() {
    let sys = FakeSys::new(&[(0, 0, 0)]);
    sys.event("energy-pkg", "event=0x02", SCALE, "Joules");
    let (source, findings) = PerfEventSource::open_with(&sys.roots(), None, |_, _| {
        Err(io::Error::from_raw_os_error(libc::EACCES))
    });
    assert!(!source.has_packages());
    let fix = findings[0].fix.as_deref().expect("a fix");
    assert!(
        fix.contains("cap_perfmon") && fix.contains("kernel.perf_event_paranoid=0"),
        "{fix}"
    );
}

#[test]
fn an_event_in_another_unit_is_left_out_and_reported() {
    let sys = FakeSys::new(&[(0, 0, 0)]);
    sys.event("energy-pkg", "event=0x02", SCALE, "Joules");
    sys.event("energy-ram", "event=0x03", SCALE, "Watts");
    let (source, findings) = PerfEventSource::open_with(&sys.roots(), None, still);
    assert_eq!(source.sources().len(), 1);
    assert!(
        findings
            .iter()
            .any(|finding| !finding.works && finding.detail.contains("Watts"))
    );
}

#[test]
fn no_pmu_is_one_finding() {
    let folder = tempfile::tempdir().expect("a folder");
    let roots = PerfEventRoots {
        pmu: folder.path().join("power"),
        cpus: folder.path().join("cpu"),
    };
    let (source, findings) = PerfEventSource::open(&roots);
    assert!(source.sources().is_empty());
    assert!(findings.len() == 1 && !findings[0].works, "{findings:?}");
}

/// Creates registers that tick at each reading. Each event shows the one that `register` returns, counted from its
/// opening.
fn ticking(register: impl Fn(&Event) -> u32) -> impl Fn(&Pmu, &Event) -> io::Result<Counter> {
    let ticks = Arc::new(AtomicU64::new(1));
    move |_, event| {
        let (ticks, register) = (Arc::clone(&ticks), u64::from(register(event)));
        let value = move || ticks.fetch_add(1, Ordering::Relaxed) / 4 * (3_000_000 + 411_111 * register);
        let opened = value();
        Ok(Box::new(move || Ok(value() - opened)))
    }
}

#[test]
fn several_cpus_of_one_package_in_the_cpumask_and_dies_of_one_register_count_once() {
    for dies in [[0, 0], [0, 1]] {
        let sys = FakeSys::new(&[(0, 0, dies[0]), (1, 0, dies[1]), (18, 1, 0)]);
        sys.event("energy-pkg", "event=0x02", SCALE, "Joules");
        let own_package = |event: &Event| u32::from(event.cpu == 18);
        let (source, findings) = PerfEventSource::open_with(&sys.roots(), None, ticking(own_package));
        let paths: Vec<String> = zones(&source).into_iter().map(|(_, _, path)| path).collect();
        assert_eq!(
            paths,
            ["power/energy-pkg/cpu0", "power/energy-pkg/cpu18"],
            "{findings:?}"
        );
        assert!(
            !findings[1].works && findings[1].detail.contains("the same register"),
            "{findings:?}"
        );
    }
}

#[test]
fn dies_with_registers_of_their_own_add_up_by_perf_event() {
    let sys = FakeSys::new(&[(0, 0, 0), (24, 0, 1)]);
    sys.event("energy-pkg", "event=0x02", SCALE, "Joules");
    let (source, findings) = PerfEventSource::open_with(&sys.roots(), None, ticking(|event| event.cpu));
    assert_eq!(source.sources().len(), 2, "{findings:?}");
}

#[test]
fn a_virtual_machine_without_the_pmu_has_no_fix() {
    let sys = FakeSys::new(&[]);
    let roots = PerfEventRoots {
        pmu: sys.0.path().join("nowhere"),
        ..sys.roots()
    };
    let (_, findings) = PerfEventSource::open_on(&roots, Some("its CPUs have the flag `hypervisor`"));
    assert!(findings[0].fix.is_none(), "{findings:?}");
    assert!(PerfEventSource::open_on(&roots, None).1[0].fix.is_some());
}
