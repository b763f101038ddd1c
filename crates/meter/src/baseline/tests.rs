use super::idle_baselines::IdleBaselines;
use super::*;
use crate::source::{Place, SourceDescription, SourceId, Value};
use crate::telemetry::{Fast, GpuId, GpuSample, Slow};
use joulemark_measurement::{EnergyDomain, EnergyMethod, EnergySourceKind};

const CPUS: u32 = 4;

/// Two packages of 30 W and 20 W and a GPU of 60 W, sampled at 10 Hz from 0 s.
struct Host {
    timeline: Timeline,
    telemetry: TelemetryLog,
}

impl Host {
    fn new() -> Self {
        let zone = |name: &str| Place::Zone {
            name: name.to_owned(),
            path: name.to_owned(),
        };
        let gpu = Place::Gpu {
            index: 0,
            uuid: "GPU-a".to_owned(),
        };
        let descriptions = vec![
            described(EnergySourceKind::RaplPowercap, EnergyDomain::Package, zone("package-0")),
            described(EnergySourceKind::RaplPowercap, EnergyDomain::Package, zone("package-1")),
            described(EnergySourceKind::Nvml, EnergyDomain::Gpu, gpu),
            described(EnergySourceKind::RaplPowercap, EnergyDomain::Core, zone("core")),
        ];
        let gpus = [GpuId {
            index: 0,
            uuid: "GPU-a".to_owned(),
        }];
        Self {
            timeline: Timeline::new(descriptions, 0.1),
            telemetry: TelemetryLog::new(&gpus, 0.1, true),
        }
    }

    /// Samples a host with so many `busy` CPUs and a GPU of such utilisation and temperature, each a function of time.
    fn sampled(
        mut self,
        until: f64,
        busy: impl Fn(f64) -> f64,
        utilisation: impl Fn(f64) -> u32,
        temperature: impl Fn(f64) -> u32,
    ) -> Self {
        let (mut busy_sec, steps) = (0.0, (until * 10.0) as u32);
        for step in 0..=steps {
            let at = f64::from(step) / 10.0;
            for (source, watts) in [30.0, 20.0, 60.0, 10.0].into_iter().enumerate() {
                let value = Value {
                    at: Monotonic::from_sec(at),
                    counter_j: Some(watts * at),
                    power_w: None,
                };
                self.timeline.record(source, Ok(value), false);
            }
            self.timeline.record_host_cpu(Monotonic::from_sec(at), busy_sec, false);
            busy_sec += busy(at) * 0.1;
            let fast = Fast {
                utilisation_percent: Some(utilisation(at)),
                ..Fast::default()
            };
            let slow = Slow {
                temperature_c: Some(temperature(at)),
                ..Slow::default()
            };
            self.telemetry.gpus[0].push(GpuSample {
                at: Monotonic::from_sec(at),
                fast,
                slow,
            });
        }
        self
    }

    fn idle(until: f64) -> Self {
        Self::new().sampled(until, |_| 0.04, |_| 0, |_| 30)
    }

    fn look(&self, quiet_since: f64) -> Result<Vec<IdlePower>, NotIdle> {
        let Self { timeline, telemetry } = self;
        let surroundings = Surroundings {
            timeline,
            telemetry,
            logical_cpus: CPUS,
        };
        idle_powers(surroundings, Monotonic::from_sec(quiet_since))
    }
}

fn described(kind: EnergySourceKind, domain: EnergyDomain, place: Place) -> SourceDescription {
    SourceDescription {
        id: SourceId { kind, domain, place },
        method: EnergyMethod::EnergyCounter,
        refresh_sec: 0.001,
        averaging_sec: 0.0,
        relative_uncertainty: 0.0,
        wraps: None,
        note: None,
    }
}

fn watts(powers: &[IdlePower]) -> Vec<f64> {
    powers
        .iter()
        .map(|power| power.power_w().expect("known").round())
        .collect()
}

