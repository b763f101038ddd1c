use joulemark_experiment::{ExperimentId, Placement, State, SweepRequest};
use serde_json::json;

use super::super::{NewSweep, Quota, Store, Submitted};
use super::fixtures::{at, new_experiment, waiting};

/// A sweep of two points, each run twice.
fn sweep() -> NewSweep {
    let request = json!({"base": {"prompts": ["a secret"]}, "axes": {"batch_size": [1, 2]}, "repeats": 2});
    let request = SweepRequest::read(&request).unwrap();
    NewSweep {
        id: ExperimentId::generate(),
        created_at: at(0),
        experiments: (0..4).map(|_| new_experiment(&[])).collect(),
        runs: request.placements().into_iter().zip(0..).collect(),
        request,
    }
}

pub async fn a_sweep_is_queued_whole_and_tells_how_far_it_is(store: Store) {
    let new = sweep();
    assert_eq!(
        store.submit_sweep(&new, Quota::default()).await.unwrap(),
        Submitted::Stored
    );
    assert_eq!(waiting(&store).await.len(), 4);
    store.cancel(new.experiments[1].id, at(5)).await.unwrap();
    let found = store.sweep(new.id).await.unwrap().unwrap();
    assert_eq!(found.created_at, at(0));
    assert_eq!(found.request.base, json!(null), "prompts are the experiments' own");
    assert_eq!(found.request.axes, new.request.axes);
    let runs: Vec<_> = found
        .runs
        .iter()
        .map(|run| (run.placement, run.experiment, run.state))
        .collect();
    let placed = |point, repeat| Placement { point, repeat };
    // Queued interleaved, shown by point.
    let ids: Vec<_> = new.experiments.iter().map(|new| new.id).collect();
    assert_eq!(
        runs,
        [
            (placed(0, 0), ids[0], State::Queued),
            (placed(0, 1), ids[2], State::Queued),
            (placed(1, 0), ids[1], State::Cancelled),
            (placed(1, 1), ids[3], State::Queued),
        ]
    );
    assert_eq!(store.sweep(ids[0]).await.unwrap(), None);
}

pub async fn a_sweep_that_finds_no_room_for_all_leaves_nothing(store: Store) {
    let quota = Quota {
        queued: Some(3),
        ..Quota::default()
    };
    let new = sweep();
    assert_eq!(store.submit_sweep(&new, quota).await.unwrap(), Submitted::QueueFull);
    assert_eq!(waiting(&store).await.len(), 0);
    assert_eq!(store.sweep(new.id).await.unwrap(), None);
}

pub async fn sweeps_are_listed_from_the_newest_with_counts(store: Store) {
    let news = [sweep(), sweep(), sweep()];
    for new in &news {
        store.submit_sweep(new, Quota::default()).await.unwrap();
    }
    store.cancel(news[2].experiments[0].id, at(5)).await.unwrap();
    let page = store.sweeps(None, 2).await.unwrap();
    let listed: Vec<_> = page.iter().map(|(sweep, _)| sweep.id).collect();
    assert_eq!(listed, [news[2].id, news[1].id]);
    let counts: Vec<_> = page[0].1.iter().map(|(state, count)| (*state, *count)).collect();
    assert_eq!(counts, [(State::Queued, 3), (State::Cancelled, 1)]);
    let rest = store.sweeps(Some(news[1].id), 2).await.unwrap();
    assert_eq!(rest.iter().map(|(sweep, _)| sweep.id).collect::<Vec<_>>(), [news[0].id]);
}
