//! A server that is killed around setting, running and restoring, and what the boards have once somebody has looked after them.
//! Twelve kills; `KILLS=50` makes fifty, and `--nocapture` shows each.

use std::path::Path;
use std::time::Duration;

use joulemark_measurement::clock::Monotonic;
use serde_json::{Value, json};

use crate::mock_nvml::MockNvml;
use crate::power_limits::{BOARDS, experiment, limits_w, options, restored_by_hand, set_limit};
use crate::server::{Server, is_finished};
use crate::simulation::Chance;

/// What the boards had before: the one what somebody set long ago, the other what its driver gives it.
const BEFORE_W: [f64; 2] = [350.0, 400.0];
const ASKED_W: f64 = 300.0;
const SEED: u64 = 23;
/// Setting two boards, or putting them back, takes some milliseconds; a kill falls from so long before to so long after it. A
/// host that is busy kills late.
const AROUND_SEC: (f64, f64) = (-0.06, 0.015);

/// What a kill is aimed at.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Aim {
    Setting,
    Running,
    Restoring,
}

/// A limit or clock that was set; 0 is none.
struct Set {
    at_sec: f64,
    device: String,
    value: f64,
}

/// A host: its boards, the folder that all its servers share, and how long things took when nobody was killed.
struct Host {
    mock: MockNvml,
    folder: tempfile::TempDir,
    /// From the submission to the first board's limit, in seconds.
    set_after_sec: f64,
    /// From when an experiment was seen to measure to when the first board was back, in seconds.
    back_after_sec: f64,
}

impl Host {
    /// Runs an experiment to its end on new boards, and takes the times.
    async fn rehearsed() -> Self {
        let (mock, folder) = (MockNvml::new(BOARDS), tempfile::tempdir().expect("a folder"));
        set_limit(&mock, 0, BEFORE_W[0]);
        let mut host = Self {
            mock,
            folder,
            set_after_sec: 0.0,
            back_after_sec: 0.0,
        };
        let own = tempfile::tempdir().expect("a folder");
        let server = host.server(own.path());
        let submitted = Monotonic::now();
        let id = server.accepted(&asked()).await;
        server.until_state(&id, "measuring").await;
        let measuring = Monotonic::now();
        server.until_state(&id, "completed").await;
        host.assert_as_before("nobody was killed");
        let limits = host.record("limit");
        let mut later = limits.iter().skip_while(|set| set.value != ASKED_W);
        let first = later.next().expect("it was set");
        let back = later.find(|set| set.value != ASKED_W).expect("it is back");
        host.set_after_sec = first.at_sec - submitted.as_sec();
        host.back_after_sec = back.at_sec - measuring.as_sec();
        host
    }

    fn server(&self, folder: &Path) -> Server {
        let locks = self.folder.path().join("locks");
        let mut all = options(&self.mock);
        all.extend(["--power-control", "nvml", "--lock-dir"].map(str::to_owned));
        all.push(locks.display().to_string());
        Server::start_in(folder, &all.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Returns what was set of all boards, with when, in order: the mock's own record.
    fn record(&self, what: &str) -> Vec<Set> {
        let text = std::fs::read_to_string(self.mock.record()).expect("something was set");
        let line = |line: &str| {
            let words: Vec<&str> = line.split(' ').collect();
            let number = |place: usize| words[place].parse().expect("a number");
            (words[2] == what).then(|| Set {
                at_sec: number(0),
                device: words[1].to_owned(),
                value: number(3),
            })
        };
        text.lines().filter_map(line).collect()
    }

    /// Asserts that both boards have the limits that they had, and no locked clock.
    fn assert_as_before(&self, when: &str) {
        assert_eq!(limits_w(&self.mock), BEFORE_W, "{when}");
        let clocks = self.record("gpu_clock");
        for device in ["0", "1"] {
            let last = clocks.iter().rfind(|set| set.device == device);
            assert!(last.is_none_or(|set| set.value == 0.0), "{when}: {device} is locked");
        }
    }

    /// Submits an experiment and kills the server at the moment that is aimed at; its id.
    async fn killed(&self, server: Server, aim: Aim, chance: &mut Chance) -> String {
        let submitted = Monotonic::now();
        let id = server.accepted(&asked()).await;
        let around = |sec: f64, chance: &mut Chance| sec + chance.between(AROUND_SEC.0, AROUND_SEC.1);
        let (since, after_sec) = match aim {
            Aim::Setting => (submitted, around(self.set_after_sec, chance)),
            Aim::Running | Aim::Restoring => {
                server
                    .until(&id, |shown| is_finished(shown) || shown["state"] == "measuring")
                    .await;
                let after_sec = match aim {
                    Aim::Restoring => around(self.back_after_sec, chance),
                    _ => chance.between(0.0, self.back_after_sec),
                };
                (Monotonic::now(), after_sec)
            }
        };
        let left_sec = (after_sec - Monotonic::now().sec_since(since)).max(0.0);
        tokio::time::sleep(Duration::from_secs_f64(left_sec)).await;
        server.kill();
        id
    }
}

fn asked() -> Value {
    let mut asked = experiment(json!({"power_limit_w": ASKED_W, "gpu_clock_mhz": 1200, "num_cycles": 1}));
    asked["model_name"] = json!("synthetic:decode_ms=5");
    asked
}

#[tokio::test]
async fn boards_are_as_before_whenever_a_server_is_killed() {
    let kills: u32 = std::env::var("KILLS").map_or(12, |kills| kills.parse().expect("a number"));
    let host = Host::rehearsed().await;
    let mut chance = Chance::new(SEED);
    // By what was found at a kill: how many boards were left set.
    let mut found = [0_u32; 3];
    println!("seed {SEED}, {kills} kills");
    for kill in 0..kills {
        let aim = [Aim::Setting, Aim::Running, Aim::Restoring][kill as usize % 3];
        let is_by_hand = kill % 2 == 0;
        let folder = tempfile::tempdir().expect("a folder");
        let id = host.killed(host.server(folder.path()), aim, &mut chance).await;
        let left_w = limits_w(&host.mock);
        let left = left_w.iter().zip(BEFORE_W).filter(|(left, before)| **left != *before);
        let left = left.count();
        found[left] += 1;
        if is_by_hand {
            let said = restored_by_hand(&host.mock, host.folder.path());
            println!("{kill}: {aim:?}: {left} boards left set; by hand: {}", said.trim());
        } else {
            println!("{kill}: {aim:?}: {left} boards left set; by the next server");
            let next = host.server(folder.path());
            next.cancel(&id).await;
            next.until(&id, is_finished).await;
        }
        host.assert_as_before(&format!("kill {kill} of seed {SEED}"));
    }
    println!("no board, one, both left set: {found:?}");
    assert!(found[1] + found[2] > 0, "no kill left a board set");
}
