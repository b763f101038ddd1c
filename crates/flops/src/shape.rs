mod head;
mod parts;
mod words;

use std::borrow::Cow;

use thiserror::Error;

pub(super) use self::head::{Head, MAX_SCORES, Score};
pub(super) use self::parts::{
    Convolution, DeltaRule, DualStates, Encoder, Particulars, PerLayerInputs, QueryKeyNorm, Recurrence, Recurrent, Scan,
};
use super::schedule::Passes;

use super::metadata::MetadataValue;

/// Reason why a configuration gives no shape. In every case the caller can fall back to the parameter estimate.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ShapeError {
    /// The architecture is not described here: count by parameters, or describe it in `src/family/`.
    #[error("architecture `{0}` is not among the described families")]
    UnknownFamily(String),
    /// The configuration lacks a key without a default.
    #[error("`{0}` is missing")]
    MissingKey(String),
    /// A default, or a value derived from other keys, is impossible: a key is missing, or another one is wrong.
    #[error("`{key}` is not in the file, and {value} by default or by the other keys; accepted is {accepted}")]
    BadDefault {
        /// Key that would contain the value.
        key: String,
        /// Value that is used without the key.
        value: String,
        /// Accepted values, in words.
        accepted: Cow<'static, str>,
    },
    /// The configuration contains an impossible value, so none of it can be trusted.
    #[error("`{key}` is {value}; accepted is {accepted}")]
    BadValue {
        /// Key of the value.
        key: String,
        /// Value as in the configuration.
        value: String,
        /// Accepted values, in words.
        accepted: Cow<'static, str>,
    },
}

impl ShapeError {
    /// Creates a [`Self::BadValue`].
    pub(super) fn bad(key: &str, value: impl ToString, accepted: impl Into<Cow<'static, str>>) -> Self {
        Self::BadValue {
            key: key.to_owned(),
            value: super::shortened(&value.to_string()),
            accepted: accepted.into(),
        }
    }

    /// Returns whether a dimension is 0. Nothing can be counted for such a model.
    pub(super) fn is_zero(&self) -> bool {
        matches!(self, Self::BadValue { value, .. } | Self::BadDefault { value, .. } if value == "0")
    }

    /// Creates the error for metadata that is not a single count.
    pub(super) fn not_a_count(key: &str, value: &MetadataValue) -> Self {
        Self::bad(key, value, "one whole number for all layers")
    }
}

/// Dimensions of a transformer: everything that its matrix products depend on. A value of this type is always valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelShape {
    /// Name of the family, transformers' `model_type`.
    pub(super) family: &'static str,
    pub(super) hidden_size: u64,
    pub(super) layers: u64,
    pub(super) heads: u64,
    pub(super) kv_heads: u64,
    /// Length of one head's query and key.
    pub(super) head_dim: u64,
    /// Length of one head's value; it differs from `head_dim` only in latent attention.
    pub(super) value_head_dim: u64,
    /// Width of the dense feed-forward layer.
    pub(super) intermediate_size: u64,
    pub(super) vocab_size: u64,
    /// Whether lm_head is the embedding matrix, stored once.
    pub(super) tied: bool,
    pub(super) head: Head,
    /// Whether the feed-forward layer has a gate in addition to its up projection (three matrices instead of two).
    pub(super) gated_mlp: bool,
    pub(super) experts: Option<Experts>,
    pub(super) latent: Option<LatentAttention>,
    pub(super) biases: Biases,
    pub(super) norms: Norms,
    /// Rows of a learned position embedding; 0 where positions are rotary.
    pub(super) learned_positions: u64,
    pub(super) sliding: Option<Sliding>,
    pub(super) activation: Activation,
    /// Length of the rotated part of each query and key; 0 where positions are learned.
    pub(super) rotary_dim: u64,
    /// Whether the embedding is scaled (Gemma).
    pub(super) scales_embedding: bool,
    /// Whether attention scores and logits are capped by a tanh (Gemma 2).
    pub(super) soft_caps: bool,
    /// Parts that only few families have.
    pub(super) particulars: Particulars,
}

/// Layers whose attention has a sliding window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sliding {
    /// Number of tokens that a query sees, including its own.
    pub window: u64,
    pub layers: u64,
}

/// Activation function of the feed-forward layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Activation {
    Silu,
    GeluTanh,
    Relu,
}

