use super::models::LocatedModel;
use crate::energy::GpuDevice;
use crate::experiment::Spec;
use crate::flops::{Devices, Estimator, RequestTokens, Schedule, known_device};
use crate::measurement::{ComputeMetrics, LoadReport, RequestMeasurement, Window};
use crate::model_files::ModelFormat;

/// Counts what the ranks of one experiment computed.
pub struct ComputeCount {
    estimator: Estimator,
    is_gguf: bool,
    batch_size: u32,
    /// Of each rank.
    activation_dtypes: Vec<String>,
    gpus: Vec<GpuDevice>,
}

impl ComputeCount {
    /// `gpus` are the host's.
    pub fn new(model: &LocatedModel, spec: &Spec, loads: &[LoadReport], gpus: Vec<GpuDevice>) -> Self {
        let estimator = model.estimator(&spec.model_name);
        let activation_dtypes: Vec<String> = loads.iter().map(|load| load.activation_dtype.clone()).collect();
        let is_gguf = model
            .files
            .as_ref()
            .is_some_and(|files| files.format == ModelFormat::Gguf);
        let estimator = if is_gguf {
            estimator
        } else {
            // The engine holds safetensors in the activations' type; quantized in place, how many bytes is its own affair.
            let dtype = activation_dtypes.first().filter(|_| spec.quantization.is_none());
            estimator.with_bytes_per_weight(dtype.and_then(|dtype| bytes_of(dtype)))
        };
        Self {
            estimator,
            is_gguf,
            batch_size: spec.batch_size,
            activation_dtypes,
            gpus,
        }
    }

    /// FLOPs of one rank in one cycle, each request at its own lengths; `gpus` are the rank's by UUID.
    pub fn of(&self, rank: u32, requests: &[RequestMeasurement], window: &Window, gpus: &[String]) -> ComputeMetrics {
        let tokens = requests.iter().map(|request| RequestTokens {
            input: request.input_tokens,
            output: request.output_tokens,
        });
        let executed = Schedule::executed(&tokens.collect::<Vec<_>>(), self.batch_size);
        let schedule = if self.is_gguf {
            executed.without_windows()
        } else {
            executed
        };
        let dtype = self.activation_dtypes.get(rank as usize).map_or("", String::as_str);
        // Keys and values have the activations' type.
        let estimate = self.estimator.estimate(&schedule, bytes_of(dtype).unwrap_or(0.0));
        estimate.compute_metrics(Some(window.duration_sec()), self.devices(gpus, dtype))
    }

    /// The rank's GPUs, if they are of one kind and its peaks are known.
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

/// Size of one number of an activation type in bytes.
fn bytes_of(dtype: &str) -> Option<f64> {
    match dtype {
        "f32" => Some(4.0),
        "f16" | "bf16" => Some(2.0),
        _ => None,
    }
}