#[test]
fn an_idle_host_gives_the_power_of_every_source_that_counts_over_the_longest_stretch() {
    let powers = Host::idle(40.0).look(3.0).expect("rest");
    assert_eq!(watts(&powers), [30.0, 20.0, 60.0], "core is inside package");
    assert!((powers[0].window.duration_sec() - 20.0).abs() < 1e-6);
    assert!((powers[0].window.end_monotonic_sec - 40.0).abs() < 1e-6, "the newest");
    let powers = Host::idle(10.0).look(3.0).expect("rest");
    assert!((powers[0].window.duration_sec() - 5.0).abs() < 1e-6);
}

#[test]
fn less_than_five_seconds_since_the_last_experiment_are_too_short() {
    assert!(matches!(Host::idle(10.0).look(6.0), Err(NotIdle::TooShort(sec)) if (sec - 4.0).abs() < 1e-6));
    assert!(
        matches!(Host::idle(10.0).look(11.0), Err(NotIdle::TooShort(0.0))),
        "settling reaches into the future"
    );
}

#[test]
fn a_busy_host_is_not_idle_but_a_shorter_window_after_its_load_is() {
    let host = Host::new().sampled(40.0, |_| 1.0, |_| 0, |_| 30);
    assert!(matches!(host.look(0.0), Err(NotIdle::CpuBusy(share)) if (share - 0.25).abs() < 0.01));
    let host = Host::new().sampled(40.0, |at| if at < 33.0 { 2.0 } else { 0.0 }, |_| 0, |_| 30);
    let powers = host.look(0.0).expect("rest");
    assert!((powers[0].window.duration_sec() - 5.0).abs() < 1e-6);
}

#[test]
fn a_gpu_in_use_or_still_cooling_is_not_idle() {
    let host = Host::new().sampled(40.0, |_| 0.0, |at| u32::from(at > 37.0), |_| 30);
    assert_eq!(host.look(0.0), Err(NotIdle::GpuBusy(0)));
    let host = Host::new().sampled(40.0, |_| 0.0, |_| 0, |at| 70 - at as u32);
    assert_eq!(host.look(0.0), Err(NotIdle::GpuCooling(0)));
    let host = Host::new().sampled(40.0, |_| 0.0, |_| 0, |at| 40 - (at / 10.0) as u32);
    assert!(host.look(0.0).is_ok(), "a degree in 10 s is the room, not the board");
}

#[test]
fn without_the_hosts_cpu_time_the_host_is_not_found_idle() {
    let mut host = Host::idle(0.0);
    for step in 0..100 {
        let at = f64::from(step) / 10.0;
        let value = Value {
            at: Monotonic::from_sec(at),
            counter_j: Some(at),
            power_w: None,
        };
        host.timeline.record(0, Ok(value), false);
        host.timeline.record(1, Ok(value), false);
        host.timeline.record(2, Ok(value), false);
        host.timeline.record(3, Ok(value), false);
    }
    assert_eq!(host.look(0.0), Err(NotIdle::CpuUnknown));
}

#[test]
fn a_baseline_is_used_for_an_hour_and_a_longer_one_replaces_it() {
    let mut stored = IdleBaselines::default();
    assert!(stored.wants_more(10.0));
    stored.take(Host::idle(10.0).look(3.0).expect("rest"), 10.0);
    assert!(stored.wants_more(11.0), "5 s are not the longest stretch");
    stored.take(Host::idle(40.0).look(3.0).expect("rest"), 40.0);
    assert!(!stored.wants_more(41.0));
    assert!(stored.wants_more(40.0 + 3601.0));
    let later = Host::idle(60.0).look(50.0).expect("rest");
    stored.take(later.clone(), 60.0);
    assert!(
        (stored.powers()[0].window.end_monotonic_sec - 40.0).abs() < 1e-6,
        "a shorter one does not"
    );
    stored.take(later, 4000.0);
    assert!(
        (stored.powers()[0].window.end_monotonic_sec - 60.0).abs() < 1e-6,
        "unless the first is old"
    );
}
