//! The contract on a PostgreSQL cluster of the test's own: a temporary folder and a Unix socket, no port.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use joulemark_testkit::postgres_cluster::PostgresCluster;
use sqlx::{Connection as _, Row as _};

use super::super::{Store, StoreError};
use super::fixtures::{at, claim, queued};

#[tokio::test]
async fn postgres_fulfils_the_contract() {
    let cluster = PostgresCluster::start();
    let administration = Store::open(&cluster.url()).await.unwrap();
    let number = AtomicU32::new(0);
    let fresh = async || {
        let database = format!("contract_{}", number.fetch_add(1, Ordering::Relaxed));
        let text = sqlx::AssertSqlSafe(format!("CREATE DATABASE {database} TEMPLATE template0"));
        sqlx::query(text).execute(&administration.writes).await.unwrap();
        Store::open(&cluster.url_of(&database)).await.unwrap()
    };
    super::all(&fresh).await;
    a_database_of_an_early_release_is_migrated(&cluster, &administration).await;
    let (one, other) = (fresh().await, number.load(Ordering::Relaxed) - 1);
    let other = Store::open(&cluster.url_of(&format!("contract_{other}")))
        .await
        .unwrap();
    super::quotas::two_servers_together_do_not_exceed_a_limit(one, other).await;
    a_newer_schema_is_refused(&cluster.url_of("contract_0")).await;
    a_dropped_write_leaves_no_transaction_open(&cluster.url_of("contract_2")).await;
    abandoned_and_slow_reads_are_cancelled(&cluster.url_of("contract_3")).await;
    an_outage_can_be_retried(cluster).await;
}

async fn abandoned_and_slow_reads_are_cancelled(url: &str) {
    let sleep = "SELECT CAST(pg_sleep(600) AS TEXT) AS slept";
    let store = Store::open(url).await.unwrap();
    let sleeping = async |store: &Store| {
        let text = "SELECT COUNT(*) AS sleeping FROM pg_stat_activity WHERE state = 'active' AND query LIKE $1";
        let query = sqlx::query(text).bind("SELECT CAST(pg_sleep(600)%");
        let row = query.fetch_one(&store.internal).await.unwrap();
        row.get::<i64, _>("sleeping")
    };
    // More reads than there are connections: an abandoned read must not keep its connection.
    for _ in 0..20 {
        let asking = store.read_long(move |connection| {
            Box::pin(async move { Ok(sqlx::query(sleep).fetch_all(connection).await?.len()) })
        });
        let left = tokio::time::timeout(Duration::from_millis(200), asking).await;
        assert!(left.is_err(), "{left:?}");
    }
    while sleeping(&store).await > 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    store.close().await;

    let store = Store::open_for_requests(url, Some(Duration::from_millis(100)))
        .await
        .unwrap();
    let ended = sqlx::query(sleep).execute(&store.reads).await.unwrap_err();
    let ended = StoreError::from(ended);
    assert!(ended.is_statement_timeout() && ended.is_retryable(), "{ended:?}");
    let slow = sqlx::query("SELECT CAST(pg_sleep(0.3) AS TEXT) AS slept");
    slow.fetch_all(&store.internal)
        .await
        .expect("the server's own may take longer");
}

async fn a_database_of_an_early_release_is_migrated(cluster: &PostgresCluster, administration: &Store) {
    sqlx::query("CREATE DATABASE previous TEMPLATE template0")
        .execute(&administration.writes)
        .await
        .unwrap();
    let url = cluster.url_of("previous");
    let mut connection = sqlx::AnyConnection::connect(&url).await.unwrap();
    sqlx::raw_sql(super::upgrading::POSTGRES_DUMP)
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    let store = Store::open_as_it_is(&url).await.unwrap();
    assert_eq!(store.schema_version().await.unwrap(), 2);
    super::upgrading::an_upgraded_database_is_complete_and_usable(Store::open(&url).await.unwrap()).await;
}

async fn a_newer_schema_is_refused(url: &str) {
    let store = Store::open(url).await.unwrap();
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (9000, 'from the future', TRUE, '\\x00', 0)",
    )
    .execute(&store.writes)
    .await
    .unwrap();
    let refused = Store::open(url).await.unwrap_err();
    assert!(
        matches!(refused, StoreError::NewerSchema { found: 9000, .. }),
        "{refused:?}"
    );
}

async fn an_outage_can_be_retried(cluster: PostgresCluster) {
    let store = Store::open(&cluster.url_of("contract_1")).await.unwrap();
    let id = queued(&store).await;
    drop(cluster);
    let unreachable = store.get(id).await.unwrap_err();
    assert!(unreachable.is_retryable(), "{unreachable:?}");
    let unwritable = claim(&store, id, at(1)).await.unwrap_err();
    assert!(unwritable.is_retryable(), "{unwritable:?}");
}

/// Drops a write at each of its await points, as happens when a client disconnects or a run is aborted.
async fn a_dropped_write_leaves_no_transaction_open(url: &str) {
    let (store, watching) = (Store::open(url).await.unwrap(), Store::open(url).await.unwrap());
    let id = queued(&store).await;
    // Each poll takes one more answer of the database.
    for polls in 1..20 {
        let mut writing = Box::pin(claim(&store, id, at(1)));
        let mut is_done = false;
        for _ in 0..polls {
            is_done = is_done || futures::poll!(&mut writing).is_ready();
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        drop(writing);
        assert_no_open_transaction(&watching, polls).await;
        if is_done {
            assert!(polls > 1, "it was given up at least once");
            return;
        }
    }
    panic!("it was never done");
}

async fn assert_no_open_transaction(store: &Store, polls: u32) {
    let text = "SELECT COUNT(*) AS connections FROM pg_stat_activity \
                WHERE datname = current_database() AND state LIKE 'idle in transaction%'";
    // A transaction whose caller is gone is rolled back shortly after.
    for _ in 0..40 {
        let row = sqlx::query(text).fetch_one(&store.reads).await.unwrap();
        if row.get::<i64, _>("connections") == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("given up after {polls} answers, it leaves a transaction open");
}
