use super::description::{
    Defaults, ExpertDefaults, Family, LLAMA_LIKE, LLAMA_WIRING, ONE_NORM, Quirk, SharedExpert, Wiring,
};
use super::mistral::MISTRAL_DEFAULTS;

pub static JAMBA: Family = Family {
    name: "jamba",
    description: "Mamba in place of attention in most layers, a mixture of experts in every other",
    model_types: &["jamba"],
    defaults: Defaults {
        hidden_size: 4096,
        intermediate_size: Some(14336),
        layers: 32,
        heads: 32,
        kv_heads: Some(8),
        head_dim: None,
        vocab_size: 65536,
        tied: false,
        learned_positions: None,
    },
    wiring: Wiring {
        rotary_share: 0.0,
        ..LLAMA_WIRING
    },
    experts: Some(ExpertDefaults {
        count: 16,
        per_token: Some(2),
        intermediate_size: None,
        shared: SharedExpert::Absent,
        dense_layers: 0,
    }),
    quirk: Quirk::Jamba,
    ..LLAMA_LIKE
};

const MAMBA_DEFAULTS: Defaults = Defaults {
    hidden_size: 768,
    intermediate_size: Some(0),
    layers: 32,
    heads: 1,
    kv_heads: None,
    head_dim: None,
    vocab_size: 50280,
    tied: true,
    learned_positions: None,
};

const MAMBA_WIRING: Wiring = Wiring {
    norms: &ONE_NORM,
    rotary_share: 0.0,
    ..LLAMA_WIRING
};

pub static MAMBA: Family = Family {
    name: "mamba",
    description: "a selective scan in every layer, neither attention nor a feed-forward network",
    model_types: &["mamba", "falcon_mamba"],
    defaults: MAMBA_DEFAULTS,
    wiring: MAMBA_WIRING,
    quirk: Quirk::Mamba,
    ..LLAMA_LIKE
};

pub static MAMBA2: Family = Family {
    name: "mamba2",
    description: "Mamba with a state for each head, computed in chunks",
    model_types: &["mamba2"],
    defaults: Defaults {
        hidden_size: 4096,
        layers: 64,
        vocab_size: 32768,
        tied: false,
        ..MAMBA_DEFAULTS
    },
    wiring: MAMBA_WIRING,
    quirk: Quirk::Mamba2,
    ..LLAMA_LIKE
};

pub static MINIMAX: Family = Family {
    name: "minimax",
    description: "lightning attention in most layers, a mixture of experts in every one",
    model_types: &["minimax", "minimax_text_01", "minimax_m1"],
    defaults: MISTRAL_DEFAULTS,
    wiring: LLAMA_WIRING,
    experts: Some(ExpertDefaults {
        count: 8,
        per_token: Some(2),
        intermediate_size: None,
        shared: SharedExpert::Absent,
        dense_layers: 0,
    }),
    quirk: Quirk::MiniMax,
    ..LLAMA_LIKE
};
