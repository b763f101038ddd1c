//! Families of transformers, described by data in one file each under `family/`. Defaults are those of transformers
//! 5.24 (`configuration_*.py`), because a `config.json` omits values that equal them.

mod cohere;
mod deepseek;
mod description;
mod early;
mod gemma;
mod glm;
mod gpt;
mod gpt_oss;
mod granite;
mod intern;
mod llama;
mod mistral;
mod olmo;
mod phi;
mod qwen;
mod qwen_later;
mod state_space;

pub use self::description::Family;
pub(super) use self::description::{
    Defaults, ExpertDefaults, LatentDefaults, NormKind, ONE_NORM, Quirk, Setting, SharedExpert, SlidingLayers,
    TWO_NORMS,
};

/// All families, in the order in which they are tried.
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
    &deepseek::DEEPSEEK,
    &deepseek::DEEPSEEK_V2,
    &deepseek::DEEPSEEK_V3,
    &phi::PHIMOE,
    &glm::GLM,
    &glm::GLM4,
    &glm::GLM4_MOE,
    &glm::GLM4_MOE_LITE,
    &granite::GRANITE,
    &granite::GRANITE_MOE,
    &granite::GRANITE_MOE_SHARED,
    &granite::GRANITE_HYBRID,
    &gpt_oss::GPT_OSS,
    &intern::INTERNLM,
    &intern::INTERNLM2,
    &qwen_later::QWEN2_VL,
    &qwen_later::QWEN3_VL,
    &qwen_later::QWEN3_VL_MOE,
    &qwen_later::QWEN3_NEXT,
    &qwen_later::QWEN3_5,
    &qwen_later::QWEN3_5_MOE,
    &llama::LLAMA4,
    &mistral::MINISTRAL,
    &mistral::MINISTRAL3,
    &gemma::GEMMA3N,
    &olmo::OLMO,
    &olmo::OLMO2,
    &olmo::OLMO3,
    &olmo::OLMOE,
    &cohere::COHERE,
    &cohere::COHERE2,
    &early::FALCON,
    &early::GPT_NEOX,
    &early::GPTJ,
    &early::BLOOM,
    &early::MPT,
    &early::STABLELM,
    &early::T5,
    &early::MT5,
    &state_space::JAMBA,
    &state_space::MAMBA,
    &state_space::MAMBA2,
    &state_space::MINIMAX,
];

/// Returns the family with this `model_type`.
pub(super) fn by_model_type(model_type: &str) -> Option<&'static Family> {
    FAMILIES
        .iter()
        .copied()
        .find(|family| family.model_types.contains(&model_type))
}

/// Returns the family with this architecture. llama.cpp uses one name for dense Llama and Mixtral, which are
/// distinguished by their experts.
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
