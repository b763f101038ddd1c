//! Tensors that are not weights: scales and zero points of quantized weights, scales of activations and of the cache,
//! rotary frequencies, masks. Owns the names by which they are recognised; leaves assigning them to operators to
//! `placement`.

use std::collections::HashMap;

use super::tensor::TensorInfo;

/// Last words of the names of tensors that belong to a quantized weight. GPTQ and AWQ: `scales`, `qzeros`, `g_idx`;
/// bitsandbytes: `absmax`, `quant_map`, `SCB`; MLX: `biases`; HQQ: `zero`, `zeros`; compressed-tensors: `weight_shape`,
/// `weight_g_idx`; Mistral: `qscale_act`, `qscale_weight`; DeepSeek's router: `e_score_correction_bias`.
const WORDS: [&str; 21] = [
    "scales",
    "scale",
    "biases",
    "qzeros",
    "zeros",
    "zero",
    "g_idx",
    "weight_g_idx",
    "weight_shape",
    "weight_format",
    "absmax",
    "quant_map",
    "nested_absmax",
    "nested_quant_map",
    "SCB",
    "scale_inv",
    "qscale_act",
    "qscale_weight",
    "input_scale_ub",
    "activation_scale",
    "e_score_correction_bias",
];

/// Last words of the tensors that HQQ saves in addition to `W_q`: each key of its metadata becomes a tensor.
const OF_HQQ: [&str; 21] = [
    "nbits",
    "group_size",
    "shape",
    "axis",
    "packing",
    "unpack_view_dtype",
    "view_as_float",
    "quant_scale",
    "quant_zero",
    "scale_q",
    "zero_q",
    "meta",
    "meta_scale",
    "meta_zero",
    "compute_dtype",
    "channel_wise",
    "optimize",
    "round_zero",
    "offload_meta",
    "stores_quant_config",
    "encoded_state_dict",
];

/// Endings of last words: `weight_scale`, `weight_scale_inv` (FP8 in blocks), `weight_scale_2` (NVFP4 of modelopt),
/// `weight_global_scale` (of compressed-tensors), `input_scale`, `weight_zero_point`, `pre_quant_scale`.
const ENDINGS: [&str; 5] = ["_scale", "_scales", "_scale_inv", "_scale_2", "_zero_point"];

/// Learned scales, which are parameters: of Gemma 3n, of Gemma's attention, and of image towers.
const LEARNED: [&str; 4] = ["correct_output_scale", "per_dim_scale", "layer_scale", "logit_scale"];

/// Scales of the cache, which may belong to no weight.
const CACHE_SCALES: [&str; 7] = [
    "q_scale",
    "k_scale",
    "v_scale",
    "kv_scale",
    "kv_cache_scale",
    "prob_scale",
    "prob_output_scale",
];

/// Returns whether the last word of a name means a tensor that belongs to a weight and is not itself a weight.
pub(super) fn is_companion_word(word: &str) -> bool {
    let is_learned = LEARNED.contains(&word);
    !is_learned
        && (WORDS.contains(&word) || OF_HQQ.contains(&word) || ENDINGS.iter().any(|ending| word.ends_with(ending)))
}

/// Endings of the names of buffers: rotary frequencies, router corrections, MiniMax's decays.
const BUFFERS: [&str; 9] = [
    "inv_freq",
    "rope.freqs",
    "e_score_correction_bias",
    "exp_probs_b.bias",
    ".expert_bias",
    ".slope_rate",
    ".query_decay",
    ".key_decay",
    ".diagonal_decay",
];

/// Returns whether the tensor is a buffer: rotary frequencies, a causal mask, a router correction, a scale of the
/// cache.
pub(super) fn is_buffer(tensor: &TensorInfo) -> bool {
    let name = tensor.name.as_str();
    BUFFERS.iter().any(|ending| name.ends_with(ending))
        || name.starts_with("rope_f")
        || CACHE_SCALES.contains(&last_word(name))
        || is_causal_mask(tensor)
}