/// Mixture of experts in `sparse_layers`. Other layers have a dense feed-forward network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Experts {
    /// Indices of the layers with experts, from 0, ascending.
    pub sparse_layers: Vec<u64>,
    pub count: u64,
    pub per_token: u64,
    pub intermediate_size: u64,
    /// Width of the shared expert, which every token uses; 0 without one.
    pub shared_intermediate_size: u64,
    /// Whether the shared expert is weighted by a gate with one row.
    pub shared_gate: bool,
}

/// Multi-head latent attention (DeepSeek-V2): low-rank projections of the query, and of key and value together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LatentAttention {
    /// Rank of the query; `None` where it is projected directly.
    pub query_rank: Option<u64>,
    pub key_value_rank: u64,
    /// Length of the key's rotary part, shared by all heads.
    pub rope_dim: u64,
}

/// Operators that have a bias.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Biases {
    pub qkv: bool,
    pub attention_output: bool,
    pub mlp: bool,
    pub lm_head: bool,
    pub experts: bool,
    pub router: bool,
}

/// Norms of the layers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Norms {
    /// Names of the norms over the hidden state in each layer.
    pub of_layer: &'static [&'static str],
    /// Whether norms have a bias (LayerNorm) or not (RMSNorm).
    pub bias: bool,
    /// Whether norms have a weight.
    pub weight: bool,
    pub query_key: QueryKeyNorm,
    pub query_key_bias: bool,
}

/// Maximum dimension: above that of any model, and small enough for all counts in this crate to fit 128 bits with
/// 32-bit token counts.
pub(super) const MAX_DIMENSION: u64 = 1 << 24;
const MAX_HEADS: u64 = 1 << 16;
pub(super) const MAX_LAYERS: u64 = 1 << 14;
const MAX_EXPERTS: u64 = 1 << 16;

