use super::description::{
    ATTENTION_BIAS, Defaults, ExpertDefaults, Family, LLAMA_WIRING, LatentDefaults, MLP_BIAS, SharedExpert, Wiring,
};

pub static DEEPSEEK_V2: Family = Family {
    name: "deepseek_v2",
    description: "multi-head latent attention, a mixture of experts with shared ones, the first layers dense",
    model_types: &["deepseek_v2"],
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
    }),
    latent: Some(LatentDefaults {
        query_rank: Some(1536),
        key_value_rank: 512,
        nope_dim: 128,
        rope_dim: 64,
        value_dim: 128,
    }),
};