/// Returns whether the tensor is a causal mask, which old checkpoints contain: `attn.bias` in addition to
/// `attn.c_attn.bias`.
fn is_causal_mask(tensor: &TensorInfo) -> bool {
    let mut words = tensor.name.rsplit('.');
    let (last, module) = (words.next(), words.next());
    let is_matrix = tensor.shape.len() > 1;
    matches!(module, Some("attn" | "attention")) && (last == Some("masked_bias") || (last == Some("bias") && is_matrix))
}

/// Returns whether the tensor is not a parameter: it belongs to a weight, or is a buffer.
pub(super) fn is_no_parameter(tensor: &TensorInfo) -> bool {
    let name = tensor.name.as_str();
    is_companion_word(last_word(name)) || name.contains(".quant_state.") || is_buffer(tensor)
}

/// Returns the last word of a tensor's name.
fn last_word(tensor: &str) -> &str {
    tensor.rsplit('.').next().unwrap_or(tensor)
}

/// Packing of weights, as a configuration describes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Packing {
    /// Number of bits of one weight.
    pub bits: Option<u64>,
    /// Number of weights that share a scale.
    pub group_size: Option<u64>,
}

/// Tensors by name, for counting the weights in each, including packed ones.
pub(super) struct Weights<'a> {
    by_name: HashMap<&'a str, &'a TensorInfo>,
    packing: Packing,
}

impl<'a> Weights<'a> {
    /// Indexes the tensors by name.
    pub fn new(tensors: &'a [TensorInfo], packing: Packing) -> Self {
        Self {
            by_name: tensors.iter().map(|tensor| (tensor.name.as_str(), tensor)).collect(),
            packing,
        }
    }

    /// Returns the number of weights in the tensor: its number of elements, or for a packed tensor the number that
    /// follows from its scales or from the bits of a weight; `None` where it is unknown.
    pub fn count(&self, tensor: &TensorInfo) -> Option<u64> {
        let elements = tensor.elements();
        if !is_packed(tensor) {
            return Some(elements);
        }
        let bits = tensor.bytes.checked_mul(8)?;
        let fits = |count: &u64| is_bits_of(tensor, u128::from(*count));
        let stem = tensor.name.rsplit_once('.').map_or("", |(stem, _)| stem);
        let scales = ["scales", "scale", "meta.scale"];
        let mut scales = scales
            .iter()
            .filter_map(|word| self.by_name.get(format!("{stem}.{word}").as_str()));
        let by_scales = scales
            .next()
            .zip(self.packing.group_size)
            .and_then(|(scales, group)| scales.elements().checked_mul(group))
            .filter(fits);
        if by_scales.is_some() {
            return by_scales;
        }
        // In every known format a byte holds two weights of 4 bits, unless the configuration states otherwise.
        let usual = (tensor.dtype == "U8").then_some(4);
        let each = self.packing.bits.or(usual).filter(|bits| (1..=8).contains(bits))?;
        Some(bits / each)
    }
}

/// Returns whether the tensor's bytes can hold `count` packed weights of a whole number of bits each. HQQ packs ten
/// weights of 3 bits into 32 bits, and the last group need not be full.
pub(super) fn is_bits_of(tensor: &TensorInfo, count: u128) -> bool {
    let bits = u128::from(tensor.bytes) * 8;
    let is_of_hqq = last_word(&tensor.name) == "W_q" && tensor.dtype != "U8";
    let of_three_bits = || is_of_hqq && (3 * count..=6 * count).contains(&bits);
    count > 0 && ((bits.is_multiple_of(count) && matches!(bits / count, 1..=6 | 8)) || of_three_bits())
}

