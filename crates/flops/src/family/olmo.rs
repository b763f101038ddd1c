use super::description::{
    ATTENTION_BIAS, Defaults, ExpertDefaults, Family, LLAMA_DEFAULTS, LLAMA_LIKE, LLAMA_WIRING, NORMS_BEHIND, NormKind,
    Setting, SharedExpert, SlidingLayers, Wiring,
};

const DEFAULTS: Defaults = Defaults {
    vocab_size: 50304,
    ..LLAMA_DEFAULTS
};

const WIRING: Wiring = Wiring {
    qkv_bias: ATTENTION_BIAS,
    attention_output_bias: ATTENTION_BIAS,
    ..LLAMA_WIRING
};

const NORMED: Wiring = Wiring {
    query_key_norm: Setting::Always,
    query_key_norm_of_all_heads: true,
    ..WIRING
};

pub static OLMO: Family = Family {
    name: "olmo",
    description: "as Llama, with norms that have no weights",
    model_types: &["olmo"],
    gguf_architectures: &["olmo"],
    defaults: DEFAULTS,
    wiring: Wiring {
        norm: NormKind::Unweighted,
        ..WIRING
    },
    ..LLAMA_LIKE
};

pub static OLMO2: Family = Family {
    name: "olmo2",
    description: "norms behind attention and feed-forward network, queries and keys normed over all heads",
    model_types: &["olmo2"],
    gguf_architectures: &["olmo2"],
    defaults: DEFAULTS,
    wiring: Wiring {
        norms: &NORMS_BEHIND,
        ..NORMED
    },
    ..LLAMA_LIKE
};

pub static OLMO3: Family = Family {
    name: "olmo3",
    description: "OLMo 2 with a sliding window in three of four layers",
    model_types: &["olmo3"],
    defaults: DEFAULTS,
    wiring: Wiring {
        norms: &NORMS_BEHIND,
        sliding: SlidingLayers::AllButEvery { nth: 4, window: 4096 },
        ..NORMED
    },
    ..LLAMA_LIKE
};

pub static OLMOE: Family = Family {
    name: "olmoe",
    description: "a mixture of experts in every layer, queries and keys normed over all heads",
    model_types: &["olmoe"],
    gguf_architectures: &["olmoe"],
    defaults: Defaults {
        hidden_size: 2048,
        intermediate_size: Some(2048),
        layers: 16,
        heads: 16,
        ..DEFAULTS
    },
    wiring: NORMED,
    experts: Some(ExpertDefaults {
        count: 64,
        per_token: Some(8),
        intermediate_size: None,
        shared: SharedExpert::Absent,
        dense_layers: 0,
    }),
    ..LLAMA_LIKE
};
