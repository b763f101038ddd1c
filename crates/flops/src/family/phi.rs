use super::description::{Defaults, Family, LLAMA_WIRING, NormKind, Setting, SlidingLayers, Wiring};
use crate::shape::Activation;

pub static PHI: Family = Family {
    name: "phi",
    description: "Phi-1, 1.5 and 2: attention and plain feed-forward side by side behind one LayerNorm, all biased",
    model_types: &["phi"],
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
};

pub static PHI3: Family = Family {
    name: "phi3",
    description: "Phi-3, 3.5 and 4: as Llama, with query, key and value in one matrix, gate and up in another",
    model_types: &["phi3"],
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
};
