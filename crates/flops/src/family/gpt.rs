use super::description::{Defaults, Family, LLAMA_WIRING, NormKind, Quirk, Setting, SlidingLayers, Wiring};
use crate::shape::Activation;

pub static GPT2: Family = Family {
    name: "gpt2",
    description: "plain feed-forward, LayerNorm, biases, learned positions, lm_head tied to the embedding",
    model_types: &["gpt2"],
    gguf_architectures: &["gpt2"],
    defaults: Defaults {
        hidden_size: 768,
        intermediate_size: None,
        layers: 12,
        heads: 12,
        kv_heads: None,
        head_dim: None,
        vocab_size: 50257,
        tied: true,
        learned_positions: Some(1024),
    },
    wiring: Wiring {
        gated_mlp: false,
        qkv_bias: Setting::Always,
        attention_output_bias: Setting::Always,
        mlp_bias: Setting::Always,
        norm: NormKind::Layer,
        activation: Activation::GeluTanh,
        rotary_share: 0.0,
        ..LLAMA_WIRING
    },
    experts: None,
    latent: None,
    quirk: Quirk::None,
};

const USE_BIAS: Setting = Setting::Key {
    key: "use_bias",
    default: true,
};

pub static STARCODER2: Family = Family {
    name: "starcoder2",
    description: "GPT-2's layer with grouped-query attention and rotary positions",
    model_types: &["starcoder2"],
    gguf_architectures: &["starcoder2"],
    defaults: Defaults {
        hidden_size: 3072,
        intermediate_size: Some(12288),
        layers: 30,
        heads: 24,
        kv_heads: Some(2),
        head_dim: None,
        vocab_size: 49152,
        tied: true,
        learned_positions: None,
    },
    wiring: Wiring {
        gated_mlp: false,
        qkv_bias: USE_BIAS,
        attention_output_bias: USE_BIAS,
        mlp_bias: USE_BIAS,
        norm: NormKind::Layer,
        activation: Activation::GeluTanh,
        sliding: SlidingLayers::All(None),
        ..LLAMA_WIRING
    },
    experts: None,
    latent: None,
    quirk: Quirk::None,
};
