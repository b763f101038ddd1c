//! What the previous release stored, as its own database's dump: schema 2, an experiment in each kind of state, made by
//! a server of that release with the synthetic engine.

use super::super::{KeptPoints, ListQuery, Retention, Store};
use super::fixtures::at;
use super::results::rank_cycles;
use joulemark_experiment::State;

pub const SQLITE_DUMP: &str = include_str!("dumps/sqlite_0002.sql");
pub const POSTGRES_DUMP: &str = include_str!("dumps/postgres_0002.sql");

/// Takes a store that was opened on a restored dump.
pub async fn everything_is_there_and_all_that_is_new_works_on_it(store: Store) {
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
