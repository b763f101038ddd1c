use std::time::Duration;

use reqwest::{Method, StatusCode};
use sqlx::{Connection as _, PgConnection, Row as _};

use super::slow;
use crate::guarded::Guarded;
use crate::postgres_cluster::PostgresCluster;

fn labels(count: usize) -> String {
    let labels = (0..count).map(|number| format!("label=l{number}%3Dv"));
    labels.collect::<Vec<_>>().join("&")
}

#[tokio::test]
async fn a_query_has_as_many_values_as_anybody_needs_and_no_more() {
    let guarded = Guarded::start(&[]);
    let key = guarded.key("ada", "reader");
    let states = |count: usize| vec!["state=failed"; count].join("&");
    let fields = |count: usize| format!("fields={}", vec!["id"; count].join(","));
    for (path, query) in [
        ("/v1/experiments", labels(16)),
        ("/v1/experiments/export", labels(16)),
        ("/v1/events", labels(16)),
        ("/v1/events", states(16)),
        ("/v1/experiments", fields(256)),
    ] {
        let taken = guarded.send(Method::GET, &format!("{path}?{query}"), &key, None).await;
        assert_eq!(taken.status(), StatusCode::OK, "{path} {query}");
    }
    for (path, query, most) in [
        ("/v1/experiments", labels(17), "at most 16"),
        ("/v1/experiments", labels(400), "at most 16"),
        ("/v1/experiments/export", labels(17), "at most 16"),
        ("/v1/events", labels(17), "at most 16"),
        ("/v1/events", states(17), "at most 16"),
        ("/v1/experiments", fields(257), "at most 256"),
    ] {
        let (status, problem) = guarded.get(&format!("{path}?{query}"), &key).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path} {query}");
        assert!(problem["detail"].as_str().unwrap().contains(most), "{problem}");
    }
}

/// Lists that wait in the database, as many as one caller can ask for.
#[tokio::test]
async fn lists_that_hang_in_postgres_keep_nobody_else_waiting_and_end_with_their_clients() {
    let cluster = PostgresCluster::start();
    let guarded = Guarded::start_on(&cluster.url(), &["--query-timeout-sec", "600"]);
    let (ada, bob) = (guarded.key("ada", "reader"), guarded.key("bob", "submitter"));
    let running = guarded.accepted(&bob, &slow()).await;
    let mut admin = PgConnection::connect(&cluster.url()).await.unwrap();
    let mut locking = admin.begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE experiment_labels IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *locking)
        .await
        .unwrap();
    let mut watching = PgConnection::connect(&cluster.url()).await.unwrap();
    let path = format!("/v1/experiments?{}", labels(16));
    let attack = futures::future::join_all((0..40).map(|_| guarded.send(Method::GET, &path, &ada, None)));
    let others = async {
        while hanging(&mut watching).await == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(guarded.server.get("/readyz").await.0, StatusCode::OK);
        assert_eq!(guarded.get("/v1/experiments", &bob).await.0, StatusCode::OK);
        let id = guarded.accepted(&bob, &slow()).await;
        assert_eq!(
            guarded.get(&format!("/v1/experiments/{id}"), &bob).await.0,
            StatusCode::OK
        );
        let (_, nodes) = guarded.get("/v1/nodes", &bob).await;
        assert_eq!(nodes["items"][0]["is_live"], true, "{nodes:#}");
    };
    tokio::select! {
        _ = attack => panic!("the lists do not hang"),
        () = others => {}
    }
    // The attack's clients are gone by now.
    while hanging(&mut watching).await > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    locking.rollback().await.unwrap();
    guarded.cancel(&bob, &running).await;
}

/// Lists that PostgreSQL is at.
async fn hanging(watching: &mut PgConnection) -> i64 {
    let text = "SELECT COUNT(*) AS hanging FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%FROM experiment_labels l JOIN%' AND pid <> pg_backend_pid()";
    let row = sqlx::query(text).fetch_one(watching).await.unwrap();
    row.get("hanging")
}

#[tokio::test]
async fn a_list_that_takes_postgres_too_long_is_ended_and_told() {
    let cluster = PostgresCluster::start();
    let guarded = Guarded::start_on(&cluster.url(), &["--query-timeout-sec", "1"]);
    let key = guarded.key("ada", "reader");
    let mut admin = PgConnection::connect(&cluster.url()).await.unwrap();
    let mut locking = admin.begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE experiment_labels IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *locking)
        .await
        .unwrap();
    let (status, problem) = guarded.get("/v1/experiments?label=a%3Db", &key).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(
        problem["detail"].as_str().unwrap().contains("query_timeout_sec"),
        "{problem}"
    );
}
