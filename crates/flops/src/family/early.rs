use super::description::{Defaults, Family, LLAMA_LIKE, LLAMA_WIRING, NormKind, ONE_NORM, Quirk, Setting, Wiring};
use crate::shape::Activation;

/// GPT-2's layer with rotary positions or none, and a separate lm_head.
const WIRING: Wiring = Wiring {
    gated_mlp: false,
    norm: NormKind::Layer,
    activation: Activation::GeluTanh,
    ..LLAMA_WIRING
};

const ALL_BIASED: Wiring = Wiring {
    qkv_bias: Setting::Always,
    attention_output_bias: Setting::Always,
    mlp_bias: Setting::Always,
    rotary_share: 0.0,
    ..WIRING
};

const BIAS: Setting = Setting::Key {
    key: "bias",
    default: false,
};

pub static FALCON: Family = Family {
    name: "falcon",
    description: "one key and value for all heads, or few; attention and plain feed-forward side by side",
    model_types: &["falcon", "RefinedWeb", "RefinedWebModel"],
    gguf_architectures: &["falcon"],
    defaults: Defaults {
        hidden_size: 4544,
        intermediate_size: None,
        layers: 32,
        heads: 71,
        kv_heads: None,
        head_dim: None,
        vocab_size: 65024,
        tied: true,
        learned_positions: None,
    },
    wiring: Wiring {
        qkv_bias: BIAS,
        attention_output_bias: BIAS,
        mlp_bias: BIAS,
        ..WIRING
    },
    quirk: Quirk::Falcon,
    ..LLAMA_LIKE
};

const NEOX_BIAS: Setting = Setting::Key {
    key: "attention_bias",
    default: true,
};

pub static GPT_NEOX: Family = Family {
    name: "gpt_neox",
    description: "GPT-NeoX, Pythia: GPT-2's layer with rotary positions on a quarter of each head",
    model_types: &["gpt_neox"],
    gguf_architectures: &["gptneox"],
    defaults: Defaults {
        hidden_size: 6144,
        intermediate_size: Some(24576),
        layers: 44,
        heads: 64,
        kv_heads: None,
        head_dim: None,
        vocab_size: 50432,
        tied: false,
        learned_positions: None,
    },
    wiring: Wiring {
        qkv_bias: NEOX_BIAS,
        attention_output_bias: NEOX_BIAS,
        rotary_share: 0.25,
        ..ALL_BIASED
    },
    ..LLAMA_LIKE
};

pub static GPTJ: Family = Family {
    name: "gptj",
    description: "attention and plain feed-forward side by side behind one norm; only these and lm_head are biased",
    model_types: &["gptj"],
    gguf_architectures: &["gptj"],
    defaults: Defaults {
        hidden_size: 4096,
        intermediate_size: None,
        layers: 28,
        heads: 16,
        kv_heads: None,
        head_dim: None,
        vocab_size: 50400,
        tied: false,
        learned_positions: None,
    },
    wiring: Wiring {
        qkv_bias: Setting::Never,
        attention_output_bias: Setting::Never,
        lm_head_bias: Setting::Always,
        norms: &ONE_NORM,
        rotary_share: 0.25,
        ..ALL_BIASED
    },
    ..LLAMA_LIKE
};

pub static BLOOM: Family = Family {
    name: "bloom",
    description: "GPT-2's layer with ALiBi in place of positions, and the embedding normed",
    model_types: &["bloom"],
    gguf_architectures: &["bloom"],
    defaults: Defaults {
        hidden_size: 64,
        intermediate_size: None,
        layers: 2,
        heads: 8,
        kv_heads: None,
        head_dim: None,
        vocab_size: 250_880,
        tied: true,
        learned_positions: None,
    },
    wiring: Wiring {
        embedding_norm: true,
        ..ALL_BIASED
    },
    ..LLAMA_LIKE
};

pub static MPT: Family = Family {
    name: "mpt",
    description: "GPT-2's layer without biases, with ALiBi in place of positions",
    model_types: &["mpt", "llava_mpt"],
    gguf_architectures: &["mpt"],
    defaults: Defaults {
        hidden_size: 2048,
        intermediate_size: None,
        layers: 24,
        heads: 16,
        kv_heads: None,
        head_dim: None,
        vocab_size: 50368,
        tied: true,
        learned_positions: None,
    },
    wiring: Wiring {
        norm: NormKind::LayerWithoutBias,
        rotary_share: 0.0,
        ..WIRING
    },
    ..LLAMA_LIKE
};

pub static STABLELM: Family = Family {
    name: "stablelm",
    description: "as Llama, with LayerNorm and rotary positions on a quarter of each head",
    model_types: &["stablelm", "stablelm_epoch"],
    gguf_architectures: &["stablelm"],
    defaults: Defaults {
        hidden_size: 2560,
        intermediate_size: Some(6912),
        layers: 32,
        heads: 32,
        kv_heads: Some(32),
        head_dim: None,
        vocab_size: 50304,
        tied: false,
        learned_positions: None,
    },
    wiring: Wiring {
        qkv_bias: Setting::Key {
            key: "use_qkv_bias",
            default: false,
        },
        query_key_norm: Setting::Key {
            key: "qk_layernorm",
            default: false,
        },
        query_key_norm_of_all_heads: true,
        norm: NormKind::Layer,
        rotary_share: 0.25,
        ..LLAMA_WIRING
    },
    quirk: Quirk::StableLm,
    ..LLAMA_LIKE
};

const T5_DEFAULTS: Defaults = Defaults {
    hidden_size: 512,
    intermediate_size: Some(2048),
    layers: 6,
    heads: 8,
    kv_heads: None,
    head_dim: Some(64),
    vocab_size: 32128,
    tied: true,
    learned_positions: None,
};

const T5_WIRING: Wiring = Wiring {
    gated_mlp: false,
    norms: &["input_norm", "cross_norm", "ffn_norm"],
    activation: Activation::Relu,
    rotary_share: 0.0,
    ..LLAMA_WIRING
};

pub static T5: Family = Family {
    name: "t5",
    description: "an encoder for the prompt, a decoder that looks at what it gives; positions are learned biases",
    model_types: &["t5"],
    defaults: T5_DEFAULTS,
    wiring: T5_WIRING,
    quirk: Quirk::T5,
    ..LLAMA_LIKE
};

pub static MT5: Family = Family {
    name: "mt5",
    description: "T5 with a gated feed-forward network, and a lm_head of its own",
    model_types: &["mt5"],
    defaults: Defaults {
        tied: false,
        intermediate_size: Some(1024),
        layers: 8,
        heads: 6,
        vocab_size: 250_112,
        ..T5_DEFAULTS
    },
    wiring: Wiring {
        gated_mlp: true,
        ..T5_WIRING
    },
    quirk: Quirk::T5,
    ..LLAMA_LIKE
};
