use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::super::timeseries::{PreparedTimeseries, Timeseries};
use super::super::{Abandoned, Claim, NewExperiment, Record, Recovered, Store, StoreError};
use joulemark_experiment::access::Actor;
use joulemark_experiment::report::{
    CheckOutcome, CycleSpread, EfficiencyMetrics, ModelFacts, Report, Timing, Validation,
};
use joulemark_experiment::{
    Arrival, DecoderRequest, Device, ExperimentId, ExperimentRequest, Failure, FailureReason, Prompts, Resolved, State,
    Warning, WarningCode,
};
use joulemark_measurement::{
    ComputeMetrics, EnergyMetrics, InferenceMetrics, Machine, RankCycle, RequestMeasurement, Window,
};

/// Returns a time `sec` seconds after a fixed one. The store takes the time from its caller.
pub(super) fn at(sec: i64) -> Timestamp {
    Timestamp::from_microsecond(1_700_000_000_000_000 + sec * 1_000_000 + 123_456).unwrap()
}

pub(super) fn new_experiment(labels: &[(&str, &str)]) -> NewExperiment {
    let labels = labels.iter().map(|&(key, value)| (key.to_owned(), value.to_owned()));
    let request = ExperimentRequest {
        max_input_tokens: Some(16),
        max_output_tokens: Some(4),
        min_output_tokens: Some(4),
        idle_baseline_sec: Some(0),
        num_cycles: Some(2),
        user: Some("ada".to_owned()),
        labels: Some(labels.collect()),
        ..ExperimentRequest::default()
    };
    let decoder = DecoderRequest {
        temperature: Some(0.7),
        do_sample: Some(true),
        top_k: Some(40),
        top_p: Some(0.95),
        seed: Some(u64::MAX),
        ..DecoderRequest::default()
    };
    let spec = request.filled(Resolved {
        config_name: "naïve ½ \"quoted\"\nname".to_owned(),
        model_name: "m.gguf".to_owned(),
        prompts: Prompts::Texts(vec!["héllo \u{0} 🦀".to_owned(), "two".to_owned()]),
        decoder: decoder.filled(),
        num_processes: 1,
        gpus: vec!["GPU-a".to_owned()],
        gpu_count: 1,
        device: Device::Cuda,
        engine: "mistral".to_owned(),
        engine_arguments: BTreeMap::new(),
    });
    let warnings = vec![Warning {
        code: WarningCode::FewCycles,
        message: "2 cycles".to_owned(),
    }];
    NewExperiment {
        id: ExperimentId::generate(),
        spec,
        warnings,
        created_at: at(0),
        submitted_by: Actor::default(),
        callback: None,
        arrival: Arrival {
            request_id: Some("request-½".to_owned()),
            traceparent: None,
        },
    }
}

/// Queues an experiment and returns its id.
pub(super) async fn queued(store: &Store) -> ExperimentId {
    let new = new_experiment(&[]);
    store.insert(&new).await.unwrap();
    new.id
}

/// Claims an experiment for a server called `one` and returns the attempt number.
pub(super) async fn claim(store: &Store, id: ExperimentId, now: Timestamp) -> Result<Option<u32>, StoreError> {
    claim_for(store, id, "one", now).await
}

/// Claims an experiment for a minute for the server `holder` on the node of the same name.
pub(super) async fn claim_for(
    store: &Store,
    id: ExperimentId,
    holder: &str,
    now: Timestamp,
) -> Result<Option<u32>, StoreError> {
    let claim = Claim {
        holder,
        node_name: holder,
        gpus: &["GPU-a".to_owned()],
        device_count: 1,
        lease: Duration::from_secs(60),
    };
    Ok(store.claim(id, &claim, now).await?.map(|claimed| claimed.attempt))
}

/// Recovers all running experiments, as a server does that has the database alone.
pub(super) async fn recover(store: &Store, max_attempts: u32, now: Timestamp) -> Recovered {
    store.recover(Abandoned::All, "", max_attempts, now).await.unwrap()
}

/// Returns the ids of all queued experiments, oldest first.
pub(super) async fn waiting(store: &Store) -> Vec<ExperimentId> {
    let waiting = store.waiting(1000).await.unwrap();
    let mut ids = waiting.into_iter().map(|one| one.id).collect::<Vec<_>>();
    ids.sort();
    ids
}

/// Queues an experiment, claims it as attempt 1, and advances it to `state`.
pub(super) async fn running(store: &Store, state: State) -> ExperimentId {
    let id = queued(store).await;
    assert_eq!(claim(store, id, at(1)).await.unwrap(), Some(1));
    advance_to(store, id, state).await;
    id
}

