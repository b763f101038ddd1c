//! The queue under kills, on several servers and without its database, through real servers and worker processes with
//! the synthetic engine. No GPU is needed; what runs on Postgres needs one installed under /usr/lib/postgresql.
//!
//!     cargo bench --bench queue -- kills 200      # on each database, some ten minutes
//!     cargo bench --bench queue -- servers 2000   # four minutes
//!     cargo bench --bench queue -- killed 2000    # the same with one server killed halfway, five minutes
//!     cargo bench --bench queue -- outage 30      # seconds without Postgres, two minutes

mod outage;

use std::time::Duration;

use joulemark_testkit::host::Database;
use joulemark_testkit::postgres_cluster::PostgresCluster;
use joulemark_testkit::{kills, makespan};

const SEED: u64 = 2026;

#[tokio::main]
async fn main() {
    let arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let arguments = arguments.collect::<Vec<_>>();
    let number = arguments
        .get(1)
        .map(|text| text.parse::<u32>().expect("a whole number"));
    match arguments.first().map(String::as_str) {
        Some("kills") => kill(number.unwrap_or(200)).await,
        Some("servers") => share(number.unwrap_or(2000), false).await,
        Some("killed") => share(number.unwrap_or(2000), true).await,
        Some("outage") => lose_the_database(number.unwrap_or(30)).await,
        _ => println!("say which: kills N, servers N, killed N or outage SECONDS"),
    }
}

async fn kill(kills: u32) {
    let cluster = PostgresCluster::start();
    for (name, database, hosts) in [
        ("SQLite, one server", Database::Sqlite, 1),
        ("Postgres, two servers", Database::Postgres(&cluster), 2),
    ] {
        let plan = kills::Plan {
            kills,
            hosts,
            database,
            seed: SEED,
        };
        let outcome = kills::run(&plan).await;
        println!(
            "{name}: {} SIGKILLs of servers, {} of workers, seed {SEED}; {} accepted, now {}\n  \
             {} lost, {} twice, {} failed for no reason, {} orphans, {} devices leaked",
            outcome.server_kills,
            outcome.worker_kills,
            outcome.accepted,
            outcome.by_state,
            outcome.lost.len(),
            outcome.twice.len(),
            outcome.failed_for_no_reason.len(),
            outcome.orphans.len(),
            outcome.leaked.len(),
        );
        assert!(outcome.is_clean(), "{outcome:#?}");
    }
}

async fn share(experiments: u32, is_one_killed: bool) {
    let cluster = PostgresCluster::start();
    let plan = makespan::Plan {
        servers: 3,
        experiments,
        experiment_ms: 1000,
        is_one_killed,
        cluster: &cluster,
    };
    let outcome = makespan::run(&plan).await;
    println!(
        "{experiments} experiments of {} ms on 3 servers with 3 GPUs each{}: {}\n  \
         makespan {:.1} s, ideal {:.1} s (process start {:.1} ms), ratio {:.3}; {} GPUs used, {} run more than once, \
         {} lost, {} twice",
        plan.experiment_ms,
        if is_one_killed {
            ", one server killed halfway"
        } else {
            ""
        },
        outcome.states,
        outcome.makespan_sec,
        outcome.ideal_sec,
        outcome.process_start_sec * 1e3,
        outcome.makespan_sec / outcome.ideal_sec,
        outcome.gpus_used,
        outcome.run_more_than_once,
        outcome.lost.len(),
        outcome.twice.len(),
    );
    assert!(outcome.lost.is_empty() && outcome.twice.is_empty(), "{outcome:#?}");
}

async fn lose_the_database(outage_sec: u32) {
    for lease_sec in [30, 5] {
        let mut cluster = PostgresCluster::start();
        let plan = outage::Plan {
            outage: Duration::from_secs(u64::from(outage_sec)),
            lease_sec,
            experiments: 12,
        };
        let outcome = outage::run(&plan, &mut cluster).await;
        println!(
            "Postgres away for {outage_sec} s, leases of {lease_sec} s: {}; {} workers at the end of it, \
             {} run more than once, {} lost, {} twice",
            outcome.states,
            outcome.workers_at_the_end_of_it,
            outcome.run_more_than_once,
            outcome.lost.len(),
            outcome.twice.len(),
        );
        assert!(outcome.lost.is_empty() && outcome.twice.is_empty(), "{outcome:#?}");
    }
}
