use super::description::{
    ATTENTION_BIAS, Defaults, ExpertDefaults, Family, LLAMA_WIRING, Quirk, Setting, SharedExpert, SlidingLayers, Wiring,
};

const DENSE: Defaults = Defaults {
    hidden_size: 4096,
    intermediate_size: Some(22016),
    layers: 32,
    heads: 32,
    kv_heads: Some(32),
    head_dim: None,
    vocab_size: 151_936,
    tied: false,
    learned_positions: None,
};

const QWEN3_WIRING: Wiring = Wiring {
    qkv_bias: ATTENTION_BIAS,
    attention_output_bias: ATTENTION_BIAS,
    query_key_norm: Setting::Always,
    sliding: SlidingLayers::FromMaxWindowLayers(4096),
    ..LLAMA_WIRING
};

pub static QWEN2: Family = Family {
    name: "qwen2",
    description: "Qwen2, Qwen2.5: as Llama, with biases on query, key and value",
    model_types: &[
        "qwen2",
        "llava_onevision",
        "llava_qwen",
        "llava_qwen2",
        "bunny-qwen2",
        "qwen2_audio",
    ],
    gguf_architectures: &["qwen2"],
    defaults: DENSE,
    wiring: Wiring {
        qkv_bias: Setting::Always,
        sliding: SlidingLayers::FromMaxWindowLayers(4096),
        ..LLAMA_WIRING
    },
    experts: None,
    latent: None,
    quirk: Quirk::None,
};

pub static QWEN2_MOE: Family = Family {
    name: "qwen2_moe",
    description: "Qwen2 with a mixture of experts and one shared expert behind a gate",
    model_types: &["qwen2_moe"],
    gguf_architectures: &["qwen2moe"],
    defaults: Defaults {
        hidden_size: 2048,
        intermediate_size: Some(5632),
        layers: 24,
        heads: 16,
        kv_heads: Some(16),
        ..DENSE
    },
    wiring: Wiring {
        qkv_bias: Setting::Key {
            key: "qkv_bias",
            default: true,
        },
        sliding: SlidingLayers::EveryOtherBeforeMaxWindowLayers(4096),
        ..LLAMA_WIRING
    },
    experts: Some(ExpertDefaults {
        count: 60,
        per_token: Some(4),
        intermediate_size: Some(1408),
        shared: SharedExpert::Gated {
            intermediate_size: 5632,
        },
        dense_layers: 0,
    }),
    latent: None,
    quirk: Quirk::None,
};

pub static QWEN3: Family = Family {
    name: "qwen3",
    description: "heads of a length of their own, each query and key normed, no biases",
    model_types: &["qwen3"],
    gguf_architectures: &["qwen3"],
    defaults: Defaults {
        head_dim: Some(128),
        ..DENSE
    },
    wiring: QWEN3_WIRING,
    experts: None,
    latent: None,
    quirk: Quirk::None,
};

pub static QWEN3_MOE: Family = Family {
    name: "qwen3_moe",
    description: "Qwen3 with a mixture of experts, none shared",
    model_types: &["qwen3_moe", "qwen3_omni_moe_text"],
    gguf_architectures: &["qwen3moe"],
    // Qwen3MoeConfig has no head_dim: the attention uses hidden_size / heads.
    defaults: Defaults {
        hidden_size: 2048,
        intermediate_size: Some(6144),
        layers: 24,
        heads: 32,
        kv_heads: Some(4),
        ..DENSE
    },
    wiring: Wiring {
        sliding: SlidingLayers::BySwitch(4096),
        ..QWEN3_WIRING
    },
    experts: Some(ExpertDefaults {
        count: 128,
        per_token: Some(8),
        intermediate_size: Some(768),
        shared: SharedExpert::Absent,
        dense_layers: 0,
    }),
    latent: None,
    quirk: Quirk::None,
};
