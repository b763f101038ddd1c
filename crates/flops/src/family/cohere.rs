use super::description::{
    ATTENTION_BIAS, Defaults, Family, LLAMA_LIKE, LLAMA_WIRING, NormKind, ONE_NORM, Setting, SlidingLayers, Wiring,
};

const DEFAULTS: Defaults = Defaults {
    hidden_size: 8192,
    intermediate_size: Some(22528),
    layers: 40,
    heads: 64,
    kv_heads: None,
    head_dim: None,
    vocab_size: 256_000,
    tied: true,
    learned_positions: None,
};

const WIRING: Wiring = Wiring {
    qkv_bias: ATTENTION_BIAS,
    attention_output_bias: ATTENTION_BIAS,
    norms: &ONE_NORM,
    norm: NormKind::LayerWithoutBias,
    ..LLAMA_WIRING
};

pub static COHERE: Family = Family {
    name: "cohere",
    description: "Command R: attention and gated feed-forward side by side behind one norm, lm_head tied",
    model_types: &["cohere"],
    gguf_architectures: &["command-r"],
    defaults: DEFAULTS,
    wiring: Wiring {
        query_key_norm: Setting::Key {
            key: "use_qk_norm",
            default: false,
        },
        query_key_norm_of_all_heads: true,
        ..WIRING
    },
    ..LLAMA_LIKE
};

pub static COHERE2: Family = Family {
    name: "cohere2",
    description: "Command R7B and A: Command R with a sliding window in three of four layers",
    model_types: &["cohere2", "aya_vision", "cohere2_vision"],
    gguf_architectures: &["cohere2"],
    defaults: DEFAULTS,
    wiring: Wiring {
        sliding: SlidingLayers::AllButEvery { nth: 4, window: 4096 },
        ..WIRING
    },
    ..LLAMA_LIKE
};
