//! The operators of a model: every operator that has weights, by the family's description.

mod encoder;
mod per_layer;
mod recurrent;

use super::shape::{Experts, LatentAttention, ModelShape, QueryKeyNorm};

/// Use of an operator's weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A product with every token's vector.
    Product,
    /// A product that expands the cached latents of latent attention to keys and values.
    LatentExpansion,
    /// A product with the vector of every token of the encoder.
    OfEncoder,
    /// A product of each channel with its last tokens; the columns are the kernel.
    Convolution,
    /// lm_head: a product with the vectors of those tokens whose logits are computed.
    Logits,
    /// A table from which rows are copied.
    Lookup,
    /// The vector of a norm.
    Norm,
    /// A vector used in elementwise operations.
    Vector,
}

/// Place of an operator in the model, which determines its number of copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    Model,
    Layers,
    AttentionLayers,
    /// Layers with attention that compute their own keys and values.
    KeyedLayers,
    /// Layers with a recurrence instead of attention.
    RecurrentLayers,
    /// Layers with a dense feed-forward network.
    DenseLayers,
    /// Layers with a mixture of experts.
    SparseLayers,
    /// Each expert of each sparse layer.
    Experts,
    EncoderLayers,
    /// Each stream of hidden states except the first (Gemma 3n).
    Streams,
}

/// A matrix or vector that the model has once, or once in each layer or expert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Operator {
    /// Usual name: `q_proj`, `expert_down_proj`, `lm_head`.
    pub name: &'static str,
    pub kind: Kind,
    pub scope: Scope,
    /// Length of the output; 1 for a norm.
    pub rows: u64,
    /// Length of the input.
    pub columns: u64,
    /// Whether a vector is added to the output.
    pub bias: bool,
}

impl Operator {
    /// Returns the number of elements of one copy, without its bias.
    pub fn elements(&self) -> u128 {
        u128::from(self.rows) * u128::from(self.columns)
    }

    /// Returns the number of elements of the bias of one copy.
    pub fn bias_elements(&self) -> u128 {
        match (self.bias, self.kind) {
            (false, _) => 0,
            (true, Kind::Norm) => u128::from(self.columns),
            (true, _) => u128::from(self.rows),
        }
    }
}

impl ModelShape {
    /// Returns the number of copies that the model stores; 0 for a tied lm_head, which is stored as the embedding.
    pub(super) fn stored(&self, operator: &Operator) -> u64 {
        let sparse = self.sparse_layers().len() as u64;
        match operator.scope {
            Scope::Model if operator.kind == Kind::Logits => u64::from(!self.tied),
            Scope::Model => 1,
            Scope::Layers => self.layers,
            Scope::AttentionLayers => self.attention_layers(),
            Scope::KeyedLayers if self.particulars.layers_without_keys == 0 => self.attention_layers(),
            Scope::KeyedLayers => self.layers_with(Scope::KeyedLayers).len() as u64,
            Scope::RecurrentLayers => self.recurrent_layers().len() as u64,
            Scope::DenseLayers => self.layers - sparse,
            Scope::SparseLayers => sparse,
            Scope::Experts => sparse * self.experts.as_ref().map_or(0, |experts| experts.count),
            Scope::EncoderLayers => self.encoder_layers(),
            Scope::Streams => self.streams_beside_the_first(),
        }
    }

    /// Returns the indices of the layers that have the scope's operators, ascending. The encoder's layers have their
    /// own indices.
    pub(super) fn layers_with(&self, scope: Scope) -> Vec<u64> {
        (0..self.layers.max(self.encoder_layers()))
            .filter(|layer| self.has_layer(scope, *layer))
            .collect()
    }

    /// Returns whether the layer has the scope's operators.
    pub(super) fn has_layer(&self, scope: Scope, layer: u64) -> bool {
        let is_sparse = || self.sparse_layers().binary_search(&layer).is_ok();
        let is_recurrent = || self.recurrent_layers().binary_search(&layer).is_ok();
        if scope == Scope::EncoderLayers {
            return layer < self.encoder_layers();
        }
        layer < self.layers
            && match scope {
                Scope::Model | Scope::Streams | Scope::EncoderLayers => false,
                Scope::Layers => true,
                Scope::AttentionLayers => !is_recurrent(),
                Scope::KeyedLayers => !is_recurrent() && layer < self.layers - self.particulars.layers_without_keys,
                Scope::RecurrentLayers => is_recurrent(),
                Scope::DenseLayers => !is_sparse(),
                Scope::SparseLayers | Scope::Experts => is_sparse(),
            }
    }

    /// Returns the number of streams except the first.
    pub(super) fn streams_beside_the_first(&self) -> u64 {
        self.particulars
            .per_layer_inputs
            .map_or(0, |inputs| inputs.streams.saturating_sub(1))
    }

