use super::description::{
    ATTENTION_BIAS, Defaults, FOUR_NORMS, Family, LLAMA_WIRING, Quirk, Setting, SlidingLayers, Wiring,
};
use crate::shape::Activation;

const GEMMA_WIRING: Wiring = Wiring {
    qkv_bias: ATTENTION_BIAS,
    attention_output_bias: ATTENTION_BIAS,
    activation: Activation::GeluTanh,
    scales_embedding: true,
    ..LLAMA_WIRING
};

const GEMMA2_DEFAULTS: Defaults = Defaults {
    hidden_size: 2304,
    intermediate_size: Some(9216),
    layers: 26,
    heads: 8,
    kv_heads: Some(4),
    head_dim: Some(256),
    vocab_size: 256_000,
    tied: true,
    learned_positions: None,
};

pub static GEMMA: Family = Family {
    name: "gemma",
    description: "as Llama, with heads of a length of their own and lm_head tied to the embedding",
    model_types: &["gemma", "paligemma", "llava_gemma"],
    gguf_architectures: &["gemma"],
    defaults: Defaults {
        hidden_size: 3072,
        intermediate_size: Some(24576),
        layers: 28,
        heads: 16,
        kv_heads: Some(16),
        head_dim: Some(256),
        vocab_size: 256_000,
        tied: true,
        learned_positions: None,
    },
    wiring: GEMMA_WIRING,
    experts: None,
    latent: None,
    quirk: Quirk::None,
};

pub static GEMMA2: Family = Family {
    name: "gemma2",
    description: "Gemma with four norms a layer and a sliding window in every other layer",
    model_types: &["gemma2"],
    gguf_architectures: &["gemma2"],
    defaults: GEMMA2_DEFAULTS,
    wiring: Wiring {
        norms: &FOUR_NORMS,
        sliding: SlidingLayers::EveryOther(4096),
        soft_caps: true,
        ..GEMMA_WIRING
    },
    experts: None,
    latent: None,
    quirk: Quirk::None,
};

pub static GEMMA3: Family = Family {
    name: "gemma3",
    description: "Gemma 2 with query and key normed; the text model only, without the vision tower",
    model_types: &["gemma3", "gemma3_text"],
    gguf_architectures: &["gemma3"],
    defaults: Defaults {
        vocab_size: 262_208,
        ..GEMMA2_DEFAULTS
    },
    wiring: Wiring {
        norms: &FOUR_NORMS,
        sliding: SlidingLayers::AllButEvery { nth: 6, window: 4096 },
        query_key_norm: Setting::Always,
        ..GEMMA_WIRING
    },
    experts: None,
    latent: None,
    quirk: Quirk::None,
};

pub static GEMMA3N: Family = Family {
    name: "gemma3n",
    description: "Gemma 3 with inputs for each layer and four streams of hidden states; the last layers take keys of earlier ones",
    model_types: &["gemma3n", "gemma3n_text"],
    gguf_architectures: &[],
    defaults: Defaults {
        hidden_size: 2048,
        intermediate_size: Some(16384),
        layers: 35,
        kv_heads: Some(2),
        vocab_size: 262_400,
        ..GEMMA2_DEFAULTS
    },
    wiring: Wiring {
        norms: &FOUR_NORMS,
        query_key_norm: Setting::Always,
        sliding: SlidingLayers::AllButEvery { nth: 5, window: 512 },
        ..GEMMA_WIRING
    },
    experts: None,
    latent: None,
    quirk: Quirk::Gemma3n,
};
