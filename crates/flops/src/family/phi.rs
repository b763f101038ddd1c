use super::description::{
    Defaults, ExpertDefaults, Family, LLAMA_WIRING, NormKind, Quirk, Setting, SharedExpert, SlidingLayers, Wiring,
};
use crate::shape::Activation;

pub static PHI: Family = Family {
    name: "phi",
    description: "Phi-1, 1.5 and 2: attention and plain feed-forward side by side behind one LayerNorm, all biased",
    model_types: &["phi", "llava_phi", "bunny-phi"],
    gguf_architectures: &["phi2"],
    defaults: Defaults {
        hidden_size: 2048,
        intermediate_size: Some(8192),
        layers: 24,
        heads: 32,
        kv_heads: None,
        head_dim: None,
        vocab_size: 51200,
        tied: false,
        learned_positions: None,
    },
    wiring: Wiring {
        gated_mlp: false,
        qkv_bias: Setting::Always,
        attention_output_bias: Setting::Always,
        mlp_bias: Setting::Always,
        lm_head_bias: Setting::Always,
        norms: &["input_norm"],
        norm: NormKind::Layer,
        query_key_norm: Setting::Key {
            key: "qk_layernorm",
            default: false,
        },
        activation: Activation::GeluTanh,
        rotary_share: 0.5,
        ..LLAMA_WIRING
    },
    experts: None,
    latent: None,
    quirk: Quirk::None,
};

pub static PHI3: Family = Family {
    name: "phi3",
    description: "Phi-3, 3.5 and 4: as Llama, with query, key and value in one matrix, gate and up in another",
    model_types: &["phi3", "phi3_v", "llava_phi3", "bunny-phi3"],
    gguf_architectures: &["phi3"],
    defaults: Defaults {
        hidden_size: 3072,
        intermediate_size: Some(8192),
        layers: 32,
        heads: 32,
        kv_heads: None,
        head_dim: None,
        vocab_size: 32064,
        tied: false,
        learned_positions: None,
    },
    wiring: Wiring {
        sliding: SlidingLayers::All(None),
        ..LLAMA_WIRING
    },
    experts: None,
    latent: None,
    quirk: Quirk::None,
};

const ATTENTION_BIAS: Setting = Setting::Key {
    key: "attention_bias",
    default: false,
};

pub static PHIMOE: Family = Family {
    name: "phimoe",
    description: "Phi-3.5-MoE: Mixtral with LayerNorm",
    model_types: &["phimoe"],
    gguf_architectures: &["phimoe"],
    defaults: Defaults {
        hidden_size: 4096,
        intermediate_size: Some(6400),
        layers: 32,
        heads: 32,
        kv_heads: Some(8),
        head_dim: None,
        vocab_size: 32064,
        tied: false,
        learned_positions: None,
    },
    wiring: Wiring {
        qkv_bias: ATTENTION_BIAS,
        attention_output_bias: ATTENTION_BIAS,
        lm_head_bias: Setting::Key {
            key: "lm_head_bias",
            default: false,
        },
        norm: NormKind::Layer,
        sliding: SlidingLayers::All(None),
        ..LLAMA_WIRING
    },
    experts: Some(ExpertDefaults {
        count: 16,
        per_token: Some(2),
        intermediate_size: None,
        shared: SharedExpert::Absent,
        dense_layers: 0,
    }),
    latent: None,
    quirk: Quirk::None,
};
