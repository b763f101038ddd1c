//! Tests of what only SQLite has: a file, its settings, and a single writer.

use std::path::Path;

use sqlx::{Connection as _, Row};

use super::super::listing::{Parameter, statement};
use super::super::{Cursor, ListOrder, ListQuery, Store, StoreError};
use super::fixtures::{at, claim, new_experiment, queued, rank_cycle, record, report, running, waiting};
use joulemark_experiment::{ExperimentId, State};

pub(super) async fn fresh(folder: &Path) -> Store {
    Store::open(&url(folder)).await.unwrap()
}

fn url(folder: &Path) -> String {
    format!("sqlite://{}/Jobs & more.db", folder.display())
}

#[tokio::test]
async fn an_accepted_experiment_is_there_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let store = fresh(folder.path()).await;
    let id = queued(&store).await;
    store.close().await;
    assert!(folder.path().join("Jobs & more.db").is_file());
    let store = fresh(folder.path()).await;
    assert_eq!(record(&store, id).await.state, State::Queued);
}

#[tokio::test]
async fn two_stores_can_write_to_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (fresh(folder.path()).await, fresh(folder.path()).await);
    let id = queued(&one).await;
    let (a, b) = tokio::join!(claim(&one, id, at(1)), claim(&other, id, at(1)));
    assert_eq!([a.unwrap(), b.unwrap()].into_iter().flatten().collect::<Vec<_>>(), [1]);
    let writers = (0..40).map(|index| {
        let store = if index % 2 == 0 { one.clone() } else { other.clone() };
        tokio::spawn(async move { queued(&store).await })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    assert_eq!(waiting(&one).await.len(), 40);
}

#[tokio::test]
async fn two_stores_on_one_file_do_not_exceed_a_limit() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (fresh(folder.path()).await, fresh(folder.path()).await);
    super::quotas::two_servers_together_do_not_exceed_a_limit(one, other).await;
}

/// Returns SQLite's query plan for a statement with one numeric parameter.
async fn plan(store: &Store, statement: &str) -> Vec<String> {
    let text = format!("EXPLAIN QUERY PLAN {statement}");
    let explained = sqlx::query(sqlx::AssertSqlSafe(text)).bind(1i64);
    let rows = explained.fetch_all(&store.reads).await.unwrap();
    rows.iter().map(|row| row.get("detail")).collect()
}

#[tokio::test]
async fn reading_the_queue_searches_only_its_index() {
    let folder = tempfile::tempdir().unwrap();
    let store = fresh(folder.path()).await;
    let details = plan(&store, store.dialect.waiting()).await;
    let of_experiments = details
        .iter()
        .filter(|detail| detail.starts_with("SEARCH e") || detail.starts_with("SCAN e"));
    let of_experiments = of_experiments.collect::<Vec<_>>();
    assert_eq!(of_experiments.len(), 5, "{details:#?}");
    for detail in of_experiments {
        assert!(
            detail.contains("USING COVERING INDEX experiments_waiting"),
            "{details:#?}"
        );
    }
    assert!(
        !details.iter().any(|detail| detail.contains("TEMP B-TREE")),
        "{details:#?}"
    );
}

#[tokio::test]
async fn usage_and_quotas_are_read_without_a_scan() {
    let folder = tempfile::tempdir().unwrap();
    let store = fresh(folder.path()).await;
    for (text, table) in [
        (crate::usage::HOURS, "device_time"),
        (crate::quota::UNFINISHED, "experiments"),
    ] {
        let details = plan(&store, text).await;
        assert!(
            details
                .iter()
                .any(|detail| detail.starts_with(&format!("SEARCH {table} "))),
            "{details:#?}"
        );
        let is_bad = |detail: &String| detail.contains("TEMP B-TREE") || detail.starts_with(&format!("SCAN {table}"));
        assert!(!details.iter().any(is_bad), "{details:#?}");
    }
}

#[tokio::test]
async fn databases_in_memory_are_separate() {
    let (one, other) = (
        Store::open("sqlite::memory:").await.unwrap(),
        Store::open("sqlite::memory:").await.unwrap(),
    );
    let id = queued(&one).await;
    assert_eq!(claim(&one, id, at(1)).await.unwrap(), Some(1));
    assert_eq!(other.get(id).await.unwrap(), None);
}

#[tokio::test]
async fn every_connection_has_the_durable_settings() {
    let folder = tempfile::tempdir().unwrap();
    let store = fresh(folder.path()).await;
    for pool in [&store.reads, &store.writes] {
        let mut connection = pool.acquire().await.unwrap();
        for (setting, expected) in [("synchronous", 2), ("foreign_keys", 1), ("busy_timeout", 5000)] {
            let text = sqlx::AssertSqlSafe(format!("PRAGMA {setting}"));
            let row = sqlx::query(text).fetch_one(&mut *connection).await.unwrap();
            assert_eq!(row.get::<i64, _>(0), expected, "{setting}");
        }
        let row = sqlx::query("PRAGMA journal_mode")
            .fetch_one(&mut *connection)
            .await
            .unwrap();
        assert_eq!(row.get::<String, _>(0), "wal");
    }
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_left_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let store = fresh(folder.path()).await;
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (9000, 'from the future', TRUE, x'00', 0)",
    )
    .execute(&store.writes)
    .await
    .unwrap();
    store.close().await;
    let refused = Store::open(&url(folder.path())).await.unwrap_err();
    assert!(
        matches!(refused, StoreError::NewerSchema { found: 9000, known } if known < 9000),
        "{refused:?}"
    );
    assert!(refused.to_string().contains("newer joulemark"), "{refused}");
}

