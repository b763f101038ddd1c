use std::collections::BTreeSet;
use std::io;

use joulemark_meter::CgroupCpuClock;

use crate::cgroup::{OUTSIDE_NAMESPACE, groups_named, processes_in, tree};
use crate::forward::{forward, is_shell};
use crate::host::Host;
use crate::not_found::NotFound;
use crate::processes::topmost;
use crate::served::Served;

/// Types of units that contain processes.
const TYPES: [&str; 3] = [".service", ".scope", ".slice"];

/// Returns the processes of the systemd unit called `name` and its CPU time; a system's unit is preferred to a user's.
///
/// # Errors
/// Returns the reason when the unit does not run, is unknown or ambiguous, or runs only forwards and container clients.
pub fn find(host: &Host, name: &str) -> Result<Served, NotFound> {
    let unit = full_name(name);
    let Some(tree) = tree(host) else {
        let cgroup_root = host.cgroup_root.clone();
        return Err(NotFound::NoCgroups { unit, cgroup_root });
    };
    let groups = groups_named(&tree, &unit);
    let [group] = &groups[..] else {
        let places: Vec<String> = groups.iter().map(|group| group.display().to_string()).collect();
        return Err(match places.len() {
            0 if has_file(host, &unit) => NotFound::UnitNotRunning { unit },
            0 => NotFound::UnitUnknown { unit },
            _ => NotFound::UnitAmbiguous {
                unit,
                places: places.join(", "),
            },
        });
    };
    let mut processes = match processes_in(group) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            let reason = error.to_string();
            return Err(NotFound::UnitUnreadable { unit, reason });
        }
        listed => listed.unwrap_or_default(),
    };
    if processes.is_empty() {
        return Err(NotFound::UnitNotRunning { unit });
    }
    let found_by = format!("unit {unit}");
    if let Some((pid, program)) = only_forwards(host, &processes) {
        return Err(NotFound::Forward { program, pid, found_by });
    }
    processes.remove(&OUTSIDE_NAMESPACE);
    Ok(Served {
        unit_cpu: CgroupCpuClock::open(group).ok(),
        unit_group: Some(group.clone()),
        ..Served::of_roots(topmost(host, &processes), found_by)
    })
}

/// Returns a forward when all processes are forwards or shells that run them, as with `docker run` in a unit; the
/// processes of the container are then elsewhere.
fn only_forwards(host: &Host, processes: &BTreeSet<u32>) -> Option<(u32, String)> {
    let mut found = None;
    for pid in processes {
        match forward(host, *pid) {
            Some(program) => found = found.or(Some((*pid, program))),
            None if is_shell(host, *pid) => {}
            None => return None,
        }
    }
    found
}

/// Returns the name with its type, completed as by `systemctl`.
fn full_name(name: &str) -> String {
    let is_full = TYPES.iter().any(|kind| name.ends_with(kind));
    if is_full {
        name.to_owned()
    } else {
        format!("{name}.service")
    }
}

