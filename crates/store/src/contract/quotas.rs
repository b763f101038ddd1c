use futures::future::join_all;

use super::super::{IdempotencyKey, NewExperiment, Quota, Store, Submitted};
use super::fixtures::{at, claim, failure, new_experiment, queued, waiting};
use joulemark_experiment::access::Actor;

const TEN: Quota = Quota {
    queued: Some(10),
    unfinished_of_submitter: None,
    stored_bytes_of_submitter: None,
};
const THREE_EACH: Quota = Quota {
    queued: None,
    unfinished_of_submitter: Some(3),
    stored_bytes_of_submitter: None,
};

fn experiment(submitter: &str) -> NewExperiment {
    NewExperiment {
        submitted_by: Actor {
            name: Some(submitter.to_owned()),
            ..Actor::default()
        },
        ..new_experiment(&[])
    }
}

/// Submits 60 experiments concurrently, so that the writer receives them together.
async fn at_once(stores: &[&Store], submitter: &str, quota: Quota) -> Vec<Submitted> {
    let tries = (0..60).map(|index| {
        let (store, new) = (stores[index % stores.len()], experiment(submitter));
        async move { store.submit(&new, None, quota).await.unwrap() }
    });
    join_all(tries).await
}

fn count(outcomes: &[Submitted], of: Submitted) -> usize {
    outcomes.iter().filter(|outcome| **outcome == of).count()
}

pub(super) async fn concurrent_submissions_do_not_exceed_the_queue_limit(store: Store) {
    let first = queued(&store).await;
    let outcomes = at_once(&[&store], "ada", TEN).await;
    assert_eq!(count(&outcomes, Submitted::Stored), 9);
    assert_eq!(count(&outcomes, Submitted::QueueFull), 51);
    assert_eq!(waiting(&store).await.len(), 10);
    assert_eq!(store.audit_log(None, 100).await.unwrap().len(), 10);
    // An experiment that leaves the queue makes room for one.
    assert_eq!(claim(&store, first, at(1)).await.unwrap(), Some(1));
    let outcomes = at_once(&[&store], "ada", TEN).await;
    assert_eq!(count(&outcomes, Submitted::Stored), 1);
    let unlimited = store.submit(&experiment("ada"), None, Quota::default()).await.unwrap();
    assert_eq!(unlimited, Submitted::Stored);
}

pub(super) async fn each_submitter_has_a_quota_of_unfinished_experiments(store: Store) {
    let outcomes = at_once(&[&store], "ada '; --", THREE_EACH).await;
    assert_eq!(count(&outcomes, Submitted::Stored), 3);
    assert_eq!(count(&outcomes, Submitted::QuotaUsedUp), 57);
    let again = async || store.submit(&experiment("ada '; --"), None, THREE_EACH).await.unwrap();
    let ids = waiting(&store).await;
    assert_eq!(claim(&store, ids[0], at(1)).await.unwrap(), Some(1));
    assert_eq!(again().await, Submitted::QuotaUsedUp, "what runs counts");
    let others = at_once(&[&store], "bob", THREE_EACH).await;
    assert_eq!(count(&others, Submitted::Stored), 3);
    store.fail(ids[0], 1, &failure(), at(2)).await.unwrap();
    assert_eq!(
        (again().await, again().await),
        (Submitted::Stored, Submitted::QuotaUsedUp)
    );
    // A submission without an authenticated name has no quota.
    for _ in 0..5 {
        let outcome = store.submit(&new_experiment(&[]), None, THREE_EACH).await.unwrap();
        assert_eq!(outcome, Submitted::Stored);
    }
}

pub(super) async fn a_rejected_submission_releases_its_key(store: Store) {
    let key = |name: usize| IdempotencyKey {
        key: name.to_string(),
        body_sha256: "body".to_owned(),
        expires_at: at(60),
    };
    // Each key is sent twice. The second of a rejected pair is rejected as well.
    let tries = (0..60).map(|index| {
        let (store, new) = (&store, experiment("ada"));
        async move { store.submit(&new, Some(key(index / 2)), TEN).await.unwrap() }
    });
    let outcomes = join_all(tries).await;
    assert_eq!(count(&outcomes, Submitted::Stored), 10);
    assert_eq!(count(&outcomes, Submitted::QueueFull), 40);
    for (index, outcome) in outcomes.iter().enumerate() {
        let found = store.look_up_key(&key(index / 2), at(1)).await.unwrap();
        let is_refused = *outcome == Submitted::QueueFull;
        assert_eq!(
            found == Submitted::Stored,
            is_refused,
            "{index}: {outcome:?}, then {found:?}"
        );
    }
    assert_eq!(waiting(&store).await.len(), 10);
}

pub(super) async fn concurrent_submissions_do_not_exceed_the_quota_of_stored_bytes(store: Store) {
    let first = experiment("ada");
    store.insert(&first).await.unwrap();
    let each = store.stored_bytes_of("ada").await.unwrap();
    let quota = |max: u64| Quota {
        stored_bytes_of_submitter: Some(max),
        ..Quota::default()
    };
    let outcomes = at_once(&[&store], "ada", quota(5 * each)).await;
    assert_eq!(count(&outcomes, Submitted::Stored), 4);
    let used_bytes = 5 * each;
    assert_eq!(count(&outcomes, Submitted::TooMuchStored { used_bytes }), 56);
    assert_eq!(store.stored_bytes_of("ada").await.unwrap(), used_bytes);
    // One byte too few for another submission.
    let outcome = store
        .submit(&experiment("ada"), None, quota(6 * each - 1))
        .await
        .unwrap();
    assert_eq!(outcome, Submitted::TooMuchStored { used_bytes });
    assert_eq!(at_once(&[&store], "eve", quota(each)).await[0], Submitted::Stored);
    // Cancellation does not reduce the usage; retention does.
    assert_eq!(waiting(&store).await.len(), 6);
    for id in waiting(&store).await {
        store.cancel(id, at(1)).await.unwrap();
    }
    assert_eq!(store.stored_bytes_of("ada").await.unwrap(), used_bytes);
    assert_eq!(store.drop_prompts(at(2), at(3)).await.unwrap(), 6);
    let left = store.stored_bytes_of("ada").await.unwrap();
    assert!(left > 0 && left < used_bytes, "{left} of {used_bytes}");
}

/// Takes two stores of one database.
pub(super) async fn two_servers_together_do_not_exceed_a_limit(one: Store, other: Store) {
    let outcomes = at_once(&[&one, &other], "ada", TEN).await;
    assert_eq!(count(&outcomes, Submitted::Stored), 10, "{outcomes:?}");
    let three = Quota {
        unfinished_of_submitter: Some(13),
        ..Quota::default()
    };
    let outcomes = at_once(&[&one, &other], "ada", three).await;
    assert_eq!(count(&outcomes, Submitted::Stored), 3, "{outcomes:?}");
}
