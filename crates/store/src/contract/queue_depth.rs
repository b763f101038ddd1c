use std::collections::BTreeMap;

use super::super::Store;
use super::fixtures::{at, claim, new_experiment, queued, running};
use joulemark_experiment::{Failure, FailureReason, State};

pub(super) async fn unfinished_experiments_are_counted_by_state_and_by_requirements(store: Store) {
    let empty = store.depth().await.unwrap();
    assert!(
        empty.waiting.is_empty() && empty.by_state.iter().all(|(_, count)| *count == 0),
        "{empty:?}"
    );
    assert_eq!(empty.by_state.len(), 5, "a state that nothing is in is 0, not unknown");
    for _ in 0..3 {
        queued(&store).await;
    }
    let mut other = new_experiment(&[]);
    other.spec.gpus = vec!["GPU-b".to_owned(), "GPU-c".to_owned()];
    store.insert(&other).await.unwrap();
    running(&store, State::WarmingUp).await;
    let fails = queued(&store).await;
    let attempt = claim(&store, fails, at(1)).await.unwrap().unwrap();
    let failure = Failure::of_server(FailureReason::ServerError, "no".to_owned());
    store.fail(fails, attempt, &failure, at(2)).await.unwrap();

    let depth = store.depth().await.unwrap();
    let states: BTreeMap<_, _> = depth
        .by_state
        .iter()
        .map(|(state, count)| (state.as_str(), *count))
        .collect();
    let expected = [
        ("aggregating", 0),
        ("measuring", 0),
        ("queued", 4),
        ("starting", 0),
        ("warming_up", 1),
    ];
    assert_eq!(states, BTreeMap::from(expected));
    let mut lanes: Vec<_> = depth
        .waiting
        .iter()
        .map(|(requirements, count)| (requirements.as_ref().unwrap().gpus.len(), *count))
        .collect();
    lanes.sort_unstable();
    assert_eq!(lanes, [(1, 3), (2, 1)]);
}
