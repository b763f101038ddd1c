use crate::companion::{is_bits_of, is_companion_word};
use crate::tensor::TensorInfo;

/// Part of an operator that a tensor contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Weight,
    Bias,
    /// The weight with several elements in each stored number (GPTQ, AWQ, HQQ, compressed-tensors, MXFP4).
    Packed,
    /// Scales, zero points and similar tensors of a quantized weight.
    Companion,
}

/// Splits a name into the operator's name and the part that the tensor is. Stacked experts have no suffix.
pub(super) fn split(rest: &str) -> (&str, Part) {
    if let Some((stem, _)) = rest.split_once(".weight.quant_state.") {
        return (stem, Part::Companion);
    }
    let (stem, word) = rest.rsplit_once('.').unwrap_or(("", rest));
    // In names of stacked experts the part follows the operator: `gate_up_proj_blocks`.
    if let Some(position) = word.find("proj_") {
        let of_experts = &rest[..rest.len() - word.len() + position + "proj".len()];
        match &word[position + "proj_".len()..] {
            "blocks" | "weight_packed" => return (of_experts, Part::Packed),
            "bias" => return (of_experts, Part::Bias),
            tail if is_companion_word(tail) => return (of_experts, Part::Companion),
            _ => {}
        }
    }
    match word {
        "weight" => (stem, Part::Weight),
        "bias" => (stem, Part::Bias),
        "qweight" | "weight_packed" | "W_q" => (stem, Part::Packed),
        _ if is_companion_word(word) => {
            let of_weight = [".weight", ".meta"].iter().find_map(|word| stem.strip_suffix(word));
            (of_weight.unwrap_or(stem), Part::Companion)
        }
        _ => (rest, Part::Weight),
    }
}

impl Part {
    /// Returns whether the tensor contains `elements` packed weights of a whole number of bits each.
    pub(super) fn packs(self, tensor: &TensorInfo, elements: u128) -> bool {
        let is_packed = match self {
            Self::Packed => true,
            Self::Weight => matches!(tensor.dtype.as_str(), "U8" | "I8" | "I32" | "U32"),
            Self::Bias | Self::Companion => false,
        };
        is_packed && is_bits_of(tensor, elements)
    }
}

#[cfg(test)]
mod tests {
    use super::{Part, split};
    use crate::tensor::TensorInfo;

    #[test]
    fn suffixes_tell_the_part() {
        for (name, stem, part) in [
            ("self_attn.q_proj.weight", "self_attn.q_proj", Part::Weight),
            ("self_attn.q_proj.weight_scale_inv", "self_attn.q_proj", Part::Companion),
            ("self_attn.q_proj.qweight", "self_attn.q_proj", Part::Packed),
            (
                "mlp.up_proj.weight.quant_state.bitsandbytes__nf4",
                "mlp.up_proj",
                Part::Companion,
            ),
            ("mlp.experts.gate_up_proj", "mlp.experts.gate_up_proj", Part::Weight),
            (
                "mlp.experts.gate_up_proj_blocks",
                "mlp.experts.gate_up_proj",
                Part::Packed,
            ),
            ("mlp.experts.down_proj_scales", "mlp.experts.down_proj", Part::Companion),
            ("mlp.experts.down_proj_bias", "mlp.experts.down_proj", Part::Bias),
            (
                "self_attn.kv_a_proj_with_mqa.weight",
                "self_attn.kv_a_proj_with_mqa",
                Part::Weight,
            ),
            ("self_attn.q_proj.weight.absmax", "self_attn.q_proj", Part::Companion),
            ("self_attn.q_proj.weight_scale_2", "self_attn.q_proj", Part::Companion),
            ("self_attn.q_proj.biases", "self_attn.q_proj", Part::Companion),
            ("mlp.gate.e_score_correction_bias", "mlp.gate", Part::Companion),
            ("self_attn.q_proj.W_q", "self_attn.q_proj", Part::Packed),
            ("self_attn.q_proj.meta.scale", "self_attn.q_proj", Part::Companion),
            ("self_attn.q_proj.nbits", "self_attn.q_proj", Part::Companion),
        ] {
            assert_eq!(split(name), (stem, part), "{name}");
        }
    }

    #[test]
    fn packed_weights_have_a_whole_number_of_bits() {
        let tensor = |dtype: &str, bytes| TensorInfo {
            name: "a".into(),
            shape: vec![1],
            dtype: dtype.into(),
            bytes,
        };
        assert!(Part::Packed.packs(&tensor("I32", 50), 100));
        assert!(!Part::Packed.packs(&tensor("I32", 51), 100));
        assert!(Part::Weight.packs(&tensor("U8", 50), 100));
        assert!(!Part::Weight.packs(&tensor("BF16", 50), 100));
    }
}
