/// A tensor type of GGUF, which stores blocks of elements in a fixed number of bytes. The ids are those of `ggml_type`
/// in ggml.h, the sizes those of the block structures in ggml-common.h.
#[derive(Debug)]
pub(super) struct GgmlType {
    pub id: u32,
    pub name: &'static str,
    pub block_elements: u64,
    pub block_bytes: u64,
    /// Whether candle 0.10.2, and so mistral.rs 0.8.1, can read it.
    pub loadable: bool,
}

/// Creates a type that mistral.rs can read.
const fn readable(id: u32, name: &'static str, block_elements: u64, block_bytes: u64) -> GgmlType {
    GgmlType {
        id,
        name,
        block_elements,
        block_bytes,
        loadable: true,
    }
}

/// Creates a type that mistral.rs cannot read.
const fn foreign(id: u32, name: &'static str, block_elements: u64, block_bytes: u64) -> GgmlType {
    GgmlType {
        id,
        name,
        block_elements,
        block_bytes,
        loadable: false,
    }
}

static TYPES: [GgmlType; 34] = [
    readable(0, "F32", 1, 4),
    readable(1, "F16", 1, 2),
    readable(2, "Q4_0", 32, 18),
    readable(3, "Q4_1", 32, 20),
    readable(6, "Q5_0", 32, 22),
    readable(7, "Q5_1", 32, 24),
    readable(8, "Q8_0", 32, 34),
    readable(9, "Q8_1", 32, 36),
    readable(10, "Q2_K", 256, 84),
    readable(11, "Q3_K", 256, 110),
    readable(12, "Q4_K", 256, 144),
    readable(13, "Q5_K", 256, 176),
    readable(14, "Q6_K", 256, 210),
    readable(15, "Q8_K", 256, 292),
    foreign(16, "IQ2_XXS", 256, 66),
    foreign(17, "IQ2_XS", 256, 74),
    foreign(18, "IQ3_XXS", 256, 98),
    foreign(19, "IQ1_S", 256, 50),
    foreign(20, "IQ4_NL", 32, 18),
    foreign(21, "IQ3_S", 256, 110),
    foreign(22, "IQ2_S", 256, 82),
    foreign(23, "IQ4_XS", 256, 136),
    foreign(24, "I8", 1, 1),
    foreign(25, "I16", 1, 2),
    foreign(26, "I32", 1, 4),
    foreign(27, "I64", 1, 8),
    foreign(28, "F64", 1, 8),
    foreign(29, "IQ1_M", 256, 56),
    readable(30, "BF16", 1, 2),
    foreign(34, "TQ1_0", 256, 54),
    foreign(35, "TQ2_0", 256, 66),
    foreign(39, "MXFP4", 32, 17),
    foreign(40, "NVFP4", 64, 36),
    foreign(41, "Q1_0", 128, 18),
];

/// Returns the type with this id; `None` for an unknown id.
pub(super) fn by_id(id: u32) -> Option<&'static GgmlType> {
    TYPES.iter().find(|ggml_type| ggml_type.id == id)
}

/// Returns whether mistral.rs can read the type with this name.
pub(super) fn is_loadable(name: &str) -> bool {
    TYPES
        .iter()
        .any(|ggml_type| ggml_type.name == name && ggml_type.loadable)
}
