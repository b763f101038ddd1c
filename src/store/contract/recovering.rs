use super::super::{Recovered, Store};
use super::fixtures::{at, queued, record, report, running};
use crate::experiment::{FailureReason, State};

pub async fn what_ran_goes_back_to_the_queue_and_runs_again(store: Store) {
    let mut ids = Vec::new();
    for state in [State::Starting, State::WarmingUp, State::Measuring, State::Aggregating] {
        ids.push(running(&store, state).await);
    }
    let recovered = store.recover(2, at(5)).await.unwrap();
    assert_eq!(
        recovered,
        Recovered {
            requeued: 4,
            failed: 0,
            cancelled: 0
        }
    );
    let waiting = store.queued(10).await.unwrap();
    assert_eq!(
        waiting.iter().map(|record| record.id).collect::<Vec<_>>(),
        ids,
        "in their old order"
    );
    assert!(
        waiting
            .iter()
            .all(|record| record.started_at.is_none() && record.attempt == 1)
    );
    assert_eq!(store.claim(ids[0], at(6)).await.unwrap(), Some(2));
}

pub async fn what_has_used_up_its_attempts_fails_as_interrupted(store: Store) {
    let id = running(&store, State::Measuring).await;
    store.recover(2, at(5)).await.unwrap();
    store.claim(id, at(6)).await.unwrap();
    let recovered = store.recover(2, at(7)).await.unwrap();
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
    assert!(failure.message.contains("starting"), "{}", failure.message);
}

pub async fn a_cancellation_outlives_the_server(store: Store) {
    let id = running(&store, State::Measuring).await;
    store.cancel(id, at(3)).await.unwrap();
    let recovered = store.recover(3, at(5)).await.unwrap();
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

pub async fn what_waits_or_is_finished_is_left_alone(store: Store) {
    let waiting = queued(&store).await;
    let completed = running(&store, State::Aggregating).await;
    store.complete(completed, 1, &report(), &[], at(4)).await.unwrap();
    let before = (record(&store, waiting).await, record(&store, completed).await);
    assert_eq!(store.recover(1, at(5)).await.unwrap(), Recovered::default());
    assert_eq!((record(&store, waiting).await, record(&store, completed).await), before);
}
