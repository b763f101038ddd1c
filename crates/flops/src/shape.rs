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

/// The reason why a configuration gives no shape. In every case the caller's next move is the parameter estimate.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ShapeError {
    /// The architecture is not described here: count by parameters, or describe it in `src/family/`.
    #[error("architecture `{0}` is not among the described families")]
    UnknownFamily(String),
    /// The configuration lacks a key that has no default.
    #[error("`{0}` is missing")]
    MissingKey(String),
    /// A default, or what follows from other keys, is a value no model has: a key is missing, or another is wrong.
    #[error("`{key}` is not in the file, and {value} by default or by the other keys; accepted is {accepted}")]
    BadDefault {
        /// The key that would state it.
        key: String,
        /// The value that follows without it.
        value: String,
        /// The values that are accepted, in words.
        accepted: Cow<'static, str>,
    },
    /// The configuration holds a value no model has: distrust the whole of it.
    #[error("`{key}` is {value}; accepted is {accepted}")]
    BadValue {
        /// The key that holds it.
        key: String,
        /// The value, as it stands there.
        value: String,
        /// The values that are accepted, in words.
        accepted: Cow<'static, str>,
    },
}

impl ShapeError {
    pub(super) fn bad(key: &str, value: impl ToString, accepted: impl Into<Cow<'static, str>>) -> Self {
        Self::BadValue {
            key: key.to_owned(),
            value: super::shortened(&value.to_string()),
            accepted: accepted.into(),
        }
    }

    /// Returns whether a dimension is 0: of such a model nothing can be counted.
    pub(super) fn is_zero(&self) -> bool {
        matches!(self, Self::BadValue { value, .. } | Self::BadDefault { value, .. } if value == "0")
    }

    pub(super) fn not_a_count(key: &str, value: &MetadataValue) -> Self {
        Self::bad(key, value, "one whole number for all layers")
    }
}

/// A transformer's dimensions: all that its matrix products depend on. Valid by construction.
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
    /// Length of one head's value; differs from `head_dim` in latent attention only.
    pub(super) value_head_dim: u64,
    /// Width of the dense feed-forward layer.
    pub(super) intermediate_size: u64,
    pub(super) vocab_size: u64,
    /// Whether lm_head is the embedding matrix, stored once.
    pub(super) tied: bool,
    pub(super) head: Head,
    /// Whether the feed-forward layer has a gate beside its up projection (three matrices instead of two).
    pub(super) gated_mlp: bool,
    pub(super) experts: Option<Experts>,
    pub(super) latent: Option<LatentAttention>,
    pub(super) biases: Biases,
    pub(super) norms: Norms,
    /// Rows of a learned position embedding; 0 where positions are rotary.
    pub(super) learned_positions: u64,
    pub(super) sliding: Option<Sliding>,
    pub(super) activation: Activation,
    /// Length of the part of each query and key that rotary embedding turns; 0 where positions are learned.
    pub(super) rotary_dim: u64,
    /// Whether the embedding is scaled (Gemma).
    pub(super) scales_embedding: bool,
    /// Whether attention scores and logits are capped by a tanh (Gemma 2).
    pub(super) soft_caps: bool,
    /// What only few families have.
    pub(super) particulars: Particulars,
}

/// The layers whose attention looks back no further than a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sliding {
    /// Tokens seen, the present one included.
    pub window: u64,
    pub layers: u64,
}

/// The feed-forward layer's non-linearity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Activation {
    Silu,
    GeluTanh,
    Relu,
}

/// The mixture of experts in `sparse_layers`; the other layers have a dense feed-forward network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Experts {
    /// Their numbers from 0, ascending.
    pub sparse_layers: Vec<u64>,
    pub count: u64,
    pub per_token: u64,
    pub intermediate_size: u64,
    /// Width of the expert that every token passes; 0 without one.
    pub shared_intermediate_size: u64,
    /// Whether a one-row product weighs the shared expert.
    pub shared_gate: bool,
}

/// Multi-head latent attention (DeepSeek-V2): low-rank projections of query, and of key and value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LatentAttention {
    /// Rank of the query; `None` where it is projected directly.
    pub query_rank: Option<u64>,
    pub key_value_rank: u64,
    /// Length of the key's rotary part, shared by all heads.
    pub rope_dim: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Biases {
    pub qkv: bool,
    pub attention_output: bool,
    pub mlp: bool,
    pub lm_head: bool,
    pub experts: bool,
    pub router: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Norms {
    /// Names of the norms over the hidden state in each layer.
    pub of_layer: &'static [&'static str],
    /// LayerNorm with a bias, or RMSNorm without.
    pub bias: bool,
    /// Whether norms have a weight.
    pub weight: bool,
    pub query_key: QueryKeyNorm,
    pub query_key_bias: bool,
}

/// Far above any model there is, and low enough that every count in this crate fits 128 bits with 32-bit token counts.
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

    /// Returns the number of heads that have keys and values of their own.
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

    /// Returns the number of experts that one token passes; `None` for a dense model.
    pub fn experts_per_token(&self) -> Option<u64> {
        self.experts.as_ref().map(|experts| experts.per_token)
    }

    /// Returns whether lm_head is the embedding matrix, stored once.
    pub fn tied(&self) -> bool {
        self.tied
    }

    /// Returns the number of tokens that a layer with a sliding window sees, the present one included; `None` where
    /// every layer sees all.
    pub fn sliding_window(&self) -> Option<u64> {
        self.sliding.as_ref().map(|sliding| sliding.window)
    }

    /// Returns the elements that one token takes in a key-value cache, as the paged attention of mistral.rs 0.8.1 lays it
    /// out: in every layer keys and values as long as the longer of both, or the latents of latent attention
    /// (`ModelConfigMetadata::kv_cache_elements_per_token`).
    pub fn paged_cache_elements(&self) -> u64 {
        let of_layer = match &self.latent {
            Some(latent) => latent.key_value_rank + latent.rope_dim,
            None => 2 * self.kv_heads * self.head_dim.max(self.value_head_dim),
        };
        self.layers * of_layer
    }

    /// Layers with attention, the others are recurrent.
    pub(super) fn attention_layers(&self) -> u64 {
        self.layers - self.recurrent_layers().len() as u64
    }

    pub(super) fn recurrent_layers(&self) -> &[u64] {
        let recurrent = self.particulars.recurrent.as_ref();
        recurrent.map_or(&[], |recurrent| &recurrent.layers)
    }

    /// What of the model decides how much work its passes are.
    pub(super) fn passes(&self) -> Passes {
        Passes {
            window: self.sliding_window(),
            chunk: self.particulars.recurrent.as_ref().map_or(0, Recurrent::chunk),
            has_encoder: self.particulars.encoder.is_some(),
            only_prefills: !self.head.makes_text,
        }
    }

    /// Refuses what no model has, so that the arithmetic needs no checks.
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
        // Ascending by construction.
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

pub(super) fn within(key: &str, value: u64, max: u64) -> Result<(), ShapeError> {
    if value == 0 || value > max {
        return Err(ShapeError::bad(
            key,
            value,
            "a whole number from 1 to what any model has",
        ));
    }
    Ok(())
}
