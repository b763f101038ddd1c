//! The walk through a model: every operator that holds weights, by the family's description.

use super::shape::{Experts, Head, LatentAttention, ModelShape};

/// What an operator does with its weights when tokens pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A product with every token's vector.
    Product,
    /// A product that makes keys and values of what latent attention keeps in its cache.
    LatentExpansion,
    /// lm_head: a product with those tokens' vectors whose logits are wanted.
    Logits,
    /// A table from which rows are copied.
    Lookup,
    /// A norm's vector: no product.
    Norm,
}

/// Where an operator stands, and so how often the model has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    Model,
    Layers,
    /// Layers with one feed-forward network for all tokens.
    DenseLayers,
    /// Layers with a mixture of experts.
    SparseLayers,
    /// Each expert of each such layer.
    Experts,
}

/// One matrix or vector, met again in layers and experts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Operator {
    /// The usual name: `q_proj`, `expert_down_proj`, `lm_head`.
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
    /// Elements of one copy without its bias.
    pub fn elements(&self) -> u128 {
        u128::from(self.rows) * u128::from(self.columns)
    }

    pub fn bias_elements(&self) -> u128 {
        match (self.bias, self.kind) {
            (false, _) => 0,
            (true, Kind::Norm) => u128::from(self.columns),
            (true, _) => u128::from(self.rows),
        }
    }
}

impl ModelShape {
    /// Copies that the model stores. A tied lm_head is stored as the embedding, so 0.
    pub(super) fn stored(&self, operator: &Operator) -> u64 {
        let sparse = self.sparse_layers().len() as u64;
        match operator.scope {
            Scope::Model if operator.kind == Kind::Logits => u64::from(!self.tied),
            Scope::Model => 1,
            Scope::Layers => self.layers,
            Scope::DenseLayers => self.layers - sparse,
            Scope::SparseLayers => sparse,
            Scope::Experts => sparse * self.experts.as_ref().map_or(0, |experts| experts.count),
        }
    }

    /// Copies that one token passes.
    pub(super) fn active(&self, operator: &Operator) -> u64 {
        match (operator.scope, &self.experts) {
            (Scope::Model, _) => 1,
            (Scope::Experts, Some(experts)) => experts.sparse_layers.len() as u64 * experts.per_token,
            _ => self.stored(operator),
        }
    }

    pub(super) fn sparse_layers(&self) -> &[u64] {
        self.experts.as_ref().map_or(&[], |experts| &experts.sparse_layers)
    }

    /// Returns the parameters of the whole model; an embedding that serves as lm_head is counted once.
    pub fn parameters_total(&self) -> u128 {
        self.parameters(Self::stored)
    }

    /// Returns the parameters that one token passes: all but the experts not chosen. The embedding counts in full.
    pub fn parameters_active(&self) -> u128 {
        self.parameters(|shape, operator| shape.active(operator).min(shape.stored(operator)))
    }

    fn parameters(&self, copies: impl Fn(&Self, &Operator) -> u64) -> u128 {
        let of = |operator: &Operator| {
            // A bias of lm_head is there even where its matrix is the embedding's.
            let biases = copies(self, operator).max(u64::from(operator.kind == Kind::Logits));
            operator.elements() * u128::from(copies(self, operator)) + operator.bias_elements() * u128::from(biases)
        };
        self.operators().iter().map(of).sum()
    }

    /// Every operator with weights, in the order in which a token passes them.
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
        for norm in self.norms.of_layer {
            walk.norm(norm, Scope::Layers, self.hidden_size, self.norms.bias);
        }
        match &self.latent {
            None => self.grouped_attention(&mut walk),
            Some(latent) => self.latent_attention(&mut walk, latent),
        }
        let o_proj = [self.hidden_size, self.heads * self.value_head_dim];
        walk.linear("o_proj", Scope::Layers, o_proj, self.biases.attention_output);
        self.dense_mlp(&mut walk);
        if let Some(experts) = &self.experts {
            self.expert_mlp(&mut walk, experts);
        }
        walk.norm("final_norm", Scope::Model, self.hidden_size, self.norms.bias);
        walk.push(
            "lm_head",
            Kind::Logits,
            Scope::Model,
            [self.vocab_size, self.hidden_size],
        );
        walk.bias_of_last(self.biases.lm_head);
        if self.head != Head::LanguageModel {
            walk.operators.pop();
        }
        if let Head::Score(labels) = self.head {
            walk.linear("score", Scope::Model, [labels, self.hidden_size], false);
        }
        let exists = |operator: &Operator| operator.elements() > 0 && self.active(operator) > 0;
        walk.operators.retain(exists);
        walk.operators
    }

    fn grouped_attention(&self, walk: &mut Walk) {
        let biased = self.biases.qkv;
        for (name, heads, length) in [
            ("q_proj", self.heads, self.head_dim),
            ("k_proj", self.kv_heads, self.head_dim),
            ("v_proj", self.kv_heads, self.value_head_dim),
        ] {
            walk.linear(name, Scope::Layers, [heads * length, self.hidden_size], biased);
        }
        if self.norms.query_key {
            walk.norm("q_norm", Scope::Layers, self.head_dim, self.norms.bias);
            walk.norm("k_norm", Scope::Layers, self.head_dim, self.norms.bias);
        }
    }

    // After transformers' DeepseekV2Attention: only the low-rank products from the hidden state have biases.
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

    fn dense_mlp(&self, walk: &mut Walk) {
        let (hidden, width, biased) = (self.hidden_size, self.intermediate_size, self.biases.mlp);
        if self.gated_mlp {
            walk.linear("gate_proj", Scope::DenseLayers, [width, hidden], biased);
        }
        walk.linear("up_proj", Scope::DenseLayers, [width, hidden], biased);
        walk.linear("down_proj", Scope::DenseLayers, [hidden, width], biased);
    }

    fn expert_mlp(&self, walk: &mut Walk, experts: &Experts) {
        let hidden = self.hidden_size;
        walk.linear("router", Scope::SparseLayers, [experts.count, hidden], false);
        let width = experts.intermediate_size;
        walk.linear("expert_gate_proj", Scope::Experts, [width, hidden], false);
        walk.linear("expert_up_proj", Scope::Experts, [width, hidden], false);
        walk.linear("expert_down_proj", Scope::Experts, [hidden, width], false);
        let (width, biased) = (experts.shared_intermediate_size, self.biases.mlp);
        walk.linear("shared_gate_proj", Scope::SparseLayers, [width, hidden], biased);
        walk.linear("shared_up_proj", Scope::SparseLayers, [width, hidden], biased);
        walk.linear("shared_down_proj", Scope::SparseLayers, [hidden, width], biased);
        let gates = u64::from(experts.shared_gate && width > 0);
        walk.linear("shared_expert_gate", Scope::SparseLayers, [gates, hidden], false);
    }
}

#[derive(Default)]
struct Walk {
    operators: Vec<Operator>,
}

impl Walk {
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

    fn linear(&mut self, name: &'static str, scope: Scope, shape: [u64; 2], biased: bool) {
        self.push(name, Kind::Product, scope, shape);
        self.bias_of_last(biased);
    }

    fn norm(&mut self, name: &'static str, scope: Scope, length: u64, biased: bool) {
        self.push(name, Kind::Norm, scope, [1, length]);
        self.bias_of_last(biased);
    }

    fn bias_of_last(&mut self, biased: bool) {
        if let Some(last) = self.operators.last_mut() {
            last.bias = biased;
        }
    }
}