    /// Returns the number of the encoder's layers.
    fn encoder_layers(&self) -> u64 {
        self.particulars.encoder.map_or(0, |encoder| encoder.layers)
    }

    /// Returns the number of copies that one token uses.
    pub(super) fn active(&self, operator: &Operator) -> u64 {
        match (operator.scope, &self.experts) {
            (Scope::Model, _) => 1,
            (Scope::Experts, Some(experts)) => experts.sparse_layers.len() as u64 * experts.per_token,
            _ => self.stored(operator),
        }
    }

    /// Returns the indices of the layers with experts, ascending.
    pub(super) fn sparse_layers(&self) -> &[u64] {
        self.experts.as_ref().map_or(&[], |experts| &experts.sparse_layers)
    }

    /// Returns the number of parameters of the whole model; an embedding that is also the lm_head counts once.
    pub fn parameters_total(&self) -> u128 {
        self.parameters(Self::stored)
    }

    /// Returns the number of parameters that one token uses: all but those of experts that are not chosen. The
    /// embedding counts in full.
    pub fn parameters_active(&self) -> u128 {
        self.parameters(|shape, operator| shape.active(operator).min(shape.stored(operator)))
    }

    /// Sums the parameters of all operators.
    fn parameters(&self, copies: impl Fn(&Self, &Operator) -> u64) -> u128 {
        let of = |operator: &Operator| {
            // A bias of lm_head exists even where its matrix is the embedding.
            let biases = copies(self, operator).max(u64::from(operator.kind == Kind::Logits));
            operator.elements() * u128::from(copies(self, operator)) + operator.bias_elements() * u128::from(biases)
        };
        self.operators().iter().map(of).sum()
    }

    /// Returns every operator with weights, in the order in which a token passes them.
    pub(super) fn operators(&self) -> Vec<Operator> {
        let mut walk = Walk::default();
        walk.push(
            "embed_tokens",
            Kind::Lookup,
            Scope::Model,
            [self.vocab_size, self.hidden_size],
        );
        walk.push(
            "embed_positions",
            Kind::Lookup,
            Scope::Model,
            [self.learned_positions, self.hidden_size],
        );
        if self.particulars.embedding_norm {
            self.hidden_norm(&mut walk, "embed_norm", Scope::Model);
        }
        self.encoder(&mut walk);
        self.per_layer_inputs(&mut walk);
        for norm in self.norms.of_layer {
            self.hidden_norm(&mut walk, norm, Scope::Layers);
        }
        match &self.latent {
            None => self.grouped_attention(&mut walk),
            Some(latent) => self.latent_attention(&mut walk, latent),
        }
        let o_proj = [self.hidden_size, self.heads * self.value_head_dim];
        walk.linear("o_proj", Scope::AttentionLayers, o_proj, self.biases.attention_output);
        self.recurrence(&mut walk);
        self.dense_mlp(&mut walk);
        if let Some(experts) = &self.experts {
            self.expert_mlp(&mut walk, experts);
        }
        if !self.is_encoder() {
            self.hidden_norm(&mut walk, "final_norm", Scope::Model);
        }
        self.head(&mut walk);
        let exists = |operator: &Operator| operator.elements() > 0 && self.active(operator) > 0;
        walk.operators.retain(exists);
        walk.operators
    }

    /// Adds the lm_head and the scores.
    fn head(&self, walk: &mut Walk) {
        if self.head.makes_text {
            let shape = [self.vocab_size, self.hidden_size];
            walk.push("lm_head", Kind::Logits, Scope::Model, shape);
            walk.bias_of_last(self.biases.lm_head);
        }
        for (position, score) in self.head.scores.iter().enumerate() {
            let name = self.head.operator(position);
            walk.linear(name, Scope::Model, [score.rows, score.columns], score.bias);
        }
    }

    /// Adds a norm over the hidden state.
    fn hidden_norm(&self, walk: &mut Walk, name: &'static str, scope: Scope) {
        let length = if self.norms.weight { self.hidden_size } else { 0 };
        walk.norm(name, scope, length, self.norms.bias);
    }

    /// Adds the projections and norms of grouped-query attention.
    fn grouped_attention(&self, walk: &mut Walk) {
        let (biased, hidden) = (self.biases.qkv, self.hidden_size);
        let gated = 1 + u64::from(self.particulars.query_gate);
        let [queries, keys] = [self.heads, self.kv_heads].map(|heads| heads * self.head_dim);
        walk.linear("q_proj", Scope::AttentionLayers, [gated * queries, hidden], biased);
        walk.linear("k_proj", Scope::KeyedLayers, [keys, hidden], biased);
        let values = self.kv_heads * self.value_head_dim;
        walk.linear("v_proj", Scope::KeyedLayers, [values, hidden], biased);
        let lengths = match self.norms.query_key {
            QueryKeyNorm::Absent => [0; 2],
            QueryKeyNorm::OneForAllHeads => [self.head_dim; 2],
            QueryKeyNorm::OfAllHeads => [queries, keys],
        };
        walk.norm("q_norm", Scope::AttentionLayers, lengths[0], self.norms.query_key_bias);
        walk.norm("k_norm", Scope::KeyedLayers, lengths[1], self.norms.query_key_bias);
        let sinks = if self.particulars.sinks { self.heads } else { 0 };
        walk.vector("sinks", Scope::AttentionLayers, [1, sinks]);
    }

