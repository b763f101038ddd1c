use super::description::{
    Defaults, ExpertDefaults, Family, LLAMA_LIKE, LLAMA_WIRING, Quirk, SharedExpert, SlidingLayers, Wiring,
};

/// Mistral 7B's dimensions, for families with the same defaults.
pub(super) const MISTRAL_DEFAULTS: Defaults = Defaults {
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
    model_types: &["mistral", "mistral3", "llava_mistral", "idefics2", "pixtral"],
    gguf_architectures: &["mistral3"],
    defaults: MISTRAL_DEFAULTS,
    wiring: Wiring {
        sliding: SlidingLayers::All(Some(4096)),
        ..LLAMA_WIRING
    },
    experts: None,
    latent: None,
    quirk: Quirk::None,
};

pub static MIXTRAL: Family = Family {
    name: "mixtral",
    description: "Mistral with a mixture of experts in every layer",
    model_types: &["mixtral"],
    gguf_architectures: &["llama"],
    defaults: MISTRAL_DEFAULTS,
    wiring: Wiring {
        sliding: SlidingLayers::All(None),
        ..LLAMA_WIRING
    },
    experts: Some(ExpertDefaults {
        count: 8,
        per_token: Some(2),
        intermediate_size: None,
        shared: SharedExpert::Absent,
        dense_layers: 0,
    }),
    latent: None,
    quirk: Quirk::None,
};

pub static MINISTRAL: Family = Family {
    name: "ministral",
    description: "Mistral with a sliding window in the layers that `layer_types` lists",
    model_types: &["ministral"],
    defaults: MISTRAL_DEFAULTS,
    wiring: MISTRAL.wiring,
    ..LLAMA_LIKE
};

pub static MINISTRAL3: Family = Family {
    name: "ministral3",
    description: "Ministral 3, Devstral 2: Mistral with heads of a length of their own",
    model_types: &["ministral3"],
    gguf_architectures: &[],
    defaults: Defaults {
        layers: 34,
        head_dim: Some(128),
        vocab_size: 131_072,
        ..MISTRAL_DEFAULTS
    },
    wiring: Wiring {
        sliding: SlidingLayers::All(None),
        ..LLAMA_WIRING
    },
    experts: None,
    latent: None,
    quirk: Quirk::None,
};
