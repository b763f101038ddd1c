use crate::TensorInfo;
use crate::companion::is_no_parameter;

/// Returns the type of most weights, by the number of elements in matrices; `None` without a matrix.
pub(super) fn prevailing_type(tensors: &[TensorInfo]) -> Option<&str> {
    let matrices = || {
        tensors
            .iter()
            .filter(|tensor| tensor.shape.len() > 1 && !is_no_parameter(tensor))
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

#[cfg(test)]
mod tests {
    use super::prevailing_type;
    use crate::TensorInfo;

    #[test]
    fn matrices_vote_by_their_elements_and_scales_do_not() {
        let tensor = |name: &str, shape: &[u64], dtype: &str| TensorInfo {
            name: name.into(),
            shape: shape.into(),
            dtype: dtype.into(),
            bytes: 0,
        };
        let tensors = [
            tensor("model.embed_tokens.weight", &[10, 4], "BF16"),
            tensor("h.0.attn.bias", &[1, 1, 8, 8], "F32"),
            tensor("h.0.mlp.weight_scale", &[100, 1], "F32"),
            tensor("norm.weight", &[64], "F32"),
        ];
        assert_eq!(prevailing_type(&tensors), Some("BF16"));
        assert_eq!(prevailing_type(&tensors[3..]), None);
    }
}
