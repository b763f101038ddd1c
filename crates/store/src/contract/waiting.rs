use std::collections::HashSet;

use super::super::{DeviceTime, NewExperiment, Store, hour_of};
use super::fixtures::{at, claim, failure, new_experiment, queued, record, running};
use joulemark_experiment::{Device, FailureReason, State};

fn experiment(user: Option<&str>, priority: i32) -> NewExperiment {
    let mut new = new_experiment(&[]);
    new.spec.user = user.map(str::to_owned);
    new.spec.priority = priority;
    new
}

pub(super) async fn the_first_of_each_user_queue_by_priority_and_age_are_returned(store: Store) {
    let mut inserted = Vec::new();
    for (user, priority) in [
        (Some("ada"), 0),
        (Some("ada"), 5),
        (Some("ada"), 0),
        (Some("bob"), -1),
        (None, 0),
        (Some("ada"), 5),
    ] {
        let new = experiment(user, priority);
        store.insert(&new).await.unwrap();
        inserted.push(new);
    }
    let waiting = store.waiting(2).await.unwrap();
    let seen = waiting.iter().map(|one| one.id).collect::<HashSet<_>>();
    let expected = [1, 5, 3, 4].map(|index: usize| inserted[index].id);
    assert_eq!(seen, HashSet::from(expected));
    let bobs = waiting.iter().find(|one| one.user == "bob").expect("bob waits");
    assert_eq!(
        (bobs.priority, &*bobs.requirements),
        (-1, &inserted[3].spec.requirements())
    );
    assert!(waiting.iter().any(|one| one.user.is_empty()));
}

pub(super) async fn a_long_queue_for_the_cpu_does_not_hide_gpu_experiments(store: Store) {
    for _ in 0..1000 {
        let mut new = experiment(None, 3);
        new.spec.device = Device::Cpu;
        new.spec.gpus.clear();
        new.spec.gpu_count = 0;
        store.insert(&new).await.unwrap();
    }
    let gpu = queued(&store).await;
    let waiting = store.waiting(4).await.unwrap();
    assert_eq!(waiting.len(), 5);
    assert!(waiting.iter().any(|one| one.id == gpu));
}

pub(super) async fn an_unreadable_lane_does_not_block_others(store: Store) {
    let broken = queued(&store).await;
    let mut other = experiment(None, 0);
    other.spec.gpus = vec!["GPU-b".to_owned()];
    store.insert(&other).await.unwrap();
    sqlx::query("UPDATE lanes SET needs = '{' WHERE lane = (SELECT lane FROM experiments WHERE id = $1)")
        .bind(broken.to_string())
        .execute(&store.writes)
        .await
        .unwrap();
    for _ in 0..2 {
        let waiting = store.waiting(9).await.unwrap();
        assert_eq!(waiting.iter().map(|one| one.id).collect::<Vec<_>>(), [other.id]);
    }
}

pub(super) async fn experiments_queued_by_an_earlier_version_get_a_lane(store: Store) {
    let (whole, broken) = (experiment(Some("ada"), 7), experiment(None, 0));
    for new in [&whole, &broken] {
        store.insert(new).await.unwrap();
    }
    sqlx::query("UPDATE experiments SET lane = '', user_name = '', priority = 0")
        .execute(&store.writes)
        .await
        .unwrap();
    sqlx::query("UPDATE experiments SET spec = '{}' WHERE id = $1")
        .bind(broken.id.to_string())
        .execute(&store.writes)
        .await
        .unwrap();
    assert_eq!(store.waiting(9).await.unwrap(), []);
    assert_eq!(store.fill_in_lanes(at(3)).await.unwrap(), 2);
    let waiting = store.waiting(9).await.unwrap();
    assert_eq!(waiting.len(), 1, "what cannot be read is not left waiting for ever");
    assert_eq!(
        (waiting[0].id, waiting[0].user.as_str(), waiting[0].priority),
        (whole.id, "ada", 7)
    );
    assert_eq!(*waiting[0].requirements, whole.spec.requirements());
    let text = "UPDATE experiments SET spec = (SELECT spec FROM experiments WHERE id = $1) WHERE id = $2";
    sqlx::query(text)
        .bind(whole.id.to_string())
        .bind(broken.id.to_string())
        .execute(&store.writes)
        .await
        .unwrap();
    let failed = record(&store, broken.id).await;
    assert_eq!(failed.state, State::Failed);
    assert_eq!(
        failed.failure.map(|failure| failure.reason),
        Some(FailureReason::ServerError)
    );
    assert_eq!(store.fill_in_lanes(at(4)).await.unwrap(), 0);
}

pub(super) async fn device_time_is_charged_to_its_user_when_an_attempt_ends(store: Store) {
    // Claimed at 1 s, each with one device.
    let failed = running(&store, State::Measuring).await;
    let cancelled = running(&store, State::Starting).await;
    let stopped = running(&store, State::Starting).await;
    let in_use = store.devices_in_use().await.unwrap();
    assert_eq!(in_use.len(), 3);
    assert_eq!((in_use[0].user.as_str(), in_use[0].device_count), ("ada", 1));
    assert_eq!(in_use[0].claimed_at_us, at(1).as_microsecond());
    store.fail(failed, 1, &failure(), at(11)).await.unwrap();
    store.fail(failed, 1, &failure(), at(99)).await.unwrap();
    store.finish_cancelled(cancelled, 1, at(3)).await.unwrap();
    store.advance(stopped, 1, State::Queued, at(50)).await.unwrap();
    let hour = hour_of(at(11));
    let sum = DeviceTime {
        user: "ada".to_owned(),
        hour,
        device_us: 12_000_000,
    };
    assert_eq!(store.device_times(hour).await.unwrap(), [sum]);
    assert_eq!(store.device_times(hour + 1).await.unwrap(), []);
    assert_eq!(store.devices_in_use().await.unwrap(), []);
    store.forget_device_time(hour + 1).await.unwrap();
    assert_eq!(store.device_times(0).await.unwrap(), []);
    assert_eq!(claim(&store, stopped, at(60)).await.unwrap(), Some(2));
}
