use std::collections::HashSet;
use std::time::Duration;

use uuid::Uuid;

use super::super::{CallsUnderWay, DueCallback, NewCallback, Store, Tried};
use super::fixtures::{at, claim, failure, new_experiment, recover};
use joulemark_experiment::{CallbackState, ExperimentId, State};

const LEASE: Duration = Duration::from_secs(60);

async fn queued_with_callback(store: &Store) -> ExperimentId {
    queued_by(store, None, "hooks.example").await
}

async fn queued_by(store: &Store, submitter: Option<&str>, host: &str) -> ExperimentId {
    let mut new = new_experiment(&[]);
    new.submitted_by.name = submitter.map(str::to_owned);
    new.callback = Some(NewCallback {
        delivery_id: Uuid::now_v7(),
        url: format!("https://{host}/é?a=b"),
        host: host.to_owned(),
        link_base: "https://lab.example/jm".to_owned(),
    });
    store.insert(&new).await.unwrap();
    new.id
}

async fn claim_callbacks(store: &Store, max: usize, lease: Duration) -> Vec<DueCallback> {
    let nothing = CallsUnderWay::new(usize::MAX);
    store.claim_callbacks(&nothing, max, lease).await.unwrap()
}

pub(super) async fn one_submitter_s_callbacks_do_not_delay_another_s(store: Store) {
    let mut under_way = CallsUnderWay::new(2);
    for _ in 0..40 {
        let id = queued_by(&store, Some("ada"), "hangs.example").await;
        store.cancel(id, at(1)).await.unwrap();
    }
    let mut of_others = Vec::new();
    for (submitter, host) in [("bob", "ci.example"), ("eve", "hangs.example"), ("ada", "ci.example")] {
        let id = queued_by(&store, Some(submitter), host).await;
        store.cancel(id, at(2)).await.unwrap();
        of_others.push(id);
    }
    let mut claimed = Vec::new();
    loop {
        let due = store.claim_callbacks(&under_way, 8, LEASE).await.unwrap();
        if due.is_empty() {
            break;
        }
        due.iter().for_each(|due| under_way.begin(&due.submitter, &due.host));
        claimed.extend(due);
    }
    let of = |submitter: &str| claimed.iter().filter(|due| due.submitter == submitter).count();
    // No more of Ada's callbacks go to the host whose limit is used up, but one goes to another host.
    assert_eq!((of("ada"), of("bob"), of("eve")), (2, 1, 1), "{claimed:#?}");
    assert!(claimed.iter().any(|due| due.id == of_others[0]));
    // Once a call has ended, the next can begin.
    under_way.end("ada", "hangs.example");
    assert_eq!(store.claim_callbacks(&under_way, 8, LEASE).await.unwrap().len(), 1);
}

fn failed(again_after: Option<Duration>) -> Tried {
    Tried {
        status: Some(500),
        error: Some("it answers 500".to_owned()),
        again_after,
    }
}

pub(super) async fn a_callback_becomes_due_when_its_experiment_ends(store: Store) {
    let (failing, waiting) = (queued_with_callback(&store).await, queued_with_callback(&store).await);
    super::fixtures::queued(&store).await;
    assert_eq!(claim(&store, failing, at(1)).await.unwrap(), Some(1));
    // A return to the queue is not an end.
    assert_eq!(recover(&store, 3, at(2)).await.requeued, 1);
    assert_eq!(claim_callbacks(&store, 10, LEASE).await, []);
    let shown = store.callback(failing).await.unwrap().unwrap();
    assert_eq!(
        (shown.state, shown.attempts, shown.next_attempt_at),
        (CallbackState::Waiting, 0, None)
    );
    assert_eq!(claim(&store, failing, at(3)).await.unwrap(), Some(2));
    store.fail(failing, 2, &failure(), at(4)).await.unwrap();
    store.cancel(waiting, at(5)).await.unwrap();
    let mut due = claim_callbacks(&store, 10, LEASE).await;
    due.sort_by_key(|due| due.id);
    assert_eq!(
        due.iter().map(|due| (due.id, due.state)).collect::<Vec<_>>(),
        [(failing, State::Failed), (waiting, State::Cancelled)]
    );
    let first = &due[0];
    assert_eq!(
        (first.attempt, first.created_at, first.finished_at),
        (1, at(0), Some(at(4)))
    );
    assert_eq!(
        (first.url.as_str(), first.link_base.as_str()),
        ("https://hooks.example/é?a=b", "https://lab.example/jm")
    );
    assert_eq!(first.delivery_id, shown.delivery_id);
}

