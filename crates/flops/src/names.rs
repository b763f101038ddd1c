//! Names of the weights of each operator in model files: one table for Hugging Face's names, one for GGUF's.

mod gguf;
mod hugging_face;
mod name;
mod particular;

pub(super) use self::hugging_face::without_outer_modules as inner_name;
pub(super) use self::name::Name;

/// Convention by which a model's files name its tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// Module names of transformers, used in safetensors.
    HuggingFace,
    /// Names of llama.cpp.
    Gguf,
}

/// Parts of a tensor's name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parsed<'a> {
    /// Part before the layer's number, for messages: `model.layers.`.
    pub prefix: &'a str,
    pub layer: Option<u64>,
    pub expert: Option<u64>,
    /// Rest without layer, expert and outer modules, but with the suffix, such as `.weight`.
    pub rest: String,
}

impl Naming {
    /// Returns all names of weights.
    pub(super) fn table(self) -> impl Iterator<Item = &'static Name> {
        let tables: &'static [&'static [Name]] = match self {
            Self::HuggingFace => hugging_face::TABLES,
            Self::Gguf => &[gguf::NAMES],
        };
        tables.iter().copied().flatten()
    }

    /// Splits a tensor's name; `None` where its layer is not a valid number.
    pub(super) fn parse(self, tensor: &str) -> Option<Parsed<'_>> {
        let inner = match self {
            Self::HuggingFace => hugging_face::without_outer_modules(tensor),
            Self::Gguf => tensor,
        };
        if let Some(parsed) = self.parse_encoder_decoder(tensor) {
            return Some(parsed);
        }
        let layer_words = match self {
            Self::HuggingFace => &["layers.", "h.", "blocks."][..],
            Self::Gguf => &["blk."][..],
        };
        let in_layer = layer_words.iter().find_map(|word| inner.strip_prefix(word));
        let (layer, rest) = match in_layer {
            None => (None, inner),
            Some(inside) => {
                let (number, rest) = inside.split_once('.')?;
                (Some(number.parse().ok()?), rest)
            }
        };
        let before = tensor.len() - in_layer.map_or(tensor.len(), str::len);
        let mut expert = None;
        let words = rest.split('.').map(|word| match word.parse::<u64>() {
            Ok(number) => {
                expert = Some(number);
                "*"
            }
            Err(_) => word,
        });
        let rest = words.collect::<Vec<_>>().join(".");
        Some(Parsed {
            prefix: &tensor[..before],
            layer,
            expert,
            rest,
        })
    }

    /// Splits a name of T5 such as `encoder.block.3.layer.0.…`. Tables of positions are stored in the first layer and
    /// belong to the model.
    fn parse_encoder_decoder(self, tensor: &str) -> Option<Parsed<'_>> {
        let (half, inner) = tensor
            .split_once('.')
            .filter(|(half, _)| matches!(*half, "encoder" | "decoder"))?;
        let in_layer = inner.strip_prefix("block.").and_then(|inside| inside.split_once('.'));
        let is_table = inner.contains("relative_attention_bias");
        let (layer, rest) = match in_layer {
            Some(("0", _)) if is_table => (None, "relative_attention_bias.weight"),
            Some((number, rest)) => (Some(number.parse().ok()?), rest),
            None => (None, inner),
        };
        Some(Parsed {
            prefix: in_layer.map_or("", |(number, rest)| {
                &tensor[..tensor.len() - rest.len() - 1 - number.len()]
            }),
            layer,
            expert: None,
            rest: format!("{half}.{rest}"),
        })
    }

    /// Returns whether the tensor is a second copy of the embedding, under T5's other names for it.
    pub(super) fn repeats_embedding(self, tensor: &str) -> bool {
        self == Self::HuggingFace && hugging_face::REPEATED_EMBEDDINGS.contains(&tensor)
    }

    /// Returns whether the tensor belongs to a part of a multimodal model outside the text model.
    pub(super) fn is_outside_the_text_model(self, tensor: &str) -> bool {
        self == Self::HuggingFace && hugging_face::is_outside_the_text_model(tensor)
    }
}

#[cfg(test)]
mod tests {
    use super::{Naming, Parsed};

    #[test]
    fn names_are_taken_apart() {
        let parsed = |naming: Naming, name| naming.parse(name).unwrap();
        let expected = |prefix, layer, expert, rest: &str| Parsed {
            prefix,
            layer,
            expert,
            rest: rest.to_owned(),
        };
        let hugging_face = Naming::HuggingFace;
        assert_eq!(
            parsed(hugging_face, "model.layers.3.mlp.experts.17.up_proj.weight"),
            expected("model.layers.", Some(3), Some(17), "mlp.experts.*.up_proj.weight")
        );
        assert_eq!(
            parsed(hugging_face, "language_model.model.embed_tokens.weight"),
            expected("", None, None, "embed_tokens.weight")
        );
        assert_eq!(
            parsed(hugging_face, "h.0.ln_1.bias"),
            expected("h.", Some(0), None, "ln_1.bias")
        );
        assert_eq!(
            parsed(Naming::Gguf, "blk.12.ffn_gate.7.weight"),
            expected("blk.", Some(12), Some(7), "ffn_gate.*.weight")
        );
        assert_eq!(Naming::Gguf.parse("blk.x.ffn_gate.weight"), None);
        assert_eq!(Naming::Gguf.parse("blk.99999999999999999999.a"), None);
    }
}
