//! Rejects a wave that does not fit into the memory of its GPUs, before a worker loads anything. Sums only what is
//! certain to be allocated; when activations and the engine's own buffers do not fit on top of it, the load fails.

use std::time::Duration;

use super::failure::Stop;
use crate::scheduler::models::{EngineChoice, LocatedModel};
use joulemark_experiment::{Device, Spec};
use joulemark_flops::model_files::{ModelFiles, ModelFormat};
use joulemark_meter::HostMeter;
use joulemark_worker::{CacheNeed, element_bytes};

/// Delay before the second check: memory in use may only now be freed, and the meter reads it once a second.
const RECHECK_AFTER: Duration = Duration::from_millis(2500);

/// Checks that the weights and the caches of a wave fit into the free memory of each rank's GPUs.
///
/// # Errors
/// Returns [`Stop::DoesNotFit`] with the sum. Succeeds when a part of the sum is unknown.
pub async fn fits(spec: &Spec, model: &LocatedModel, meter: &HostMeter) -> Result<(), Stop> {
    let Some(need) = Need::of(spec, model) else {
        return Ok(());
    };
    if need.problem(spec, meter).is_none() {
        return Ok(());
    }
    tokio::time::sleep(RECHECK_AFTER).await;
    match need.problem(spec, meter) {
        None => Ok(()),
        Some(problem) => Err(Stop::DoesNotFit(problem)),
    }
}

/// Minimum number of bytes that one rank allocates.
#[derive(Debug, PartialEq, Eq)]
struct Need {
    weights: u64,
    cache: u64,
    preallocated: u64,
    wave: CacheNeed,
}

impl Need {
    /// Returns the need of a rank of mistral.rs on CUDA; `None` for other engines and devices, and when the model's
    /// files do not state it.
    fn of(spec: &Spec, model: &LocatedModel) -> Option<Self> {
        if model.engine != EngineChoice::Mistral || spec.device != Device::Cuda {
            return None;
        }
        let element_bytes = element_bytes(spec.fp_precision);
        let wave = CacheNeed::of(spec, model.max_context_tokens());
        // For texts only an upper bound of the tokens is known, which must not reject anything.
        let wave = CacheNeed {
            input_tokens: if wave.is_exact { wave.input_tokens } else { 0 },
            ..wave
        };
        let token_bytes = model.cache_elements_per_token()? * element_bytes;
        Some(Self {
            weights: weight_bytes(model.files.as_ref()?, spec.quantization.as_deref(), element_bytes)?,
            cache: wave.paged_tokens() * token_bytes,
            preallocated: wave.preallocated_bytes(token_bytes),
            wave,
        })
    }

    fn total(&self) -> u64 {
        self.weights + self.cache + self.preallocated
    }

    /// Returns why a rank has not enough memory; `None` when all have, or when the free memory of a GPU is unknown.
    fn problem(&self, spec: &Spec, meter: &HostMeter) -> Option<String> {
        let gpus = meter.devices().gpus;
        let free = |uuid: &String| {
            let gpu = gpus.iter().find(|gpu| gpu.uuid == *uuid)?;
            let used = meter.gpu_state(uuid)?.memory_used_bytes?;
            Some(gpu.memory_bytes?.saturating_sub(used))
        };
        (0..spec.num_processes).find_map(|rank| {
            let own = spec.gpus_of_rank(rank);
            let free: u64 = own.iter().map(free).sum::<Option<u64>>()?;
            (self.total() > free).then(|| self.in_words(free, own))
        })
    }

    fn in_words(&self, free: u64, gpus: &[String]) -> String {
        format!(
            "weights of {}, a key-value cache of {} (batch_size {} × {} tokens) and {} that the engine allocates for the \
             prompts are {}, but {} free on {}; use a smaller batch_size, fewer tokens, another type or more GPUs, or \
             free memory",
            in_bytes(self.weights),
            in_bytes(self.cache),
            self.wave.sequences,
            self.wave.sequence_tokens(),
            in_bytes(self.preallocated),
            in_bytes(self.total()),
            in_bytes(free) + if gpus.len() == 1 { " is" } else { " are" },
            gpus.join(", ")
        )
    }
}

/// Returns the minimum size in bytes of the weights in memory; `None` when it is unknown.
fn weight_bytes(files: &ModelFiles, quantized_to: Option<&str>, element_bytes: u64) -> Option<u64> {
    if files.format == ModelFormat::Gguf || files.is_quantized {
        return Some(files.file_bytes);
    }
    let parameters = files.parameters_total?;
    match quantized_to {
        None => parameters.checked_mul(element_bytes),
        // The name of a type begins with its bits per weight; scales need more.
        Some(name) => {
            let bits = name.chars().find_map(|letter| letter.to_digit(10))?;
            Some(parameters / 8 * u64::from(bits))
        }
    }
}

fn in_bytes(bytes: u64) -> String {
    match bytes as f64 {
        large if large >= 1e9 => format!("{:.2} GB", large / 1e9),
        small => format!("{:.1} MB", small / 1e6),
    }
}
