use super::super::{Store, StoreError, Timeseries};
use super::fixtures::{at, claim, failure, queued, recover, report, running};
use joulemark_experiment::{ExperimentId, State};
use joulemark_measurement::{DeviceSeries, SeriesPoint, Window};

/// Returns a time series of two devices, the second without samples.
pub(super) fn timeseries(watts: f64) -> Timeseries {
    let point = |at: f64| SeriesPoint {
        at_monotonic_sec: at,
        power_w: Some(watts),
        temperature_c: None,
        throttle_reasons: vec!["gpu_idle".to_owned()],
        ..SeriesPoint::default()
    };
    let gpu = DeviceSeries {
        gpu: Some(0),
        gpu_uuid: Some("GPU-a".to_owned()),
        zone: None,
        zone_path: None,
        points: vec![point(10.25), point(10.5), point(10.75)],
    };
    let zone = DeviceSeries {
        gpu: None,
        gpu_uuid: None,
        zone: Some("package-0".to_owned()),
        zone_path: Some("intel-rapl:0".to_owned()),
        points: Vec::new(),
    };
    Timeseries {
        window: Window {
            start_monotonic_sec: 10.125,
            end_monotonic_sec: 11.5,
        },
        sample_interval_ms: 100.0,
        devices: vec![gpu, zone],
    }
}

async fn kept(store: &Store, id: ExperimentId) -> Option<Timeseries> {
    let kept = store.timeseries(id).await.unwrap()?;
    let mut devices = Vec::new();
    while let Some(device) = store.device_series(id, devices.len() as i64).await.unwrap() {
        devices.push(device);
    }
    assert_eq!(kept.devices, devices.len() as i64);
    Some(Timeseries {
        window: kept.window,
        sample_interval_ms: kept.sample_interval_ms,
        devices,
    })
}

pub(super) async fn time_series_read_back_in_order_after_the_end(store: Store) {
    let id = running(&store, State::Aggregating).await;
    assert_eq!(kept(&store, id).await, None);
    store
        .store_unprepared_timeseries(id, 1, &timeseries(200.5), at(5))
        .await
        .unwrap();
    store.complete(id, 1, &report(), &[], at(9)).await.unwrap();
    assert_eq!(kept(&store, id).await, Some(timeseries(200.5)));
    let other = running(&store, State::WarmingUp).await;
    assert_eq!(kept(&store, other).await, None);
}

pub(super) async fn a_host_without_devices_has_an_empty_time_series(store: Store) {
    let id = running(&store, State::Aggregating).await;
    let nothing = Timeseries {
        devices: Vec::new(),
        ..timeseries(0.0)
    };
    store.store_unprepared_timeseries(id, 1, &nothing, at(5)).await.unwrap();
    assert_eq!(kept(&store, id).await, Some(nothing));
}

pub(super) async fn the_time_series_of_a_later_attempt_replaces_an_earlier_one(store: Store) {
    let id = running(&store, State::Measuring).await;
    store
        .store_unprepared_timeseries(id, 1, &timeseries(1.0), at(5))
        .await
        .unwrap();
    recover(&store, 3, at(3)).await;
    assert_eq!(claim(&store, id, at(4)).await.unwrap(), Some(2));
    store
        .store_unprepared_timeseries(id, 2, &timeseries(2.0), at(5))
        .await
        .unwrap();
    assert_eq!(kept(&store, id).await, Some(timeseries(2.0)));
}

pub(super) async fn a_lost_attempt_stores_no_time_series(store: Store) {
    let requeued = running(&store, State::Measuring).await;
    recover(&store, 3, at(3)).await;
    let failed = running(&store, State::Measuring).await;
    store.fail(failed, 1, &failure(), at(4)).await.unwrap();
    let waiting = queued(&store).await;
    for (id, attempt) in [(requeued, 1), (failed, 1), (waiting, 0)] {
        let late = store
            .store_unprepared_timeseries(id, attempt, &timeseries(1.0), at(5))
            .await;
        assert!(late.as_ref().is_err_and(StoreError::is_lost), "{late:?}");
        assert_eq!(kept(&store, id).await, None);
    }
}
