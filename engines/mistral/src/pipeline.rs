//! Loads a model: its weights, its key-value cache and the devices of both. On CUDA attention is always paged, also for
//! `batch_size` 1, so that all batch sizes use the same code.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;

use candle_core::DeviceLocation;
use mistralrs::core::{DefaultSchedulerMethod, GGUFLoaderBuilder, GGUFSpecificConfig, ModelDType, SchedulerConfig};
use mistralrs::{
    AnyModelBuilder, AutoDeviceMapParams, DeviceMapSetting, MemoryGpuConfig, PagedAttentionConfig, PagedCacheType,
    TextModelBuilder, TokenSource, best_device, paged_attn_supported, parse_isq_value,
};
use tokio::sync::Mutex;

use joulemark_experiment::FpPrecision;
use joulemark_measurement::DeviceLayers;
use joulemark_worker::inference::{EngineDescription, LoadRequest};
use joulemark_worker::{BLOCK_TOKENS, element_bytes};

type AnyPipeline = dyn mistralrs::core::Pipeline + Send + Sync;

pub type Pipeline = Arc<Mutex<AnyPipeline>>;

/// Loads the weights and allocates the key-value cache.
///
/// # Errors
/// Returns the engine's error for a model that it cannot load.
pub async fn load(request: &LoadRequest) -> anyhow::Result<Pipeline> {
    if request.path.extension().is_some_and(|extension| extension == "gguf") {
        return from_gguf(request);
    }
    Ok(text_builder(request)?.build_pipeline().await?.0)
}

/// Returns the description of the loaded model, and the tokens that end a sequence.
///
/// # Errors
/// Returns an error when the model has no tokenizer.
pub fn describe(pipeline: &AnyPipeline) -> anyhow::Result<(EngineDescription, Vec<u32>)> {
    let metadata = pipeline.get_metadata();
    let tokenizer = pipeline
        .tokenizer()
        .ok_or_else(|| anyhow::anyhow!("the model has no tokenizer"))?;
    let added = tokenizer.get_added_tokens_decoder();
    let special = added.into_iter().filter(|(_, token)| token.special).map(|(id, _)| id);
    let mut special: Vec<u32> = metadata.eos_tok.iter().copied().chain(special).collect();
    special.sort_unstable();
    special.dedup();
    let cache = metadata.cache_config.as_ref();
    let description = EngineDescription {
        device: device_name(pipeline.device().location()).to_owned(),
        activation_dtype: metadata.activation_dtype.as_str().to_owned(),
        max_sequence_tokens: u32::try_from(metadata.max_seq_len).unwrap_or(u32::MAX),
        vocab_size: tokenizer.get_vocab_size(true) as u32,
        special_token_ids: special,
        mixes_lengths: false,
        layers: layers(pipeline, metadata.num_hidden_layers),
        paged_cache_tokens: cache.map(|cache| (cache.num_gpu_blocks * cache.block_size) as u64),
    };
    Ok((description, metadata.eos_tok.clone()))
}

/// Returns the scheduler for the pipeline's cache. Both schedulers decode sequences of equal length that begin together
/// in step.
///
/// # Errors
/// Returns an error when `batch_size` is 0.
pub fn scheduler(pipeline: &AnyPipeline, batch_size: usize) -> anyhow::Result<SchedulerConfig> {
    Ok(match pipeline.get_metadata().cache_config.clone() {
        Some(config) => SchedulerConfig::PagedAttentionMeta {
            max_num_seqs: batch_size,
            config,
        },
        None => SchedulerConfig::DefaultScheduler {
            method: DefaultSchedulerMethod::Fixed(batch_size.try_into()?),
        },
    })
}

/// Returns the devices with layers, in the order of their first layer.
fn layers(pipeline: &AnyPipeline, count: usize) -> Vec<DeviceLayers> {
    let mapper = pipeline.device_mapper();
    let main = pipeline.device();
    let mut parts: Vec<DeviceLayers> = Vec::new();
    for layer in 0..count {
        let mapped = mapper.and_then(|mapper| mapper.device_for(layer, false));
        let location = mapped.unwrap_or(&main).location();
        let (device, ordinal) = (device_name(location), ordinal(location));
        match parts
            .iter_mut()
            .find(|part| part.device == device && part.ordinal == ordinal)
        {
            Some(part) => part.layers += 1,
            None => parts.push(DeviceLayers {
                device: device.to_owned(),
                ordinal,
                gpu: None,
                layers: 1,
            }),
        }
    }
    parts
}

