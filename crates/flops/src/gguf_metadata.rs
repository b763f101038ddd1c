use std::collections::BTreeMap;

use super::family::{self, ExpertDefaults, Family, NormKind, ONE_NORM, Quirk, Setting, SharedExpert, SlidingLayers};
use super::metadata::MetadataValue;
use super::placement::scores;
use super::shape::{
    Biases, Experts, Head, LatentAttention, MAX_LAYERS, ModelShape, Norms, Particulars, QueryKeyNorm, ShapeError,
    Sliding,
};
use super::tensor::TensorInfo;

/// Reads the shape that a GGUF file's metadata describe. `tensors` decide what the metadata do not contain: lm_head is
/// tied where `output.weight` is missing, and the rows of the embedding are the vocabulary. Without tensors the
/// family's defaults apply.
///
/// ```
/// use std::collections::BTreeMap;
///
/// use joulemark_flops::{MetadataValue, from_gguf_metadata};
///
/// let mut metadata = BTreeMap::from([(
///     "general.architecture".to_owned(),
///     MetadataValue::Text("llama".to_owned()),
/// )]);
/// for (key, value) in [
///     ("embedding_length", 576), ("block_count", 30), ("attention.head_count", 9),
///     ("attention.head_count_kv", 3), ("feed_forward_length", 1536), ("vocab_size", 49152),
/// ] {
///     metadata.insert(format!("llama.{key}"), MetadataValue::Unsigned(value));
/// }
/// let shape = from_gguf_metadata(&metadata, &[])?;
/// assert_eq!((shape.family(), shape.head_dim()), ("llama", 64));
/// # Ok::<(), joulemark_flops::ShapeError>(())
/// ```
///
/// # Errors
/// Returns a [`ShapeError`] when the family is not described here, or when a value is missing or impossible. Count by
/// parameters then.
pub fn from_gguf_metadata(
    metadata: &BTreeMap<String, MetadataValue>,
    tensors: &[TensorInfo],
) -> Result<ModelShape, ShapeError> {
    let architecture = metadata
        .get("general.architecture")
        .and_then(MetadataValue::as_text)
        .ok_or_else(|| ShapeError::MissingKey("general.architecture".to_owned()))?;
    let source = Source {
        metadata,
        tensors,
        architecture,
    };
    let has_experts = source.count("expert_count")?.unwrap_or(0) > 0;
    let family = family::by_gguf_architecture(architecture, has_experts)
        .ok_or_else(|| ShapeError::UnknownFamily(architecture.to_owned()))?;
    let is_there = |key: &str| metadata.contains_key(key);
    source
        .shape(family)
        .map_err(|error| error.in_gguf(architecture, is_there))
}

/// Family whose tied embedding llama.cpp's converter writes a second time, as `output.weight`.
const REPEATS_EMBEDDING: &str = "gpt2";

/// Metadata and tensors of a GGUF file.
struct Source<'a> {
    metadata: &'a BTreeMap<String, MetadataValue>,
    tensors: &'a [TensorInfo],
    architecture: &'a str,
}

