use std::os::unix::fs::PermissionsExt;

use joulemark_keeper::KeepEvent;
use nix::sched::sched_getaffinity;
use nix::unistd::Pid;

use super::started::{Keeper, Setting};

/// Runs an engine to its end and returns the standard error of the keeper.
fn output(setting: &Setting, change: impl FnOnce(&mut joulemark_keeper::KeepOrder)) -> String {
    let mut order = setting.order("");
    change(&mut order);
    let mut keeper = Keeper::start(&order);
    keeper.started();
    assert_eq!(keeper.ended(), (Some(0), None));
    let (status, output) = keeper.wait();
    assert!(status.success(), "{status}");
    output
}

fn script(order: &mut joulemark_keeper::KeepOrder, text: &str) {
    order.command = ["sh", "-c", text].map(str::to_owned).to_vec();
}

/// Returns the message for an engine that does not start.
fn failure(setting: &Setting, change: impl FnOnce(&mut joulemark_keeper::KeepOrder)) -> String {
    let mut order = setting.order("");
    change(&mut order);
    let mut keeper = Keeper::start(&order);
    let Some(KeepEvent::Failed { message }) = keeper.event() else {
        panic!("it does not fail");
    };
    assert_eq!(keeper.event(), None, "it says so once");
    assert!(!keeper.wait().0.success());
    assert!(setting.record_files().is_empty(), "nothing was started");
    message
}

#[test]
fn the_engine_writes_to_the_keepers_standard_error() {
    let setting = Setting::new();
    let output = output(&setting, |order| script(order, "echo out; echo err >&2; cat"));
    assert_eq!(output, "out\nerr\n", "and its input is empty");
}

#[test]
fn the_environment_is_the_ordered_one_and_the_mark() {
    let setting = Setting::new();
    let output = output(&setting, |order| {
        order.command = vec!["env".to_owned()];
        order.environment.push(("ONE".to_owned(), "a b=c".to_owned()));
    });
    let mut names: Vec<&str> = output
        .lines()
        .filter_map(|line| Some(line.split_once('=')?.0))
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["ENGINE_OF", "ONE", "PATH", super::started::TEST_VARIABLE]);
    assert!(output.lines().any(|line| line == "ONE=a b=c"), "{output}");
}

#[test]
fn arguments_are_passed_on_unchanged() {
    let setting = Setting::new();
    let output = output(&setting, |order| {
        order.command = ["printf", "%s|", "a b", "$HOME", ";ls", ""].map(str::to_owned).to_vec();
    });
    assert_eq!(output, "a b|$HOME|;ls||");
}

#[test]
fn signals_that_the_keeper_blocks_reach_the_engine() {
    let setting = Setting::new();
    let output = output(&setting, |order| {
        order.command = ["grep", "SigBlk", "/proc/self/status"].map(str::to_owned).to_vec();
    });
    assert_eq!(output, "SigBlk:\t0000000000000000\n");
}

#[test]
fn the_engine_leads_a_session_and_runs_on_its_cpus_without_the_event_pipe() {
    let setting = Setting::new();
    let text = "cut -d' ' -f1,6 /proc/$$/stat; grep -o 'Cpus_allowed_list:.*' /proc/$$/status; ls /proc/$$/fd";
    let allowed = sched_getaffinity(Pid::from_raw(0)).expect("Linux");
    let cpu = (0..1024)
        .find(|cpu| allowed.is_set(*cpu as usize) == Ok(true))
        .expect("it runs on one");
    let output = output(&setting, |order| {
        order.cpus = vec![cpu];
        script(order, text);
    });
    let lines: Vec<&str> = output.lines().collect();
    let (pid, session) = lines[0].split_once(' ').expect("two numbers");
    assert_eq!(pid, session);
    assert_eq!(lines[1], format!("Cpus_allowed_list:\t{cpu}"));
    assert!(lines.contains(&"2") && !lines.contains(&"3"), "{output}");
}

#[test]
fn a_program_that_cannot_be_started_is_named_with_a_remedy() {
    let setting = Setting::new();
    let command = |program: &str| {
        let command = vec![program.to_owned()];
        failure(&setting, |order| order.command = command)
    };
    let message = command("no-such-server");
    assert!(
        message.contains("the program \"no-such-server\" is not in PATH"),
        "{message}"
    );
    let message = command("/no/such/server");
    assert!(message.contains("there is no program \"/no/such/server\""), "{message}");
    let plain = setting.records().join("../plain");
    std::fs::write(&plain, "#!/bin/sh\n").expect("a file");
    std::fs::set_permissions(&plain, PermissionsExt::from_mode(0o600)).expect("it is ours");
    let message = command(plain.to_str().expect("text"));
    assert!(message.contains("chmod +x"), "{message}");
    let message = failure(&setting, |order| order.command.clear());
    assert!(message.contains("the engine's command is empty"), "{message}");
}

#[test]
fn impossible_orders_are_rejected_before_anything_starts() {
    let setting = Setting::new();
    let message = failure(&setting, |order| order.cpus = vec![1023]);
    assert!(message.contains("cannot run on CPUs [1023]"), "{message}");
    let message = failure(&setting, |order| order.record_dir = "/dev/null".into());
    assert!(
        message.contains("cannot write the record of the engine in /dev/null"),
        "{message}"
    );
}

#[test]
fn a_keeper_without_an_order_ends_with_its_input() {
    let mut keeper = Keeper::without_order();
    keeper.close_orders();
    assert_eq!(keeper.event(), None);
    assert!(keeper.wait().0.success());
}

#[test]
fn a_keeper_with_another_parent_does_not_start() {
    let started = std::process::Command::new(super::started::program())
        .args(["keep", "1"])
        .output()
        .expect("a keeper");
    let said = String::from_utf8_lossy(&started.stderr).into_owned();
    assert!(said.contains("is started by the service, not by hand"), "{said}");
    assert!(!started.status.success());
}

#[test]
fn a_keeper_sleeps_while_its_engine_works() {
    let setting = Setting::new();
    let mut keeper = Keeper::start(&setting.order("echo ready; exec sleep 600"));
    keeper.started();
    keeper.until_printed("ready");
    let switches = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", keeper.pid())).expect("it runs");
        let lines = status.lines().filter(|line| line.contains("ctxt_switches"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    super::started::until("its sleep", || {
        let before = switches();
        std::thread::sleep(std::time::Duration::from_millis(100));
        (before == switches()).then_some(())
    });
}