pub(super) async fn advance_to(store: &Store, id: ExperimentId, state: State) {
    for next in [State::WarmingUp, State::Measuring, State::Aggregating] {
        if record(store, id).await.state == state {
            return;
        }
        let attempt = record(store, id).await.attempt;
        store.advance(id, attempt, next, at(2)).await.unwrap();
    }
}

pub(super) async fn record(store: &Store, id: ExperimentId) -> Record {
    store.get(id).await.unwrap().expect("is stored")
}

pub(super) fn failure() -> Failure {
    Failure {
        reason: FailureReason::WorkerKilled,
        message: "killed".to_owned(),
        rank: Some(1),
        phase: Some("measuring".to_owned()),
        signal: Some("SIGKILL".to_owned()),
        exit_code: None,
        log_tail: vec!["a line".to_owned(), "and a last one".to_owned()],
    }
}

pub(super) fn rank_cycle(rank: u32, cycle: u32) -> RankCycle {
    let start = 1000.0 * f64::from(cycle) + 0.5;
    RankCycle {
        rank,
        cycle,
        gpus: vec!["GPU-a".to_owned()],
        window: Window {
            start_monotonic_sec: start,
            end_monotonic_sec: start + 2.25,
        },
        inference: InferenceMetrics {
            output_tokens: Some(2),
            ..InferenceMetrics::default()
        },
        energy: EnergyMetrics {
            total_energy_j: Some(12.5),
            ..EnergyMetrics::default()
        },
        compute: ComputeMetrics::default(),
        requests: vec![RequestMeasurement {
            prompt_index: rank,
            input_tokens: 5,
            output_tokens: 2,
            sent_monotonic_sec: start,
            completed_monotonic_sec: start + 2.0,
            ttft_ms: Some(1000.0),
            token_monotonic_sec: vec![start + 1.0, start + 2.0],
            output_token_ids: vec![7, 11],
            finish_reason: "length".to_owned(),
            ..RequestMeasurement::default()
        }],
        failed_requests: Vec::new(),
        load_generator: None,
        server_report: None,
    }
}

pub(super) fn report() -> Report {
    Report {
        inference: InferenceMetrics {
            output_tokens: Some(8),
            ..InferenceMetrics::default()
        },
        energy: EnergyMetrics {
            total_energy_j: Some(50.0),
            ..EnergyMetrics::default()
        },
        compute: ComputeMetrics::default(),
        efficiency: EfficiencyMetrics {
            joules_per_output_token: Some(6.25),
            ..EfficiencyMetrics::default()
        },
        validation: Validation {
            temporal_overlap: CheckOutcome::Passed,
            overlap_ratio: Some(0.75),
            gpu_attribution: CheckOutcome::Passed,
            imbalance_ratio: Some(1.0),
            warnings: Vec::new(),
        },
        cycles: Vec::new(),
        cycle_sd: CycleSpread::default(),
        batch_check: None,
        batch_steps: None,
        load_report: None,
        steady_state: None,
        repetition: None,
        stop: None,
        warm_ups: Vec::new(),
        cycle_starts: Vec::new(),
        power_limit_w: None,
        power_limits: Vec::new(),
        clocks: Vec::new(),
        statistics: BTreeMap::new(),
        request_percentiles: BTreeMap::new(),
        outputs: None,
        conditions: None,
        footprint: None,
        readings: None,
        machine: Machine {
            hostname: "bench-1".to_owned(),
            kernel: "6.1.0".to_owned(),
            cpu_model: None,
            logical_cpus: 2,
            compiled_cpu_features: Vec::new(),
            gpu_names: Vec::new(),
            nvidia_driver: None,
            joulemark_version: "0.1.0".to_owned(),
            mistralrs_version: "0.8.1".to_owned(),
        },
        loads: Vec::new(),
        model: ModelFacts {
            format: None,
            architecture: None,
            parameters_total: None,
            sha256: Vec::new(),
            texts_sha256: Vec::new(),
        },
        timing: Timing {
            idle_baseline_sec: 0.0,
            cooldown_sec: 0.0,
            claim_to_load_start_sec: None,
            load_sec: 1.5,
            warm_up_sec: 1.0,
            measuring_sec: 4.5,
            total_sec: 8.0,
            overhead_share: Some(0.125),
        },
    }
}

impl Store {
    /// Prepares and stores a time series.
    pub(super) async fn store_unprepared_timeseries(
        &self,
        id: ExperimentId,
        attempt: u32,
        timeseries: &Timeseries,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.store_timeseries((id, attempt), &PreparedTimeseries::new(timeseries)?, now)
            .await
    }
}
