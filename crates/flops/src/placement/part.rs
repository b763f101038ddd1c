use crate::tensor::TensorInfo;

/// What of an operator a tensor holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Weight,
    Bias,
    /// The weight with several elements in each stored number (GPTQ, AWQ, compressed-tensors).
    Packed,
    /// Scales, zero points and the like of a quantized weight.
    Companion,
}

const SUFFIXES: [(&str, Part); 23] = [
    (".weight.absmax", Part::Companion),
    (".weight.quant_map", Part::Companion),
    (".weight.nested_absmax", Part::Companion),
    (".weight.nested_quant_map", Part::Companion),
    (".weight_scale_inv", Part::Companion),
    (".weight_scale", Part::Companion),
    (".weight_zero_point", Part::Companion),
    (".weight_g_idx", Part::Companion),
    (".weight_shape", Part::Companion),
    (".weight_format", Part::Companion),
    (".weight_packed", Part::Packed),
    // Stacked experts of gpt-oss.
    ("_proj_blocks", Part::Packed),
    ("_proj_scales", Part::Companion),
    ("_proj_bias", Part::Bias),
    (".input_scale", Part::Companion),
    (".weight", Part::Weight),
    (".bias", Part::Bias),
    (".qweight", Part::Packed),
    (".qzeros", Part::Companion),
    (".scales", Part::Companion),
    (".g_idx", Part::Companion),
    (".SCB", Part::Companion),
    (".scale", Part::Companion),
];

/// The operator's name and what the tensor is of it. Stacked experts have no suffix.
pub(super) fn split(rest: &str) -> (&str, Part) {
    if let Some((stem, _)) = rest.split_once(".weight.quant_state.") {
        return (stem, Part::Companion);
    }
    let found = SUFFIXES.iter().find_map(|(suffix, part)| {
        let kept = if suffix.starts_with("_proj") { "_proj".len() } else { 0 };
        Some((&rest[..rest.strip_suffix(suffix)?.len() + kept], *part))
    });
    found.unwrap_or((rest, Part::Weight))
}

impl Part {
    /// Whether the tensor holds `elements` weights of a whole number of bits, packed.
    pub(super) fn packs(self, tensor: &TensorInfo, elements: u128) -> bool {
        let is_packed = match self {
            Self::Packed => true,
            Self::Weight => matches!(tensor.dtype.as_str(), "U8" | "I32" | "U32"),
            Self::Bias | Self::Companion => false,
        };
        let bits = u128::from(tensor.bytes) * 8;
        is_packed && elements > 0 && bits.is_multiple_of(elements) && matches!(bits / elements, 1..=6 | 8)
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
