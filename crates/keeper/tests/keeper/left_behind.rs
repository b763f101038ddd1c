use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use joulemark_keeper::{KeepOrder, Swept, own_cgroup, sweep};
use serde_json::{Value, json};

use super::ends::{FAMILY, FAMILY_SIZE, family};
use super::started::{Keeper, Setting, can_create_cgroups, program, until};

/// Number of kills, spread over the start, the order and the work of the keeper.
const ROUNDS: u32 = 20;
const MOMENT: Duration = Duration::from_millis(3);

#[test]
fn nothing_is_left_when_the_server_is_killed_at_any_moment() {
    let setting = Setting::new();
    let mut order = setting.order(&format!("{FAMILY} exec sleep 600"));
    order.grace_ms = 20;
    let text = serde_json::to_string(&order).expect("an order");
    for round in 0..ROUNDS {
        let mut server = Command::new(program())
            .args(["serve", &text])
            .envs([setting.variable()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a server");
        std::thread::sleep(MOMENT * round);
        server.kill().expect("it runs");
        server.wait().expect("it is ours");
        setting.until_nothing_runs();
        assert!(setting.record_files().is_empty(), "round {round}");
    }
}

/// Kills a keeper whose engine has started the three processes, and waits until the engine's own process is gone.
fn killed_keeper(setting: &Setting, order: &KeepOrder) {
    let mut keeper = Keeper::start(order);
    keeper.started();
    setting.until_running("sleep", FAMILY_SIZE + 1);
    keeper.kill();
    setting.until_running("sleep", FAMILY_SIZE);
}

fn swept(setting: &Setting) -> Swept {
    sweep(&setting.records()).expect("the folder is ours")
}

#[test]
fn a_sweep_leaves_nothing_when_the_keeper_was_killed_at_any_moment() {
    let setting = Setting::new();
    let order = setting.order(&format!("{FAMILY} exec sleep 600"));
    for round in 0..ROUNDS {
        let keeper = Keeper::start(&order);
        std::thread::sleep(MOMENT * round / 2);
        keeper.kill();
        assert_eq!(swept(&setting).left, []);
        // The kernel kills the engine's own process with the keeper.
        setting.until_nothing_runs();
        assert!(setting.record_files().is_empty(), "round {round}");
    }
}

#[test]
fn a_sweep_ends_the_processes_left_by_a_killed_keeper() {
    let setting = Setting::new();
    killed_keeper(&setting, &setting.order(&format!("{FAMILY} exec sleep 600")));
    let mut left = setting.running("sleep");
    let Swept { killed, left: alive } = swept(&setting);
    assert_eq!(alive, []);
    assert!(killed.iter().all(|(_, name)| name == "sleep"), "{killed:?}");
    let mut killed: Vec<u32> = killed.into_iter().map(|(pid, _)| pid).collect();
    killed.sort_unstable();
    left.sort_unstable();
    assert_eq!(killed, left);
    assert!(setting.all_running().is_empty(), "it waits until they are dead");
    assert!(setting.record_files().is_empty());
    assert_eq!(swept(&setting), Swept::default(), "there is no more to do");
}

#[test]
fn a_sweep_uses_and_removes_the_engines_cgroup() {
    let setting = Setting::new();
    let Some(parent) = own_cgroup().filter(|folder| can_create_cgroups(folder)) else {
        eprintln!("no cgroup can be made here: there is nothing to sweep");
        return;
    };
    // Has neither the mark nor the engine's session: only the cgroup contains it.
    let script = "setsid env -i setsid sleep 600 & exec sleep 600";
    let mut order = setting.order(script);
    order.cgroup_parent = Some(parent);
    let mut keeper = Keeper::start(&order);
    let Some(joulemark_keeper::KeepEvent::Started {
        cgroup: Some(cgroup), ..
    }) = keeper.event()
    else {
        panic!("it has no cgroup");
    };
    let members = || std::fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default();
    until("both", || {
        (members().lines().count() == 2 && setting.all_running().len() == 1).then_some(())
    });
    keeper.kill();
    until("the engine's end", || (members().lines().count() == 1).then_some(()));
    assert_eq!(swept(&setting).killed.len(), 1);
    assert!(!cgroup.exists());
}

#[test]
fn a_sweep_leaves_the_engine_of_a_living_keeper_alone() {
    let setting = Setting::new();
    let keeper = family(&setting);
    assert_eq!(swept(&setting), Swept::default());
    assert_eq!(setting.running("sleep").len(), FAMILY_SIZE + 1);
    assert_eq!(setting.record_files().len(), 1);
    drop(keeper);
}

/// A process that no keeper started, the leader of a session in which it has a child.
struct Stranger(Child);

impl Stranger {
    fn start() -> Self {
        let mut command = Command::new("setsid");
        command.args(["sh", "-c", "sleep 600 & wait"]).stdin(Stdio::null());
        Self(command.spawn().expect("a process"))
    }

    fn runs(&mut self) -> bool {
        self.0.try_wait().expect("it is ours").is_none()
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let group = nix::unistd::Pid::from_raw(self.0.id() as i32);
        let _ = nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL);
        let _ = self.0.wait();
    }
}

/// Leaves a changed record of a killed keeper whose engine has no processes left.
fn forged(setting: &Setting, change: impl FnOnce(&mut Value)) -> PathBuf {
    let mut keeper = Keeper::start(&setting.order("exec sleep 600"));
    keeper.started();
    keeper.kill();
    setting.until_nothing_runs();
    let [path] = setting.record_files().try_into().expect("one record");
    let mut record: Value = serde_json::from_slice(&std::fs::read(&path).expect("it is there")).expect("JSON");
    change(&mut record);
    std::fs::write(&path, record.to_string()).expect("it is ours");
    path
}

#[test]
fn a_process_with_a_reused_pid_is_left_alone() {
    let setting = Setting::new();
    let mut stranger = Stranger::start();
    let path = forged(&setting, |record| {
        assert!(record["engine"]["start_time_ticks"].as_u64() > Some(0), "{record}");
        record["engine"] = json!({ "pid": stranger.0.id(), "start_time_ticks": 1 });
    });
    assert_eq!(swept(&setting), Swept::default());
    assert!(stranger.runs());
    assert!(!path.exists(), "nothing is left of the engine");
}

#[test]
fn records_of_another_boot_and_incomplete_ones_are_only_removed() {
    let setting = Setting::new();
    let mut stranger = Stranger::start();
    let pid = stranger.0.id();
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let start_time_ticks: u64 = stat.split(' ').nth(21).expect("22 fields").parse().expect("a number");
    let path = forged(&setting, |record| {
        record["boot_id"] = json!("another");
        record["engine"] = json!({ "pid": pid, "start_time_ticks": start_time_ticks });
    });
    std::fs::write(path.with_extension("new"), "{\"boot_id\":").expect("it is ours");
    let note = setting.records().join("notes.txt");
    std::fs::write(&note, "").expect("it is ours");
    assert_eq!(swept(&setting), Swept::default());
    assert!(stranger.runs());
    assert_eq!(setting.record_files(), [note], "what is no record stays");
}

#[test]
fn a_folder_that_others_can_write_to_is_rejected() {
    let setting = Setting::new();
    assert_eq!(swept(&setting), Swept::default(), "it is made where it is missing");
    std::fs::set_permissions(setting.records(), PermissionsExt::from_mode(0o777)).expect("it is ours");
    let error = sweep(&setting.records())
        .expect_err("anybody could have anything killed")
        .to_string();
    assert!(error.contains("other users can write"), "{error}");
}
