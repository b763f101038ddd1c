use super::super::{CancelOutcome, Store, StoreError};
use super::fixtures::{advance_to, at, claim, failure, queued, record, report, running};
use super::results::rank_cycles;
use joulemark_experiment::{ExperimentId, State};

pub(super) async fn an_experiment_passes_through_every_state_with_its_times(store: Store) {
    let id = queued(&store).await;
    assert_eq!(claim(&store, id, at(10)).await.unwrap(), Some(1));
    for (sec, state) in [(11, State::WarmingUp), (12, State::Measuring), (13, State::Aggregating)] {
        store.advance(id, 1, state, at(sec)).await.unwrap();
        let moved = record(&store, id).await;
        assert_eq!(
            (moved.state, moved.updated_at, moved.finished_at),
            (state, at(sec), None)
        );
    }
    store.complete(id, 1, &report(), &[], at(14)).await.unwrap();
    let completed = record(&store, id).await;
    assert_eq!((completed.state, completed.attempt), (State::Completed, 1));
    assert_eq!((completed.created_at, completed.started_at), (at(0), Some(at(10))));
    assert_eq!(completed.finished_at, Some(at(14)));
    assert_eq!(
        claim(&store, id, at(15)).await.unwrap(),
        None,
        "what is finished cannot be claimed"
    );
}

pub(super) async fn an_illegal_transition_is_refused_and_changes_nothing(store: Store) {
    let id = running(&store, State::Measuring).await;
    let before = record(&store, id).await;
    for to in [
        State::Starting,
        State::WarmingUp,
        State::Completed,
        State::Failed,
        State::Cancelled,
    ] {
        let moved = store.advance(id, 1, to, at(5)).await;
        assert!(matches!(moved, Err(StoreError::IllegalMove(_))), "{to}: {moved:?}");
    }
    assert_eq!(record(&store, id).await, before);
    assert_eq!(store.report(id).await.unwrap(), None);
}

pub(super) async fn a_run_whose_transitions_were_not_stored_can_complete(store: Store) {
    for state in [State::Starting, State::WarmingUp, State::Measuring] {
        let id = running(&store, state).await;
        store.complete(id, 1, &report(), &[], at(5)).await.unwrap();
        assert_eq!(record(&store, id).await.state, State::Completed);
    }
}

async fn assert_lost(store: &Store, id: ExperimentId, attempt: u32) {
    let before = record(store, id).await;
    let tries = [
        store.advance(id, attempt, State::WarmingUp, at(6)).await,
        store.advance(id, attempt, State::Aggregating, at(6)).await,
        store.fail(id, attempt, &failure(), at(6)).await,
        store.finish_cancelled(id, attempt, at(6)).await,
        store.complete(id, attempt, &report(), &[], at(6)).await,
    ];
    for lost in tries {
        assert!(lost.as_ref().is_err_and(StoreError::is_lost), "{lost:?}");
    }
    assert_eq!(record(store, id).await, before);
}

pub(super) async fn a_lost_attempt_can_do_nothing(store: Store) {
    let id = running(&store, State::Measuring).await;
    store.advance(id, 1, State::Queued, at(3)).await.unwrap();
    assert_eq!(record(&store, id).await.started_at, None);
    assert_lost(&store, id, 1).await;
    assert_eq!(claim(&store, id, at(4)).await.unwrap(), Some(2));
    assert_lost(&store, id, 1).await;
    assert_lost(&store, id, 3).await;
    advance_to(&store, id, State::Aggregating).await;
    store.complete(id, 2, &report(), &[], at(5)).await.unwrap();
    assert_lost(&store, id, 1).await;
}

pub(super) async fn a_failure_is_kept_with_its_reason(store: Store) {
    let id = running(&store, State::WarmingUp).await;
    store.fail(id, 1, &failure(), at(3)).await.unwrap();
    let failed = record(&store, id).await;
    assert_eq!((failed.state, failed.finished_at), (State::Failed, Some(at(3))));
    assert_eq!(failed.failure, Some(failure()));
}

pub(super) async fn a_repeated_transition_changes_nothing(store: Store) {
    let id = running(&store, State::Measuring).await;
    store.advance(id, 1, State::Measuring, at(9)).await.unwrap();
    assert_eq!(record(&store, id).await.updated_at, at(2), "nothing is written");
    store.fail(id, 1, &failure(), at(3)).await.unwrap();
    store.fail(id, 1, &failure(), at(9)).await.unwrap();
    assert_eq!(record(&store, id).await.finished_at, Some(at(3)));
}

pub(super) async fn a_queued_experiment_is_cancelled_at_once(store: Store) {
    let id = queued(&store).await;
    assert_eq!(store.cancel(id, at(1)).await.unwrap(), CancelOutcome::Cancelled);
    let cancelled = record(&store, id).await;
    assert_eq!(
        (cancelled.state, cancelled.finished_at),
        (State::Cancelled, Some(at(1)))
    );
    assert_eq!(claim(&store, id, at(2)).await.unwrap(), None);
    assert_eq!(
        store.cancel(id, at(2)).await.unwrap(),
        CancelOutcome::AlreadyFinished(State::Cancelled)
    );
}

pub(super) async fn a_running_experiment_is_cancelled_by_its_server(store: Store) {
    let id = running(&store, State::Measuring).await;
    assert_eq!(store.cancel(id, at(3)).await.unwrap(), CancelOutcome::Running);
    assert_eq!(store.cancel(id, at(3)).await.unwrap(), CancelOutcome::Running);
    assert_eq!(record(&store, id).await.state, State::Measuring);
    store.finish_cancelled(id, 1, at(4)).await.unwrap();
    let cancelled = record(&store, id).await;
    assert_eq!(
        (cancelled.state, cancelled.finished_at),
        (State::Cancelled, Some(at(4)))
    );

    let stopping = running(&store, State::Measuring).await;
    store.cancel(stopping, at(3)).await.unwrap();
    store.advance(stopping, 1, State::Queued, at(4)).await.unwrap();
    assert_eq!(
        record(&store, stopping).await.state,
        State::Cancelled,
        "it is not run again"
    );
}

pub(super) async fn an_unknown_experiment_is_reported_as_unknown(store: Store) {
    let id = ExperimentId::generate();
    assert_eq!(store.get(id).await.unwrap(), None);
    assert_eq!(claim(&store, id, at(1)).await.unwrap(), None);
    assert_eq!(store.cancel(id, at(1)).await.unwrap(), CancelOutcome::NotFound);
    assert_eq!(store.report(id).await.unwrap(), None);
    assert_eq!(rank_cycles(&store, id).await, []);
    let moved = store.advance(id, 1, State::WarmingUp, at(1)).await;
    assert!(
        matches!(moved, Err(StoreError::NotFound(unknown)) if unknown == id),
        "{moved:?}"
    );
}
