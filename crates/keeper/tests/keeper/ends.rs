use joulemark_keeper::own_cgroup;
use nix::sys::signal::Signal;

use super::started::{Keeper, Setting, can_create_cgroups};

/// Starts three processes that ignore SIGTERM: two in other sessions whose parents are gone, and a child.
pub const FAMILY: &str = "trap '' TERM; setsid sh -c 'sleep 600 & setsid sleep 600 & :'; sleep 600 & ";
/// Number of these processes.
pub const FAMILY_SIZE: usize = 3;

/// Starts the three processes with an engine that keeps running, and waits until all of them run.
pub fn family(setting: &Setting) -> Keeper {
    let mut keeper = Keeper::start(&setting.order(&format!("{FAMILY} exec sleep 600")));
    keeper.started();
    setting.until_running("sleep", FAMILY_SIZE + 1);
    keeper
}

/// Waits for the end of the keeper, and asserts that nothing is left.
fn is_gone(setting: &Setting, keeper: Keeper) {
    let (status, output) = keeper.wait();
    assert!(status.success(), "{status}: {output}");
    assert!(
        setting.all_running().is_empty(),
        "the keeper waits for the last of them"
    );
    assert!(setting.record_files().is_empty());
}

#[test]
fn the_end_of_the_input_ends_every_process_of_the_engine() {
    let setting = Setting::new();
    let mut keeper = family(&setting);
    assert_eq!(setting.record_files().len(), 1);
    keeper.close_orders();
    assert_eq!(keeper.ended(), (None, Some(Signal::SIGKILL as i32)));
    is_gone(&setting, keeper);
}

#[test]
fn signals_end_every_process_of_the_engine() {
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let setting = Setting::new();
        let keeper = family(&setting);
        keeper.signal(signal);
        is_gone(&setting, keeper);
    }
}

#[test]
fn the_end_of_the_engine_ends_the_processes_it_started() {
    let setting = Setting::new();
    let mut keeper = Keeper::start(&setting.order(&format!("{FAMILY} exit 7")));
    keeper.started();
    assert_eq!(keeper.ended(), (Some(7), None));
    is_gone(&setting, keeper);
}

#[test]
fn an_engine_has_time_to_shut_down() {
    let setting = Setting::new();
    let script = "trap 'echo bye; exit 5' TERM; echo ready; while :; do sleep 0.01; done";
    let mut order = setting.order(script);
    order.grace_ms = 600_000;
    let mut keeper = Keeper::start(&order);
    keeper.started();
    keeper.until_printed("ready");
    keeper.close_orders();
    keeper.until_printed("bye");
    assert_eq!(keeper.ended(), (Some(5), None));
    is_gone(&setting, keeper);
}

#[test]
fn an_engine_that_ignores_sigterm_is_killed_after_the_grace_period() {
    let setting = Setting::new();
    let script = "trap 'echo no' TERM; echo ready; while :; do sleep 600 & wait; done";
    let mut keeper = Keeper::start(&setting.order(script));
    keeper.started();
    keeper.until_printed("ready");
    keeper.signal(Signal::SIGTERM);
    keeper.until_printed("no");
    assert_eq!(keeper.ended(), (None, Some(Signal::SIGKILL as i32)));
    is_gone(&setting, keeper);
}

/// A chain of processes, each of which forks the next and exits; longer than a test waits.
const CHAIN: &str = "
import os, signal, sys, time
end = time.monotonic() + 90
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    while time.monotonic() < end:
        if os.fork():
            os._exit(0)
        sys.argv[1:] and os.setsid()
    os._exit(0)
print('ready', flush=True)
signal.pause()
";

fn chain(setting: &Setting, arguments: &[&str]) -> Keeper {
    let mut order = setting.order("");
    order.command = ["python3", "-c", CHAIN]
        .iter()
        .chain(arguments)
        .map(|&part| part.to_owned())
        .collect();
    let mut keeper = Keeper::start(&order);
    keeper.started();
    keeper.until_printed("ready");
    keeper
}

#[test]
fn processes_that_fork_faster_than_they_are_found_are_killed() {
    let setting = Setting::new();
    let mut keeper = chain(&setting, &[]);
    keeper.close_orders();
    is_gone(&setting, keeper);
}

#[test]
fn processes_that_each_begin_a_session_are_killed() {
    let setting = Setting::new();
    let mut keeper = chain(&setting, &["sessions"]);
    keeper.close_orders();
    is_gone(&setting, keeper);
}

#[test]
fn an_engine_gets_its_own_cgroup_where_possible() {
    let setting = Setting::new();
    let parent = own_cgroup().filter(|folder| can_create_cgroups(folder));
    let mut order = setting.order(&format!("{FAMILY} exec sleep 600"));
    // Without a usable parent, the root folder stands for one in which no cgroup can be created.
    order.cgroup_parent = Some(parent.clone().unwrap_or_else(|| "/".into()));
    let mut keeper = Keeper::start(&order);
    let Some(joulemark_keeper::KeepEvent::Started { cgroup, .. }) = keeper.event() else {
        panic!("it does not start");
    };
    assert_eq!(cgroup.is_some(), parent.is_some());
    let mut engine = setting.until_running("sleep", FAMILY_SIZE + 1);
    if let Some(cgroup) = &cgroup {
        let members = std::fs::read_to_string(cgroup.join("cgroup.procs")).expect("its members");
        let mut members: Vec<u32> = members.lines().map(|pid| pid.parse().expect("a pid")).collect();
        members.sort_unstable();
        engine.sort_unstable();
        assert_eq!(members, engine, "all of the engine and nothing else");
    }
    keeper.close_orders();
    is_gone(&setting, keeper);
    assert!(cgroup.is_none_or(|cgroup| !cgroup.exists()), "it is removed");
}
