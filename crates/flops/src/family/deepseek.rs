use super::description::{
    ATTENTION_BIAS, Defaults, ExpertDefaults, Family, LLAMA_WIRING, LatentDefaults, MLP_BIAS, Quirk, SharedExpert,
    Wiring,
};

pub static DEEPSEEK: Family = Family {
    name: "deepseek",
    description: "DeepSeek-MoE: DeepSeek-V2 with Llama's attention",
    model_types: &["deepseek"],
    gguf_architectures: &["deepseek"],
    latent: None,
    ..DEEPSEEK_V2
};

pub static DEEPSEEK_V2: Family = Family {
    name: "deepseek_v2",
    description: "multi-head latent attention, a mixture of experts with shared ones, the first layers dense",
    model_types: &["deepseek_v2", "deepseek_vl_v2"],
    gguf_architectures: &["deepseek2"],
    defaults: Defaults {
        hidden_size: 4096,
        intermediate_size: Some(11008),
        layers: 32,
        heads: 32,
        kv_heads: None,
        head_dim: None,
        vocab_size: 102_400,
        tied: false,
        learned_positions: None,
    },
    wiring: Wiring {
        qkv_bias: ATTENTION_BIAS,
        attention_output_bias: ATTENTION_BIAS,
        mlp_bias: MLP_BIAS,
        ..LLAMA_WIRING
    },
    experts: Some(ExpertDefaults {
        count: 64,
        per_token: None,
        intermediate_size: Some(1407),
        shared: SharedExpert::Multiple { count: 2 },
        dense_layers: 0,
    }),
    latent: Some(LatentDefaults {
        query_rank: Some(1536),
        key_value_rank: 512,
        nope_dim: 128,
        rope_dim: 64,
        value_dim: 128,
    }),
    quirk: Quirk::None,
};

pub static DEEPSEEK_V3: Family = Family {
    name: "deepseek_v3",
    description: "DeepSeek-V3, R1, Kimi K2: DeepSeek-V2 with more experts",
    model_types: &["deepseek_v3", "kimi_k2"],
    gguf_architectures: &[],
    defaults: Defaults {
        hidden_size: 7168,
        intermediate_size: Some(18432),
        layers: 61,
        heads: 128,
        kv_heads: Some(128),
        vocab_size: 129_280,
        ..DEEPSEEK_V2.defaults
    },
    wiring: Wiring {
        qkv_bias: ATTENTION_BIAS,
        attention_output_bias: ATTENTION_BIAS,
        ..LLAMA_WIRING
    },
    experts: Some(ExpertDefaults {
        count: 256,
        per_token: Some(8),
        intermediate_size: Some(2048),
        shared: SharedExpert::Multiple { count: 1 },
        dense_layers: 3,
    }),
    latent: DEEPSEEK_V2.latent,
    quirk: Quirk::None,
};
