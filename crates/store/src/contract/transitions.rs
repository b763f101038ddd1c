use super::super::{Abandoned, Store};
use super::fixtures::{at, claim, failure, new_experiment, queued, record, recover, running};
use joulemark_experiment::State;

/// Makes every kind of transition and compares the log with their order.
pub(super) async fn every_transition_is_logged_once_and_in_order(store: Store) {
    let mut labelled = new_experiment(&[("team", "a"), ("run", "1")]);
    labelled.created_at = at(5);
    store.insert(&labelled).await.unwrap();
    let first = labelled.id;
    assert_eq!(claim(&store, first, at(6)).await.unwrap(), Some(1));
    store.advance(first, 1, State::WarmingUp, at(7)).await.unwrap();
    // Repeated, and so not a transition.
    store.advance(first, 1, State::WarmingUp, at(8)).await.unwrap();
    assert_eq!(recover(&store, 3, at(9)).await.requeued, 1);
    assert_eq!(claim(&store, first, at(10)).await.unwrap(), Some(2));
    store.fail(first, 2, &failure(), at(11)).await.unwrap();
    let second = queued(&store).await;
    store.cancel(second, at(12)).await.unwrap();

    let log = store.transitions_after(0, 100).await.unwrap();
    let told: Vec<_> = log.iter().map(|one| (one.id, one.state, one.attempt)).collect();
    let way = [
        (first, State::Queued, 0),
        (first, State::Starting, 1),
        (first, State::WarmingUp, 1),
        (first, State::Queued, 1),
        (first, State::Starting, 2),
        (first, State::Failed, 2),
        (second, State::Queued, 0),
        (second, State::Cancelled, 0),
    ];
    assert_eq!(told, way);
    assert!(log.is_sorted_by(|one, next| one.seq < next.seq));
    assert_eq!((log[0].at, log[5].at), (at(5), at(11)));
    assert_eq!(log[0].user.as_deref(), Some("ada"));
    assert_eq!(log[2].labels, labelled.spec.labels);
    assert!(log[7].labels.is_empty());

    assert_eq!(store.newest_transition().await.unwrap(), log[7].seq);
    assert_eq!(store.transitions_after(log[3].seq, 2).await.unwrap(), log[4..6]);
    let of_first = store.transitions_of(first, log[1].seq).await.unwrap();
    assert_eq!(
        of_first.iter().map(|one| one.seq).collect::<Vec<_>>(),
        log[2..6].iter().map(|one| one.seq).collect::<Vec<_>>()
    );
    assert_eq!(store.latest_transition(second).await.unwrap().unwrap().seq, log[7].seq);
    let unknown = new_experiment(&[]).id;
    assert_eq!(store.latest_transition(unknown).await.unwrap(), None);
}

pub(super) async fn uncommitted_transitions_are_not_logged(store: Store) {
    let id = running(&store, State::Measuring).await;
    let before = store.newest_transition().await.unwrap();
    store.advance(id, 7, State::Aggregating, at(3)).await.unwrap_err();
    store.recover(Abandoned::OfNode("another"), "", 3, at(4)).await.unwrap();
    assert_eq!(store.transitions_after(before, 10).await.unwrap(), []);
    assert_eq!(record(&store, id).await.state, State::Measuring);
}

/// Follows the log during concurrent writes. Numbers become visible in their order, so that a reader can continue after
/// the last number it has seen.
pub(super) async fn a_reader_of_the_log_misses_nothing_during_concurrent_writes(store: Store) {
    const EACH: usize = 40;
    let writers = (0..6).map(|_| {
        let store = store.clone();
        tokio::spawn(async move {
            for _ in 0..EACH {
                let id = queued(&store).await;
                assert_eq!(claim(&store, id, at(1)).await.unwrap(), Some(1));
                store.advance(id, 1, State::WarmingUp, at(2)).await.unwrap();
                store.finish_cancelled(id, 1, at(3)).await.unwrap();
            }
        })
    });
    let writers = futures::future::join_all(writers.collect::<Vec<_>>());
    let (mut writers, mut followed, mut seen) = (std::pin::pin!(writers), Vec::new(), 0);
    let mut is_done = false;
    while !is_done {
        tokio::select! {
            done = &mut writers => {
                done.into_iter().for_each(|writer| writer.unwrap());
                is_done = true;
            }
            () = tokio::task::yield_now() => {}
        }
        loop {
            let page = store.transitions_after(seen, 7).await.unwrap();
            let Some(last) = page.last() else { break };
            seen = last.seq;
            followed.extend(page);
        }
    }
    let whole = store.transitions_after(0, 10_000).await.unwrap();
    assert_eq!(whole.len(), 6 * EACH * 4);
    assert_eq!(followed, whole);
}