fn device_name(location: DeviceLocation) -> &'static str {
    match location {
        DeviceLocation::Cpu => "cpu",
        DeviceLocation::Cuda { .. } => "cuda",
        DeviceLocation::Metal { .. } => "metal",
    }
}

fn ordinal(location: DeviceLocation) -> u32 {
    match location {
        DeviceLocation::Cpu => 0,
        DeviceLocation::Cuda { gpu_id } | DeviceLocation::Metal { gpu_id } => gpu_id as u32,
    }
}

/// Loads a GGUF file with its loader, because the SDK's builder does not accept a type for the activations: on the CPU
/// the engine chooses half precision, in which attention is slower and less exact.
fn from_gguf(request: &LoadRequest) -> anyhow::Result<Pipeline> {
    let text = |part: Option<&OsStr>| part.map(|part| part.to_string_lossy().into_owned()).unwrap_or_default();
    let folder = text(request.path.parent().map(Path::as_os_str));
    let file = text(request.path.file_name());
    let config = GGUFSpecificConfig { topology: None };
    let loader = GGUFLoaderBuilder::new(None, None, folder, vec![file], config, false, None).build();
    loader.load_model_from_hf(
        None,
        TokenSource::None,
        &dtype(request),
        &best_device(request.force_cpu)?,
        true,
        device_mapping(request),
        None,
        paged_attention(request)?,
    )
}

fn text_builder(request: &LoadRequest) -> anyhow::Result<AnyModelBuilder> {
    let mut builder = TextModelBuilder::new(request.path.to_string_lossy())
        .with_dtype(dtype(request))
        .with_device_mapping(device_mapping(request))
        .with_max_num_seqs(request.batch_size as usize);
    if request.force_cpu {
        builder = builder.with_force_cpu();
    }
    if let Some(paged) = paged_attention(request)? {
        builder = builder.with_paged_attn(paged);
    }
    if let Some(name) = &request.quantization {
        builder = builder.with_isq(parse_isq_value(name, None).map_err(anyhow::Error::msg)?);
    }
    Ok(builder.into())
}

/// Returns the placement of layers, with room for the activations of the sequences that will run. Where attention is
/// not paged, the engine counts their caches as well, so that the lengths must be the true ones.
fn device_mapping(request: &LoadRequest) -> DeviceMapSetting {
    if request.force_cpu {
        return DeviceMapSetting::Auto(AutoDeviceMapParams::default_text());
    }
    let need = request.cache_need;
    DeviceMapSetting::Auto(AutoDeviceMapParams::Text {
        max_seq_len: need.sequence_tokens() as usize,
        max_batch_size: need.sequences as usize,
    })
}

/// Returns a cache of exactly the size that the sequences need, since by default the engine takes most of the free
/// memory. Returns `None` where attention cannot be paged.
fn paged_attention(request: &LoadRequest) -> anyhow::Result<Option<PagedAttentionConfig>> {
    if request.force_cpu || !paged_attn_supported() {
        return Ok(None);
    }
    let need = request.cache_need;
    let memory = match request.cache_elements_per_token {
        Some(elements) => {
            MemoryGpuConfig::MbAmount(need.paged_mib(elements * element_bytes(request.fp_precision)) as usize)
        }
        None => MemoryGpuConfig::ContextSize(need.paged_tokens() as usize),
    };
    PagedAttentionConfig::new(Some(BLOCK_TOKENS as usize), memory, PagedCacheType::Auto).map(Some)
}

fn dtype(request: &LoadRequest) -> ModelDType {
    match request.fp_precision {
        FpPrecision::Float32 => ModelDType::F32,
        FpPrecision::Float16 => ModelDType::F16,
        FpPrecision::Bfloat16 => ModelDType::BF16,
        FpPrecision::Auto if request.force_cpu => ModelDType::F32,
        FpPrecision::Auto => ModelDType::Auto,
    }
}
