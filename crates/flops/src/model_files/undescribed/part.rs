//! Classification of tensors by their names and dimensions. Owns the words that mean parts of a plain layer; a name
//! with any other word is strange.

use crate::TensorInfo;

/// Position of a tensor in a model.
#[derive(Debug)]
pub(super) struct Place<'a> {
    /// Text before the layer's number, and the number; `None` outside the layers.
    pub layer: Option<(&'a str, u64)>,
    pub part: Part<'a>,
}

/// Part of the model that a tensor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part<'a> {
    /// Weights that each token uses.
    Plain,
    /// Table of the tokens' vectors.
    Embedding,
    /// Router among this number of experts.
    Router(u64),
    /// Stack of this number of experts of a layer.
    Stacked(u64),
    /// One of several equal parts of a layer: `experts.3`, `local_3`, `ffn_gate.3`.
    Numbered {
        word: &'a str,
        number: u64,
        /// Whether the word means an expert.
        is_expert: bool,
        /// Whether only the matrix follows the number.
        is_matrix: bool,
    },
    /// Part that may not process every token.
    Strange,
}

/// Modules around the layers of a text model, and their containers.
const STACK: [&str; 14] = [
    "model",
    "transformer",
    "backbone",
    "decoder",
    "language_model",
    "text_model",
    "base_model",
    "gpt_neox",
    "rwkv",
    "layers",
    "layer",
    "h",
    "blocks",
    "blk",
];

/// Words in the names within a plain layer, in lower case and without trailing digits: of attention, feed-forward
/// network, norms, recurrences, experts and storage of weights.
const WITHIN: [&str; 6] = [
    "self attn attention att q k v o qk kv qkv qkvz query key value wq wk wv wo wqkv pack fused a b c f g r w ba with mqa \
     nope rope sink sinks proj projection linear dense fc in out inp input output",
    "up down gate gating mlp ffn ffw ff feed forward feedforward glu swiglu h to 4h res residual",
    "norm layernorm layer ln rms rmsnorm pre post sub subln final operator",
    "mixer mamba ssm conv conv1d x z d dt log time mix decay first receptance channel lerp maa delta bc state",
    "expert experts exps routed deepspeed moe block sparse switch local share shared shexp router classifier wg",
    "weight bias scale qweight packed blocks gamma beta alpha",
];

/// Words in the names outside the layers. A trailing digit would mean a second table.
const OUTSIDE: [&str; 3] = [
    "emb embd embed embedding embeddings token tokens tok word type types wte wpe position positions positional pos",
    "norm layernorm layer rmsnorm rms ln f final last lm head score in out input output project",
    "weight qweight packed bias scale",
];

/// Returns the position and the part of a tensor. `stated` is the number of experts by the configuration.
pub(super) fn place(tensor: &TensorInfo, stated: Option<u64>) -> Place<'_> {
    let Some((stack, number, inner)) = split(&tensor.name) else {
        let part = outside(&tensor.name, &tensor.shape);
        return Place { layer: None, part };
    };
    let is_stack = stack.split('.').all(|word| STACK.contains(&word));
    let is_plain = |word: &str| {
        let stem = without_digits(word);
        stem.is_empty() || is_among(stem, &WITHIN) || is_among(word, &WITHIN)
    };
    let part = match is_stack && inner.split(['.', '_']).all(is_plain) {
        true => within(inner, &tensor.shape, stated),
        false => Part::Strange,
    };
    Place {
        layer: Some((stack, number)),
        part,
    }
}

/// Splits a name into the text before the layer's number, the number, and the text after it; `None` without a number.
fn split(name: &str) -> Option<(&str, u64, &str)> {
    let mut start = 0;
    for word in name.split('.') {
        let end = start + word.len();
        if let Ok(number) = word.parse()
            && start > 0
            && end < name.len()
        {
            return Some((&name[..start - 1], number, &name[end + 1..]));
        }
        start = end + 1;
    }
    None
}

/// Returns the word without its trailing digits.
fn without_digits(word: &str) -> &str {
    word.trim_end_matches(|letter: char| letter.is_ascii_digit())
}

/// Returns whether one of the lists contains the word.
fn is_among(word: &str, lists: &[&str]) -> bool {
    lists
        .iter()
        .any(|words| words.split_whitespace().any(|known| known.eq_ignore_ascii_case(word)))
}

