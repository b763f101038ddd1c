//! Parts that only few families have: recurrent layers, an encoder, Gemma 3n's per-layer inputs.

use super::{MAX_DIMENSION, MAX_LAYERS, ShapeError, within};

/// Norms of queries and keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum QueryKeyNorm {
    Absent,
    /// One weight vector for all heads.
    OneForAllHeads,
    /// A weight for each element of all heads: each head has its own vector, or all heads are normed as one.
    OfAllHeads,
}

/// Parts that only few families have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Particulars {
    /// Layers with a recurrence instead of attention.
    pub recurrent: Option<Recurrent>,
    /// Whether the query's projection also yields a gate for the attention's output.
    pub query_gate: bool,
    /// Whether each head has an additional score without a key (gpt-oss).
    pub sinks: bool,
    /// Whether the embedding is normed (BLOOM).
    pub embedding_norm: bool,
    pub per_layer_inputs: Option<PerLayerInputs>,
    /// Number of last layers that use the keys and values of earlier ones.
    pub layers_without_keys: u64,
    pub encoder: Option<Encoder>,
    /// Number of additional layers that predict further tokens, and which text generation does not use.
    pub further_layers: u64,
}

/// Layers with a recurrence instead of attention.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Recurrent {
    /// Indices of the layers, from 0, ascending.
    pub layers: Vec<u64>,
    pub recurrence: Recurrence,
}

/// Kind of recurrence with its dimensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recurrence {
    /// Mamba.
    Scan(Scan),
    /// Mamba-2.
    DualStates(DualStates),
    /// Gated DeltaNet.
    DeltaRule(DeltaRule),
    /// Lightning attention, with the heads of the other layers.
    Lightning { block: u64 },
}

/// Short convolution over the last tokens of each channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Convolution {
    pub kernel: u64,
    pub bias: bool,
}

/// Dimensions of Mamba.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scan {
    pub inner: u64,
    pub state: u64,
    pub step_rank: u64,
    pub convolution: Convolution,
    /// Whether the projections of the hidden state have a bias.
    pub bias: bool,
    /// Whether step, input and output of the state are normed (Jamba).
    pub norms: bool,
}

/// Dimensions of Mamba-2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DualStates {
    pub heads: u64,
    pub head_dim: u64,
    pub groups: u64,
    pub state: u64,
    pub convolution: Convolution,
    pub bias: bool,
    pub chunk: u64,
}

/// Dimensions of the gated delta rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DeltaRule {
    pub key_heads: u64,
    pub value_heads: u64,
    pub key_dim: u64,
    pub value_dim: u64,
    pub kernel: u64,
}

/// Encoder of T5. It has the same heads and widths as the decoder. Without a decoder the model has no other layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Encoder {
    pub layers: u64,
    /// Rows of the table of relative positions; encoder and decoder have one table each.
    pub position_buckets: u64,
}

/// Gemma 3n's second embedding and its streams of hidden states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PerLayerInputs {
    pub vocab_size: u64,
    /// Length of a token's vector for one layer.
    pub size: u64,
    pub streams: u64,
    /// Rank of the learned augmented residual.
    pub residual_rank: u64,
}

/// Number of tokens in a chunk of transformers' gated delta rule.
const DELTA_RULE_CHUNK: u64 = 64;
const MAX_HEADS: u64 = 1 << 16;
const MAX_CHUNK: u64 = 1 << 20;

impl Recurrent {
    /// Returns the number of tokens in a chunk of a prefill; 0 where it is not chunked.
    pub fn chunk(&self) -> u64 {
        match self.recurrence {
            Recurrence::Scan(_) => 0,
            Recurrence::DualStates(states) => states.chunk,
            Recurrence::DeltaRule(_) => DELTA_RULE_CHUNK,
            Recurrence::Lightning { block } => block,
        }
    }
}

impl Particulars {
    /// Returns an error where a dimension is impossible.
    pub(super) fn check(&self, layers: u64) -> Result<(), ShapeError> {
        if let Some(encoder) = self.encoder {
            within("num_layers", encoder.layers, MAX_LAYERS)?;
            within(
                "relative_attention_num_buckets",
                encoder.position_buckets,
                MAX_DIMENSION,
            )?;
        }
        if let Some(inputs) = self.per_layer_inputs {
            within("vocab_size_per_layer_input", inputs.vocab_size, MAX_DIMENSION)?;
            within("hidden_size_per_layer_input", inputs.size, MAX_HEADS)?;
            within("altup_num_inputs", inputs.streams, 1 << 8)?;
            within("laurel_rank", inputs.residual_rank, MAX_DIMENSION)?;
        }
        if self.layers_without_keys > layers {
            let accepted = "at most as many as there are layers";
            return Err(ShapeError::bad(
                "num_kv_shared_layers",
                self.layers_without_keys,
                accepted,
            ));
        }
        self.recurrent.as_ref().map_or(Ok(()), Recurrent::check)
    }
}

impl Recurrent {
    /// Returns an error where a dimension is impossible.
    fn check(&self) -> Result<(), ShapeError> {
        match self.recurrence {
            Recurrence::Scan(scan) => {
                within("mamba width", scan.inner, MAX_DIMENSION)?;
                within("mamba state", scan.state, MAX_HEADS)?;
                within("mamba step rank", scan.step_rank, MAX_DIMENSION)?;
                within("mamba kernel", scan.convolution.kernel, MAX_HEADS)
            }
            Recurrence::DualStates(states) => {
                within("mamba heads", states.heads, MAX_HEADS)?;
                within("mamba head_dim", states.head_dim, MAX_HEADS)?;
                within("mamba groups", states.groups, MAX_HEADS)?;
                within("mamba state", states.state, MAX_HEADS)?;
                within("mamba chunk", states.chunk, MAX_CHUNK)?;
                within("mamba kernel", states.convolution.kernel, MAX_HEADS)
            }
            Recurrence::DeltaRule(rule) => {
                within("linear_num_key_heads", rule.key_heads, MAX_HEADS)?;
                within("linear_num_value_heads", rule.value_heads, MAX_HEADS)?;
                within("linear_key_head_dim", rule.key_dim, MAX_HEADS)?;
                within("linear_value_head_dim", rule.value_dim, MAX_HEADS)?;
                within("linear_conv_kernel_dim", rule.kernel, MAX_HEADS)
            }
            Recurrence::Lightning { block } => within("block_size", block, MAX_CHUNK),
        }
    }
}
