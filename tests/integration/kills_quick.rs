//! The quick form of `cargo bench --bench queue -- kills`.

use crate::host::Database;
use crate::kills::{Outcome, Plan, run};
use crate::postgres_cluster::PostgresCluster;

fn assert_clean(outcome: &Outcome) {
    println!("{}", outcome.by_state);
    assert!(outcome.is_clean(), "{outcome:#?}");
    assert!(outcome.server_kills > 0 && outcome.worker_kills > 0, "{outcome:#?}");
    assert!(outcome.accepted > 10, "{outcome:#?}");
}

#[tokio::test]
async fn twenty_kills_lose_nothing_run_nothing_twice_and_leave_nothing_behind_on_sqlite() {
    let plan = Plan {
        kills: 20,
        hosts: 1,
        database: Database::Sqlite,
        seed: 20,
    };
    assert_clean(&run(&plan).await);
}

#[tokio::test]
async fn twenty_kills_lose_nothing_run_nothing_twice_and_leave_nothing_behind_on_postgres() {
    let cluster = PostgresCluster::start();
    let plan = Plan {
        kills: 20,
        hosts: 2,
        database: Database::Postgres(&cluster),
        seed: 21,
    };
    assert_clean(&run(&plan).await);
}