#[tokio::test]
async fn a_file_that_is_not_a_database_is_reported_as_corrupt() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("Jobs & more.db"), "no database".repeat(1000)).unwrap();
    let refused = Store::open(&url(folder.path())).await.unwrap_err();
    assert!(matches!(refused, StoreError::Corrupt { .. }), "{refused:?}");
}

#[tokio::test]
async fn a_stored_document_that_does_not_parse_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let store = fresh(folder.path()).await;
    let id = queued(&store).await;
    sqlx::query("UPDATE experiments SET spec = '{'")
        .execute(&store.writes)
        .await
        .unwrap();
    let unreadable = store.get(id).await.unwrap_err();
    assert!(
        unreadable.to_string().contains(&format!("the spec of experiment {id}")),
        "{unreadable}"
    );
}

#[tokio::test]
async fn a_missing_folder_is_retryable_and_an_unknown_scheme_is_not() {
    let missing = Store::open("sqlite:///nonexistent/folder/x.db").await.unwrap_err();
    assert!(missing.is_retryable(), "{missing:?}");
    let other = Store::open("mysql://localhost/x").await.unwrap_err();
    assert!(matches!(other, StoreError::BadUrl(_)), "{other:?}");
}

#[tokio::test]
async fn the_oldest_raw_data_is_found_by_an_index() {
    let folder = tempfile::tempdir().unwrap();
    let store = fresh(folder.path()).await;
    let details = plan(&store, super::super::retention::OLDEST).await;
    assert_eq!(details[0], "SCAN r USING INDEX raw_data_by_age", "{details:#?}");
    let by_id = details
        .iter()
        .any(|detail| detail.starts_with("SEARCH e") && detail.contains("id=?"));
    assert!(
        by_id && !details.iter().any(|detail| detail.contains("TEMP B-TREE")),
        "{details:#?}"
    );
}

#[tokio::test]
async fn concurrent_submissions_share_a_commit() {
    let folder = tempfile::tempdir().unwrap();
    let store = fresh(folder.path()).await;
    let wal = || std::fs::read(folder.path().join("Jobs & more.db-wal")).unwrap();
    let before = commits(&wal());
    let together = (0..100).map(|_| queued(&store));
    futures::future::join_all(together).await;
    assert_eq!(waiting(&store).await.len(), 100);
    let made = commits(&wal()) - before;
    assert!((1..=3).contains(&made), "{made} commits");
}

/// Counts the commits in a write-ahead log: the frames whose header contains the size of the database after a commit.
/// <https://sqlite.org/fileformat2.html#walformat>
fn commits(wal: &[u8]) -> usize {
    const FRAME: usize = 24 + 4096;
    let frames = wal[32..].chunks_exact(FRAME);
    frames.filter(|frame| frame[4..8] != [0; 4]).count()
}

#[tokio::test]
async fn every_list_walks_an_index_and_sorts_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = fresh(folder.path()).await;
    for query in list_queries() {
        let (text, parameters) = statement(&query, "SELECT e.spec FROM ", "");
        let mut explained = sqlx::query(sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {text}")));
        for parameter in parameters {
            explained = match parameter {
                Parameter::Text(text) => explained.bind(text),
                Parameter::Whole(whole) => explained.bind(whole),
            };
        }
        let rows = explained.bind(10i64).fetch_all(&store.reads).await.unwrap();
        for detail in rows.iter().map(|row| row.get::<String, _>("detail")) {
            let good = detail.contains("USING INDEX")
                || detail.contains("USING COVERING INDEX")
                || detail.contains("CORRELATED");
            assert!(good && !detail.contains("TEMP B-TREE"), "{query:?}: {detail}");
        }
    }
}

#[tokio::test]
async fn a_rare_engine_is_found_by_its_own_index_in_every_order() {
    let folder = tempfile::tempdir().unwrap();
    let store = fresh(folder.path()).await;
    for order in ListOrder::ALL {
        let query = ListQuery {
            engine: Some("vllm".to_owned()),
            order,
            ..ListQuery::default()
        };
        let (text, _) = statement(&query, "SELECT e.spec FROM ", "");
        let index = match order.is_by_finish() {
            true => "SEARCH e USING INDEX experiments_by_engine_and_finish (engine=?",
            false => "SEARCH e USING INDEX experiments_by_engine (engine=?",
        };
        let details = plan(&store, &text).await;
        assert!(
            details.len() == 1 && details[0].starts_with(index),
            "{order:?}: {details:#?}"
        );
    }
}

