/// One way to name weights: a layer's number is cut off, an expert's is `*`, `.weight` or `.bias` follows.
#[derive(Debug)]
pub(crate) struct Name {
    pub stem: &'static str,
    /// The operators whose rows the tensor holds, in any order; those of experts without `*` in the stem are stacked.
    pub operators: &'static [&'static str],
    /// Whether a matrix may lie there transposed (GPT-2's Conv1D).
    pub transposed: bool,
}

/// Names a tensor that lies as `[out, in]`.
pub(super) const fn name(stem: &'static str, operators: &'static [&'static str]) -> Name {
    Name {
        stem,
        operators,
        transposed: false,
    }
}

/// Names a tensor that may lie as `[in, out]`.
pub(super) const fn conv(stem: &'static str, operators: &'static [&'static str]) -> Name {
    Name {
        stem,
        operators,
        transposed: true,
    }
}
