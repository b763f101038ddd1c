//! Refuses a wave that does not fit into the memory of its GPUs, before a worker loads anything. Sums what is certain to be
//! allocated; activations and the engine's own buffers come on top of it, and what they are too large for fails at the load.

use std::time::Duration;

use super::failure::Stop;
use crate::scheduler::models::{EngineChoice, LocatedModel};
use joulemark_experiment::{Device, Spec};
use joulemark_flops::model_files::{ModelFiles, ModelFormat};
use joulemark_meter::HostMeter;
use joulemark_worker::{CacheNeed, element_bytes};

/// What was in use before may be freed only now, and the meter looks once a second.
const SECOND_LOOK_AFTER: Duration = Duration::from_millis(2500);

/// Checks that the weights and the caches of a wave fit into what the GPUs of each rank have free.
///
/// # Errors
/// [`Stop::DoesNotFit`] with the sum. Never where a part of it is unknown.
pub async fn fits(spec: &Spec, model: &LocatedModel, meter: &HostMeter) -> Result<(), Stop> {
    let Some(need) = Need::of(spec, model) else {
        return Ok(());
    };
    if need.problem(spec, meter).is_none() {
        return Ok(());
    }
    tokio::time::sleep(SECOND_LOOK_AFTER).await;
    match need.problem(spec, meter) {
        None => Ok(()),
        Some(problem) => Err(Stop::DoesNotFit(problem)),
    }
}

/// Bytes that one rank allocates, at the least.
#[derive(Debug, PartialEq, Eq)]
struct Need {
    weights: u64,
    cache: u64,
    preallocated: u64,
    wave: CacheNeed,
}

impl Need {
    /// Returns what a rank of mistral.rs takes on CUDA; `None` for any other, and where the model's files do not say it.
    fn of(spec: &Spec, model: &LocatedModel) -> Option<Self> {
        if model.engine != EngineChoice::Mistral || spec.device != Device::Cuda {
            return None;
        }
        let element_bytes = element_bytes(spec.fp_precision);
        let wave = CacheNeed::of(spec, model.max_context_tokens());
        // Of texts only a bound of their tokens is known: nothing is refused for that.
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

    /// Returns why a rank has no room; `None` where all have, or where a GPU does not tell what is free.
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
             prompts are {}, and {} free on {}; take a smaller batch_size, fewer tokens, another type, more GPUs, or free \
             their memory",
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

/// Returns the bytes of the weights in memory, at the least; `None` where they cannot be told.
fn weight_bytes(files: &ModelFiles, quantized_to: Option<&str>, element_bytes: u64) -> Option<u64> {
    if files.format == ModelFormat::Gguf || files.is_quantized {
        return Some(files.file_bytes);
    }
    let parameters = files.parameters_total?;
    match quantized_to {
        None => parameters.checked_mul(element_bytes),
        // A type's name begins with its bits: scales come on top.
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
