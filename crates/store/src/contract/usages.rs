use super::super::{HourOfUsage, Store, Usage, hour_of};
use super::fixtures::{at, failure, report, running};
use joulemark_experiment::State;
use joulemark_measurement::{Phase, PhaseEnergy};

const HOUR_SEC: i64 = 3600;

pub(super) async fn usage_is_summed_by_the_hour_in_which_attempts_end(store: Store) {
    // Claimed at 1 s, each with one device.
    let [metered, failed, unmetered, running_still] = [
        running(&store, State::Aggregating).await,
        running(&store, State::Measuring).await,
        running(&store, State::Aggregating).await,
        running(&store, State::Starting).await,
    ];
    let mut with_load = report();
    with_load.energy.phases = [Phase::ModelLoad, Phase::Decode].map(phase_of).into();
    store.complete(metered, 1, &with_load, &[], at(11)).await.unwrap();
    store.complete(metered, 1, &with_load, &[], at(12)).await.unwrap();
    store.fail(failed, 1, &failure(), at(21)).await.unwrap();
    let mut unknown = report();
    unknown.energy.total_energy_j = None;
    store
        .complete(unmetered, 1, &unknown, &[], at(HOUR_SEC + 1))
        .await
        .unwrap();
    let first = hour_of(at(0));
    let now = at(HOUR_SEC + 1);
    let usage = store.usage("ada", first, now).await.unwrap();
    let expected = Usage {
        hours: vec![
            HourOfUsage {
                hour: first,
                device_us: 30_000_000,
                energy_j: 57.0,
                unmetered_attempts: 1,
            },
            HourOfUsage {
                hour: first + 1,
                device_us: HOUR_SEC * 1_000_000,
                energy_j: 0.0,
                unmetered_attempts: 1,
            },
        ],
        running_device_us: HOUR_SEC * 1_000_000,
    };
    assert_eq!(usage, expected);
    assert_eq!(
        store.usage("ada", first + 1, now).await.unwrap().hours,
        expected.hours[1..]
    );
    assert_eq!(store.usage("bob", first, now).await.unwrap(), Usage::default());
    store
        .finish_cancelled(running_still, 1, at(2 * HOUR_SEC))
        .await
        .unwrap();
    assert_eq!(store.usage("ada", first, now).await.unwrap().running_device_us, 0);
}

fn phase_of(phase: Phase) -> PhaseEnergy {
    PhaseEnergy {
        phase,
        duration_sec: 1.0,
        total_energy_j: Some(7.0),
        gpu_energy_j: None,
        cpu_energy_j: None,
        confidence: None,
        note: None,
    }
}