pub(super) async fn a_delivery_attempt_belongs_to_one_server_until_its_lease_ends(store: Store) {
    let mut ids = Vec::new();
    for _ in 0..20 {
        let id = queued_with_callback(&store).await;
        store.cancel(id, at(1)).await.unwrap();
        ids.push(id);
    }
    let claimers = (0..8).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { claim_callbacks(&store, 5, LEASE).await })
    });
    let mut claimed = Vec::new();
    for claimer in claimers.collect::<Vec<_>>() {
        claimed.extend(claimer.await.unwrap().into_iter().map(|due| due.id));
    }
    // Concurrent claims may have skipped each other's candidates.
    while let Some(due) = claim_callbacks(&store, 1, LEASE).await.pop() {
        claimed.push(due.id);
    }
    assert_eq!(claimed.len(), 20);
    assert_eq!(claimed.into_iter().collect::<HashSet<_>>(), ids.into_iter().collect());
    // A dead server holds an attempt until its lease ends.
    let id = queued_with_callback(&store).await;
    store.cancel(id, at(1)).await.unwrap();
    for attempt in [1, 2] {
        let due = claim_callbacks(&store, 1, Duration::ZERO).await;
        assert_eq!((due[0].id, due[0].attempt), (id, attempt));
    }
    // The result of a superseded attempt is ignored.
    let taken = Tried {
        status: Some(200),
        error: None,
        again_after: None,
    };
    store.settle_callback(id, 1, &taken, at(2)).await.unwrap();
    assert_eq!(store.callback(id).await.unwrap().unwrap().state, CallbackState::Pending);
}

pub(super) async fn the_result_of_a_delivery_attempt_is_stored_and_a_failed_one_repeated(store: Store) {
    let id = queued_with_callback(&store).await;
    store.cancel(id, at(1)).await.unwrap();
    assert_eq!(claim_callbacks(&store, 1, LEASE).await.len(), 1);
    store.settle_callback(id, 1, &failed(Some(LEASE)), at(2)).await.unwrap();
    let shown = store.callback(id).await.unwrap().unwrap();
    assert_eq!(
        (shown.state, shown.attempts, shown.last_status),
        (CallbackState::Pending, 1, Some(500))
    );
    assert_eq!(
        (shown.last_error.as_deref(), shown.last_attempt_at),
        (Some("it answers 500"), Some(at(2)))
    );
    assert!(shown.next_attempt_at.is_some());
    assert_eq!(claim_callbacks(&store, 1, LEASE).await, [], "it is not due");
    store
        .settle_callback(id, 1, &failed(Some(Duration::ZERO)), at(3))
        .await
        .unwrap();
    assert_eq!(claim_callbacks(&store, 1, LEASE).await[0].attempt, 2);
    let taken = Tried {
        status: Some(204),
        error: None,
        again_after: None,
    };
    store.settle_callback(id, 2, &taken, at(4)).await.unwrap();
    let shown = store.callback(id).await.unwrap().unwrap();
    assert_eq!(
        (shown.state, shown.attempts, shown.last_status),
        (CallbackState::Delivered, 2, Some(204))
    );
    assert_eq!((shown.last_error, shown.next_attempt_at), (None, None));

    let other = queued_with_callback(&store).await;
    store.cancel(other, at(5)).await.unwrap();
    claim_callbacks(&store, 1, Duration::ZERO).await;
    store.settle_callback(other, 1, &failed(None), at(6)).await.unwrap();
    assert_eq!(
        store.callback(other).await.unwrap().unwrap().state,
        CallbackState::Failed
    );
    assert_eq!(claim_callbacks(&store, 10, LEASE).await, [], "both are over");
}