/// Returns every combination of filters in every order, from the beginning and from a cursor.
fn list_queries() -> Vec<ListQuery> {
    let (id, time) = (ExperimentId::generate(), at(1));
    let label = |value: &str| ("team".to_owned(), value.to_owned());
    let mut queries = ListOrder::ALL
        .map(|order| ListQuery {
            order,
            ..ListQuery::default()
        })
        .to_vec();
    let mut multiply = |variants: &[fn(&mut ListQuery)]| {
        let all = queries.iter().flat_map(|query| {
            variants.iter().map(move |variant| {
                let mut query = query.clone();
                variant(&mut query);
                query
            })
        });
        queries = all.collect();
    };
    multiply(&[
        |_| {},
        |query| query.state = Some(State::Queued),
        |query| query.state = Some(State::Completed),
    ]);
    multiply(&[
        |_| {},
        |query| query.model_name = Some("m".to_owned()),
        |query| query.engine = Some("mistral".to_owned()),
        |query| query.user_name = Some("ada".to_owned()),
        |query| query.submitter = Some("ada".to_owned()),
    ]);
    let mut all = Vec::new();
    for query in queries {
        let (cursor, by_finish) = (Cursor::new(id, Some(time), query.order), query.order.is_by_finish());
        for labels in [vec![], vec![label("a")], vec![label("a"), label("b"), label("c")]] {
            for after in [None, Some(cursor)] {
                for bounded in [false, true] {
                    all.push(ListQuery {
                        labels: labels.clone(),
                        after,
                        before: bounded.then_some(id),
                        from: bounded.then_some(id),
                        finished_from: (bounded && by_finish).then_some(time),
                        finished_before: (bounded && by_finish).then_some(time),
                        ..query.clone()
                    });
                }
            }
        }
    }
    all
}

#[tokio::test]
async fn a_database_of_an_early_release_is_migrated() {
    let folder = tempfile::tempdir().unwrap();
    let mut connection = restored(folder.path()).await;
    let store = Store::open_as_it_is(&url(folder.path())).await.unwrap();
    assert_eq!(store.schema_version().await.unwrap(), 2);
    let refused = store.require_present_schema().await.unwrap_err();
    assert!(refused.to_string().contains("run `joulemark db migrate`"), "{refused}");
    store.close().await;
    super::upgrading::an_upgraded_database_is_complete_and_usable(fresh(folder.path()).await).await;
    let row = sqlx::query("PRAGMA integrity_check")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(row.get::<String, _>(0), "ok");
}

async fn restored(folder: &Path) -> sqlx::AnyConnection {
    sqlx::any::install_default_drivers();
    let mut connection = sqlx::AnyConnection::connect(&format!("{}?mode=rwc", url(folder)))
        .await
        .unwrap();
    sqlx::raw_sql(super::upgrading::SQLITE_DUMP)
        .execute(&mut connection)
        .await
        .unwrap();
    connection
}

#[tokio::test]
async fn a_copy_is_complete_and_overwrites_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let store = fresh(folder.path()).await;
    let id = queued(&store).await;
    let copy = folder.path().join("copy.db");
    store.copy_into(&copy).await.unwrap();
    queued(&store).await;
    let copied = Store::open(&format!("sqlite://{}", copy.display())).await.unwrap();
    assert_eq!(waiting(&copied).await, [id]);
    store.copy_into(&copy).await.unwrap_err();
}

#[tokio::test]
async fn a_full_disk_is_reported_and_writes_succeed_once_there_is_space() {
    let folder = tempfile::tempdir().unwrap();
    let store = fresh(folder.path()).await;
    let id = running(&store, State::Aggregating).await;
    let bound = async |pages: i64| {
        // Replaces a broken connection first, so that the limit applies to the one that writes from here on.
        store.begin().await.unwrap().commit().await.unwrap();
        let text = sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {pages}"));
        sqlx::query(text).fetch_all(&store.writes).await.unwrap();
    };
    bound(1).await; // At least as many as there are.
    let mut large = new_experiment(&[]);
    large.spec.config_name = "x".repeat(1 << 20);
    let refused = store.insert(&large).await.unwrap_err();
    assert!(refused.is_retryable() && refused.is_disk_full(), "{refused:?}");
    bound(1).await;
    let cycles = (0..200).map(|cycle| rank_cycle(0, cycle)).collect::<Vec<_>>();
    let refused = store.complete(id, 1, &report(), &cycles, at(9)).await.unwrap_err();
    assert!(refused.is_disk_full(), "{refused:?}");
    assert_eq!(record(&store, id).await.state, State::Aggregating);
    bound(1 << 20).await;
    store.insert(&large).await.unwrap();
    store.complete(id, 1, &report(), &cycles, at(9)).await.unwrap();
    assert_eq!(record(&store, id).await.state, State::Completed);
}
