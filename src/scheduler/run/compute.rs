//! Estimates the FLOPs and bytes of a run from its requests and its model.

use crate::scheduler::models::{EngineChoice, LocatedModel};
use joulemark_experiment::Spec;
use joulemark_flops::model_files::ModelFormat;
use joulemark_flops::{Devices, Estimator, RanPasses, RequestTokens, Schedule, known_device};
use joulemark_measurement::{ComputeMetrics, LoadReport, RequestMeasurement, StepCount, Window};
use joulemark_meter::GpuDevice;

/// Counts the FLOPs and bytes of the ranks of one experiment.
pub struct ComputeCount {
    estimator: Estimator,
    is_gguf: bool,
    batch_size: u32,
    /// Whether requests run in waves of `batch_size`. Those of a server and of an open load do not.
    is_in_waves: bool,
    /// Activation type of each rank.
    activation_dtypes: Vec<String>,
    /// For each rank, whether mistral.rs runs it with paged attention.
    are_paged: Vec<bool>,
    gpus: Vec<GpuDevice>,
}

impl ComputeCount {
    /// Creates the counter from the reports of loading; `gpus` are all GPUs of the host.
    pub fn new(model: &LocatedModel, spec: &Spec, loads: &[LoadReport], gpus: Vec<GpuDevice>) -> Self {
        let estimator = model.estimator(&spec.model_name);
        let activation_dtypes: Vec<String> = loads.iter().map(|load| load.activation_dtype.clone()).collect();
        let files = model.files.as_ref();
        let is_gguf = files.is_some_and(|files| files.format == ModelFormat::Gguf);
        // Weights that were quantized before they were saved have the same size in memory as in the files.
        let keeps_types = is_gguf || (spec.quantization.is_none() && files.is_some_and(|files| files.is_quantized));
        let estimator = if keeps_types {
            estimator
        } else {
            // Other safetensors weights are held in the activation type. After in-place quantization their size is
            // unknown.
            let dtype = activation_dtypes.first().filter(|_| spec.quantization.is_none());
            estimator.with_bytes_per_weight(dtype.and_then(|dtype| bytes_of(dtype)))
        };
        Self {
            estimator,
            is_gguf,
            batch_size: spec.batch_size,
            is_in_waves: model.engine != EngineChoice::Served && !spec.is_open_load(),
            activation_dtypes,
            are_paged: loads.iter().map(|load| load.paged_cache_tokens.is_some()).collect(),
            gpus,
        }
    }

    /// Estimates the FLOPs of one rank in one cycle, from the lengths of each request. `gpus` are the UUIDs of the
    /// rank's GPUs.
    pub fn count(
        &self,
        rank: u32,
        requests: &[RequestMeasurement],
        window: &Window,
        gpus: &[String],
    ) -> ComputeMetrics {
        let tokens = requests.iter().map(|request| RequestTokens {
            input: request.input_tokens,
            output: request.output_tokens,
        });
        let executed = Schedule::executed(&tokens.collect::<Vec<_>>(), self.batch_size);
        let executed = if self.is_in_waves {
            let count = StepCount::of(requests, self.batch_size);
            executed.in_passes(RanPasses {
                prefills: count.prefills(),
                decodes: count.decodes(),
            })
        } else {
            executed
        };
        let schedule = if self.is_gguf {
            executed.without_windows()
        } else {
            executed
        };
        let schedule = match self.are_paged.get(rank as usize) {
            Some(true) => schedule.with_paged_attention(),
            _ => schedule,
        };
        let dtype = self.activation_dtypes.get(rank as usize).map_or("", String::as_str);
        // Keys and values have the activation type. When its size is unknown, so is the number of bytes.
        let estimate = match bytes_of(dtype) {
            Some(bytes) => self.estimator.estimate(&schedule, bytes),
            None => self
                .estimator
                .clone()
                .with_bytes_per_weight(None)
                .estimate(&schedule, 0.0),
        };
        estimate.compute_metrics(Some(window.duration_sec()), self.devices(gpus, dtype))
    }

    /// Returns the rank's GPUs, when all have the same model and its peaks are known; otherwise `None`.
    fn devices<'a>(&self, uuids: &[String], activation_dtype: &'a str) -> Option<Devices<'a>> {
        let name = |uuid: &String| self.gpus.iter().find(|gpu| gpu.uuid == *uuid)?.name.as_deref();
        let first = name(uuids.first()?)?;
        uuids.iter().all(|uuid| name(uuid) == Some(first)).then_some(())?;
        Some(Devices {
            peaks: known_device(first)?,
            count: u32::try_from(uuids.len()).ok()?,
            activation_dtype,
        })
    }
}

