use serde::Serialize;

/// A tensor as the header of a model file declares it. Its values are not read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TensorInfo {
    /// Name of the tensor in the file.
    pub name: String,
    /// Dimensions, outermost first, as in PyTorch: a linear layer is `[out, in]`.
    pub shape: Vec<u64>,
    /// Type as the file names it: `Q4_1`, `F16`, `BF16`.
    pub dtype: String,
    /// Size in the file in bytes.
    pub bytes: u64,
}

impl TensorInfo {
    /// Returns the number of elements: the product of the dimensions, 1 for a scalar. It saturates at `u64::MAX`; the
    /// readers of files reject so large a tensor.
    pub fn elements(&self) -> u64 {
        self.shape
            .iter()
            .fold(1, |product: u64, dimension| product.saturating_mul(*dimension))
    }
}
