use futures::TryStreamExt as _;

use super::super::{Store, StoreError};
use super::fixtures::{at, rank_cycle, record, recover, report, running};
use joulemark_experiment::report::Report;
use joulemark_experiment::{ExperimentId, State};
use joulemark_measurement::RankCycle;

/// Collects the stored measurements.
pub(super) async fn rank_cycles(store: &Store, id: ExperimentId) -> Vec<RankCycle> {
    store.rank_cycles(id).try_collect().await.unwrap()
}

pub(super) async fn results_and_state_are_stored_together(store: Store) {
    let id = running(&store, State::Aggregating).await;
    let measured = [rank_cycle(1, 1), rank_cycle(0, 1), rank_cycle(1, 0), rank_cycle(0, 0)];
    store.complete(id, 1, &report(), &measured, at(9)).await.unwrap();
    assert_eq!(record(&store, id).await.state, State::Completed);
    assert_eq!(store.report(id).await.unwrap(), Some(report()));
    let in_order = [rank_cycle(0, 0), rank_cycle(1, 0), rank_cycle(0, 1), rank_cycle(1, 1)];
    assert_eq!(rank_cycles(&store, id).await, in_order);
}

pub(super) async fn results_that_cannot_be_stored_whole_leave_nothing(store: Store) {
    let id = running(&store, State::Aggregating).await;
    let twice = [rank_cycle(0, 0), rank_cycle(0, 0)];
    let refused = store.complete(id, 1, &report(), &twice, at(9)).await;
    assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
    assert_eq!(record(&store, id).await.state, State::Aggregating);
    assert_eq!(store.report(id).await.unwrap(), None);
    assert_eq!(rank_cycles(&store, id).await, []);
    store.complete(id, 1, &report(), &twice[..1], at(10)).await.unwrap();
    assert_eq!(rank_cycles(&store, id).await.len(), 1);
}

pub(super) async fn a_lost_attempt_stores_no_result(store: Store) {
    let id = running(&store, State::Aggregating).await;
    recover(&store, 3, at(3)).await;
    let late = store.complete(id, 1, &report(), &[rank_cycle(0, 0)], at(4)).await;
    assert!(late.as_ref().is_err_and(StoreError::is_lost), "{late:?}");
    assert_eq!(record(&store, id).await.state, State::Queued);
    assert_eq!(store.report(id).await.unwrap(), None);
    assert_eq!(rank_cycles(&store, id).await, []);
}

pub(super) async fn a_repeated_completion_keeps_the_first_result(store: Store) {
    let id = running(&store, State::Aggregating).await;
    store
        .complete(id, 1, &report(), &[rank_cycle(0, 0)], at(9))
        .await
        .unwrap();
    let mut other: Report = report();
    other.timing.total_sec += 1.0;
    store
        .complete(id, 1, &other, &[rank_cycle(0, 0), rank_cycle(0, 1)], at(10))
        .await
        .unwrap();
    assert_eq!(store.report(id).await.unwrap(), Some(report()));
    assert_eq!(rank_cycles(&store, id).await.len(), 1);
    assert_eq!(record(&store, id).await.finished_at, Some(at(9)));
}