/// Returns the part of a tensor outside the layers.
fn outside<'a>(name: &str, shape: &[u64]) -> Part<'a> {
    let is_plain = |part: &str| STACK.contains(&part) || part.split('_').all(|word| is_among(word, &OUTSIDE));
    let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
    match shape.len() {
        _ if !name.split('.').all(is_plain) => Part::Strange,
        2 if has(&["emb", "wte"]) && !has(&["pos", "wpe", "out", "type"]) => Part::Embedding,
        0..=2 => Part::Plain,
        _ => Part::Strange,
    }
}

/// Returns the part of a tensor within a layer.
fn within<'a>(inner: &'a str, shape: &[u64], stated: Option<u64>) -> Part<'a> {
    let lower = inner.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    if has(&["share", "shexp"]) {
        // Each token uses a shared expert; other shared parts may run in other layers as well.
        let is_expert = has(&["expert", "mlp", "moe", "ffn", "shexp"]);
        return if is_expert { Part::Plain } else { Part::Strange };
    }
    let number = numbered(inner);
    if let Some(numbered @ Part::Numbered { is_expert: true, .. }) = number {
        return numbered;
    }
    if has(&["router", "classifier", "gate_inp"]) {
        return router(shape, stated);
    }
    if has(&["expert", "exps", "switch_mlp"]) {
        return experts(shape, stated);
    }
    let is_gate = || lower.split('.').any(|part| ["gate", "gating", "wg"].contains(&part)) && !has(&["att"]);
    match *shape {
        [rows, columns] if is_gate() => match rows < columns || has(&["moe"]) {
            true => router(shape, stated),
            false => Part::Plain,
        },
        [_, _] if has(&["moe"]) => Part::Strange,
        [] | [_] | [_, _] => number.unwrap_or(Part::Plain),
        [_, _, _] if has(&["conv"]) => Part::Plain,
        [first, _, _] if has(&["moe"]) || Some(first) == stated => Part::Stacked(first),
        _ => Part::Strange,
    }
}

/// Returns the part of a router, which has a row or a column for each expert.
fn router<'a>(shape: &[u64], stated: Option<u64>) -> Part<'a> {
    match *shape {
        [_, columns] if Some(columns) == stated => Part::Router(columns),
        [rows, _] => Part::Router(rows),
        [] | [_] => Part::Plain,
        _ => Part::Strange,
    }
}

/// Returns the part of stacked experts, which are stored in a dimension of their own, or with all their rows or columns
/// one after another.
fn experts<'a>(shape: &[u64], stated: Option<u64>) -> Part<'a> {
    match (shape, stated) {
        // Packed weights are stored in blocks as well.
        ([first, _, _] | [first, _, _, _], _) => Part::Stacked(*first),
        ([length] | [length, _] | [_, length], Some(count)) if length.is_multiple_of(count) => Part::Stacked(count),
        _ => Part::Strange,
    }
}

/// Words before a number that mean experts.
const EXPERTS: [&str; 5] = ["expert", "exps", "moe", "switch", "local"];
/// Words after a number that distinguishes matrices of one layer.
const LEAVES: [&str; 3] = ["weight", "bias", "qweight"];

/// Returns the numbered part in a name: that of experts, else the first one.
fn numbered(inner: &str) -> Option<Part<'_>> {
    let mut first = None;
    let mut before = "";
    let mut parts = inner.split('.').peekable();
    while let Some(part) = parts.next() {
        let (word, digits) = match part.bytes().all(|byte| byte.is_ascii_digit()) {
            true => (before, part),
            false => numbered_word(part),
        };
        before = part;
        let Ok(number) = digits.parse::<u64>() else { continue };
        let lower = word.to_ascii_lowercase();
        let is_expert = EXPERTS.iter().any(|expert| lower.contains(expert));
        let is_matrix = parts.peek().is_none_or(|next| LEAVES.contains(next));
        let found = Part::Numbered {
            word,
            number,
            is_expert,
            is_matrix,
        };
        if is_expert {
            return Some(found);
        }
        if !lower.contains("norm") && !lower.starts_with("ln") {
            first.get_or_insert(found);
        }
    }
    first
}

/// Splits a word from its number: `local_3` is `local` and 3, `expert12` is `expert` and 12. The digit of `w1` is part
/// of the word.
fn numbered_word(part: &str) -> (&str, &str) {
    let stem = without_digits(part);
    let digits = &part[stem.len()..];
    match stem.strip_suffix('_') {
        Some(word) => (word, digits),
        None if stem.to_ascii_lowercase().contains("expert") => (stem, digits),
        None => (part, ""),
    }
}
