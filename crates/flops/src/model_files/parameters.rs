use crate::TensorInfo;

/// Parameters by the tensors' elements; `tied` leaves out a lm_head that repeats the embedding. `None` where weights
/// are packed, several to an element.
pub(super) fn count(tensors: &[TensorInfo], tied: bool) -> Option<u64> {
    let repeats_embedding = |tensor: &TensorInfo| tied && tensor.name.ends_with("lm_head.weight");
    let weights = || {
        tensors
            .iter()
            .filter(|tensor| !is_buffer(tensor) && !repeats_embedding(tensor))
    };
    if weights().any(is_packed) {
        return None;
    }
    Some(weights().fold(0, |sum: u64, tensor| sum.saturating_add(tensor.elements())))
}

/// The type of most of the weights, by elements; vectors do not vote. `None` without a matrix.
pub(super) fn prevailing_type(tensors: &[TensorInfo]) -> Option<&str> {
    let matrices = || {
        tensors
            .iter()
            .filter(|tensor| tensor.shape.len() > 1 && !is_buffer(tensor))
    };
    let elements_of = |dtype: &str| -> u128 {
        matrices()
            .filter(|tensor| tensor.dtype == dtype)
            .map(|tensor| u128::from(tensor.elements()))
            .sum()
    };
    let mut types: Vec<&str> = matrices().map(|tensor| tensor.dtype.as_str()).collect();
    types.sort_unstable();
    types.dedup();
    types.into_iter().max_by_key(|dtype| elements_of(dtype))
}

// What files carry besides parameters: rotary tables (GGUF's rope_freqs, rope_factors_*; inv_freq), GPT-2's causal
// masks, and the scales of quantized weights.
fn is_buffer(tensor: &TensorInfo) -> bool {
    let name = tensor.name.as_str();
    let endings = [
        "inv_freq",
        ".attn.masked_bias",
        "_scale",
        "_scale_inv",
        ".scales",
        "_scales",
        ".qzeros",
        ".g_idx",
        ".absmax",
        ".quant_map",
        ".SCB",
        "_zero_point",
    ];
    name.starts_with("rope_f")
        || (name.ends_with(".attn.bias") && tensor.shape.len() == 4)
        || endings.iter().any(|ending| name.ends_with(ending))
}

fn is_packed(tensor: &TensorInfo) -> bool {
    tensor.shape.len() > 1 && matches!(tensor.dtype.as_str(), "I32" | "U32" | "U8")
}

#[cfg(test)]
mod tests {
    use super::{count, prevailing_type};
    use crate::TensorInfo;

    fn tensor(name: &str, shape: &[u64], dtype: &str) -> TensorInfo {
        TensorInfo {
            name: name.into(),
            shape: shape.into(),
            dtype: dtype.into(),
            bytes: 0,
        }
    }

    #[test]
    fn a_tied_head_and_buffers_are_not_parameters() {
        let tensors = [
            tensor("model.embed_tokens.weight", &[10, 4], "BF16"),
            tensor("lm_head.weight", &[10, 4], "BF16"),
            tensor("h.0.attn.bias", &[1, 1, 8, 8], "F32"),
            tensor("h.0.attn.c_attn.bias", &[12], "F32"),
            tensor("rope_freqs.weight", &[64], "F32"),
        ];
        assert_eq!(count(&tensors, true), Some(52));
        assert_eq!(count(&tensors, false), Some(92));
        assert_eq!(prevailing_type(&tensors), Some("BF16"));
    }

    #[test]
    fn packed_weights_are_not_counted_by_their_elements() {
        assert_eq!(count(&[tensor("q_proj.qweight", &[512, 4096], "I32")], false), None);
    }
}