impl ModelShape {
    /// Returns the name of the family, transformers' `model_type`.
    pub fn family(&self) -> &'static str {
        self.family
    }

    /// Returns the length of a token's vector between the layers.
    pub fn hidden_size(&self) -> u64 {
        self.hidden_size
    }

    /// Returns the number of layers.
    pub fn layers(&self) -> u64 {
        self.layers
    }

    /// Returns the number of attention heads in a layer.
    pub fn heads(&self) -> u64 {
        self.heads
    }

    /// Returns the number of heads of keys and values.
    pub fn kv_heads(&self) -> u64 {
        self.kv_heads
    }

    /// Returns the length of one head's query and key.
    pub fn head_dim(&self) -> u64 {
        self.head_dim
    }

    /// Returns the width of the dense feed-forward layer.
    pub fn intermediate_size(&self) -> u64 {
        self.intermediate_size
    }

    /// Returns the number of tokens in the vocabulary.
    pub fn vocab_size(&self) -> u64 {
        self.vocab_size
    }

    /// Returns the number of experts in a sparse layer; `None` for a dense model.
    pub fn experts(&self) -> Option<u64> {
        self.experts.as_ref().map(|experts| experts.count)
    }

    /// Returns the number of experts that one token uses; `None` for a dense model.
    pub fn experts_per_token(&self) -> Option<u64> {
        self.experts.as_ref().map(|experts| experts.per_token)
    }

    /// Returns whether lm_head is the embedding matrix, stored once.
    pub fn tied(&self) -> bool {
        self.tied
    }

    /// Returns the number of tokens that a layer with a sliding window sees, including the current one; `None` where
    /// every layer sees all.
    pub fn sliding_window(&self) -> Option<u64> {
        self.sliding.as_ref().map(|sliding| sliding.window)
    }

    /// Returns the number of elements that one token takes in a key-value cache with the layout of mistral.rs 0.8.1's
    /// paged attention: in every layer keys and values, both as long as the longer of them, or the latents of latent
    /// attention (`ModelConfigMetadata::kv_cache_elements_per_token`).
    pub fn paged_cache_elements(&self) -> u64 {
        let of_layer = match &self.latent {
            Some(latent) => latent.key_value_rank + latent.rope_dim,
            None => 2 * self.kv_heads * self.head_dim.max(self.value_head_dim),
        };
        self.layers * of_layer
    }

    /// Returns the number of layers with attention; the others are recurrent.
    pub(super) fn attention_layers(&self) -> u64 {
        self.layers - self.recurrent_layers().len() as u64
    }

    /// Returns the indices of the recurrent layers, ascending.
    pub(super) fn recurrent_layers(&self) -> &[u64] {
        let recurrent = self.particulars.recurrent.as_ref();
        recurrent.map_or(&[], |recurrent| &recurrent.layers)
    }

    /// Returns the properties that determine the work of the model's passes.
    pub(super) fn passes(&self) -> Passes {
        Passes {
            window: self.sliding_window(),
            chunk: self.particulars.recurrent.as_ref().map_or(0, Recurrent::chunk),
            has_encoder: self.particulars.encoder.is_some(),
            only_prefills: !self.head.makes_text,
        }
    }

    /// Returns the shape, or an error where a dimension is impossible. Later arithmetic therefore cannot overflow.
    pub(super) fn checked(self) -> Result<Self, ShapeError> {
        within("hidden_size", self.hidden_size, MAX_DIMENSION)?;
        if !self.is_encoder() {
            within("num_hidden_layers", self.layers, MAX_LAYERS)?;
        }
        within("num_attention_heads", self.heads, MAX_HEADS)?;
        within("num_key_value_heads", self.kv_heads, self.heads)?;
        within("head_dim", self.head_dim, MAX_HEADS)?;
        within("value_head_dim", self.value_head_dim, MAX_HEADS)?;
        // Mamba has no feed-forward network.
        if self.attention_layers() > 0 || self.is_encoder() {
            within("intermediate_size", self.intermediate_size, MAX_DIMENSION)?;
        }
        within("vocab_size", self.vocab_size, MAX_DIMENSION)?;
        self.head.check()?;
        if self.learned_positions > MAX_DIMENSION {
            return Err(ShapeError::bad(
                "max_position_embeddings",
                self.learned_positions,
                "at most 16777216",
            ));
        }
        if !self.heads.is_multiple_of(self.kv_heads) {
            return Err(ShapeError::bad(
                "num_key_value_heads",
                self.kv_heads,
                "a divisor of the number of attention heads",
            ));
        }
        if let Some(experts) = &self.experts {
            experts.check(self.layers)?;
        }
        if let Some(sliding) = self
            .sliding
            .as_ref()
            .filter(|sliding| sliding.layers > self.attention_layers())
        {
            return Err(ShapeError::bad(
                "sliding layers",
                sliding.layers,
                "at most the layers with attention",
            ));
        }
        self.particulars.check(self.layers)?;
        if let Some(sliding) = &self.sliding {
            within("sliding_window", sliding.window, u64::MAX)?;
        }
        if let Some(latent) = &self.latent {
            within("kv_lora_rank", latent.key_value_rank, MAX_DIMENSION)?;
            within("q_lora_rank", latent.query_rank.unwrap_or(1), MAX_DIMENSION)?;
            within("qk_rope_head_dim", latent.rope_dim, self.head_dim)?;
        }
        Ok(self)
    }
}

impl Experts {
    /// Returns an error where a dimension is impossible.
    fn check(&self, layers: u64) -> Result<(), ShapeError> {
        within("num_experts", self.count, MAX_EXPERTS)?;
        within("num_experts_per_tok", self.per_token, self.count)?;
        within("moe_intermediate_size", self.intermediate_size, MAX_DIMENSION)?;
        if self.shared_intermediate_size > MAX_DIMENSION {
            return Err(ShapeError::bad(
                "shared expert width",
                self.shared_intermediate_size,
                "at most 16777216",
            ));
        }
        // The layers are in ascending order.
        if self.sparse_layers.last().is_some_and(|last| *last >= layers) {
            return Err(ShapeError::bad(
                "sparse layers",
                self.sparse_layers.len(),
                "at most as many as there are layers",
            ));
        }
        Ok(())
    }
}

/// Returns an error unless `value` is from 1 to `max`.
pub(super) fn within(key: &str, value: u64, max: u64) -> Result<(), ShapeError> {
    if value == 0 || value > max {
        let accepted = match max {
            u64::MAX => "a whole number of at least 1".to_owned(),
            max => format!("a whole number from 1 to {max}"),
        };
        return Err(ShapeError::bad(key, value, accepted));
    }
    Ok(())
}
