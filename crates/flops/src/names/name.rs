/// A name of weights. The layer's number is cut off, the expert's is replaced by `*`, and `.weight` or `.bias` follows
/// the stem.
#[derive(Debug)]
pub(crate) struct Name {
    pub stem: &'static str,
    /// Operators whose rows the tensor contains, in any order. Operators of experts are stacked where the stem has no
    /// `*`.
    pub operators: &'static [&'static str],
    /// Whether the matrix may be stored transposed (GPT-2's Conv1D).
    pub transposed: bool,
}

/// Creates the name of a tensor that is stored as `[out, in]`.
pub(super) const fn name(stem: &'static str, operators: &'static [&'static str]) -> Name {
    Name {
        stem,
        operators,
        transposed: false,
    }
}

/// Creates the name of a tensor that may be stored as `[in, out]`.
pub(super) const fn conv(stem: &'static str, operators: &'static [&'static str]) -> Name {
    Name {
        stem,
        operators,
        transposed: true,
    }
}
