use std::fs;

use proptest::prelude::*;

use joulemark_measurement::clock::Monotonic;

use super::counts::retried;
use super::*;

struct FakeTree {
    root: tempfile::TempDir,
}

impl FakeTree {
    fn new() -> Self {
        Self {
            root: tempfile::tempdir().expect("a temporary folder"),
        }
    }

    fn zone(&self, path: &str, name: &str, energy_uj: u64) -> PathBuf {
        let folder = self.root.path().join(path);
        fs::create_dir_all(&folder).expect("a zone folder");
        fs::write(folder.join("name"), format!("{name}\n")).expect("a name");
        fs::write(folder.join("energy_uj"), format!("{energy_uj}\n")).expect("a counter");
        fs::write(folder.join("max_energy_range_uj"), "262143328850\n").expect("a range");
        folder
    }

    fn open(&self) -> (RaplSource, Vec<Finding>) {
        RaplSource::open(self.root.path(), None)
    }
}

fn names(source: &RaplSource) -> Vec<(EnergyDomain, String)> {
    source
        .sources()
        .iter()
        .map(|description| match &description.id.place {
            Place::Zone { path, .. } => (description.id.domain, path.clone()),
            other => panic!("a zone, not {other:?}"),
        })
        .collect()
}

#[test]
fn every_zone_is_found_by_its_name_flat_or_nested() {
    let tree = FakeTree::new();
    tree.zone("intel-rapl:0", "package-1", 1);
    tree.zone("intel-rapl:0:0", "core", 1);
    tree.zone("intel-rapl/intel-rapl:1", "package-0-die-1", 1);
    tree.zone("intel-rapl/intel-rapl:1/intel-rapl:1:0", "dram", 1);
    tree.zone("intel-rapl:2", "psys", 1);
    tree.zone("intel-rapl:0:1", "uncore", 1);
    let (source, findings) = tree.open();
    use EnergyDomain::{Core, Dram, Package, Psys, Uncore};
    let expected = [
        (Package, "intel-rapl:0"),
        (Core, "intel-rapl:0:0"),
        (Uncore, "intel-rapl:0:1"),
        (Package, "intel-rapl:1"),
        (Dram, "intel-rapl:1:0"),
        (Psys, "intel-rapl:2"),
    ];
    assert_eq!(names(&source), expected.map(|(domain, path)| (domain, path.to_owned())));
    assert!(findings.iter().all(|finding| finding.works));
}

#[test]
fn the_mmio_view_of_a_package_is_left_out_but_serves_when_it_is_the_only_one() {
    let tree = FakeTree::new();
    tree.zone("intel-rapl-mmio:0", "package-0", 1);
    assert_eq!(names(&tree.open().0).len(), 1);
    tree.zone("intel-rapl:0", "package-0", 1);
    let (source, findings) = tree.open();
    assert_eq!(names(&source), [(EnergyDomain::Package, "intel-rapl:0".to_owned())]);
    assert!(
        findings
            .iter()
            .any(|finding| !finding.works && finding.subject.contains("mmio"))
    );
}

#[test]
fn a_counter_that_wraps_is_corrected() {
    let tree = FakeTree::new();
    let folder = tree.zone("intel-rapl:0", "package-0", 9_000_000);
    fs::write(folder.join("max_energy_range_uj"), "10000000").expect("a range");
    let (mut source, _) = tree.open();
    fs::write(folder.join("energy_uj"), "2000000").expect("a counter");
    let value = source.sample().remove(0).expect("a value");
    assert_eq!(value.counter_j, Some(12.0));
}

#[test]
fn a_counter_that_went_backwards_without_a_known_range_is_passed_on_falling() {
    let tree = FakeTree::new();
    let folder = tree.zone("intel-rapl:0", "package-0", 9_000_000);
    fs::remove_file(folder.join("max_energy_range_uj")).expect("a range to remove");
    let (mut source, _) = tree.open();
    fs::write(folder.join("energy_uj"), "2000000").expect("a counter");
    assert_eq!(source.sample().remove(0).expect("a value").counter_j, Some(2.0));
}

