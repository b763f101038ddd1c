use std::time::Duration;

use joulemark_measurement::clock::Monotonic;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore as _, SeedableRng as _};
use serde_json::json;

use super::{Service, are_exact, experiment, managed};
use crate::stumbles::repeated::spec_of;

/// Processes that run `answering.py` or what it started, by a mark in their environment.
fn marked(mark: &str) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").expect("/proc is there").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let has_mark = |pid: &u32| {
        let read = |name: &str| std::fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
        // An engine's own, not the service's that handed it on.
        let is_engine = String::from_utf8_lossy(&read("cmdline")).contains("python3");
        is_engine && String::from_utf8_lossy(&read("environ")).contains(mark)
    };
    pids.filter(has_mark).collect()
}

async fn none_left(mark: &str) {
    let begun = Monotonic::now();
    while !marked(mark).is_empty() {
        assert!(Monotonic::now().sec_since(begun) < 30.0, "left: {:?}", marked(mark));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// With two children, of which one is in a session of its own, and this mark in their environment.
fn with_children(mark: &str) -> (String, (&'static str, String)) {
    let engines = format!("{}environment = ['ENGINE_TEST_MARK']\n", managed(", '2'"));
    (
        engines,
        ("ENGINE_TEST_MARK", format!("mark-{mark}-{}", std::process::id())),
    )
}

#[tokio::test]
async fn a_server_is_started_for_the_experiment_and_gone_with_it() {
    let (engines, (name, mark)) = with_children("whole");
    let Service { server, .. } =
        &Service::start_with_environment(&engines, &[(name, &mark), ("SECRET_OF_THE_SERVICE", "x")]);
    let mut asked = experiment("answering");
    asked["engine_arguments"] = json!({"decode_ms": 3});
    let id = server.accepted(&asked).await;
    let shown = server.until_state(&id, "measuring").await;
    assert_eq!(shown["engine_arguments"], json!({"decode_ms": 3.0}));
    let running = marked(&mark);
    assert_eq!(running.len(), 3, "the server and its children");
    let environment = std::fs::read(format!("/proc/{}/environ", running[0])).expect("it lives");
    let environment = String::from_utf8_lossy(&environment).replace('\0', "\n");
    assert!(
        !environment.contains("SECRET_OF_THE_SERVICE") && !environment.contains("JOULEMARK_"),
        "{environment}"
    );
    server.until_state(&id, "completed").await;
    none_left(&mark).await;
    are_exact(&server.processes(&id).await, 8);
    let results = server.results(&id).await;
    let energy = &results["energy"];
    let [attributed, host] = ["cpu_energy_j", "host_cpu_energy_j"].map(|name| energy[name].as_f64().expect("known"));
    // Its children compute all the time.
    assert!(
        attributed > 0.1 * host && attributed <= host,
        "{attributed} of {host} J"
    );
    assert!(
        energy["phases"]
            .as_array()
            .is_some_and(|phases| phases.iter().any(|phase| phase["phase"] == "model_load"))
    );
    // What is shown is accepted again.
    let again = server.accepted(&spec_of(&shown)).await;
    server.cancel(&again).await;
}

#[tokio::test]
async fn a_cancel_ends_the_server_with_all_that_it_started() {
    let (engines, (name, mark)) = with_children("cancel");
    let Service { server, .. } = &Service::start_with_environment(&engines, &[(name, &mark)]);
    let mut slow = experiment("answering");
    slow["engine_arguments"] = json!({"decode_ms": 1000});
    let id = server.accepted(&slow).await;
    server.until(&id, |_| !marked(&mark).is_empty()).await;
    server.cancel(&id).await;
    server.until_state(&id, "cancelled").await;
    none_left(&mark).await;
}

#[tokio::test]
async fn a_service_that_is_killed_at_any_moment_leaves_no_server_behind() {
    // More of them by hand: `KILLS=50 cargo test --release --test integration killed_at_any_moment`.
    let kills = std::env::var("KILLS").map_or(5, |kills| kills.parse().expect("a number"));
    let mut chance = ChaCha8Rng::seed_from_u64(kills);
    for round in 0..kills {
        let (engines, (name, mark)) = with_children(&format!("kill-{round}"));
        let service = Service::start_with_environment(&engines, &[(name, &mark)]);
        let mut slow = experiment("answering");
        slow["engine_arguments"] = json!({"decode_ms": 100});
        let id = service.server.accepted(&slow).await;
        let wait_ms = u64::from(chance.next_u32() % 1500);
        tokio::time::sleep(Duration::from_millis(wait_ms)).await;
        let _ = service.server.show(&id).await;
        service.server.kill();
        none_left(&mark).await;
    }
}

#[tokio::test]
async fn a_server_that_dies_or_cannot_be_started_fails_the_experiment_with_its_last_words() {
    let missing =
        "[engines.missing]\nkind = 'openai'\nmodel_name = 'nothing'\ncommand = ['no-such-program-here', '{port}']\n";
    let dies = "[engines.dies]\nkind = 'openai'\nmodel_name = 'nothing'\n\
                command = ['python3', '-c', 'import sys; sys.exit(\"no memory for port {port}\")']\n";
    let Service { server, .. } = &Service::start(&format!("{missing}{dies}"));
    for (engine, expected) in [("missing", "no-such-program-here"), ("dies", "exited with code 1")] {
        let id = server.accepted(&experiment(engine)).await;
        let failed = server.until_state(&id, "failed").await;
        let message = failed["failure"]["message"].as_str().expect("a message");
        assert!(message.contains(expected), "{message}");
        if engine == "dies" {
            assert!(
                failed["failure"]["log_tail"].to_string().contains("no memory for port"),
                "{failed:#}"
            );
        }
    }
}
