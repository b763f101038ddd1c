use serde::Serialize;

/// One tensor as a model file's header declares it; its values are never read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TensorInfo {
    /// The tensor's name in the file.
    pub name: String,
    /// Outermost dimension first, as PyTorch writes it: a linear layer is `[out, in]`.
    pub shape: Vec<u64>,
    /// The file's own name of the type: `Q4_1`, `F16`, `BF16`.
    pub dtype: String,
    /// Size in the file in bytes.
    pub bytes: u64,
}

impl TensorInfo {
    /// Returns the number of elements: the product of the dimensions, 1 for a scalar. Saturates at `u64::MAX`; the
    /// readers of files refuse a tensor that large.
    pub fn elements(&self) -> u64 {
        self.shape
            .iter()
            .fold(1, |product: u64, dimension| product.saturating_mul(*dimension))
    }
}