#[test]
fn a_counter_reset_is_not_taken_for_a_wrap_of_its_large_range() {
    let tree = FakeTree::new();
    let folder = tree.zone("intel-rapl:0", "package-0", 100_000_000_000);
    let (mut source, _) = tree.open();
    assert_eq!(source.sample().remove(0).expect("a value").counter_j, Some(100_000.0));
    fs::write(folder.join("energy_uj"), "2000000").expect("a counter");
    let after = source.sample().remove(0).expect("a value").counter_j;
    assert_eq!(
        after,
        Some(2.0),
        "162 kJ in a moment is no load: it falls, and the timeline voids the interval"
    );
}

#[test]
fn a_zone_without_a_declared_limit_is_bounded_by_four_times_the_tdp() {
    let tree = FakeTree::new();
    tree.zone("intel-rapl:0", "package-0", 1);
    let bound = |model| {
        let (source, _) = RaplSource::open(tree.root.path(), model);
        source.sources()[0].wraps.expect("a range").highest_power_w
    };
    assert_eq!(bound(Some("AMD EPYC 7763 64-Core Processor")), 1120.0);
    assert_eq!(bound(Some("a CPU nobody knows")), 2000.0);
}

#[test]
fn a_zone_that_fails_does_not_stop_the_others() {
    let tree = FakeTree::new();
    let broken = tree.zone("intel-rapl:0", "package-0", 1);
    tree.zone("intel-rapl:1", "package-1", 1);
    let (mut source, _) = tree.open();
    fs::write(broken.join("energy_uj"), "").expect("an empty counter");
    let values = source.sample();
    assert!(matches!(values[0], Err(PollError::Retry(_))));
    assert!(values[1].is_ok());
}

#[test]
fn a_counter_caught_empty_for_a_moment_is_read_again() {
    let mut answers = vec![Ok(7), Err(io::ErrorKind::InvalidData), Err(io::ErrorKind::InvalidData)];
    let read = retried(|| {
        answers
            .pop()
            .expect("no more attempts than needed")
            .map_err(io::Error::from)
    });
    assert_eq!(read.expect("a value"), 7);
    let mut attempts = 0;
    let denied: io::Result<u64> = retried(|| {
        attempts += 1;
        Err(io::ErrorKind::PermissionDenied.into())
    });
    assert!(denied.is_err());
    assert_eq!(attempts, 1, "a refusal does not pass by waiting");
}

#[test]
fn an_unreadable_package_stays_beside_those_that_work_and_may_recover() {
    let tree = FakeTree::new();
    tree.zone("intel-rapl:0", "package-0", 1);
    let broken = tree.zone("intel-rapl:1", "package-1", 1);
    fs::write(broken.join("energy_uj"), "garbage").expect("a counter");
    let (mut source, findings) = tree.open();
    assert_eq!(names(&source).len(), 2);
    assert!(
        findings
            .iter()
            .any(|finding| !finding.works && finding.subject.contains("package-1"))
    );
    assert!(source.sample()[1].is_err());
    fs::write(broken.join("energy_uj"), "5000000").expect("a counter");
    assert_eq!(source.sample().remove(1).expect("a value").counter_j, Some(5.0));
}

#[test]
fn without_any_readable_package_no_zone_prevents_the_estimate() {
    let tree = FakeTree::new();
    for path in ["intel-rapl:0", "intel-rapl:1"] {
        let folder = tree.zone(path, "package-0", 1);
        fs::write(folder.join("energy_uj"), "garbage").expect("a counter");
    }
    assert!(tree.open().0.sources().is_empty());
}

#[test]
fn the_mmio_view_serves_where_the_first_view_is_unreadable() {
    let tree = FakeTree::new();
    let first = tree.zone("intel-rapl:0", "package-0", 1);
    fs::write(first.join("energy_uj"), "garbage").expect("a counter");
    tree.zone("intel-rapl-mmio:0", "package-0", 1);
    assert_eq!(
        names(&tree.open().0),
        [(EnergyDomain::Package, "intel-rapl-mmio:0".to_owned())]
    );
}

