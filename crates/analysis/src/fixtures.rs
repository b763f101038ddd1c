pub mod board;
pub mod requests;

use std::collections::BTreeMap;

pub use self::requests::{request, window};

use super::CycleHost;
use joulemark_experiment::report::Timing;
use joulemark_experiment::{DecoderRequest, Device, ExperimentRequest, Prompts, Resolved, Spec};
use joulemark_measurement::{
    ComputeMetrics, Confidence, CpuPlacement, EnergyDomain, EnergyMethod, EnergyMetrics, EnergyScope, EnergySourceKind,
    InferenceMetrics, LoadReport, Machine, RankCycle, SourceReading,
};

/// Creates energies of GPUs, CPU and memory.
pub fn energy(gpu_j: Option<f64>, cpu_j: Option<f64>, dram_j: Option<f64>) -> EnergyMetrics {
    EnergyMetrics {
        gpu_energy_j: gpu_j,
        cpu_energy_j: cpu_j,
        dram_energy_j: dram_j,
        total_energy_j: [gpu_j, cpu_j, dram_j].into_iter().flatten().reduce(|a, b| a + b),
        cpu_time_share: Some(0.5),
        ..EnergyMetrics::default()
    }
}

/// Creates a rank's cycle with 5 input tokens, 4 output tokens spread evenly over the window, 1 GFLOP/s and no GPU.
pub fn rank_cycle(rank: u32, cycle: u32, start: f64, end: f64) -> RankCycle {
    let window = window(start, end);
    let times: Vec<f64> = (1..=4)
        .map(|token| start + (end - start) * f64::from(token) / 4.0)
        .collect();
    let requests = vec![request(rank, 5, &times, start)];
    RankCycle {
        rank,
        cycle,
        gpus: Vec::new(),
        window,
        inference: InferenceMetrics {
            peak_host_memory_bytes: Some(1 << 30),
            ..super::inference_of(&requests, &[], &window)
        },
        energy: EnergyMetrics {
            duration_sec: Some(end - start),
            ..energy(None, Some(20.0), Some(2.0))
        },
        compute: ComputeMetrics {
            flops_total: Some(4e9),
            flops_prefill: Some(1e9),
            flops_decode: Some(3e9),
            flops_causal_total: Some(3.5e9),
            flops_elementwise: Some(1e8),
            macs_total: Some(2e9),
            flops_two_params_tokens: Some(3.8e9),
            flops_per_second: Some(4e9 / (end - start)),
            flops_method: Some("architecture".to_owned()),
            flops_confidence: Some(Confidence::Medium),
            bytes_read_total: Some(2e9),
            bytes_read_decode: Some(1e9),
            bytes_per_token: Some(5e8),
            arithmetic_intensity: Some(2.0),
            roofline: None,
            flops_notes: Vec::new(),
        },
        requests,
        failed_requests: Vec::new(),
        load_generator: None,
        server_report: None,
    }
}

/// Creates a host reading over 10 s.
pub fn host_cycle(cycle: u32, cpu_j: f64, dram_j: f64) -> CycleHost {
    let energy = EnergyMetrics {
        host_cpu_energy_j: Some(cpu_j),
        host_dram_energy_j: Some(dram_j),
        host_other_energy_j: Some(cpu_j / 4.0),
        duration_sec: Some(10.0),
        sources: vec![package_source(cpu_j)],
        ..EnergyMetrics::default()
    };
    CycleHost { cycle, energy }
}

/// Creates a reading of a CPU package.
pub fn package_source(energy_j: f64) -> SourceReading {
    SourceReading {
        domain: EnergyDomain::Package,
        gpu: None,
        gpu_uuid: None,
        zone: Some("package-0".to_owned()),
        zone_path: Some("intel-rapl:0".to_owned()),
        scope: EnergyScope::Host,
        energy_j: Some(energy_j),
        mean_power_w: Some(energy_j / 10.0),
        source: EnergySourceKind::RaplPowercap,
        method: EnergyMethod::EnergyCounter,
        confidence: Confidence::High,
        sample_count: 101,
        interval_ms: Some(100.0),
        uncertainty_j: Some(1.0),
        uncertainty_basis: "one step of the counter at each edge".to_owned(),
        instrument_accuracy_percent: None,
        refresh_ms: None,
        counted_in_total: true,
        note: None,
    }
}

/// Creates a reading of a GPU.
pub fn gpu_source(uuid: &str, energy_j: f64) -> SourceReading {
    SourceReading {
        domain: EnergyDomain::Gpu,
        gpu: Some(0),
        gpu_uuid: Some(uuid.to_owned()),
        zone: None,
        zone_path: None,
        source: EnergySourceKind::Nvml,
        ..package_source(energy_j)
    }
}

/// Creates a greedy experiment on the CPU with these numbers of ranks and cycles.
pub fn spec(num_processes: u32, num_cycles: u32) -> Spec {
    let request = ExperimentRequest {
        max_output_tokens: Some(4),
        min_output_tokens: Some(4),
        num_cycles: Some(num_cycles),
        ..ExperimentRequest::default()
    };
    request.filled(Resolved {
        config_name: "test".to_owned(),
        model_name: "m.gguf".to_owned(),
        prompts: Prompts::Texts(vec!["hello".to_owned()]),
        decoder: DecoderRequest::default().filled(),
        num_processes,
        gpus: Vec::new(),
        gpu_count: 0,
        device: Device::Cpu,
        engine: "mistral".to_owned(),
        engine_arguments: BTreeMap::new(),
    })
}

/// Creates a machine.
pub fn machine() -> Machine {
    Machine {
        hostname: "bench-1".to_owned(),
        kernel: "6.1.0".to_owned(),
        cpu_model: None,
        logical_cpus: 2,
        compiled_cpu_features: vec!["avx2".to_owned()],
        gpu_names: Vec::new(),
        nvidia_driver: None,
        joulemark_version: "0.1.0".to_owned(),
        mistralrs_version: "0.8.1".to_owned(),
    }
}

/// Creates the load report of a rank.
pub fn load(rank: u32) -> LoadReport {
    LoadReport {
        rank,
        window: window(1.0, 2.5),
        device: "cpu".to_owned(),
        activation_dtype: "f32".to_owned(),
        max_sequence_tokens: 2048,
        placement: CpuPlacement {
            cpus: vec![0, 1],
            threads: 2,
        },
        server: None,
        batch_check: None,
        layers: Vec::new(),
        gpu_memory: Vec::new(),
        paged_cache_tokens: None,
        cycle: None,
        eos: None,
    }
}

/// Creates the times of a run.
pub fn timing() -> Timing {
    Timing {
        claim_to_load_start_sec: Some(0.25),
        load_sec: 1.5,
        warm_up_sec: 1.0,
        idle_baseline_sec: 0.0,
        cooldown_sec: 0.0,
        measuring_sec: 8.0,
        total_sec: 11.0,
        overhead_share: Some(0.5 / 11.0),
    }
}
