use joulemark_experiment::sweep::{Placement, SweepRequest};
use joulemark_experiment::{ExperimentId, State};
use serde_json::json;

use super::super::{NewSweep, Quota, Store, Submitted};
use super::fixtures::{advance_to, at, claim, failure, new_experiment, report, waiting};
use crate::SweepPlan;
use joulemark_analysis::search::begin;
use joulemark_experiment::sweep::SearchState;

/// Returns a sweep of two points with two runs each.
fn sweep() -> NewSweep {
    let request = json!({"base": {"prompts": ["a secret"]}, "axes": {"batch_size": [1, 2]}, "repeats": 2});
    let request = SweepRequest::read(&request).unwrap();
    NewSweep {
        id: ExperimentId::generate(),
        created_at: at(0),
        experiments: (0..4).map(|_| new_experiment(&[])).collect(),
        runs: request.placements().into_iter().zip(0..).collect(),
        request,
        search: None,
        plans: Vec::new(),
    }
}

pub(super) async fn a_sweep_is_queued_whole_and_shows_its_progress(store: Store) {
    let new = sweep();
    assert_eq!(
        store.submit_sweep(&new, None, Quota::default()).await.unwrap(),
        Submitted::Stored
    );
    assert_eq!(waiting(&store).await.len(), 4);
    store.cancel(new.experiments[1].id, at(5)).await.unwrap();
    let found = store.sweep(new.id).await.unwrap().unwrap();
    assert_eq!(found.created_at, at(0));
    assert_eq!(found.request.base, json!(null), "prompts are the experiments' own");
    assert_eq!(found.request.axes, new.request.axes);
    let runs = store.sweep_runs(new.id).await.unwrap();
    let runs: Vec<_> = runs
        .iter()
        .map(|run| (run.placement, run.experiment, run.state))
        .collect();
    let placed = |point, repeat| Placement { point, repeat };
    // The runs are queued interleaved and listed by point.
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

pub(super) async fn a_sweep_that_exceeds_a_quota_queues_nothing(store: Store) {
    let quota = Quota {
        queued: Some(3),
        ..Quota::default()
    };
    let new = sweep();
    assert_eq!(
        store.submit_sweep(&new, None, quota).await.unwrap(),
        Submitted::QueueFull
    );
    assert_eq!(waiting(&store).await.len(), 0);
    assert_eq!(store.sweep(new.id).await.unwrap(), None);
}

pub(super) async fn sweeps_are_listed_from_the_newest_with_counts(store: Store) {
    let news = [sweep(), sweep(), sweep()];
    for new in &news {
        store.submit_sweep(new, None, Quota::default()).await.unwrap();
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

/// Returns a search over twenty values with two runs each, as it is submitted.
fn searched() -> NewSweep {
    let values: Vec<u32> = (1..=20).collect();
    let goal = json!({"minimise": "joules_per_output_token"});
    let request = json!({"base": {}, "axes": {"batch_size": values}, "repeats": 2, "goal": goal});
    let request = SweepRequest::read(&request).unwrap();
    let search = begin(&request).unwrap();
    let placed = request.placements().into_iter();
    let placed: Vec<_> = placed.filter(|run| search.pending.contains(&run.point)).collect();
    let planned = (0..20).filter(|point| !search.pending.contains(point));
    NewSweep {
        id: ExperimentId::generate(),
        created_at: at(0),
        experiments: placed.iter().map(|_| new_experiment(&[])).collect(),
        runs: placed.into_iter().zip(0..).collect(),
        plans: planned
            .map(|point| SweepPlan {
                point,
                spec: new_experiment(&[]).spec,
                warnings: Vec::new(),
            })
            .collect(),
        search: Some(search),
        request,
    }
}

/// Completes an experiment with the joules of its point, or fails it when there are none.
async fn settle(store: &Store, sweep: ExperimentId, id: ExperimentId, response: impl Fn(u32) -> Option<f64>) {
    let runs = store.sweep_runs(sweep).await.unwrap();
    let placement = runs
        .iter()
        .find(|run| run.experiment == id)
        .expect("it is a run")
        .placement;
    let attempt = claim(store, id, at(1)).await.unwrap().expect("it waits");
    advance_to(store, id, State::Aggregating).await;
    let Some(joules) = response(placement.point) else {
        return store.fail(id, attempt, &failure(), at(3)).await.unwrap();
    };
    let mut report = report();
    report.efficiency.joules_per_output_token = Some(joules + 0.001 * f64::from(placement.repeat));
    store.complete(id, attempt, &report, &[], at(3)).await.unwrap();
}

pub(super) async fn a_search_continues_when_its_experiments_end(store: Store) {
    let new = searched();
    store.submit_sweep(&new, None, Quota::default()).await.unwrap();
    let mut settled = 0;
    loop {
        let waits = waiting(&store).await;
        let Some(next) = waits.first() else { break };
        settle(&store, new.id, *next, |point| {
            (point != 19).then(|| 1.0 + f64::from(point.abs_diff(13)))
        })
        .await;
        settled += 1;
        let found = store.sweep(new.id).await.unwrap().unwrap().search.unwrap();
        let is_open = found.state == SearchState::Searching;
        assert_eq!(is_open, !waiting(&store).await.is_empty(), "{found:#?}");
    }
    let answer = store.sweep(new.id).await.unwrap().unwrap().search.unwrap();
    assert_eq!(
        (answer.state, answer.best_point),
        (SearchState::Done, Some(13)),
        "{answer:#?}"
    );
    assert!(
        answer.tried.len() <= 8 && settled == 2 * answer.tried.len(),
        "{answer:#?}"
    );
    let failed = answer.tried.iter().find(|of| of.point == 19).unwrap();
    assert_eq!((failed.meets, failed.objective), (false, None));
}

pub(super) async fn concurrent_ends_continue_a_search_once(store: Store) {
    let new = searched();
    store.submit_sweep(&new, None, Quota::default()).await.unwrap();
    let waits = waiting(&store).await;
    let each = waits
        .iter()
        .map(|id| settle(&store, new.id, *id, |point| Some(1.0 + f64::from(point.abs_diff(7)))));
    futures::future::join_all(each).await;
    let answer = store.sweep(new.id).await.unwrap().unwrap().search.unwrap();
    assert_eq!((answer.tried.len(), answer.pending.len()), (3, 1), "{answer:#?}");
    assert_eq!(waiting(&store).await.len(), 2, "two repeats of the next point");
}

pub(super) async fn a_cancelled_search_queues_nothing_more(store: Store) {
    let new = searched();
    store.submit_sweep(&new, None, Quota::default()).await.unwrap();
    store.close_sweep(new.id, at(4)).await.unwrap();
    for id in waiting(&store).await {
        store.cancel(id, at(5)).await.unwrap();
    }
    assert_eq!(waiting(&store).await, []);
    let found = store.sweep(new.id).await.unwrap().unwrap();
    assert_eq!(found.cancelled_at, Some(at(4)));
    assert_eq!(found.search.unwrap().state, SearchState::Cancelled);
    let of = store
        .sweep_of(new.experiments[0].id)
        .await
        .unwrap()
        .map(|sweep| sweep.id);
    assert_eq!(of, Some(new.id));
}

pub(super) async fn a_search_that_cannot_be_read_back_is_cancelled(store: Store) {
    let new = searched();
    store.submit_sweep(&new, None, Quota::default()).await.unwrap();
    sqlx::query("UPDATE sweep_plans SET spec = '{' WHERE sweep_id = $1")
        .bind(new.id.to_string())
        .execute(&store.writes)
        .await
        .unwrap();
    for id in waiting(&store).await {
        settle(&store, new.id, id, |point| Some(1.0 + f64::from(point.abs_diff(7)))).await;
    }
    assert_eq!(waiting(&store).await, []);
    let answer = store.sweep(new.id).await.unwrap().unwrap().search.unwrap();
    assert_eq!(answer.state, SearchState::Cancelled, "{answer:#?}");
    let plans = sqlx::query("SELECT point FROM sweep_plans WHERE sweep_id = $1")
        .bind(new.id.to_string())
        .fetch_all(&store.reads)
        .await
        .unwrap();
    assert!(plans.is_empty());
}