#[test]
fn a_wrap_above_the_declared_limit_is_no_reset_once_such_power_was_seen() {
    let second = |sec: u64| Monotonic(sec * 1_000_000_000);
    let mut counter = Counter {
        access: Arc::default(),
        folder: PathBuf::new(),
        package: None,
        file: None,
        range_uj: Some(1_000_000_000),
        max_power_w: None,
        highest_power_w: 100.0,
        last: None,
        last_uj: Some(500_000_000),
        unwrapped_uj: 500_000_000,
        peak_w: 0.0,
        failed: false,
    };
    counter.advance(second(1), 500_000_000);
    counter.advance(second(2), 800_000_000);
    assert_eq!(counter.advance(second(3), 100_000_000), 1100.0);
}

#[test]
fn permission_denied_names_the_exact_fix() {
    let denied = io::Error::from(io::ErrorKind::PermissionDenied);
    let zone = Path::new("/sys/class/powercap/intel-rapl:0");
    let (detail, fix) = Access::default().explain(zone, &denied, &[]);
    assert!(detail.contains("CVE-2020-8694"));
    assert!(
        fix.expect("a fix")
            .contains("`sudo chmod a+r /sys/class/powercap/intel-rapl:0/energy_uj`")
    );
}

#[test]
fn a_missing_tree_is_a_finding_with_a_next_step() {
    let (source, findings) = RaplSource::open(Path::new("/nowhere/powercap"), None);
    assert!(source.sources().is_empty());
    assert!(!findings[0].works);
    assert!(findings[0].fix.is_some());
}

#[test]
fn the_gap_that_could_hide_a_wrap_comes_from_range_and_power_limit() {
    let tree = FakeTree::new();
    let folder = tree.zone("intel-rapl:0", "package-0", 1);
    fs::write(folder.join("max_energy_range_uj"), "100000000").expect("a range");
    fs::write(folder.join("constraint_0_max_power_uw"), "125000000").expect("a limit");
    let gap = tree.open().0.sources()[0].wraps.expect("a range").safe_gap_sec();
    assert!((gap - 100.0 / 250.0).abs() < 1e-9, "{gap}");
}

proptest! {
    /// The unwrapped growth is the sum of all steps, each of which is below the range.
    #[test]
    fn unwrapping_gives_back_every_joule(
        range in 1_000_000u64..1_000_000_000,
        start in 0.0f64..1.0,
        steps in prop::collection::vec(0.0f64..1.0, 1..100),
    ) {
        let first = (start * (range - 1) as f64) as u64;
        let mut counter = Counter {
            access: Arc::default(), folder: PathBuf::new(), package: None, range_uj: Some(range), max_power_w: None,
            highest_power_w: f64::INFINITY, file: None,
            last: None, last_uj: Some(first), unwrapped_uj: first, peak_w: 0.0, failed: false,
        };
        let mut truth = first;
        for (second, step) in (1u64..).zip(steps) {
            truth += (step * (range - 1) as f64) as u64;
            let seen_j = counter.advance(Monotonic(second * 1_000_000_000), truth % range);
            prop_assert!((seen_j - truth as f64 / MICROJOULES_PER_JOULE).abs() < 1e-3);
        }
    }
}

