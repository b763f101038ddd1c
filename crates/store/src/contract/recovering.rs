use super::super::{Recovered, Store};
use super::fixtures::{at, claim, queued, record, recover, report, running, waiting};
use joulemark_experiment::{FailureReason, State};

pub(super) async fn running_experiments_return_to_the_queue_and_run_again(store: Store) {
    let mut ids = Vec::new();
    for state in [State::Starting, State::WarmingUp, State::Measuring, State::Aggregating] {
        ids.push(running(&store, state).await);
    }
    let recovered = recover(&store, 2, at(5)).await;
    assert_eq!(
        recovered,
        Recovered {
            requeued: 4,
            failed: 0,
            cancelled: 0
        }
    );
    assert_eq!(waiting(&store).await, ids, "as old as before");
    for id in &ids {
        let queued = record(&store, *id).await;
        assert_eq!((queued.started_at, queued.attempt, queued.node_name), (None, 1, None));
    }
    assert_eq!(claim(&store, ids[0], at(6)).await.unwrap(), Some(2));
}

pub(super) async fn a_server_that_is_killed_uses_up_no_attempt(store: Store) {
    let id = running(&store, State::Measuring).await;
    for killed in 1..=5 {
        let recovered = recover(&store, 1, at(5)).await;
        assert_eq!((recovered.requeued, recovered.failed), (1, 0));
        assert_eq!(claim(&store, id, at(6)).await.unwrap(), Some(killed + 1));
    }
}

pub(super) async fn an_experiment_without_attempts_left_fails_as_interrupted(store: Store) {
    let id = running(&store, State::Measuring).await;
    store.use_up_attempt(id).await.unwrap();
    assert_eq!(recover(&store, 2, at(5)).await.requeued, 1);
    claim(&store, id, at(6)).await.unwrap();
    store.use_up_attempt(id).await.unwrap();
    let recovered = recover(&store, 2, at(7)).await;
    assert_eq!(
        recovered,
        Recovered {
            requeued: 0,
            failed: 1,
            cancelled: 0
        }
    );
    let failed = record(&store, id).await;
    assert_eq!(
        (failed.state, failed.attempt, failed.finished_at),
        (State::Failed, 2, Some(at(7)))
    );
    let failure = failed.failure.unwrap();
    assert_eq!(failure.reason, FailureReason::Interrupted);
    assert!(failure.message.contains("2 times"), "{}", failure.message);
    assert!(failure.message.contains("starting"), "{}", failure.message);
}

pub(super) async fn a_requested_cancellation_survives_its_server(store: Store) {
    let id = running(&store, State::Measuring).await;
    store.cancel(id, at(3)).await.unwrap();
    let recovered = recover(&store, 3, at(5)).await;
    assert_eq!(
        recovered,
        Recovered {
            requeued: 0,
            failed: 0,
            cancelled: 1
        }
    );
    assert_eq!(record(&store, id).await.state, State::Cancelled);
}

pub(super) async fn queued_and_finished_experiments_are_not_recovered(store: Store) {
    let waiting = queued(&store).await;
    let completed = running(&store, State::Aggregating).await;
    store.complete(completed, 1, &report(), &[], at(4)).await.unwrap();
    let before = (record(&store, waiting).await, record(&store, completed).await);
    assert_eq!(recover(&store, 1, at(5)).await, Recovered::default());
    assert_eq!((record(&store, waiting).await, record(&store, completed).await), before);
}
