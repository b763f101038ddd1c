use super::super::{Dropped, Retention, Store};
use super::fixtures::{at, rank_cycle, report, running};
use super::results::rank_cycles;
use super::timeseries::timeseries;
use joulemark_experiment::{ExperimentId, State};

/// Returns an experiment that completed at second `sec`, with raw data of a device and of a rank.
async fn completed(store: &Store, sec: i64) -> ExperimentId {
    let id = running(store, State::Aggregating).await;
    store
        .store_unprepared_timeseries(id, 1, &timeseries(200.5), at(sec))
        .await
        .unwrap();
    store
        .complete(id, 1, &report(), &[rank_cycle(0, 0)], at(sec))
        .await
        .unwrap();
    id
}

/// Returns whether the raw data of an experiment is complete. Asserts that otherwise all of it was dropped, and that
/// the results are there either way.
async fn is_kept(store: &Store, id: ExperimentId) -> bool {
    let dropped = store.raw_data_dropped_at(id).await.unwrap().is_some();
    let cycles = rank_cycles(store, id).await;
    let mut expected = rank_cycle(0, 0);
    if dropped {
        expected.requests.clear();
    }
    assert_eq!(cycles, [expected]);
    assert_eq!(store.report(id).await.unwrap(), Some(report()));
    assert_eq!(store.timeseries(id).await.unwrap().is_none(), dropped);
    assert_eq!(store.device_series(id, 0).await.unwrap().is_none(), dropped);
    !dropped
}

pub(super) async fn old_raw_data_is_dropped_and_results_are_not(store: Store) {
    let (old, young) = (completed(&store, 10).await, completed(&store, 20).await);
    let bytes = store.raw_data_bytes().await.unwrap();
    assert!(bytes > 0);
    let retention = Retention {
        not_before: Some(at(20)),
        max_bytes: None,
    };
    let dropped = store.drop_raw_data(retention, at(30)).await.unwrap();
    let expected = Dropped {
        experiments: 1,
        bytes: bytes / 2,
    };
    assert_eq!(dropped, expected);
    assert!(!is_kept(&store, old).await && is_kept(&store, young).await);
    assert_eq!(store.raw_data_dropped_at(old).await.unwrap(), Some(at(30)));
    assert_eq!(
        store.drop_raw_data(retention, at(31)).await.unwrap(),
        Dropped::default()
    );
}

pub(super) async fn the_oldest_raw_data_is_dropped_first(store: Store) {
    let mut ids = Vec::new();
    for sec in [12, 11, 13, 10] {
        ids.push(completed(&store, sec).await);
    }
    let each = store.raw_data_bytes().await.unwrap() / 4;
    for (max_bytes, kept) in [
        (4 * each, [true, true, true, true]),
        (3 * each, [true, true, true, false]),
        (3 * each - 1, [true, false, true, false]),
        (0, [false; 4]),
    ] {
        let retention = Retention {
            not_before: None,
            max_bytes: Some(max_bytes),
        };
        store.drop_raw_data(retention, at(30)).await.unwrap();
        for (id, kept) in ids.iter().zip(kept) {
            assert_eq!(is_kept(&store, *id).await, kept, "at most {max_bytes}");
        }
        assert!(store.raw_data_bytes().await.unwrap() <= max_bytes);
    }
}

pub(super) async fn raw_data_of_running_experiments_is_not_dropped(store: Store) {
    let id = running(&store, State::Aggregating).await;
    store
        .store_unprepared_timeseries(id, 1, &timeseries(1.0), at(1))
        .await
        .unwrap();
    let all = Retention {
        not_before: Some(at(100)),
        max_bytes: Some(0),
    };
    assert_eq!(store.drop_raw_data(all, at(100)).await.unwrap(), Dropped::default());
    store
        .complete(id, 1, &report(), &[rank_cycle(0, 0)], at(2))
        .await
        .unwrap();
    assert!(is_kept(&store, id).await);
    assert_eq!(store.drop_raw_data(all, at(100)).await.unwrap().experiments, 1);
    assert!(!is_kept(&store, id).await);
}

pub(super) async fn without_limits_nothing_is_dropped(store: Store) {
    let id = completed(&store, 0).await;
    let dropped = store
        .drop_raw_data(Retention::default(), at(1_000_000_000))
        .await
        .unwrap();
    assert_eq!(dropped, Dropped::default());
    assert!(is_kept(&store, id).await);
}