/// Returns the size of one element in bytes; `None` for an unknown type.
fn bytes_of(dtype: &str) -> Option<f64> {
    match dtype {
        "f32" => Some(4.0),
        "f16" | "bf16" => Some(2.0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{ComputeCount, RequestMeasurement, Window};
    use joulemark_flops::{Estimator, Logits, Naming, Question, RequestTokens, Walk, from_config_json};
    use joulemark_meter::GpuDevice;

    fn gpu(uuid: &str, name: &str) -> GpuDevice {
        GpuDevice {
            index: 0,
            uuid: uuid.to_owned(),
            name: Some(name.to_owned()),
            compute_capability: None,
            memory_bytes: None,
            driver_version: None,
            power_limits: None,
            lockable_clocks: None,
            energy_method: None,
            live_power_w: None,
            problem: None,
        }
    }

    fn request(input_tokens: u32, output_tokens: u32) -> RequestMeasurement {
        RequestMeasurement {
            prompt_index: 0,
            input_tokens,
            output_tokens,
            sent_monotonic_sec: 0.0,
            completed_monotonic_sec: 1.0,
            token_monotonic_sec: (0..output_tokens).map(f64::from).collect(),
            finish_reason: "length".to_owned(),
            ..RequestMeasurement::default()
        }
    }

    fn compute(is_gguf: bool) -> ComputeCount {
        let config = serde_json::json!({"model_type": "mistral", "sliding_window": 8});
        let walk = Walk::new(from_config_json(&config).unwrap(), Naming::HuggingFace, &[], Some(16.0));
        ComputeCount {
            estimator: Estimator::Walk(Box::new(walk)),
            is_gguf,
            batch_size: 1,
            is_in_waves: true,
            activation_dtypes: vec!["bf16".to_owned()],
            are_paged: vec![false],
            gpus: vec![
                gpu("a", "NVIDIA H100 80GB HBM3"),
                gpu("b", "NVIDIA H100 80GB HBM3"),
                gpu("c", "NVIDIA L4"),
                gpu("d", "NVIDIA Abacus"),
            ],
        }
    }

    const WINDOW: Window = Window {
        start_monotonic_sec: 1.0,
        end_monotonic_sec: 3.0,
    };

    #[test]
    fn the_roofline_is_that_of_the_ranks_own_gpus_when_they_are_alike_and_known() {
        let of = |gpus: &[&str]| {
            let gpus: Vec<_> = gpus.iter().map(|gpu| (*gpu).to_owned()).collect();
            compute(false).count(0, &[request(10, 5)], &WINDOW, &gpus).roofline
        };
        let roofline = of(&["a", "b"]).unwrap();
        assert_eq!((roofline.devices, roofline.peak_flops_per_second), (2, 989.5e12));
        assert!(roofline.roofline_share.unwrap() > 0.0);
        for gpus in [&[][..], &["a", "c"], &["d"], &["elsewhere"]] {
            assert_eq!(of(gpus), None, "{gpus:?}");
        }
    }

    #[test]
    fn bytes_agree_with_the_flops_command_and_are_unknown_for_an_unknown_type() {
        let count = |dtype: &str| {
            let mut compute = compute(false);
            compute.activation_dtypes = vec![dtype.to_owned()];
            let metrics = compute.count(0, &[request(10, 5)], &WINDOW, &[]);
            (
                metrics.bytes_per_token,
                metrics.bytes_read_total.is_some(),
                metrics.flops_total.is_some(),
            )
        };
        let question = Question {
            tokens: RequestTokens { input: 10, output: 5 },
            batch: 1,
            logits: Logits::Last,
            device: None,
        };
        let answer = compute(false).estimator.answer("mistral", None, &question);
        assert_eq!(count("bf16"), (answer.bytes_per_token, true, true));
        assert_eq!(count("i9"), (None, false, true));
    }

    #[test]
    fn a_partial_wave_reads_the_weights_as_often_as_a_full_one() {
        let mut compute = compute(false);
        compute.batch_size = 2;
        let read = |requests: &[RequestMeasurement]| {
            let metrics = compute.count(0, requests, &WINDOW, &[]);
            metrics.bytes_read_decode.unwrap()
        };
        let requests = [request(10, 5), request(10, 5), request(10, 5)];
        let (alone, two, three) = (read(&requests[..1]), read(&requests[..2]), read(&requests));
        // Four passes over the weights for the first wave, and four for the second, partial one.
        assert!((three - two - alone).abs() < 1e-6 * three, "{two} {three} {alone}");
    }

    #[test]
    fn sliding_windows_count_with_safetensors_and_not_with_a_gguf() {
        let total = |is_gguf| compute(is_gguf).count(0, &[request(10, 5)], &WINDOW, &[]).flops_total;
        // Four steps over 11, 12, 13 and 14 tokens instead of 8, in 32 layers with 32 heads of size 128, for scores and
        // values.
        let unseen = 2.0 * 32.0 * 32.0 * 256.0 * (3.0 + 4.0 + 5.0 + 6.0);
        assert_eq!(total(true).unwrap() - total(false).unwrap(), unseen);
    }
}
