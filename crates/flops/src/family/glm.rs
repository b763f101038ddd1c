use super::description::{
    Defaults, ExpertDefaults, Family, LLAMA_LIKE, LLAMA_WIRING, LatentDefaults, Setting, SharedExpert, Wiring,
};

const BIASED: Setting = Setting::Key {
    key: "attention_bias",
    default: true,
};
const UNBIASED: Setting = Setting::Key {
    key: "attention_bias",
    default: false,
};

const DEFAULTS: Defaults = Defaults {
    hidden_size: 4096,
    intermediate_size: Some(13696),
    layers: 40,
    heads: 32,
    kv_heads: Some(2),
    head_dim: Some(128),
    vocab_size: 151_552,
    tied: false,
    learned_positions: None,
};

const WIRING: Wiring = Wiring {
    qkv_bias: BIASED,
    rotary_share: 0.5,
    ..LLAMA_WIRING
};

pub static GLM: Family = Family {
    name: "glm",
    description: "as Llama, with biases on query, key and value, gate and up in one matrix",
    model_types: &["glm"],
    defaults: DEFAULTS,
    wiring: WIRING,
    ..LLAMA_LIKE
};

pub static GLM4: Family = Family {
    name: "glm4",
    description: "GLM with four norms a layer",
    model_types: &["glm4", "glm4v", "glm4v_text"],
    gguf_architectures: &["glm4"],
    defaults: DEFAULTS,
    wiring: Wiring {
        norms: &["input_norm", "attention_output_norm", "ffn_norm", "post_ffn_norm"],
        ..WIRING
    },
    ..LLAMA_LIKE
};

pub static GLM4_MOE: Family = Family {
    name: "glm4_moe",
    description: "GLM-4.5 to 4.7: a mixture of experts with a shared one, the first layers dense",
    model_types: &["glm4_moe", "glm4v_moe", "glm4v_moe_text"],
    gguf_architectures: &["glm4moe"],
    defaults: Defaults {
        intermediate_size: Some(10944),
        layers: 46,
        heads: 96,
        kv_heads: Some(8),
        head_dim: None,
        ..DEFAULTS
    },
    wiring: Wiring {
        qkv_bias: UNBIASED,
        query_key_norm: Setting::Key {
            key: "use_qk_norm",
            default: false,
        },
        ..WIRING
    },
    experts: Some(ExpertDefaults {
        count: 128,
        per_token: Some(8),
        intermediate_size: Some(1408),
        shared: SharedExpert::Multiple { count: 1 },
        dense_layers: 1,
    }),
    ..LLAMA_LIKE
};

pub static GLM4_MOE_LITE: Family = Family {
    name: "glm4_moe_lite",
    description: "GLM-4.7-Flash: DeepSeek-V3's latent attention and experts",
    model_types: &["glm4_moe_lite"],
    defaults: Defaults {
        hidden_size: 2048,
        intermediate_size: Some(10240),
        layers: 47,
        heads: 20,
        kv_heads: Some(20),
        head_dim: None,
        vocab_size: 154_880,
        ..DEFAULTS
    },
    wiring: Wiring {
        qkv_bias: UNBIASED,
        attention_output_bias: UNBIASED,
        ..LLAMA_WIRING
    },
    experts: Some(ExpertDefaults {
        count: 64,
        per_token: Some(4),
        intermediate_size: Some(1536),
        shared: SharedExpert::Multiple { count: 1 },
        dense_layers: 1,
    }),
    latent: Some(LatentDefaults {
        query_rank: Some(768),
        key_value_rank: 512,
        nope_dim: 192,
        rope_dim: 64,
        value_dim: 256,
    }),
    ..LLAMA_LIKE
};
