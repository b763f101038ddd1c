use super::description::{Defaults, Family, LLAMA_LIKE, LLAMA_WIRING, Setting, Wiring};

const BIAS: Setting = Setting::Key {
    key: "bias",
    default: true,
};

pub static INTERNLM: Family = Family {
    name: "internlm",
    description: "as Llama, with biases on all products of the attention",
    model_types: &["internlm"],
    defaults: Defaults {
        vocab_size: 103_168,
        ..LLAMA_LIKE.defaults
    },
    wiring: Wiring {
        qkv_bias: BIAS,
        attention_output_bias: BIAS,
        ..LLAMA_WIRING
    },
    ..LLAMA_LIKE
};

pub static INTERNLM2: Family = Family {
    name: "internlm2",
    description: "InternLM2 and 2.5: InternLM with query, key and value in one matrix, most without biases",
    model_types: &["internlm2"],
    gguf_architectures: &["internlm2"],
    ..INTERNLM
};