    /// Adds the projections and norms of latent attention, like transformers' DeepseekV2Attention: only the low-rank
    /// products from the hidden state have biases.
    fn latent_attention(&self, walk: &mut Walk, latent: &LatentAttention) {
        let hidden = self.hidden_size;
        let queries = self.heads * self.head_dim;
        match latent.query_rank {
            None => walk.linear("q_proj", Scope::Layers, [queries, hidden], false),
            Some(rank) => {
                walk.linear("q_a_proj", Scope::Layers, [rank, hidden], self.biases.qkv);
                walk.norm("q_a_norm", Scope::Layers, rank, false);
                walk.linear("q_b_proj", Scope::Layers, [queries, rank], false);
            }
        }
        let rank = latent.key_value_rank;
        walk.linear(
            "kv_a_proj",
            Scope::Layers,
            [rank + latent.rope_dim, hidden],
            self.biases.qkv,
        );
        walk.norm("kv_a_norm", Scope::Layers, rank, false);
        let nope_dim = self.head_dim - latent.rope_dim;
        for (name, length) in [("k_b_proj", nope_dim), ("v_b_proj", self.value_head_dim)] {
            walk.push(name, Kind::LatentExpansion, Scope::Layers, [self.heads * length, rank]);
        }
    }

    /// Adds the dense feed-forward network.
    fn dense_mlp(&self, walk: &mut Walk) {
        let (hidden, width, biased) = (self.hidden_size, self.intermediate_size, self.biases.mlp);
        if self.gated_mlp {
            walk.linear("gate_proj", Scope::DenseLayers, [width, hidden], biased);
        }
        walk.linear("up_proj", Scope::DenseLayers, [width, hidden], biased);
        walk.linear("down_proj", Scope::DenseLayers, [hidden, width], biased);
    }

    /// Adds the router, the experts and the shared expert.
    fn expert_mlp(&self, walk: &mut Walk, experts: &Experts) {
        let hidden = self.hidden_size;
        walk.linear(
            "router",
            Scope::SparseLayers,
            [experts.count, hidden],
            self.biases.router,
        );
        let (width, biased) = (experts.intermediate_size, self.biases.experts);
        walk.linear("expert_gate_proj", Scope::Experts, [width, hidden], biased);
        walk.linear("expert_up_proj", Scope::Experts, [width, hidden], biased);
        walk.linear("expert_down_proj", Scope::Experts, [hidden, width], biased);
        let (width, biased) = (experts.shared_intermediate_size, self.biases.mlp);
        walk.linear("shared_gate_proj", Scope::SparseLayers, [width, hidden], biased);
        walk.linear("shared_up_proj", Scope::SparseLayers, [width, hidden], biased);
        walk.linear("shared_down_proj", Scope::SparseLayers, [hidden, width], biased);
        let gates = u64::from(experts.shared_gate && width > 0);
        walk.linear("shared_expert_gate", Scope::SparseLayers, [gates, hidden], false);
    }
}

/// List of operators that is being built.
#[derive(Default)]
struct Walk {
    operators: Vec<Operator>,
}

impl Walk {
    /// Adds an operator without a bias.
    fn push(&mut self, name: &'static str, kind: Kind, scope: Scope, [rows, columns]: [u64; 2]) {
        self.operators.push(Operator {
            name,
            kind,
            scope,
            rows,
            columns,
            bias: false,
        });
    }

    /// Adds a linear layer.
    fn linear(&mut self, name: &'static str, scope: Scope, shape: [u64; 2], biased: bool) {
        self.push(name, Kind::Product, scope, shape);
        self.bias_of_last(biased);
    }

    /// Adds a norm.
    fn norm(&mut self, name: &'static str, scope: Scope, length: u64, biased: bool) {
        self.push(name, Kind::Norm, scope, [1, length]);
        self.bias_of_last(biased);
    }

    /// Adds a vector.
    fn vector(&mut self, name: &'static str, scope: Scope, shape: [u64; 2]) {
        self.push(name, Kind::Vector, scope, shape);
    }

    /// Sets whether the last operator has a bias.
    fn bias_of_last(&mut self, biased: bool) {
        if let Some(last) = self.operators.last_mut() {
            last.bias = biased;
        }
    }
}
