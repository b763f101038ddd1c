//! Types that describe a family, and Llama's wiring, from which other families differ. Leaves the values to one file
//! for each maker of models.

use crate::shape::Activation;

/// A family of models that differ only in their dimensions.
#[derive(Debug)]
pub struct Family {
    /// transformers' `model_type`.
    pub name: &'static str,
    /// Differences of the family's matrix products from Llama's.
    pub description: &'static str,
    /// Values of `model_type` in a `config.json` that mean this family.
    pub model_types: &'static [&'static str],
    /// Values of `general.architecture` in a GGUF file that mean this family.
    pub gguf_architectures: &'static [&'static str],
    pub(crate) defaults: Defaults,
    pub(crate) wiring: Wiring,
    pub(crate) experts: Option<ExpertDefaults>,
    pub(crate) latent: Option<LatentDefaults>,
    pub(crate) quirk: Quirk,
}

/// Property of a family that defaults cannot express and that code in `config_json` reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quirk {
    None,
    Falcon,
    Gemma3n,
    GraniteHybrid,
    Jamba,
    Llama4,
    Mamba,
    Mamba2,
    MiniMax,
    /// Qwen3-Next and Qwen3.5: the gated delta rule in most layers.
    QwenDelta,
    StableLm,
    T5,
}

/// Values for missing keys of `config.json`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Defaults {
    pub hidden_size: u64,
    /// Width of the feed-forward layer; `None` means four times the hidden size.
    pub intermediate_size: Option<u64>,
    pub layers: u64,
    pub heads: u64,
    /// Number of key–value heads; `None` means as many as heads.
    pub kv_heads: Option<u64>,
    /// Length of a head; `None` means the hidden size divided by the number of heads.
    pub head_dim: Option<u64>,
    pub vocab_size: u64,
    pub tied: bool,
    /// Rows of the learned position embedding; `None` where positions are rotary.
    pub learned_positions: Option<u64>,
}

/// Structure of the layers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wiring {
    pub gated_mlp: bool,
    pub qkv_bias: Setting,
    pub attention_output_bias: Setting,
    pub mlp_bias: Setting,
    pub lm_head_bias: Setting,
    /// Norms over the hidden state in each layer, in order.
    pub norms: &'static [&'static str],
    pub norm: NormKind,
    pub query_key_norm: Setting,
    /// Whether the norms of queries and keys have a weight for each element of all heads.
    pub query_key_norm_of_all_heads: bool,
    pub expert_bias: Setting,
    pub router_bias: Setting,
    pub query_gate: bool,
    pub sinks: bool,
    pub embedding_norm: bool,
    pub sliding: SlidingLayers,
    pub activation: Activation,
    /// Rotated share of each head where `partial_rotary_factor` is missing.
    pub rotary_share: f64,
    pub scales_embedding: bool,
    pub soft_caps: bool,
}

/// Layers with a sliding window, where `layer_types` does not list them. The number is the window for a missing key.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SlidingLayers {
    None,
    /// All layers, where the window is not null.
    All(Option<u64>),
    /// Layers from `max_window_layers` on, where `use_sliding_window` is set (Qwen).
    FromMaxWindowLayers(u64),
    /// All layers, where `use_sliding_window` is set (Qwen3-MoE).
    BySwitch(u64),
    /// Every second layer before `max_window_layers`, starting with the first, where `use_sliding_window` is set
    /// (Qwen2-MoE).
    EveryOtherBeforeMaxWindowLayers(u64),
    /// Every second layer, starting with the first.
    EveryOther(u64),
    /// All layers except every `sliding_window_pattern`-th.
    AllButEvery {
        nth: u64,
        window: u64,
    },
    /// Layers without rotary embedding, where `use_sliding_window` is set (SmolLM3).
    WithoutRotary,
}

/// A property of the family, or of one model by a key of its `config.json`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Setting {
    Never,
    Always,
    Key { key: &'static str, default: bool },
}

/// Kind of a norm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NormKind {
    /// One weight vector.
    Rms,
    /// A weight and a bias vector.
    Layer,
    LayerWithoutBias,
    Unweighted,
}

/// Values for missing keys on experts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ExpertDefaults {
    pub count: u64,
    /// Number of experts for each token; `None` where the key is required.
    pub per_token: Option<u64>,
    /// Width of an expert; `None` means `intermediate_size`.
    pub intermediate_size: Option<u64>,
    pub shared: SharedExpert,
    /// Number of first layers without experts, where no key states otherwise.
    pub dense_layers: u64,
}

/// Shared expert of a layer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SharedExpert {
    Absent,
    /// Width of its own (`shared_expert_intermediate_size`), weighted by a gate.
    Gated {
        intermediate_size: u64,
    },
    /// Width of `n_shared_experts` experts, without a gate.
    Multiple {
        count: u64,
    },
    /// Width of its own (`shared_intermediate_size`), without a gate.
    Plain {
        intermediate_size: u64,
    },
}

/// Values for missing keys on latent attention.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LatentDefaults {
    pub query_rank: Option<u64>,
    pub key_value_rank: u64,
    pub nope_dim: u64,
    pub rope_dim: u64,
    pub value_dim: u64,
}

pub(super) const ATTENTION_BIAS: Setting = Setting::Key {
    key: "attention_bias",
    default: false,
};
pub(super) const MLP_BIAS: Setting = Setting::Key {
    key: "mlp_bias",
    default: false,
};

/// Llama's layer: gated feed-forward network, two RMSNorms, no biases.
pub(super) const LLAMA_WIRING: Wiring = Wiring {
    gated_mlp: true,
    qkv_bias: Setting::Never,
    attention_output_bias: Setting::Never,
    mlp_bias: Setting::Never,
    lm_head_bias: Setting::Never,
    norms: &TWO_NORMS,
    norm: NormKind::Rms,
    query_key_norm: Setting::Never,
    query_key_norm_of_all_heads: false,
    expert_bias: Setting::Never,
    router_bias: Setting::Never,
    query_gate: false,
    sinks: false,
    embedding_norm: false,
    sliding: SlidingLayers::None,
    activation: Activation::Silu,
    rotary_share: 1.0,
    scales_embedding: false,
    soft_caps: false,
};

/// Llama's dimensions, for families with the same defaults.
pub(super) const LLAMA_DEFAULTS: Defaults = Defaults {
    hidden_size: 4096,
    intermediate_size: Some(11008),
    layers: 32,
    heads: 32,
    kv_heads: None,
    head_dim: None,
    vocab_size: 32000,
    tied: false,
    learned_positions: None,
};

/// Llama without its names, as a base for other families.
pub(super) const LLAMA_LIKE: Family = Family {
    name: "",
    description: "as Llama",
    model_types: &[],
    gguf_architectures: &[],
    defaults: LLAMA_DEFAULTS,
    wiring: LLAMA_WIRING,
    experts: None,
    latent: None,
    quirk: Quirk::None,
};

/// Norms before attention and before the feed-forward network.
pub(crate) const TWO_NORMS: [&str; 2] = ["input_norm", "ffn_norm"];
/// One norm before attention and a parallel feed-forward network.
pub(crate) const ONE_NORM: [&str; 1] = ["input_norm"];
/// Norms after attention and after the feed-forward network.
pub(super) const NORMS_BEHIND: [&str; 2] = ["post_attention_norm", "post_ffn_norm"];
/// Norms before and after both (Gemma 2 and 3).
pub(super) const FOUR_NORMS: [&str; 4] = ["input_norm", "post_attention_norm", "ffn_norm", "post_ffn_norm"];
