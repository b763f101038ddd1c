//! Databases of an early release, as dumps: schema 2 with an experiment in each kind of state, written by a server of
//! that release with the synthetic engine.

use super::super::dialect::Dialect;
use super::super::{KeptPoints, ListQuery, Retention, Store};
use super::fixtures::{at, new_experiment};
use super::results::rank_cycles;
use joulemark_experiment::State;
use sqlx::Row as _;

pub const SQLITE_DUMP: &str = include_str!("dumps/sqlite_0002.sql");
pub const POSTGRES_DUMP: &str = include_str!("dumps/postgres_0002.sql");

/// Takes a store that was opened on a restored dump.
pub(super) async fn an_upgraded_database_is_complete_and_usable(store: Store) {
    assert_eq!(store.problems().await.unwrap(), Vec::<String>::new());
    let counted = store.contents().await.unwrap();
    let found = counted
        .by_state
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(state, _)| *state);
    let expected = [
        State::Queued,
        State::WarmingUp,
        State::Completed,
        State::Failed,
        State::Cancelled,
    ];
    assert_eq!(found.collect::<Vec<_>>(), expected);
    let query = ListQuery {
        limit: 10,
        model_name: Some("synthetic:decode_ms=2".to_owned()),
        labels: vec![
            ("größe".to_owned(), "½".to_owned()),
            ("team".to_owned(), "a".to_owned()),
        ],
        ..ListQuery::default()
    };
    let listed = store.list(&query, usize::MAX).await.unwrap().records;
    // The spec names no engine, as in that release.
    let of_mistral = ListQuery {
        engine: Some("mistral".to_owned()),
        ..query
    };
    assert_eq!(store.list(&of_mistral, usize::MAX).await.unwrap().records, listed);
    assert_eq!(
        listed.iter().map(|record| record.state).collect::<Vec<_>>(),
        [State::Completed]
    );
    let id = listed[0].id;
    let report = store.report(id).await.unwrap().expect("it has results");
    assert_eq!(report.inference.output_tokens, Some(12));

    let cycles = rank_cycles(&store, id).await;
    assert_eq!(cycles.iter().map(|cycle| cycle.cycle).collect::<Vec<_>>(), [0, 1]);
    for request in cycles.iter().flat_map(|cycle| &cycle.requests) {
        assert_eq!(request.token_monotonic_sec.len(), 3);
    }
    assert_eq!(cycles[0].requests.len(), 2);
    assert_eq!(store.timeseries(id).await.unwrap().expect("it is kept").devices, 1);
    let series = store.device_series(id, 0).await.unwrap().expect("it is kept");
    assert!(!series.points.is_empty() && series.zone.is_some(), "{series:?}");

    let all = Retention {
        not_before: None,
        max_bytes: Some(0),
    };
    assert!(store.drop_raw_data(all, at(0)).await.unwrap().experiments >= 1);
    assert_eq!(store.raw_data_dropped_at(id).await.unwrap(), Some(at(0)));
    assert_eq!(store.timeseries(id).await.unwrap(), None);
    let left = rank_cycles(&store, id).await;
    assert_eq!(left.len(), 2);
    assert!(left.iter().all(|cycle| cycle.requests.is_empty()));
    assert_eq!(store.report(id).await.unwrap(), Some(report));
    assert_eq!(store.contents().await.unwrap().tokens, KeptPoints::default());
    assert_eq!(store.problems().await.unwrap(), Vec::<String>::new());
}

/// Takes an empty store, and fills it as before migration 16, when only the spec contained the engine.
pub(super) async fn the_engine_of_older_experiments_is_filled_in(store: Store) {
    for (config_name, engine) in [
        ("plain", "mistral"),
        ("named by a label", "mistral"),
        ("a server", "llama \"½\" server"),
        ("hidden\",\"engine\":\"vllm", "sglang"),
        ("broken", "vllm"),
    ] {
        let mut new = new_experiment(&[("engine", "vllm")]);
        (new.spec.config_name, new.spec.engine) = (config_name.to_owned(), engine.to_owned());
        store.insert(&new).await.unwrap();
    }
    let migration = match store.dialect {
        Dialect::Sqlite => include_str!("../../../../migrations/sqlite/0016_engine.sql"),
        Dialect::Postgres => include_str!("../../../../migrations/postgres/0016_engine.sql"),
    };
    let statements = migration.split(";\n");
    let is_update = |text: &&str| text.lines().any(|line| line.starts_with("UPDATE experiments "));
    let fill = statements.into_iter().find(is_update).expect("it fills the column");
    let without_engine = "UPDATE experiments SET spec = REPLACE(spec, '\"engine\":\"mistral\",', '')";
    let unreadable = "UPDATE experiments SET spec = '{' WHERE engine = 'vllm'";
    for text in [
        without_engine,
        unreadable,
        "UPDATE experiments SET engine = 'mistral'",
        fill,
    ] {
        sqlx::query(sqlx::AssertSqlSafe(text))
            .execute(&store.writes)
            .await
            .unwrap();
    }
    let text = "SELECT id, engine FROM experiments ORDER BY id";
    let rows = sqlx::query(text).fetch_all(&store.reads).await.unwrap();
    let found = rows.iter().map(|row| row.get::<String, _>("engine"));
    let expected = ["mistral", "mistral", "llama \"½\" server", "sglang", "mistral"];
    assert_eq!(found.collect::<Vec<_>>(), expected);
}
