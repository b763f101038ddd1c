use serde_json::{Value, json};

use crate::server::Server;

fn numbered(number: usize) -> Value {
    json!({
        "config_name": format!("number {number}"),
        "model_name": "synthetic:decode_ms=20",
        "prompts": ["a", "b"],
        "max_output_tokens": 4,
        "num_cycles": 1,
        "warmup_iterations": 0,
    })
}

#[tokio::test]
async fn experiments_on_the_cpu_run_one_at_a_time_first_come_first_served() {
    let server = Server::start();
    let mut ids = Vec::new();
    for number in 0..4 {
        ids.push(server.accepted(&numbered(number)).await);
    }
    let mut spans = Vec::new();
    for id in &ids {
        let shown = server.until_state(id, "completed").await;
        let time = |key: &str| shown[key].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
        spans.push((time("started_at"), time("finished_at")));
    }
    assert!(spans.windows(2).all(|pair| pair[0].1 <= pair[1].0), "{spans:?}");
}

#[tokio::test]
async fn ranks_run_at_the_same_time_on_cpus_of_their_own() {
    let server = Server::start();
    let experiment = json!({
        "model_name": "synthetic:decode_ms=30",
        "prompts": ["a", "b", "c", "d"],
        "max_output_tokens": 5,
        "num_processes": 2,
        "num_cycles": 2,
    });
    let id = server.accepted(&experiment).await;
    server.until_state(&id, "completed").await;
    let results = server.results(&id).await;
    assert_eq!(results["validation"]["temporal_overlap"], "passed");
    assert_eq!(
        results["inference"]["output_tokens"],
        4 * 5 * 2,
        "sharded: each prompt once a cycle"
    );
    let cpus = results["loads"]
        .as_array()
        .unwrap()
        .iter()
        .map(|load| load["placement"]["cpus"].clone());
    let cpus = cpus.collect::<Vec<_>>();
    assert!(cpus.len() == 2 && cpus[0] != cpus[1], "{cpus:?}");
    assert!(
        results["validation"]["warnings"]
            .to_string()
            .contains("synthetic_engine")
    );
    let items = server.processes(&id).await["items"].as_array().unwrap().clone();
    let keys = items
        .iter()
        .map(|item| (item["rank"].as_u64().unwrap(), item["cycle"].as_u64().unwrap()));
    let mut keys = keys.collect::<Vec<_>>();
    keys.sort_unstable();
    assert_eq!(keys, [(0, 0), (0, 1), (1, 0), (1, 1)]);
    let prompts = |rank: u64| {
        let item = items
            .iter()
            .find(|item| item["rank"] == rank && item["cycle"] == 0)
            .unwrap();
        item["requests"]
            .as_array()
            .unwrap()
            .iter()
            .map(|request| request["prompt_index"].as_u64().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!((prompts(0), prompts(1)), (vec![0, 2], vec![1, 3]), "dealt round-robin");
}

#[tokio::test]
async fn replicated_prompts_are_run_by_every_rank() {
    let server = Server::start();
    let experiment = json!({
        "model_name": "synthetic:", "prompts": ["a", "b"], "max_output_tokens": 3, "num_processes": 2,
        "distribution": "replicate", "num_cycles": 1, "batch_size": 2,
    });
    let id = server.accepted(&experiment).await;
    server.until_state(&id, "completed").await;
    assert_eq!(server.results(&id).await["inference"]["output_tokens"], 2 * 2 * 3);
}

#[tokio::test]
async fn priority_goes_first_then_the_user_who_had_least_then_age() {
    let server = Server::start();
    let of = |user: &str, priority: i32| {
        let mut experiment = numbered(0);
        experiment["user"] = json!(user);
        experiment["priority"] = json!(priority);
        experiment
    };
    // While this one runs, all others are there; its user has had the CPU since.
    let mut first = of("ada", 0);
    first["model_name"] = json!("synthetic:prefill_ms=700");
    let first = server.accepted(&first).await;
    server.until_state(&first, "measuring").await;
    let mut waiting = Vec::new();
    for (name, user, priority) in [
        ("third", "ada", 0),
        ("second", "bob", 0),
        ("last", "ada", -1),
        ("first", "ada", 1),
    ] {
        waiting.push((name, server.accepted(&of(user, priority)).await));
    }
    let mut starts = Vec::new();
    for (name, id) in waiting {
        let shown = server.until_state(&id, "completed").await;
        starts.push((
            shown["started_at"]
                .as_str()
                .unwrap()
                .parse::<jiff::Timestamp>()
                .unwrap(),
            name,
        ));
    }
    starts.sort();
    let order = starts.into_iter().map(|(_, name)| name).collect::<Vec<_>>();
    assert_eq!(order, ["first", "second", "third", "last"]);
}