/// Advances counters at about 1 kHz until it is dropped, each file at its own rate in W.
struct Moving {
    stop: Arc<std::sync::atomic::AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Moving {
    fn start(files: Vec<(PathBuf, f64)>) -> Self {
        use std::os::unix::fs::FileExt as _;
        use std::sync::atomic::Ordering::Relaxed;
        let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let open = |(path, watts): (PathBuf, f64)| (fs::File::create(path).expect("a counter"), watts);
        let files: Vec<_> = files.into_iter().map(open).collect();
        let began = Monotonic::now();
        let move_all = move || {
            for (file, watts) in &files {
                let microjoules = 1e9 + watts * 1e6 * Monotonic::now().sec_since(began);
                let text = format!("{microjoules:020.0}\n");
                file.write_all_at(text.as_bytes(), 0).expect("a counter");
            }
        };
        move_all();
        let thread = std::thread::spawn(move || {
            while !stopped.load(Relaxed) {
                move_all();
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
        });
        Self {
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Moving {
    fn drop(&mut self) {
        self.stop.store(true, std::sync::atomic::Ordering::Relaxed);
        self.thread.take().map(std::thread::JoinHandle::join);
    }
}

fn counter_of(zone: &Path) -> PathBuf {
    zone.join("energy_uj")
}

fn one_file_for_both(of: &Path, and: &Path) {
    fs::remove_file(counter_of(and)).expect("a counter");
    fs::hard_link(counter_of(of), counter_of(and)).expect("a link");
}

#[test]
fn one_register_under_the_names_of_two_dies_is_read_once_and_the_finding_says_why() {
    let tree = FakeTree::new();
    let die = tree.zone("intel-rapl:0", "package-0-die-0", 1);
    one_file_for_both(&die, &tree.zone("intel-rapl:1", "package-0-die-1", 1));
    let _moving = Moving::start(vec![(counter_of(&die), 68.0)]);
    let (source, findings) = tree.open();
    assert_eq!(names(&source), [(EnergyDomain::Package, "intel-rapl:0".to_owned())]);
    assert!(
        !findings[1].works
            && findings[1]
                .detail
                .contains("the same register as package-0-die-0 (intel-rapl:0)"),
        "{findings:?}"
    );
}

#[test]
fn dies_and_packages_with_registers_of_their_own_are_both_read_packages_also_when_they_draw_the_same() {
    let dies = ["package-0-die-0", "package-0-die-1"];
    for (watts, names_of) in [([68.0, 55.0], dies), ([68.0, 68.0], ["package-0", "package-1"])] {
        let tree = FakeTree::new();
        let zones = [("intel-rapl:0", names_of[0]), ("intel-rapl:1", names_of[1])];
        let files = zones.map(|(path, name)| counter_of(&tree.zone(path, name, 1)));
        let _moving = Moving::start(files.into_iter().zip(watts).collect());
        let (source, findings) = tree.open();
        assert_eq!(names(&source).len(), 2, "{findings:?}");
    }
}

#[test]
fn one_register_in_a_nested_tree_and_by_mmio_under_another_name_is_read_once() {
    let tree = FakeTree::new();
    let package = tree.zone("intel-rapl/intel-rapl:0", "package-0-die-0", 1);
    one_file_for_both(
        &package,
        &tree.zone("intel-rapl-mmio/intel-rapl-mmio:0", "package-0", 1),
    );
    let _moving = Moving::start(vec![(counter_of(&package), 40.0)]);
    let (source, _) = tree.open();
    assert_eq!(names(&source), [(EnergyDomain::Package, "intel-rapl:0".to_owned())]);
}

#[test]
fn a_zone_that_stood_still_at_the_start_is_undecided_and_left_out_once_it_moves_with_another() {
    let tree = FakeTree::new();
    let die = tree.zone("intel-rapl:0", "package-0-die-0", 1);
    one_file_for_both(&die, &tree.zone("intel-rapl:1", "package-0-die-1", 1));
    let (mut source, findings) = tree.open();
    assert_eq!(names(&source).len(), 2);
    assert!(
        findings[1].works && findings[1].detail.contains("is not decided yet"),
        "{findings:?}"
    );
    for step in 1..=12 {
        fs::write(counter_of(&die), format!("{}", step * 1_000_000)).expect("a counter");
        source.sample();
    }
    let answers = source.sample();
    assert!(answers[0].is_ok());
    assert!(matches!(&answers[1], Err(PollError::Repeats(why)) if why.contains("package-0-die-0")));
}

#[test]
fn the_fix_names_the_very_files_that_were_refused() {
    let tree = FakeTree::new();
    let denied = || io::Error::from(io::ErrorKind::PermissionDenied);
    for paths in [
        vec!["intel-rapl-mmio:0"],
        vec!["intel-rapl/intel-rapl:0", "intel-rapl/intel-rapl:0/intel-rapl:0:1"],
    ] {
        let refused: Vec<PathBuf> = paths
            .iter()
            .map(|path| tree.root.path().join(path).join("energy_uj"))
            .collect();
        let zone = refused[0].parent().expect("a zone");
        let fix = Access::default().explain(zone, &denied(), &refused).1.expect("a fix");
        let files: Vec<String> = refused.iter().map(|file| file.display().to_string()).collect();
        assert!(
            fix.starts_with(&format!("`sudo chmod a+r {}`", files.join(" "))),
            "{fix}"
        );
    }
}

/// Creates the facts about a host whose `/proc` has this mount table.
fn access(mountinfo: &str, guest: Option<&str>) -> Access {
    let host = tempfile::tempdir().expect("a folder");
    fs::create_dir_all(host.path().join("proc/self")).expect("folders");
    fs::write(host.path().join("proc/self/mountinfo"), mountinfo).expect("mounts");
    let cpu = CpuInfo {
        guest: guest.map(str::to_owned),
        ..CpuInfo::read(&host.path().join("proc"))
    };
    Access::read(&host.path().join("proc"), &cpu, false)
}

#[test]
fn where_the_files_are_mounted_read_only_the_fix_is_the_hosts_own_names() {
    let inside = access(
        "1 0 0:1 / / rw - overlay overlay rw\n3 1 0:2 /devices/virtual/powercap /powercap ro - sysfs sysfs rw\n",
        None,
    );
    let zone = Path::new("/powercap/intel-rapl/intel-rapl:0");
    let denied = io::Error::from(io::ErrorKind::PermissionDenied);
    let fix = inside.explain(zone, &denied, &[]).1.expect("a fix");
    let named = "on the host: `sudo chmod a+r /sys/devices/virtual/powercap/intel-rapl/intel-rapl:0/energy_uj`";
    assert!(fix.contains(named), "{fix}");
}

#[test]
fn a_masked_tree_and_a_container_without_it_get_the_command_that_mounts_it() {
    let tree = FakeTree::new();
    std::os::unix::fs::symlink("../nowhere", tree.root.path().join("intel-rapl:0")).expect("a link");
    let (_, findings) = RaplSource::open_with(tree.root.path(), None, access("", None));
    assert!(findings[0].detail.contains("masked"), "{findings:?}");
    let mount = "-v /sys/devices/virtual/powercap:/powercap:ro -e JOULEMARK_RAPL_ROOT=/powercap";
    assert!(
        findings[0].fix.as_deref().is_some_and(|fix| fix.contains(mount)),
        "{findings:?}"
    );
    let inside = access("1 0 0:1 / / rw - overlay overlay rw\n", None);
    let (_, findings) = RaplSource::open_with(Path::new("/nowhere/powercap"), None, inside);
    assert!(
        findings[0].fix.as_deref().is_some_and(|fix| fix.contains(mount)),
        "{findings:?}"
    );
}

#[test]
fn a_virtual_machine_without_rapl_has_no_fix_because_nothing_helps() {
    let guest = access("", Some("its firmware's sys_vendor is `QEMU`"));
    let (_, findings) = RaplSource::open_with(Path::new("/nowhere/powercap"), None, guest);
    assert!(
        findings[0].fix.is_none() && findings[0].detail.contains("QEMU"),
        "{findings:?}"
    );
}

#[test]
fn the_largest_of_a_zone_s_limits_counts_and_0_is_none() {
    let tree = FakeTree::new();
    let folder = tree.zone("intel-rapl:0", "package-0", 1_000_000);
    for (limits, told_w) in [
        (["15000000", "0"], Some(15.0)),
        (["15000000", "28000000"], Some(28.0)),
        (["0", "0"], None),
    ] {
        for (number, limit) in limits.iter().enumerate() {
            fs::write(folder.join(format!("constraint_{number}_max_power_uw")), limit).expect("a limit");
        }
        assert_eq!(tree.open().0.power_limit_w(0), told_w);
    }
}
