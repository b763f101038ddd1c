use jiff::SignedDuration;

use super::super::{IdempotencyKey, NewExperiment, Quota, Store, Submitted};
use super::fixtures::{advance_to, at, claim, failure, new_experiment, queued, record};
use joulemark_experiment::access::{Action, Actor, AuditEntry};
use joulemark_experiment::{DatasetPrompts, ExperimentId, Prompts, State};
use joulemark_measurement::clock;

/// Returns an experiment that failed at second `sec`.
async fn failed(store: &Store, sec: i64) -> ExperimentId {
    let id = queued(store).await;
    assert_eq!(claim(store, id, at(1)).await.unwrap(), Some(1));
    store.fail(id, 1, &failure(), at(sec)).await.unwrap();
    id
}

pub(super) async fn prompts_of_finished_experiments_are_dropped_but_not_their_number_and_hash(store: Store) {
    let (old, young) = (failed(&store, 10).await, failed(&store, 20).await);
    let waits = queued(&store).await;
    let before = record(&store, old).await;
    assert_eq!(store.drop_prompts(at(20), at(30)).await.unwrap(), 1);
    let after = record(&store, old).await;
    let dropped = after.dropped_prompts.clone().unwrap();
    // SHA-256 of `["héllo \u0000 🦀","two"]`, without a space after the comma.
    let sha256 = "77ce6eae153a9e98471e07414f2989f83b28f0f9d9f6f8d9637ed520e18ce53b";
    assert_eq!(
        (dropped.count, dropped.sha256.as_deref(), dropped.dropped_at),
        (2, Some(sha256), at(30))
    );
    let mut expected = before.clone();
    let prompts = std::mem::replace(&mut expected.spec.prompts, Prompts::Texts(Vec::new()));
    expected.dropped_prompts = Some(dropped);
    // The worker's output may quote prompts.
    expected.failure = before.failure.map(|failure| failure.without_quotes());
    // The shown experiment has changed, so it has a new version.
    expected.updated_at = at(30);
    assert_eq!(after, expected);
    for kept in [young, waits] {
        assert_eq!(record(&store, kept).await.spec.prompts, prompts);
    }
    assert_eq!(store.drop_prompts(at(20), at(31)).await.unwrap(), 0, "once");
    assert_eq!(record(&store, old).await, expected);
    assert_eq!(store.drop_prompts(at(1000), at(31)).await.unwrap(), 1);
    assert_eq!(record(&store, waits).await.state, State::Queued);
    assert_eq!(store.problems().await.unwrap(), Vec::<String>::new());
}

pub(super) async fn prompts_of_a_built_in_dataset_are_not_dropped(store: Store) {
    let mut new = new_experiment(&[]);
    let set = DatasetPrompts {
        dataset: "short-32".to_owned(),
        count: Some(4),
    };
    new.spec.prompts = Prompts::Dataset(set);
    store.insert(&new).await.unwrap();
    store.cancel(new.id, at(1)).await.unwrap();
    let before = record(&store, new.id).await;
    assert_eq!(store.drop_prompts(at(100), at(100)).await.unwrap(), 0);
    assert_eq!(record(&store, new.id).await, before);
}

pub(super) async fn transitions_are_dropped_except_the_last_of_each_experiment(store: Store) {
    let mut ids = Vec::new();
    for sec in [10, 10, 11, 20] {
        ids.push(failed(&store, sec).await);
    }
    let runs = queued(&store).await;
    assert_eq!(claim(&store, runs, at(1)).await.unwrap(), Some(1));
    advance_to(&store, runs, State::WarmingUp).await;
    let newest = store.newest_transition().await.unwrap();
    assert_eq!(store.drop_transitions(at(20)).await.unwrap(), 6);
    assert_eq!(store.drop_transitions(at(20)).await.unwrap(), 0, "once");
    for (id, kept) in ids.iter().zip([1, 1, 1, 3]) {
        let left = store.transitions_of(*id, 0).await.unwrap();
        assert_eq!((left.len(), left[left.len() - 1].state), (kept, State::Failed));
        assert_eq!(store.latest_transition(*id).await.unwrap(), left.last().cloned());
    }
    assert_eq!(store.transitions_of(runs, 0).await.unwrap().len(), 3);
    assert_eq!(store.newest_transition().await.unwrap(), newest);
    // Continues where the last call stopped.
    assert_eq!(store.drop_transitions(at(21)).await.unwrap(), 2);
    assert_eq!(store.problems().await.unwrap(), Vec::<String>::new());
}

pub(super) async fn old_audit_entries_and_expired_keys_are_dropped(store: Store) {
    let now = clock::wall_now();
    let key = |index: usize| IdempotencyKey {
        key: format!("key {index}"),
        body_sha256: "body".to_owned(),
        expires_at: at(10 + index as i64 % 2),
    };
    for index in 0..4 {
        let new: NewExperiment = new_experiment(&[]);
        let submitted = store.submit(&new, Some(key(index)), Quota::default()).await.unwrap();
        assert_eq!(submitted, Submitted::Stored);
    }
    assert_eq!(store.drop_expired_keys(at(10)).await.unwrap(), 2);
    assert_eq!(store.drop_expired_keys(at(10)).await.unwrap(), 0);
    let found = store.look_up_key(&key(1), at(10)).await.unwrap();
    assert!(matches!(found, Submitted::Repeated(_)), "{found:?}");

    let mut old = AuditEntry::new(Action::Cancel, "x", &Actor::default(), now);
    old.id = "01938c5e-9a62-7c3f-8f0e-0d5f6f2b7c11".parse().unwrap();
    store.note(&old).await.unwrap();
    let hour = SignedDuration::from_hours(1);
    assert_eq!(store.audit_log(None, 10).await.unwrap().len(), 5);
    assert_eq!(store.drop_audit_entries(now - hour).await.unwrap(), 1);
    let left = store.audit_log(None, 10).await.unwrap();
    assert!(
        left.len() == 4 && left.iter().all(|entry| entry.id != old.id),
        "{left:?}"
    );
    assert_eq!(store.drop_audit_entries(now + hour).await.unwrap(), 4);
}
