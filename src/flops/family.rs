//! The families of transformers: each is data, in a file of its own under `family/`. Defaults are those of
//! transformers 5.24 (`configuration_*.py`), because a `config.json` leaves out what equals them.

mod deepseek;
mod gemma;
mod gpt;
mod llama;
mod mistral;
mod phi;
mod qwen;

/// A family of models that differ in their dimensions only.
#[derive(Debug)]
pub struct Family {
    /// transformers' `model_type`.
    pub name: &'static str,
    /// What tells the family's matrix products from Llama's.
    pub description: &'static str,
    /// All values of `model_type` in a `config.json` that mean this family.
    pub model_types: &'static [&'static str],
    /// All values of `general.architecture` in a GGUF file that mean this family.
    pub gguf_architectures: &'static [&'static str],
    pub(super) defaults: Defaults,
    pub(super) wiring: Wiring,
    pub(super) experts: Option<ExpertDefaults>,
    pub(super) latent: Option<LatentDefaults>,
}

/// Every family, in the order in which they are tried.
pub static FAMILIES: &[&Family] = &[
    &llama::LLAMA,
    &llama::SMOLLM3,
    &mistral::MISTRAL,
    &mistral::MIXTRAL,
    &qwen::QWEN2,
    &qwen::QWEN2_MOE,
    &qwen::QWEN3,
    &qwen::QWEN3_MOE,
    &phi::PHI,
    &phi::PHI3,
    &gemma::GEMMA,
    &gemma::GEMMA2,
    &gemma::GEMMA3,
    &gpt::GPT2,
    &gpt::STARCODER2,
    &deepseek::DEEPSEEK_V2,
];

/// What an absent key of `config.json` means.
#[derive(Clone, Copy, Debug)]
pub(super) struct Defaults {
    pub hidden_size: u64,
    /// `None`: four times the hidden size.
    pub intermediate_size: Option<u64>,
    pub layers: u64,
    pub heads: u64,
    /// `None`: as many as heads.
    pub kv_heads: Option<u64>,
    /// `None`: the hidden size divided by the heads.
    pub head_dim: Option<u64>,
    pub vocab_size: u64,
    pub tied: bool,
    /// Rows of the learned position embedding; `None` where positions are rotary.
    pub learned_positions: Option<u64>,
}

/// How the layers are built.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wiring {
    pub gated_mlp: bool,
    pub qkv_bias: Setting,
    pub attention_output_bias: Setting,
    pub mlp_bias: Setting,
    pub lm_head_bias: Setting,
    pub norms_per_layer: u64,
    pub norm: NormKind,
    pub query_key_norm: Setting,
    /// Whether some layers look back no further than `sliding_window`.
    pub slides: Setting,
}

/// A trait of the family, or of one model by a key of its `config.json`.
#[derive(Clone, Copy, Debug)]
pub(super) enum Setting {
    Never,
    Always,
    Key { key: &'static str, default: bool },
}

#[derive(Clone, Copy, Debug)]
pub(super) enum NormKind {
    /// One weight vector.
    Rms,
    /// A weight and a bias vector.
    Layer,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct ExpertDefaults {
    pub count: u64,
    /// `None`: the key must be there.
    pub per_token: Option<u64>,
    /// `None`: an expert is as wide as `intermediate_size` says.
    pub intermediate_size: Option<u64>,
    pub shared: SharedExpert,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum SharedExpert {
    Absent,
    /// Of its own width (`shared_expert_intermediate_size`), weighed by a gate.
    Gated {
        intermediate_size: u64,
    },
    /// `n_shared_experts` times as wide as one expert, without a gate.
    Multiple {
        count: u64,
    },
}

#[derive(Clone, Copy, Debug)]
pub(super) struct LatentDefaults {
    pub query_rank: Option<u64>,
    pub key_value_rank: u64,
    pub nope_dim: u64,
    pub rope_dim: u64,
    pub value_dim: u64,
}

const USE_SLIDING_WINDOW: Setting = Setting::Key {
    key: "use_sliding_window",
    default: false,
};
const ATTENTION_BIAS: Setting = Setting::Key {
    key: "attention_bias",
    default: false,
};

/// Llama's layer: gated feed-forward, two RMSNorms, no biases.
const LLAMA_WIRING: Wiring = Wiring {
    gated_mlp: true,
    qkv_bias: Setting::Never,
    attention_output_bias: Setting::Never,
    mlp_bias: Setting::Never,
    lm_head_bias: Setting::Never,
    norms_per_layer: 2,
    norm: NormKind::Rms,
    query_key_norm: Setting::Never,
    slides: Setting::Never,
};

pub(super) fn by_model_type(model_type: &str) -> Option<&'static Family> {
    FAMILIES
        .iter()
        .copied()
        .find(|family| family.model_types.contains(&model_type))
}

/// llama.cpp writes dense Llama and Mixtral under one name: whether there are experts tells them apart.
pub(super) fn by_gguf_architecture(architecture: &str, has_experts: bool) -> Option<&'static Family> {
    let fits =
        |family: &&Family| family.gguf_architectures.contains(&architecture) && family.experts.is_some() == has_experts;
    FAMILIES.iter().copied().find(fits)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::FAMILIES;

    #[test]
    fn no_model_type_means_two_families() {
        let mut seen = BTreeSet::new();
        for family in FAMILIES {
            assert!(family.model_types.contains(&family.name), "{}", family.name);
            for model_type in family.model_types {
                assert!(seen.insert(model_type), "{model_type}");
            }
        }
    }
}
