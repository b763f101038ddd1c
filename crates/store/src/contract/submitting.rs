use super::super::{IdempotencyKey, NewExperiment, Quota, Store, StoreError, Submitted};
use super::fixtures::{at, new_experiment, record, waiting};

fn key(name: &str, body: &str) -> Option<IdempotencyKey> {
    Some(IdempotencyKey {
        key: name.to_owned(),
        body_sha256: body.to_owned(),
        expires_at: at(60),
    })
}

async fn submit(store: &Store, new: &NewExperiment, key: Option<IdempotencyKey>) -> Result<Submitted, StoreError> {
    store.submit(new, key, Quota::default()).await
}

/// Returns a submission accepted at second `sec`.
fn later(sec: i64) -> NewExperiment {
    NewExperiment {
        created_at: at(sec),
        ..new_experiment(&[("team", "a")])
    }
}

async fn stored(store: &Store) -> usize {
    waiting(store).await.len()
}

pub(super) async fn a_repeated_key_returns_the_same_experiment(store: Store) {
    let (first, second) = (later(0), later(10));
    let wanted = key("k", "body").unwrap();
    assert_eq!(store.look_up_key(&wanted, at(0)).await.unwrap(), Submitted::Stored);
    assert_eq!(
        submit(&store, &first, key("k", "body")).await.unwrap(),
        Submitted::Stored
    );
    let repeated = submit(&store, &second, key("k", "body")).await.unwrap();
    assert_eq!(repeated, Submitted::Repeated(first.id));
    assert_eq!(store.look_up_key(&wanted, at(10)).await.unwrap(), repeated);
    assert_eq!(store.get(second.id).await.unwrap(), None);
    assert_eq!(record(&store, first.id).await.created_at, at(0));
    assert_eq!(
        submit(&store, &second, key("other", "body")).await.unwrap(),
        Submitted::Stored
    );
    assert_eq!(stored(&store).await, 2);
}

pub(super) async fn the_same_key_with_another_body_is_refused(store: Store) {
    let first = later(0);
    submit(&store, &first, key("k", "body")).await.unwrap();
    let other = key("k", "another body");
    assert_eq!(
        submit(&store, &later(1), other.clone()).await.unwrap(),
        Submitted::KeyTaken
    );
    let found = store.look_up_key(&other.unwrap(), at(1)).await.unwrap();
    assert_eq!(found, Submitted::KeyTaken);
    assert_eq!(stored(&store).await, 1);
}

pub(super) async fn concurrent_submissions_with_one_key_queue_one_experiment(store: Store) {
    let tries = (0..60).map(|index| {
        let store = store.clone();
        tokio::spawn(async move {
            let new = later(0);
            let name = if index % 2 == 0 { "even" } else { "odd" };
            match submit(&store, &new, key(name, "body")).await.unwrap() {
                Submitted::Stored => (name, new.id),
                Submitted::Repeated(id) => (name, id),
                other => panic!("the body is the same: {other:?}"),
            }
        })
    });
    let mut seen = std::collections::HashSet::new();
    for one in tries.collect::<Vec<_>>() {
        seen.insert(one.await.unwrap());
    }
    assert_eq!(seen.len(), 2, "each key has one experiment: {seen:?}");
    assert_eq!(stored(&store).await, 2);
}

pub(super) async fn a_key_can_be_used_again_after_it_expires(store: Store) {
    let (first, second) = (later(0), later(60));
    submit(&store, &first, key("k", "body")).await.unwrap();
    assert_eq!(store.drop_expired_keys(at(59)).await.unwrap(), 0);
    let wanted = key("k", "another body").unwrap();
    assert_eq!(store.look_up_key(&wanted, at(60)).await.unwrap(), Submitted::Stored);
    let kept_longer = IdempotencyKey {
        expires_at: at(120),
        ..wanted.clone()
    };
    assert_eq!(
        submit(&store, &second, Some(kept_longer)).await.unwrap(),
        Submitted::Stored
    );
    let found = store.look_up_key(&wanted, at(61)).await.unwrap();
    assert_eq!(found, Submitted::Repeated(second.id));
    assert_eq!(store.drop_expired_keys(at(120)).await.unwrap(), 1);
    assert_eq!(store.look_up_key(&wanted, at(61)).await.unwrap(), Submitted::Stored);
}

pub(super) async fn a_rejected_submission_does_not_fail_its_batch(store: Store) {
    let taken = later(0);
    store.insert(&taken).await.unwrap();
    // All are sent before the task of the writer runs, so that it receives them together.
    let tries = (0..9).map(|index| {
        let new = if index == 4 { taken.clone() } else { later(1) };
        let store = store.clone();
        async move { (index, submit(&store, &new, key(&format!("k{index}"), "body")).await) }
    });
    for (index, outcome) in futures::future::join_all(tries).await {
        match outcome {
            Ok(Submitted::Stored) => assert_ne!(index, 4),
            other => assert!(
                index == 4 && matches!(&other, Err(StoreError::Duplicate(id)) if *id == taken.id),
                "{index}: {other:?}"
            ),
        }
    }
    assert_eq!(stored(&store).await, 9);
    let free = key("k4", "body").unwrap();
    assert_eq!(
        store.look_up_key(&free, at(1)).await.unwrap(),
        Submitted::Stored,
        "nothing of it is left"
    );
}
