use super::description::{
    Defaults, ExpertDefaults, Family, LLAMA_LIKE, LLAMA_WIRING, Setting, SharedExpert, SlidingLayers, Wiring,
};

const BIASED: Setting = Setting::Key {
    key: "attention_bias",
    default: true,
};

pub static GPT_OSS: Family = Family {
    name: "gpt_oss",
    description: "a mixture of biased experts in every layer, a window in every other, a score for no key in each head",
    model_types: &["gpt_oss"],
    gguf_architectures: &["gpt-oss"],
    defaults: Defaults {
        hidden_size: 2880,
        intermediate_size: Some(2880),
        layers: 36,
        heads: 64,
        kv_heads: Some(8),
        head_dim: Some(64),
        vocab_size: 201_088,
        tied: false,
        learned_positions: None,
    },
    wiring: Wiring {
        qkv_bias: BIASED,
        attention_output_bias: BIASED,
        expert_bias: Setting::Always,
        router_bias: Setting::Always,
        sinks: true,
        sliding: SlidingLayers::EveryOther(128),
        ..LLAMA_WIRING
    },
    experts: Some(ExpertDefaults {
        count: 128,
        per_token: Some(4),
        intermediate_size: None,
        shared: SharedExpert::Absent,
        dense_layers: 0,
    }),
    ..LLAMA_LIKE
};
