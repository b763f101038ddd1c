//! The quick form of `cargo bench --bench queue -- servers` and `-- killed`.

use crate::makespan::{Outcome, Plan, run};
use crate::postgres_cluster::PostgresCluster;

async fn outcome(is_one_killed: bool) -> Outcome {
    let cluster = PostgresCluster::start();
    let plan = Plan {
        servers: 3,
        experiments: 45,
        experiment_ms: 300,
        is_one_killed,
        cluster: &cluster,
    };
    let outcome = run(&plan).await;
    println!("{outcome:#?}");
    assert!(outcome.process_start_sec > 0.0);
    assert!(outcome.lost.is_empty() && outcome.twice.is_empty(), "{outcome:#?}");
    assert!(
        outcome.makespan_sec > 0.9 * outcome.ideal_sec,
        "nothing is faster than it can be: {outcome:#?}"
    );
    outcome
}

#[tokio::test]
async fn three_servers_share_a_queue_and_run_each_experiment_once() {
    let outcome = outcome(false).await;
    assert_eq!((outcome.run_more_than_once, outcome.gpus_used), (0, 9), "{outcome:#?}");
    assert_eq!(outcome.states, "{\"completed\": 50}");
}

#[tokio::test]
async fn two_servers_finish_what_a_third_one_left_when_it_was_killed() {
    let outcome = outcome(true).await;
    assert!(outcome.run_more_than_once <= 3, "{outcome:#?}");
    assert_eq!(outcome.states, "{\"completed\": 50}");
}
