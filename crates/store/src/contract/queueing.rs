use std::collections::HashSet;

use super::super::{Record, Store, StoreError};
use super::fixtures::{at, claim, new_experiment, queued, record, waiting};
use joulemark_experiment::State;

pub(super) async fn an_inserted_experiment_reads_back_whole(store: Store) {
    let new = new_experiment(&[("team", "a"), ("größe", "½")]);
    store.insert(&new).await.unwrap();
    let expected = Record {
        id: new.id,
        spec: new.spec,
        state: State::Queued,
        attempt: 0,
        node_name: None,
        warnings: new.warnings,
        created_at: at(0),
        started_at: None,
        finished_at: None,
        updated_at: at(0),
        failure: None,
        submitter: None,
        arrival: new.arrival,
        dropped_prompts: None,
    };
    assert_eq!(record(&store, new.id).await, expected);
    store.ping().await.unwrap();
}

pub(super) async fn an_id_is_stored_once(store: Store) {
    let new = new_experiment(&[("team", "a")]);
    store.insert(&new).await.unwrap();
    claim(&store, new.id, at(1)).await.unwrap();
    let again = store.insert(&new).await;
    assert!(
        matches!(again, Err(StoreError::Duplicate(id)) if id == new.id),
        "{again:?}"
    );
    assert_eq!(
        record(&store, new.id).await.state,
        State::Starting,
        "the first stays as it is"
    );
}

pub(super) async fn the_oldest_waits_first(store: Store) {
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(queued(&store).await);
    }
    claim(&store, ids[1], at(1)).await.unwrap();
    let waiting = store.waiting(2).await.unwrap();
    let mut waiting = waiting.iter().map(|one| one.id).collect::<Vec<_>>();
    waiting.sort();
    assert_eq!(waiting, [ids[0], ids[2]]);
}

pub(super) async fn exactly_one_of_many_concurrent_claims_succeeds(store: Store) {
    let id = queued(&store).await;
    let claims = (0..16).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { claim(&store, id, at(1)).await.unwrap() })
    });
    let mut attempts = Vec::new();
    for claim in claims.collect::<Vec<_>>() {
        attempts.extend(claim.await.unwrap());
    }
    assert_eq!(attempts, [1]);
    let claimed = record(&store, id).await;
    assert_eq!((claimed.state, claimed.attempt), (State::Starting, 1));
    assert_eq!((claimed.started_at, claimed.updated_at), (Some(at(1)), at(1)));
}

pub(super) async fn many_claimers_share_a_queue_without_running_anything_twice(store: Store) {
    for _ in 0..30 {
        queued(&store).await;
    }
    let workers = (0..4).map(|_| {
        let store = store.clone();
        tokio::spawn(async move {
            let mut mine = Vec::new();
            loop {
                let waiting = store.waiting(5).await.unwrap();
                if waiting.is_empty() {
                    return mine;
                }
                for one in waiting {
                    mine.extend(claim(&store, one.id, at(1)).await.unwrap().map(|_| one.id));
                }
            }
        })
    });
    let mut claimed = Vec::new();
    for worker in workers.collect::<Vec<_>>() {
        claimed.extend(worker.await.unwrap());
    }
    assert_eq!(claimed.len(), 30);
    assert_eq!(claimed.into_iter().collect::<HashSet<_>>().len(), 30);
}

pub(super) async fn many_submissions_at_once_are_all_stored(store: Store) {
    let inserts = (0..40).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { queued(&store).await })
    });
    for insert in inserts.collect::<Vec<_>>() {
        assert_eq!(record(&store, insert.await.unwrap()).await.state, State::Queued);
    }
    assert_eq!(waiting(&store).await.len(), 40);
}
