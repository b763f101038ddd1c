use super::description::{
    ATTENTION_BIAS, Defaults, ExpertDefaults, Family, LLAMA_LIKE, LLAMA_WIRING, Quirk, Setting, SharedExpert,
    SlidingLayers, Wiring,
};

const VL: Defaults = Defaults {
    hidden_size: 8192,
    intermediate_size: Some(29568),
    layers: 80,
    heads: 64,
    kv_heads: Some(8),
    head_dim: None,
    vocab_size: 152_064,
    tied: false,
    learned_positions: None,
};

pub static QWEN2_VL: Family = Family {
    name: "qwen2_vl",
    description: "the text model of Qwen2-VL and Qwen2.5-VL: Qwen2",
    model_types: &[
        "qwen2_vl",
        "qwen2_vl_text",
        "qwen2_5_vl",
        "qwen2_5_vl_text",
        "qwen2_5_omni_text",
    ],
    gguf_architectures: &["qwen2vl"],
    defaults: VL,
    wiring: Wiring {
        qkv_bias: Setting::Always,
        sliding: SlidingLayers::FromMaxWindowLayers(4096),
        ..LLAMA_WIRING
    },
    ..LLAMA_LIKE
};

const WIRING: Wiring = Wiring {
    qkv_bias: ATTENTION_BIAS,
    attention_output_bias: ATTENTION_BIAS,
    query_key_norm: Setting::Always,
    ..LLAMA_WIRING
};

pub static QWEN3_VL: Family = Family {
    name: "qwen3_vl",
    description: "the text model of Qwen3-VL: Qwen3",
    model_types: &["qwen3_vl", "qwen3_vl_text"],
    gguf_architectures: &["qwen3vl"],
    defaults: Defaults {
        hidden_size: 4096,
        intermediate_size: Some(22016),
        layers: 32,
        heads: 32,
        kv_heads: Some(32),
        head_dim: Some(128),
        vocab_size: 151_936,
        ..VL
    },
    wiring: WIRING,
    ..LLAMA_LIKE
};

pub static QWEN3_VL_MOE: Family = Family {
    name: "qwen3_vl_moe",
    description: "the text model of Qwen3-VL with experts: Qwen3-MoE",
    model_types: &["qwen3_vl_moe", "qwen3_vl_moe_text"],
    defaults: Defaults {
        hidden_size: 2048,
        intermediate_size: Some(5632),
        layers: 24,
        heads: 16,
        kv_heads: Some(16),
        vocab_size: 151_936,
        tied: true,
        ..VL
    },
    wiring: WIRING,
    experts: Some(ExpertDefaults {
        count: 60,
        per_token: Some(4),
        intermediate_size: Some(1408),
        shared: SharedExpert::Absent,
        dense_layers: 0,
    }),
    ..LLAMA_LIKE
};

const DELTA: Defaults = Defaults {
    hidden_size: 2048,
    intermediate_size: Some(5632),
    layers: 48,
    heads: 16,
    kv_heads: Some(2),
    head_dim: Some(256),
    vocab_size: 151_936,
    tied: false,
    learned_positions: None,
};

const DELTA_WIRING: Wiring = Wiring {
    query_gate: true,
    rotary_share: 0.25,
    ..WIRING
};

const DELTA_EXPERTS: ExpertDefaults = ExpertDefaults {
    count: 512,
    per_token: Some(10),
    intermediate_size: Some(512),
    shared: SharedExpert::Gated { intermediate_size: 512 },
    dense_layers: 0,
};

pub static QWEN3_NEXT: Family = Family {
    name: "qwen3_next",
    description: "the gated delta rule in three of four layers, gated attention in the others, many experts",
    model_types: &["qwen3_next"],
    defaults: DELTA,
    wiring: DELTA_WIRING,
    experts: Some(DELTA_EXPERTS),
    quirk: Quirk::QwenDelta,
    ..LLAMA_LIKE
};

pub static QWEN3_5: Family = Family {
    name: "qwen3_5",
    description: "the text model of Qwen3.5: Qwen3-Next without experts",
    model_types: &["qwen3_5", "qwen3_5_text"],
    defaults: Defaults {
        hidden_size: 4096,
        intermediate_size: Some(12288),
        layers: 32,
        kv_heads: Some(4),
        vocab_size: 248_320,
        ..DELTA
    },
    wiring: DELTA_WIRING,
    quirk: Quirk::QwenDelta,
    ..LLAMA_LIKE
};

pub static QWEN3_5_MOE: Family = Family {
    name: "qwen3_5_moe",
    description: "the text model of Qwen3.5 with experts: Qwen3-Next",
    model_types: &["qwen3_5_moe", "qwen3_5_moe_text"],
    defaults: Defaults {
        layers: 40,
        vocab_size: 248_320,
        ..DELTA
    },
    wiring: DELTA_WIRING,
    experts: Some(ExpertDefaults {
        count: 256,
        per_token: Some(8),
        ..DELTA_EXPERTS
    }),
    quirk: Quirk::QwenDelta,
    ..LLAMA_LIKE
};
