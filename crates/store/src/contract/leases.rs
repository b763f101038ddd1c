use std::time::Duration;

use super::super::{Abandoned, Claim, Held, Recovered, Registration, Store};
use super::fixtures::{advance_to, at, claim, claim_for, queued, record, report, running, waiting};
use super::nodes::capabilities;
use joulemark_experiment::State;

const NONE: Recovered = Recovered {
    requeued: 0,
    failed: 0,
    cancelled: 0,
};
const ONE_REQUEUED: Recovered = Recovered { requeued: 1, ..NONE };

/// Returns an experiment claimed with a lease that has expired.
async fn claimed_with_expired_lease(store: &Store, holder: &str) -> joulemark_experiment::ExperimentId {
    let id = queued(store).await;
    let claim = Claim {
        holder,
        node_name: holder,
        gpus: &[],
        device_count: 1,
        lease: Duration::ZERO,
    };
    assert!(store.claim(id, &claim, at(1)).await.unwrap().is_some());
    // SQLite's clock has a resolution of one millisecond.
    tokio::time::sleep(Duration::from_millis(5)).await;
    id
}

async fn expired(store: &Store, asker: &str) -> Recovered {
    store.recover(Abandoned::Expired, asker, 3, at(9)).await.unwrap()
}

pub(super) async fn a_claim_records_its_node_and_gpus(store: Store) {
    let id = queued(&store).await;
    let gpus = ["GPU-x".to_owned(), "GPU-y".to_owned()];
    let claim = Claim {
        holder: "life-1",
        node_name: "box",
        gpus: &gpus,
        device_count: 2,
        lease: Duration::from_secs(60),
    };
    let claimed = store.claim(id, &claim, at(1)).await.unwrap().expect("it waits");
    let told = claimed.record.unwrap();
    assert_eq!((claimed.attempt, &told), (1, &record(&store, id).await));
    assert_eq!(
        (told.node_name.as_deref(), &told.spec.gpus[..]),
        (Some("box"), &gpus[..])
    );
    assert_eq!(store.running_by_node().await.unwrap(), [("box".to_owned(), id)]);
    store.advance(id, 1, State::Queued, at(2)).await.unwrap();
    let back = record(&store, id).await;
    assert_eq!(
        (back.node_name, &back.spec.gpus[..]),
        (None, &["GPU-a".to_owned()][..]),
        "as it was asked for"
    );
    assert_eq!(store.running_by_node().await.unwrap(), []);
}

pub(super) async fn held_experiments_are_listed_with_requested_cancellations(store: Store) {
    let (one, other) = (queued(&store).await, queued(&store).await);
    claim_for(&store, one, "me", at(1)).await.unwrap();
    claim_for(&store, other, "somebody", at(1)).await.unwrap();
    let held = |is_cancel_requested| Held {
        id: one,
        attempt: 1,
        is_cancel_requested,
    };
    assert_eq!(store.held("me").await.unwrap(), [held(false)]);
    store.cancel(one, at(2)).await.unwrap();
    assert_eq!(store.held("me").await.unwrap(), [held(true)]);
    store.finish_cancelled(one, 1, at(3)).await.unwrap();
    assert_eq!(store.held("me").await.unwrap(), []);
}

pub(super) async fn an_expired_lease_is_taken_over_and_its_old_holder_can_write_nothing(store: Store) {
    let id = claimed_with_expired_lease(&store, "dead").await;
    let living = queued(&store).await;
    claim_for(&store, living, "living", at(1)).await.unwrap();
    assert_eq!(
        expired(&store, "dead").await,
        NONE,
        "a server does not recover its own experiments"
    );
    assert_eq!(expired(&store, "living").await, ONE_REQUEUED);
    assert_eq!(record(&store, living).await.state, State::Starting);
    assert_eq!(claim_for(&store, id, "living", at(10)).await.unwrap(), Some(2));
    // The server with the expired lease comes back.
    assert_eq!(store.held("dead").await.unwrap(), []);
    let late = store.advance(id, 1, State::WarmingUp, at(11)).await;
    assert!(late.as_ref().is_err_and(super::super::StoreError::is_lost), "{late:?}");
    advance_to(&store, id, State::Aggregating).await;
    let late = store.complete(id, 1, &report(), &[], at(12)).await;
    assert!(late.as_ref().is_err_and(super::super::StoreError::is_lost), "{late:?}");
    store.complete(id, 2, &report(), &[], at(13)).await.unwrap();
}

