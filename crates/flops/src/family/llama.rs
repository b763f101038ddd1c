use super::description::{
    ATTENTION_BIAS, Defaults, ExpertDefaults, Family, LLAMA_DEFAULTS, LLAMA_WIRING, MLP_BIAS, Quirk, SharedExpert,
    SlidingLayers, Wiring,
};

const WIRING: Wiring = Wiring {
    qkv_bias: ATTENTION_BIAS,
    attention_output_bias: ATTENTION_BIAS,
    mlp_bias: MLP_BIAS,
    ..LLAMA_WIRING
};

pub static LLAMA: Family = Family {
    name: "llama",
    description: "Llama 2 and 3, SmolLM, SmolLM2, TinyLlama: grouped-query attention, gated feed-forward, RMSNorm",
    model_types: &[
        "llama",
        "llava",
        "llava_llama",
        "llava_next",
        "llava_next_video",
        "video_llava",
        "vipllava",
        "idefics3",
        "smolvlm",
        "deepseek_vl",
        "deepseek_vl_hybrid",
        "janus",
        "aquila",
        "baichuan",
        "bunny-llama",
        "mobilevlm",
    ],
    gguf_architectures: &["llama"],
    defaults: LLAMA_DEFAULTS,
    wiring: WIRING,
    experts: None,
    latent: None,
    quirk: Quirk::None,
};

pub static SMOLLM3: Family = Family {
    name: "smollm3",
    description: "as Llama; some layers do without rotary embedding, which costs no product",
    model_types: &["smollm3"],
    gguf_architectures: &["smollm3"],
    defaults: Defaults {
        hidden_size: 2048,
        intermediate_size: Some(11008),
        layers: 36,
        heads: 16,
        kv_heads: Some(4),
        head_dim: None,
        vocab_size: 128_256,
        tied: true,
        learned_positions: None,
    },
    wiring: Wiring {
        sliding: SlidingLayers::WithoutRotary,
        ..WIRING
    },
    experts: None,
    latent: None,
    quirk: Quirk::None,
};

pub static LLAMA4: Family = Family {
    name: "llama4",
    description: "experts beside a shared one, chunked attention in three of four layers; the text model only",
    model_types: &["llama4", "llama4_text"],
    gguf_architectures: &[],
    defaults: Defaults {
        hidden_size: 5120,
        intermediate_size: Some(8192),
        layers: 48,
        heads: 40,
        kv_heads: Some(8),
        head_dim: Some(128),
        vocab_size: 202_048,
        tied: false,
        learned_positions: None,
    },
    wiring: Wiring {
        qkv_bias: ATTENTION_BIAS,
        attention_output_bias: ATTENTION_BIAS,
        ..LLAMA_WIRING
    },
    experts: Some(ExpertDefaults {
        count: 16,
        per_token: Some(1),
        intermediate_size: None,
        shared: SharedExpert::Multiple { count: 1 },
        dense_layers: 0,
    }),
    latent: None,
    quirk: Quirk::Llama4,
};
