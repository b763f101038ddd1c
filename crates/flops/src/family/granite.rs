use super::description::{
    ATTENTION_BIAS, Defaults, ExpertDefaults, Family, LLAMA_DEFAULTS, LLAMA_LIKE, LLAMA_WIRING, MLP_BIAS, Quirk,
    SharedExpert, Wiring,
};

const WIRING: Wiring = Wiring {
    qkv_bias: ATTENTION_BIAS,
    attention_output_bias: ATTENTION_BIAS,
    ..LLAMA_WIRING
};

const EXPERTS: ExpertDefaults = ExpertDefaults {
    count: 8,
    per_token: Some(2),
    intermediate_size: None,
    shared: SharedExpert::Absent,
    dense_layers: 0,
};

pub static GRANITE: Family = Family {
    name: "granite",
    description: "as Llama; embedding, residuals and logits are scaled, which costs no product",
    model_types: &["granite"],
    gguf_architectures: &["granite"],
    wiring: Wiring {
        mlp_bias: MLP_BIAS,
        ..WIRING
    },
    ..LLAMA_LIKE
};

pub static GRANITE_MOE: Family = Family {
    name: "granitemoe",
    description: "Granite with a mixture of experts in every layer",
    model_types: &["granitemoe"],
    gguf_architectures: &["granitemoe"],
    wiring: WIRING,
    experts: Some(EXPERTS),
    ..LLAMA_LIKE
};

pub static GRANITE_MOE_SHARED: Family = Family {
    name: "granitemoeshared",
    description: "Granite with a mixture of experts and a shared one in every layer",
    model_types: &["granitemoeshared"],
    wiring: WIRING,
    experts: Some(ExpertDefaults {
        shared: SharedExpert::Plain { intermediate_size: 0 },
        ..EXPERTS
    }),
    ..LLAMA_LIKE
};

pub static GRANITE_HYBRID: Family = Family {
    name: "granitemoehybrid",
    description: "Granite 4: Mamba-2 in place of attention in most layers, experts beside a shared one, or that alone",
    model_types: &["granitemoehybrid"],
    defaults: Defaults {
        vocab_size: 32000,
        ..LLAMA_DEFAULTS
    },
    wiring: WIRING,
    experts: Some(ExpertDefaults {
        shared: SharedExpert::Plain {
            intermediate_size: 1024,
        },
        ..EXPERTS
    }),
    quirk: Quirk::GraniteHybrid,
    ..LLAMA_LIKE
};