pub(super) async fn a_heartbeat_renews_an_expired_lease_that_was_not_taken(store: Store) {
    let registration = Registration {
        name: "slow",
        incarnation: "slow",
        seat: "seat",
        capabilities: &capabilities(),
        lease: Duration::ZERO,
    };
    store.register(&registration).await.unwrap();
    let id = claimed_with_expired_lease(&store, "slow").await;
    let held = store
        .beat("slow", "slow", &capabilities(), Duration::from_secs(60))
        .await
        .unwrap();
    assert_eq!(
        held.expect("it has its name")
            .iter()
            .map(|held| held.id)
            .collect::<Vec<_>>(),
        [id]
    );
    assert_eq!(expired(&store, "other").await, NONE);
    assert_eq!(record(&store, id).await.state, State::Starting);
}

pub(super) async fn only_experiments_of_the_node_s_earlier_incarnation_are_recovered(store: Store) {
    let (mine, other) = (queued(&store).await, queued(&store).await);
    claim_for(&store, mine, "box", at(1)).await.unwrap();
    claim_for(&store, other, "rack", at(1)).await.unwrap();
    let whose = Abandoned::OfNode("box");
    assert_eq!(
        store.recover(whose, "second life", 3, at(2)).await.unwrap(),
        ONE_REQUEUED
    );
    assert_eq!(waiting(&store).await, [mine]);
    assert_eq!(record(&store, other).await.state, State::Starting);
}

pub(super) async fn a_graceful_shutdown_uses_up_no_attempt(store: Store) {
    let id = queued(&store).await;
    for attempt in 1..=5 {
        assert_eq!(claim(&store, id, at(1)).await.unwrap(), Some(attempt));
        store.advance(id, attempt, State::Queued, at(2)).await.unwrap();
    }
    claim(&store, id, at(3)).await.unwrap();
    store.recover(Abandoned::All, "", 1, at(4)).await.unwrap();
    assert_eq!(record(&store, id).await.state, State::Queued);
}

pub(super) async fn an_experiment_that_is_held_but_not_run_is_given_back(store: Store) {
    let id = running(&store, State::Measuring).await;
    store.abandon(id, 2, 3, at(5)).await.unwrap();
    assert_eq!(record(&store, id).await.state, State::Measuring, "another attempt's");
    store.abandon(id, 1, 3, at(5)).await.unwrap();
    assert_eq!(record(&store, id).await.state, State::Queued);
    store.abandon(id, 1, 3, at(6)).await.unwrap();
    assert_eq!(record(&store, id).await.updated_at, at(5), "it waits already");
    assert_eq!(claim(&store, id, at(7)).await.unwrap(), Some(2));
    store.abandon(id, 2, 1, at(8)).await.unwrap();
    assert_eq!(
        record(&store, id).await.state,
        State::Queued,
        "a lost answer uses up no attempt"
    );
    assert_eq!(claim(&store, id, at(9)).await.unwrap(), Some(3));
    store.use_up_attempt(id).await.unwrap();
    store.abandon(id, 3, 1, at(10)).await.unwrap();
    assert_eq!(
        record(&store, id).await.state,
        State::Failed,
        "its own end could not be stored"
    );
}

pub(super) async fn concurrent_recoveries_recover_each_experiment_once(store: Store) {
    for _ in 0..10 {
        claimed_with_expired_lease(&store, "dead").await;
    }
    let servers = (0..4).map(|server| {
        let store = store.clone();
        tokio::spawn(async move { expired(&store, &format!("server {server}")).await.requeued })
    });
    let mut requeued = 0;
    for server in servers.collect::<Vec<_>>() {
        requeued += server.await.unwrap();
    }
    // A row locked by another recovery is skipped, and found by the next.
    requeued += expired(&store, "last").await.requeued;
    assert_eq!(requeued, 10);
    assert_eq!(waiting(&store).await.len(), 10);
}