/// Returns whether systemd has a file for the unit, or for its template.
fn has_file(host: &Host, unit: &str) -> bool {
    let template = unit.split_once('@').and_then(|(before, instance)| {
        let (_, kind) = instance.rsplit_once('.')?;
        Some(format!("{before}@.{kind}"))
    });
    let names = [Some(unit.to_owned()), template];
    let mut names = names.iter().flatten().filter(|name| !name.contains('/'));
    names.any(|name| host.unit_folders.iter().any(|folder| folder.join(name).exists()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::FakeHost;

    #[test]
    fn the_roots_and_the_cpu_time_of_a_unit_are_found() {
        let fake = FakeHost::new();
        for (pid, parent) in [(100, 1), (110, 100), (200, 1)] {
            fake.process(pid, "python3", parent);
        }
        fake.unit("system.slice/vllm.service", &[100, 110]);
        fake.unit("system.slice/other.service", &[200]);
        for name in ["vllm.service", "vllm"] {
            let served = find(&fake.host(), name).expect("it runs");
            assert_eq!(
                (served.pids, served.found_by.as_str()),
                (vec![100], "unit vllm.service")
            );
            assert_eq!(served.unit_cpu.expect("its clock").used_sec().expect("seconds"), 1.5);
        }
    }

    #[test]
    fn a_unit_in_a_nested_slice_is_found_beside_cgroup_v1() {
        for tree in ["", "unified/"] {
            let fake = FakeHost::with_cgroups_in(tree);
            fake.process(100, "vllm", 1);
            fake.process(200, "vllm", 1);
            let user = "user.slice/user-1000.slice/user@1000.service/app.slice/vllm@0.service";
            fake.unit(&format!("{tree}{user}"), &[100]);
            assert_eq!(find(&fake.host(), "vllm@0").expect("a user's").pids, [100]);
            fake.unit(&format!("{tree}system.slice/system-vllm.slice/vllm@0.service"), &[200]);
            assert_eq!(find(&fake.host(), "vllm@0").expect("the system's").pids, [200]);
        }
    }

    #[test]
    fn orphans_and_processes_in_groups_below_belong_to_the_unit() {
        let fake = FakeHost::new();
        for (pid, name) in [(100, "conmon"), (110, "vllm"), (120, "worker"), (300, "other")] {
            fake.process(pid, name, 1);
        }
        fake.unit("system.slice/vllm.service", &[100]);
        fake.unit("system.slice/vllm.service/libpod-payload-1", &[110, 120]);
        let served = find(&fake.host(), "vllm").expect("it runs");
        assert_eq!(served.pids, [100, 110, 120]);
        // A process that was started later.
        fake.process(130, "late", 1);
        fake.unit("system.slice/vllm.service/libpod-payload-1", &[110, 120, 130]);
        assert_eq!(served.in_unit(), [100, 110, 120, 130]);
    }

    #[test]
    fn stopped_and_unknown_units_have_different_reasons() {
        let fake = FakeHost::new();
        let reason = |name| find(&fake.host(), name).expect_err("it does not run");
        fake.write("etc/systemd/system/vllm.service", "");
        fake.write("usr/lib/systemd/user/sglang@.service", "");
        let stopped = |unit: &str| NotFound::UnitNotRunning { unit: unit.to_owned() };
        assert_eq!(reason("vllm.service"), stopped("vllm.service"));
        assert_eq!(reason("sglang@1.service"), stopped("sglang@1.service"));
        fake.unit("system.slice/left.service", &[]);
        assert_eq!(reason("left.service"), stopped("left.service"));
        for unknown in ["vlm.service", "../vllm.service", "system/vllm.service", ".service"] {
            assert!(matches!(reason(unknown), NotFound::UnitUnknown { .. }), "{unknown}");
        }
    }

    #[test]
    fn units_of_two_users_with_one_name_are_ambiguous() {
        let fake = FakeHost::new();
        for (pid, user) in [(100, 1000), (200, 1001)] {
            fake.process(pid, "vllm", 1);
            fake.unit(
                &format!("user.slice/user-{user}.slice/user@{user}.service/vllm.service"),
                &[pid],
            );
        }
        let reason = find(&fake.host(), "vllm").expect_err("two").to_string();
        assert!(reason.contains("user-1000") && reason.contains("user-1001"), "{reason}");
    }

    #[test]
    fn a_unit_that_runs_only_a_container_client_is_rejected() {
        let fake = FakeHost::new();
        fake.process(100, "sh", 1);
        fake.process(110, "docker", 100);
        fake.unit("system.slice/vllm.service", &[100, 110]);
        let reason = find(&fake.host(), "vllm").expect_err("the container's processes are elsewhere");
        assert!(
            matches!(&reason, NotFound::Forward { program, pid: 110, .. } if program == "docker"),
            "{reason}"
        );
    }

    #[test]
    fn a_unit_in_another_pid_namespace_has_cpu_time_but_no_pids() {
        let fake = FakeHost::new();
        fake.unit("system.slice/vllm.service", &[OUTSIDE_NAMESPACE]);
        let served = find(&fake.host(), "vllm").expect("it runs");
        assert!(served.pids.is_empty() && served.unit_cpu.is_some());
    }

    #[test]
    fn a_host_without_cgroup_v2_is_reported() {
        let fake = FakeHost::with_cgroups_in("elsewhere/");
        assert!(matches!(find(&fake.host(), "vllm"), Err(NotFound::NoCgroups { .. })));
    }
}
