use super::description::{Defaults, ExpertDefaults, Family, LLAMA_WIRING, SharedExpert, SlidingLayers, Wiring};

const DEFAULTS: Defaults = Defaults {
    hidden_size: 4096,
    intermediate_size: Some(14336),
    layers: 32,
    heads: 32,
    kv_heads: Some(8),
    head_dim: None,
    vocab_size: 32000,
    tied: false,
    learned_positions: None,
};

pub static MISTRAL: Family = Family {
    name: "mistral",
    description: "as Llama, with a sliding window in some models; llama.cpp names most of them llama",
    model_types: &["mistral"],
    gguf_architectures: &["mistral3"],
    defaults: DEFAULTS,
    wiring: Wiring {
        sliding: SlidingLayers::All(Some(4096)),
        ..LLAMA_WIRING
    },
    experts: None,
    latent: None,
};

pub static MIXTRAL: Family = Family {
    name: "mixtral",
    description: "Mistral with a mixture of experts in every layer",
    model_types: &["mixtral"],
    gguf_architectures: &["llama"],
    defaults: DEFAULTS,
    wiring: Wiring {
        sliding: SlidingLayers::All(None),
        ..LLAMA_WIRING
    },
    experts: Some(ExpertDefaults {
        count: 8,
        per_token: Some(2),
        intermediate_size: None,
        shared: SharedExpert::Absent,
    }),
    latent: None,
};