impl Source<'_> {
    /// Reads the shape of a model of this family.
    fn shape(&self, family: &Family) -> Result<ModelShape, ShapeError> {
        let hidden_size = self.required("embedding_length")?;
        // GLM-4.5's number of blocks includes the layers that predict further tokens.
        let further_layers = self.count("nextn_predict_layers")?.unwrap_or(0);
        let layers = self.required("block_count")?.saturating_sub(further_layers);
        let heads = self.required("attention.head_count")?;
        let intermediate_size = self.required("feed_forward_length")?;
        let (head_dim, value_head_dim) = self.head_dims(hidden_size, heads)?;
        let experts = family
            .experts
            .map(|experts| self.experts(&experts, layers, intermediate_size))
            .transpose()?;
        ModelShape {
            family: family.name,
            hidden_size,
            layers,
            heads,
            // GGUF states one head for the cache of latent attention, which is computed with all heads.
            kv_heads: match family.latent {
                Some(_) => heads,
                None => self.count("attention.head_count_kv")?.unwrap_or(heads),
            },
            head_dim,
            value_head_dim,
            intermediate_size,
            vocab_size: self.vocab_size()?,
            tied: if self.tensors.is_empty() || family.name == REPEATS_EMBEDDING {
                family.defaults.tied
            } else {
                self.tensor("output.weight").is_none()
            },
            head: self.head(),
            gated_mlp: family.wiring.gated_mlp,
            experts,
            latent: family.latent.map(|_| self.latent()).transpose()?,
            biases: Biases {
                qkv: self.has_bias(family.wiring.qkv_bias, &["attn_q.bias", "attn_qkv.bias"]),
                attention_output: self.has_bias(family.wiring.attention_output_bias, &["attn_output.bias"]),
                mlp: self.has_bias(family.wiring.mlp_bias, &["ffn_down.bias"]),
                lm_head: self.has_bias(family.wiring.lm_head_bias, &[]),
                experts: self.has_bias(family.wiring.expert_bias, &[]),
                router: self.has_bias(family.wiring.router_bias, &[]),
            },
            norms: Norms {
                of_layer: self.norms(family),
                bias: family.wiring.norm == NormKind::Layer,
                weight: family.wiring.norm != NormKind::Unweighted,
                query_key: self.query_key_norm(family),
                query_key_bias: family.wiring.norm == NormKind::Layer && !family.wiring.query_key_norm_of_all_heads,
            },
            learned_positions: match family.defaults.learned_positions {
                Some(_) => self.required("context_length")?,
                None => 0,
            },
            sliding: self.sliding(family.wiring.sliding, layers)?,
            activation: family.wiring.activation,
            rotary_dim: match family.wiring.rotary_share {
                0.0 => 0,
                _ => self.count("rope.dimension_count")?.unwrap_or(head_dim).min(head_dim),
            },
            scales_embedding: family.wiring.scales_embedding,
            soft_caps: family.wiring.soft_caps,
            particulars: Particulars {
                sinks: family.wiring.sinks,
                embedding_norm: family.wiring.embedding_norm,
                further_layers,
                ..Particulars::default()
            },
        }
        .checked()
    }

    /// Returns the head. A file with scores and without its own lm_head is a reward model or a classifier.
    fn head(&self) -> Head {
        let scores = scores(self.tensors);
        Head {
            makes_text: scores.is_empty() || self.tensor("output.weight").is_some(),
            scores,
        }
    }

    /// Returns the norms of a layer. Falcon and StableLM have one or two, as the first layer's tensors show.
    fn norms(&self, family: &Family) -> &'static [&'static str] {
        let varies = matches!(family.quirk, Quirk::Falcon | Quirk::StableLm) && !self.tensors.is_empty();
        let has_second = || {
            let names = ["blk.0.ffn_norm.weight", "blk.0.attn_norm_2.weight"];
            names.iter().any(|name| self.tensor(name).is_some())
        };
        if varies && !has_second() {
            return &ONE_NORM;
        }
        family.wiring.norms
    }

    /// Returns the norms of queries and keys.
    fn query_key_norm(&self, family: &Family) -> QueryKeyNorm {
        let wiring = &family.wiring;
        match self.has_bias(wiring.query_key_norm, &["attn_q_norm.weight"]) {
            false => QueryKeyNorm::Absent,
            true if wiring.query_key_norm_of_all_heads => QueryKeyNorm::OfAllHeads,
            true => QueryKeyNorm::OneForAllHeads,
        }
    }

    /// Reads the lengths of keys and values. Newer files with latent attention state the lengths of the cache under the
    /// plain names, and those of the heads as `_mla`.
    fn head_dims(&self, hidden_size: u64, heads: u64) -> Result<(u64, u64), ShapeError> {
        let key = match self.count("attention.key_length_mla")? {
            Some(length) => Some(length),
            None => self.count("attention.key_length")?,
        };
        let value = match self.count("attention.value_length_mla")? {
            Some(length) => Some(length),
            None => self.count("attention.value_length")?,
        };
        let even = hidden_size.checked_div(heads).unwrap_or(0);
        Ok((key.unwrap_or(even), value.or(key).unwrap_or(even)))
    }

    /// Reads the mixture of experts.
    fn experts(&self, defaults: &ExpertDefaults, layers: u64, width: u64) -> Result<Experts, ShapeError> {
        let intermediate_size = self.count("expert_feed_forward_length")?.unwrap_or(width);
        let shared_intermediate_size = match defaults.shared {
            SharedExpert::Absent => 0,
            SharedExpert::Gated { .. } => self.required("expert_shared_feed_forward_length")?,
            SharedExpert::Plain { .. } => self.count("expert_shared_feed_forward_length")?.unwrap_or(0),
            SharedExpert::Multiple { .. } => self.required("expert_shared_count")?.saturating_mul(intermediate_size),
        };
        if layers > MAX_LAYERS {
            return Err(ShapeError::bad("num_hidden_layers", layers, "at most 16384"));
        }
        let first = self.count("leading_dense_block_count")?.unwrap_or(0);
        Ok(Experts {
            sparse_layers: (first..layers).collect(),
            count: self.required("expert_count")?,
            per_token: self.required("expert_used_count")?,
            intermediate_size,
            shared_intermediate_size,
            shared_gate: matches!(defaults.shared, SharedExpert::Gated { .. }),
        })
    }

    /// Reads the dimensions of latent attention.
    fn latent(&self) -> Result<LatentAttention, ShapeError> {
        Ok(LatentAttention {
            query_rank: self.count("attention.q_lora_rank")?.filter(|rank| *rank > 0),
            key_value_rank: self.required("attention.kv_lora_rank")?,
            rope_dim: self.required("rope.dimension_count")?,
        })
    }

    /// Reads the sliding window. A file does not state which layers have it, so the family's pattern applies.
    fn sliding(&self, pattern: SlidingLayers, layers: u64) -> Result<Option<Sliding>, ShapeError> {
        let window = self.count("attention.sliding_window")?.filter(|window| *window > 0);
        Ok(window.map(|window| Sliding {
            window,
            layers: match pattern {
                SlidingLayers::EveryOther(_) => layers.div_ceil(2),
                SlidingLayers::AllButEvery { nth, .. } => layers - layers / nth,
                _ => layers,
            },
        }))
    }

    /// Reads the size of the vocabulary.
    fn vocab_size(&self) -> Result<u64, ShapeError> {
        if let Some(rows) = self.tensor("token_embd.weight").and_then(|tensor| tensor.shape.first()) {
            return Ok(*rows);
        }
        let listed = self
            .metadata
            .get("tokenizer.ggml.tokens")
            .and_then(MetadataValue::list_len);
        match self.count("vocab_size")?.or(listed) {
            Some(size) => Ok(size),
            None => Err(ShapeError::MissingKey(format!("{}.vocab_size", self.architecture))),
        }
    }

    /// Returns whether a setting is on. GGUF has no key for `attention_bias` of config.json; the first layer's tensors
    /// show it.
    fn has_bias(&self, setting: Setting, names: &[&str]) -> bool {
        match setting {
            Setting::Never => false,
            Setting::Always => true,
            Setting::Key { default, .. } if self.tensors.is_empty() => default,
            Setting::Key { .. } => names.iter().any(|name| self.tensor(&format!("blk.0.{name}")).is_some()),
        }
    }

    /// Returns the tensor with this name.
    fn tensor(&self, name: &str) -> Option<&TensorInfo> {
        self.tensors.iter().find(|tensor| tensor.name == name)
    }

    /// Returns the number under a key, or an error where it is missing.
    fn required(&self, key: &str) -> Result<u64, ShapeError> {
        self.count(key)?
            .ok_or_else(|| ShapeError::MissingKey(format!("{}.{key}", self.architecture)))
    }

    /// Returns the number under a key of the architecture; `None` where it is missing.
    fn count(&self, key: &str) -> Result<Option<u64>, ShapeError> {
        let key = format!("{}.{key}", self.architecture);
        match self.metadata.get(&key) {
            None => Ok(None),
            Some(value) => value
                .as_count()
                .map(Some)
                .ok_or_else(|| ShapeError::not_a_count(&key, value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::from_gguf_metadata;
    use crate::{MetadataValue, ShapeError, TensorInfo};

    fn smollm2() -> BTreeMap<String, MetadataValue> {
        let counts = [
            ("llama.block_count", 30),
            ("llama.embedding_length", 576),
            ("llama.feed_forward_length", 1536),
            ("llama.attention.head_count", 9),
            ("llama.attention.head_count_kv", 3),
            ("llama.vocab_size", 49152),
        ];
        let mut metadata: BTreeMap<_, _> = counts
            .into_iter()
            .map(|(key, count)| (key.to_owned(), MetadataValue::Unsigned(count)))
            .collect();
        metadata.insert("general.architecture".into(), MetadataValue::Text("llama".into()));
        metadata
    }

    fn embedding() -> TensorInfo {
        TensorInfo {
            name: "token_embd.weight".into(),
            shape: vec![49152, 576],
            dtype: "Q8_0".into(),
            bytes: 30_081_024,
        }
    }

    #[test]
    fn smollm2_has_its_published_number_of_parameters() {
        let shape = from_gguf_metadata(&smollm2(), &[embedding()]).unwrap();
        assert!(shape.tied());
        assert_eq!(shape.parameters_total(), 134_515_008);
    }

    #[test]
    fn a_file_with_a_score_is_that_of_a_classifier() {
        let tensor = |name: &str, shape: &[u64]| TensorInfo {
            name: name.into(),
            shape: shape.into(),
            dtype: "F32".into(),
            bytes: 4 * shape.iter().product::<u64>(),
        };
        let two_layers = [
            embedding(),
            tensor("cls.weight", &[576, 576]),
            tensor("cls.output.weight", &[2, 576]),
        ];
        let shape = from_gguf_metadata(&smollm2(), &two_layers).unwrap();
        assert!(!shape.generates_text());
        assert_eq!(shape.parameters_total(), 134_515_008 + 576 * 576 + 2 * 576);
    }

    #[test]
    fn a_value_that_no_model_has_is_named_by_its_key_in_the_file() {
        let mut metadata = smollm2();
        metadata.insert("llama.attention.head_count_kv".into(), MetadataValue::Unsigned(5));
        let error = from_gguf_metadata(&metadata, &[embedding()]).unwrap_err().to_string();
        assert!(error.contains("`llama.attention.head_count_kv` is 5"), "{error}");
        let list = MetadataValue::List(vec![MetadataValue::Unsigned(3), MetadataValue::Text("x".into())]);
        metadata.insert("llama.attention.head_count_kv".into(), list);
        let error = from_gguf_metadata(&metadata, &[embedding()]).unwrap_err().to_string();
        assert!(error.contains("is [3, the text `x`]; accepted"), "{error}");
        metadata.remove("llama.attention.head_count_kv");
        metadata.insert("llama.attention.head_count".into(), MetadataValue::Unsigned(577));
        let error = from_gguf_metadata(&metadata, &[embedding()]).unwrap_err().to_string();
        assert!(
            error.contains("`llama.attention.key_length` is not in the file, and 0"),
            "{error}"
        );
    }

    #[test]
    fn experts_turn_the_llama_architecture_into_mixtral() {
        let mut metadata = smollm2();
        metadata.insert("llama.expert_count".into(), MetadataValue::Unsigned(8));
        metadata.insert("llama.expert_used_count".into(), MetadataValue::Unsigned(2));
        let shape = from_gguf_metadata(&metadata, &[embedding()]).unwrap();
        assert_eq!(
            (shape.family(), shape.experts(), shape.experts_per_token()),
            ("mixtral", Some(8), Some(2))
        );
    }

    #[test]
    fn layers_that_differ_are_refused_by_name() {
        let mut metadata = smollm2();
        metadata.insert(
            "llama.attention.head_count_kv".into(),
            MetadataValue::List(vec![MetadataValue::Unsigned(3)]),
        );
        let error = from_gguf_metadata(&metadata, &[]).unwrap_err();
        assert!(matches!(error, ShapeError::BadValue { key, .. } if key == "llama.attention.head_count_kv"));
    }

    #[test]
    fn a_missing_key_and_an_unknown_architecture_are_named() {
        let mut metadata = smollm2();
        metadata.remove("llama.block_count");
        assert_eq!(
            from_gguf_metadata(&metadata, &[]),
            Err(ShapeError::MissingKey("llama.block_count".into()))
        );
        metadata.insert("general.architecture".into(), MetadataValue::Text("rwkv".into()));
        assert_eq!(
            from_gguf_metadata(&metadata, &[]),
            Err(ShapeError::UnknownFamily("rwkv".into()))
        );
    }
}