/// Returns whether an element of the tensor may hold several weights.
fn is_packed(tensor: &TensorInfo) -> bool {
    let packed =
        ["qweight", "weight_packed", "W_q"].contains(&last_word(&tensor.name)) || tensor.name.ends_with("_blocks");
    packed || (tensor.shape.len() > 1 && matches!(tensor.dtype.as_str(), "I32" | "U32" | "U8"))
}

#[cfg(test)]
mod tests {
    use super::{Packing, Weights, is_buffer, is_no_parameter};
    use crate::TensorInfo;

    fn tensor(name: &str, shape: &[u64], dtype: &str, bytes: u64) -> TensorInfo {
        TensorInfo {
            name: name.into(),
            shape: shape.into(),
            dtype: dtype.into(),
            bytes,
        }
    }

    #[test]
    fn what_stands_beside_weights_is_no_parameter() {
        for name in [
            "a.q_proj.weight_scale",
            "a.q_proj.weight_scale_inv",
            "a.q_proj.weight_scale_2",
            "a.q_proj.weight_global_scale",
            "a.q_proj.input_global_scale",
            "a.q_proj.weight_zero_point",
            "a.q_proj.biases",
            "a.q_proj.qzeros",
            "a.q_proj.weight.absmax",
            "a.q_proj.weight.quant_state.bitsandbytes__nf4",
            "a.q_proj.SCB",
            "a.self_attn.k_proj.k_scale",
            "mlp.gate.e_score_correction_bias",
            "mlp.experts.gate_up_proj_scales",
            "rope_freqs.weight",
            "blk.3.exp_probs_b.bias",
        ] {
            assert!(is_no_parameter(&tensor(name, &[4], "F32", 16)), "{name}");
        }
        for name in [
            "a.q_proj.weight",
            "a.q_proj.bias",
            "a.q_proj.qweight",
            "attn.c_attn.bias",
        ] {
            assert!(!is_no_parameter(&tensor(name, &[4], "F32", 16)), "{name}");
        }
        let is_beside = |name: &str| is_buffer(&tensor(name, &[1], "F32", 4));
        assert!(is_beside("model.layers.0.self_attn.v_scale") && !is_beside("a.weight_scale"));
        for (name, shape) in [
            ("h.0.attn.bias", &[1, 1, 8, 8][..]),
            ("h.0.attn.bias", &[8, 8]),
            ("h.0.attn.masked_bias", &[]),
            ("layers.0.attention.bias", &[1, 1, 8, 8]),
            ("h.0.attn.attention.masked_bias", &[1]),
            ("model.layers.0.feed_forward.expert_bias", &[8]),
            ("model.layers.0.self_attn.slope_rate", &[8, 1, 1]),
        ] {
            let tensor = tensor(name, shape, "F32", 4);
            assert!(is_buffer(&tensor) && is_no_parameter(&tensor), "{name}");
        }
        assert!(!is_no_parameter(&tensor("h.0.attn.bias", &[8], "F32", 32)));
    }

    #[test]
    fn packed_weights_are_counted_by_scales_or_bits() {
        let tensors = [
            tensor("a.weight", &[64, 8], "U32", 2048),
            tensor("a.scales", &[64, 1], "BF16", 128),
            tensor("b.qweight", &[8, 64], "I32", 2048),
            tensor("c.weight", &[64, 32], "U8", 2048),
            tensor("d.weight", &[64, 32], "BF16", 4096),
        ];
        let count = |packing| {
            let weights = Weights::new(&tensors, packing);
            [0, 2, 3, 4].map(|index: usize| weights.count(&tensors[index]))
        };
        let (bits, group_size) = (Some(4), Some(64));
        let four = Some(4096);
        assert_eq!(
            count(Packing { bits: None, group_size }),
            [four, None, four, Some(2048)]
        );
        assert_eq!(
            count(Packing { bits, group_size: None }),
            [four, four, four, Some(2048)]
        );
        assert_eq!(count(Packing::default()), [None, None, four, Some(2048)]);
    }
}
