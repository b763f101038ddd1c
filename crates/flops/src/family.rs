//! The families of transformers: each is data, in a file of its own under `family/`. Defaults are those of
//! transformers 5.24 (`configuration_*.py`), because a `config.json` leaves out what equals them.

mod deepseek;
mod description;
mod gemma;
mod gpt;
mod llama;
mod mistral;
mod phi;
mod qwen;

pub use self::description::Family;
pub(super) use self::description::{
    Defaults, ExpertDefaults, LatentDefaults, NormKind, Setting, SharedExpert, SlidingLayers,
};

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
