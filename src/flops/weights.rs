use serde::Serialize;
use utoipa::ToSchema;

use super::shape::{Experts, LatentAttention, ModelShape};

/// What a weight does when a token passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WeightRole {
    /// A product with every token's vector.
    Product,
    /// lm_head: a product with those tokens' vectors whose logits are wanted.
    Logits,
    /// A table from which rows are copied.
    Lookup,
    /// A norm's or a bias's vector: no product.
    Vector,
}

/// A kind of weight in the walk through the model: one matrix of `rows` × `columns`, met again in layers and experts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Weight {
    /// The operator's usual name: `q_proj`, `expert_down_proj`, `lm_head`.
    pub operator: &'static str,
    pub rows: u64,
    pub columns: u64,
    /// How many of them the model has; 0 for a lm_head that is the embedding.
    pub stored: u64,
    /// How many of them one token passes.
    pub active: u64,
    pub role: WeightRole,
}

impl Weight {
    /// Elements of one matrix.
    pub fn elements(&self) -> u128 {
        u128::from(self.rows) * u128::from(self.columns)
    }
}

impl ModelShape {
    /// Every weight of the model, by the family's description.
    pub fn weights(&self) -> Vec<Weight> {
        let mut walk = Walk { weights: Vec::new() };
        walk.push(table("embed_tokens", self.vocab_size, self.hidden_size, 1));
        walk.push(table("embed_positions", self.learned_positions, self.hidden_size, 1));
        match &self.latent {
            None => self.grouped_attention(&mut walk),
            Some(latent) => self.latent_attention(&mut walk, latent),
        }
        let sparse_layers = self.experts.as_ref().map_or(0, |experts| experts.sparse_layers);
        self.dense_mlp(&mut walk, self.layers - sparse_layers);
        if let Some(experts) = &self.experts {
            self.expert_mlp(&mut walk, experts);
        }
        self.norm_vectors(&mut walk);
        walk.push(Weight {
            operator: "lm_head",
            rows: self.vocab_size,
            columns: self.hidden_size,
            stored: u64::from(!self.tied),
            active: 1,
            role: WeightRole::Logits,
        });
        walk.bias("lm_head_bias", self.vocab_size, u64::from(self.biases.lm_head));
        walk.weights.retain(|weight| weight.elements() > 0 && weight.active > 0);
        walk.weights
    }

    /// Parameters of the whole model; an embedding that serves as lm_head is counted once.
    pub fn parameters_total(&self) -> u128 {
        self.weights()
            .iter()
            .map(|weight| weight.elements() * u128::from(weight.stored))
            .sum()
    }

    /// Parameters that one token passes: all but the experts not chosen. The embedding counts in full.
    pub fn parameters_active(&self) -> u128 {
        self.weights()
            .iter()
            .map(|weight| weight.elements() * u128::from(weight.active.min(weight.stored)))
            .sum()
    }

    fn grouped_attention(&self, walk: &mut Walk) {
        let (layers, hidden) = (self.layers, self.hidden_size);
        walk.linear("q_proj", self.heads * self.head_dim, hidden, layers);
        walk.linear("k_proj", self.kv_heads * self.head_dim, hidden, layers);
        walk.linear("v_proj", self.kv_heads * self.value_head_dim, hidden, layers);
        walk.linear("o_proj", hidden, self.heads * self.value_head_dim, layers);
        if self.biases.qkv {
            let key_value = self.kv_heads * (self.head_dim + self.value_head_dim);
            walk.bias("qkv_bias", self.heads * self.head_dim + key_value, layers);
        }
        if self.biases.attention_output {
            walk.bias("o_proj_bias", hidden, layers);
        }
    }

