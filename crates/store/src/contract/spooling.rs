use std::fs;
use std::path::Path;

use super::super::{Drained, Ending, Spool, Store};
use super::fixtures::{at, claim, failure, rank_cycle, record, recover, report, running};
use super::results::rank_cycles;
use super::timeseries::timeseries;
use joulemark_experiment::{ExperimentId, State};

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().flatten();
    entries.map(|entry| entry.file_name().into_string().unwrap()).collect()
}

#[test]
fn a_spool_folder_is_locked_while_its_server_lives() {
    let folder = tempfile::tempdir().unwrap();
    let first = Spool::open(folder.path()).unwrap();
    let refused = Spool::open(folder.path()).unwrap_err();
    assert!(refused.to_string().contains("another --spool-dir"), "{refused}");
    let kept = first.clone();
    drop(first);
    Spool::open(folder.path()).unwrap_err();
    drop(kept);
    Spool::open(folder.path()).unwrap();
}

fn completed(id: ExperimentId, attempt: u32) -> Ending {
    let ending = Ending::completed((id, attempt), &report(), &[rank_cycle(0, 0)], at(9)).unwrap();
    ending.with_timeseries(&timeseries(200.5)).unwrap()
}

pub(super) async fn a_spooled_end_is_stored_like_any_other(store: Store) {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(&folder.path().join("spool")).unwrap();
    // The last states that were stored before the database went away.
    let starting = running(&store, State::Starting).await;
    let measuring = running(&store, State::Measuring).await;
    let (failed, cancelled) = (
        running(&store, State::WarmingUp).await,
        running(&store, State::Starting).await,
    );
    for ending in [
        completed(starting, 1),
        completed(measuring, 1),
        Ending::failed((failed, 1), failure(), at(9)),
        Ending::cancelled((cancelled, 1), at(9)),
    ] {
        spool.keep(&ending).unwrap();
    }
    let all = Drained {
        stored: 4,
        ..Drained::default()
    };
    assert_eq!(spool.drain(&store).await.unwrap(), all);
    for id in [starting, measuring] {
        let stored = record(&store, id).await;
        assert_eq!((stored.state, stored.finished_at), (State::Completed, Some(at(9))));
        assert_eq!(store.report(id).await.unwrap(), Some(report()));
        assert_eq!(rank_cycles(&store, id).await, [rank_cycle(0, 0)]);
        assert!(store.timeseries(id).await.unwrap().is_some());
    }
    assert_eq!(record(&store, failed).await.failure, Some(failure()));
    assert_eq!(record(&store, cancelled).await.state, State::Cancelled);
    assert_eq!(spool.drain(&store).await.unwrap(), Drained::default());
}

pub(super) async fn an_end_whose_attempt_was_lost_is_dropped(store: Store) {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path()).unwrap();
    let id = running(&store, State::Measuring).await;
    spool.keep(&completed(id, 1)).unwrap();
    recover(&store, 3, at(3)).await;
    assert_eq!(claim(&store, id, at(4)).await.unwrap(), Some(2));
    let dropped = Drained {
        dropped: 1,
        ..Drained::default()
    };
    assert_eq!(spool.drain(&store).await.unwrap(), dropped);
    assert_eq!(record(&store, id).await.state, State::Starting);
    assert_eq!(store.report(id).await.unwrap(), None);
    assert_eq!(store.timeseries(id).await.unwrap(), None);
    assert_eq!(names(folder.path()), ["lock"]);
}

pub(super) async fn an_end_that_is_stored_already_is_not_stored_twice(store: Store) {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path()).unwrap();
    let id = running(&store, State::Aggregating).await;
    store.settle(&completed(id, 1)).await.unwrap();
    spool.keep(&completed(id, 1)).unwrap();
    assert_eq!(spool.drain(&store).await.unwrap().stored, 1);
    assert_eq!(rank_cycles(&store, id).await.len(), 1);
    spool.forget(&completed(id, 1)).unwrap();
}

pub(super) async fn files_that_cannot_be_stored_are_left_in_place(store: Store) {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path()).unwrap();
    spool.keep(&completed(ExperimentId::generate(), 1)).unwrap();
    fs::write(folder.path().join("0.json"), "{").unwrap();
    fs::write(folder.path().join("half.unfinished"), "{").unwrap();
    let left = Drained {
        left: 2,
        ..Drained::default()
    };
    assert_eq!(spool.drain(&store).await.unwrap(), left);
    assert_eq!(names(folder.path()).len(), 4);
}
