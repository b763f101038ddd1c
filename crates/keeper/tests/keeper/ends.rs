use joulemark_keeper::own_cgroup;
use nix::sys::signal::Signal;

use super::started::{Keeper, Setting, may_make_cgroups};

/// Starts three processes: one of its own session whose parents are gone, one of that session's, and a child. None heeds
/// SIGTERM.
pub const FAMILY: &str = "trap '' TERM; setsid sh -c 'sleep 600 & setsid sleep 600 & :'; sleep 600 & ";
pub const FAMILY_SIZE: usize = 3;

/// Starts the family with an engine that stays, and waits until all of it is there.
pub fn family(setting: &Setting) -> Keeper {
    let mut keeper = Keeper::start(&setting.order(&format!("{FAMILY} exec sleep 600")));
    keeper.started();
    setting.until_running("sleep", FAMILY_SIZE + 1);
    keeper
}

/// Waits for the keeper's end, after which nothing may be left.
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
fn the_end_of_the_orders_ends_all_that_the_engine_started() {
    let setting = Setting::new();
    let mut keeper = family(&setting);
    assert_eq!(setting.record_files().len(), 1);
    keeper.close_orders();
    assert_eq!(keeper.ended(), (None, Some(Signal::SIGKILL as i32)));
    is_gone(&setting, keeper);
}

#[test]
fn signals_end_all_that_the_engine_started() {
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let setting = Setting::new();
        let keeper = family(&setting);
        keeper.signal(signal);
        is_gone(&setting, keeper);
    }
}

#[test]
fn an_engine_that_ends_takes_what_it_started_with_it() {
    let setting = Setting::new();
    let mut keeper = Keeper::start(&setting.order(&format!("{FAMILY} exit 7")));
    keeper.started();
    assert_eq!(keeper.ended(), (Some(7), None));
    is_gone(&setting, keeper);
}

#[test]
fn an_engine_has_time_to_end_by_itself() {
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
fn an_engine_that_ignores_sigterm_is_killed_after_the_grace() {
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

/// Each process lives for a moment, and has forked the next by then; for longer than a test has patience.
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
fn a_new_session_for_each_of_them_is_no_way_out() {
    let setting = Setting::new();
    let mut keeper = chain(&setting, &["sessions"]);
    keeper.close_orders();
    is_gone(&setting, keeper);
}

#[test]
fn an_engine_has_a_cgroup_of_its_own_where_one_can_be_had() {
    let setting = Setting::new();
    let parent = own_cgroup().filter(|folder| may_make_cgroups(folder));
    let mut order = setting.order(&format!("{FAMILY} exec sleep 600"));
    // Where there is none, a folder that is no cgroup is not either.
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