    // After transformers' DeepseekV2Attention, whose cache holds keys and values already expanded.
    fn latent_attention(&self, walk: &mut Walk, latent: &LatentAttention) {
        let (layers, hidden) = (self.layers, self.hidden_size);
        let nope_dim = self.head_dim - latent.rope_dim;
        match latent.query_rank {
            None => walk.linear("q_proj", self.heads * self.head_dim, hidden, layers),
            Some(rank) => {
                walk.linear("q_a_proj", rank, hidden, layers);
                walk.bias("q_a_norm", rank, layers);
                walk.linear("q_b_proj", self.heads * self.head_dim, rank, layers);
            }
        }
        walk.linear("kv_a_proj", latent.key_value_rank + latent.rope_dim, hidden, layers);
        walk.bias("kv_a_norm", latent.key_value_rank, layers);
        walk.linear(
            "kv_b_proj",
            self.heads * (nope_dim + self.value_head_dim),
            latent.key_value_rank,
            layers,
        );
        walk.linear("o_proj", hidden, self.heads * self.value_head_dim, layers);
        if self.biases.qkv {
            let low_rank = latent.query_rank.unwrap_or(0) + latent.key_value_rank + latent.rope_dim;
            walk.bias("latent_bias", low_rank, layers);
        }
        if self.biases.attention_output {
            walk.bias("o_proj_bias", hidden, layers);
        }
    }

    fn dense_mlp(&self, walk: &mut Walk, layers: u64) {
        let (hidden, width) = (self.hidden_size, self.intermediate_size);
        if self.gated_mlp {
            walk.linear("gate_proj", width, hidden, layers);
        }
        walk.linear("up_proj", width, hidden, layers);
        walk.linear("down_proj", hidden, width, layers);
        if self.biases.mlp {
            walk.bias("mlp_bias", width * (1 + u64::from(self.gated_mlp)) + hidden, layers);
        }
    }

    fn expert_mlp(&self, walk: &mut Walk, experts: &Experts) {
        let (layers, hidden) = (experts.sparse_layers, self.hidden_size);
        walk.linear("router", experts.count, hidden, layers);
        for (operator, rows, columns) in [
            ("expert_gate_proj", experts.intermediate_size, hidden),
            ("expert_up_proj", experts.intermediate_size, hidden),
            ("expert_down_proj", hidden, experts.intermediate_size),
        ] {
            let (stored, active) = (layers * experts.count, layers * experts.per_token);
            walk.push(Weight {
                operator,
                rows,
                columns,
                stored,
                active,
                role: WeightRole::Product,
            });
        }
        let shared = experts.shared_intermediate_size;
        walk.linear("shared_gate_proj", shared, hidden, layers);
        walk.linear("shared_up_proj", shared, hidden, layers);
        walk.linear("shared_down_proj", hidden, shared, layers);
        walk.linear(
            "shared_expert_gate",
            u64::from(experts.shared_gate && shared > 0),
            hidden,
            layers,
        );
    }

    fn norm_vectors(&self, walk: &mut Walk) {
        let norms = &self.norms;
        walk.push(vector(
            "layer_norms",
            norms.vectors,
            self.hidden_size,
            self.layers * norms.per_layer,
        ));
        walk.push(vector("final_norm", norms.vectors, self.hidden_size, 1));
        walk.push(vector(
            "query_key_norms",
            norms.vectors * u64::from(norms.query_key),
            self.head_dim,
            2 * self.layers,
        ));
    }
}

struct Walk {
    weights: Vec<Weight>,
}

impl Walk {
    fn push(&mut self, weight: Weight) {
        self.weights.push(weight);
    }

    fn linear(&mut self, operator: &'static str, rows: u64, columns: u64, copies: u64) {
        self.push(Weight {
            operator,
            rows,
            columns,
            stored: copies,
            active: copies,
            role: WeightRole::Product,
        });
    }

    fn bias(&mut self, operator: &'static str, length: u64, copies: u64) {
        self.push(vector(operator, 1, length, copies));
    }
}

fn vector(operator: &'static str, rows: u64, columns: u64, copies: u64) -> Weight {
    Weight {
        operator,
        rows,
        columns,
        stored: copies,
        active: copies,
        role: WeightRole::Vector,
    }
}

fn table(operator: &'static str, rows: u64, columns: u64, copies: u64) -> Weight {
    Weight {
        operator,
        rows,
        columns,
        stored: copies,
        active: copies,
        role: WeightRole::Lookup,
    }
}
