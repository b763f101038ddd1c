//! What each operator costs for each unit of work: multiply-adds of matrix products, and by the same scheme the small
//! operators, which stand apart.

use serde::Serialize;

use super::operator::{Kind, Operator};
use super::schedule::{LatentCache, Work};
use super::shape::{Activation, ModelShape};

/// What a line of the operator table does.
///
/// - `matrix_product`: a product of the tokens' vectors with a weight matrix
/// - `attention`: a product of queries with keys, or of attention weights with values
/// - `lookup`: copies rows of a table
/// - `elementwise`: norms, softmax, activations, rotary embedding, sums: not in `flops_total`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum OperatorKind {
    MatrixProduct,
    Attention,
    Lookup,
    Elementwise,
}

/// Multiply-adds, or operations of the small operators, for each unit of work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cost {
    pub per_token: u128,
    pub per_pair: u128,
    /// For each pair in layers that slide.
    pub per_windowed_pair: u128,
    pub per_key: u128,
    pub per_logit_row: u128,
}

impl Cost {
    pub fn count(self, work: &Work) -> u128 {
        self.per_token * work.tokens
            + self.per_pair * work.pairs
            + self.per_windowed_pair * work.windowed_pairs
            + self.per_key * work.keys
            + self.per_logit_row * work.logit_rows
    }

    fn token(per_token: u128) -> Self {
        Self {
            per_token,
            ..Self::default()
        }
    }

    /// So much for each pair in each layer.
    fn pair(shape: &ModelShape, per_pair: u128) -> Self {
        let sliding = shape.sliding.as_ref().map_or(0, |sliding| sliding.layers);
        Self {
            per_pair: per_pair * u128::from(shape.layers - sliding),
            per_windowed_pair: per_pair * u128::from(sliding),
            ..Self::default()
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Line {
    pub name: &'static str,
    pub kind: OperatorKind,
    pub cost: Cost,
    /// Position of the operator that holds the weights.
    pub operator: Option<usize>,
}

impl Line {
    /// FLOPs: 2 a multiply-add, 1 an operation of a small operator.
    pub fn flops(&self, work: &Work) -> u128 {
        match self.kind {
            OperatorKind::Elementwise | OperatorKind::Lookup => self.cost.count(work),
            OperatorKind::MatrixProduct | OperatorKind::Attention => 2 * self.cost.count(work),
        }
    }

    pub fn counts(&self) -> bool {
        matches!(self.kind, OperatorKind::MatrixProduct | OperatorKind::Attention)
    }
}

// Every addition, multiplication, division, comparison, exponential, root and tanh is one operation.
/// Square, sum, scale, weight.
const RMS_NORM_OPS: u128 = 4;
/// Sum, subtract, square, sum, scale, weight, bias.
const LAYER_NORM_OPS: u128 = 7;
/// Scale and mask of a score, then maximum, subtract, exponential, sum, divide.
const SOFTMAX_OPS: u128 = 7;
/// The same without scale and mask.
const ROUTER_SOFTMAX_OPS: u128 = 5;
/// Negate, exponential, add, divide.
const SILU_OPS: u128 = 4;
/// ½ x (1 + tanh(c (x + d x³))): four multiplications in the cube and its factors, two additions, tanh, two products.
const GELU_TANH_OPS: u128 = 9;
/// Two products and a sum for each turned element.
const ROTARY_OPS: u128 = 3;
/// Divide, tanh, multiply.
const SOFT_CAP_OPS: u128 = 3;

/// Every line of the table: operators with weights first, in the order of `operators`.
pub(super) fn lines(shape: &ModelShape, operators: &[Operator], latents: LatentCache) -> Vec<Line> {
    let with_weights = operators.iter().enumerate().map(|(index, operator)| Line {
        name: operator.name,
        kind: match operator.kind {
            Kind::Product | Kind::LatentExpansion | Kind::Logits => OperatorKind::MatrixProduct,
            Kind::Lookup => OperatorKind::Lookup,
            Kind::Norm => OperatorKind::Elementwise,
        },
        cost: cost_of(shape, operator, latents),
        operator: Some(index),
    });
    let mut lines: Vec<Line> = with_weights.collect();
    let heads = u128::from(shape.heads);
    let mut push = |name, kind, cost: Cost| {
        if cost != Cost::default() {
            let operator = None;
            lines.push(Line {
                name,
                kind,
                cost,
                operator,
            });
        }
    };
    let scores = Cost::pair(shape, heads * u128::from(shape.head_dim));
    push("attention_scores", OperatorKind::Attention, scores);
    let values = Cost::pair(shape, heads * u128::from(shape.value_head_dim));
    push("attention_values", OperatorKind::Attention, values);
    for (name, cost) in small_costs(shape, operators) {
        push(name, OperatorKind::Elementwise, cost);
    }
    lines
}

fn cost_of(shape: &ModelShape, operator: &Operator, latents: LatentCache) -> Cost {
    let multiply_adds = operator.elements() * u128::from(shape.active(operator));
    match (operator.kind, latents) {
        (Kind::Product, _) | (Kind::LatentExpansion, LatentCache::Expanded) => Cost::token(multiply_adds),
        (Kind::LatentExpansion, LatentCache::Compressed) => Cost {
            per_key: multiply_adds,
            ..Cost::default()
        },
        (Kind::Logits, _) => Cost {
            per_logit_row: multiply_adds,
            ..Cost::default()
        },
        (Kind::Lookup, _) => Cost::default(),
        (Kind::Norm, _) => {
            let heads = match operator.name {
                "q_norm" => shape.heads,
                "k_norm" => shape.kv_heads,
                _ => 1,
            };
            let ops = if operator.bias { LAYER_NORM_OPS } else { RMS_NORM_OPS };
            Cost::token(multiply_adds * u128::from(heads) * ops)
        }
    }
}

fn small_costs(shape: &ModelShape, operators: &[Operator]) -> Vec<(&'static str, Cost)> {
    let [layers, heads, hidden] = [shape.layers, shape.heads, shape.hidden_size].map(u128::from);
    let sparse = shape.sparse_layers().len() as u128;
    let turned_heads = match shape.latent {
        Some(_) => heads + 1,
        None => heads + u128::from(shape.kv_heads),
    };
    let ops = match shape.activation {
        Activation::Silu => SILU_OPS,
        Activation::GeluTanh => GELU_TANH_OPS,
    } + u128::from(shape.gated_mlp);
    let experts = shape.experts.as_ref().map_or([0; 3], |experts| {
        let routed = u128::from(experts.per_token * experts.intermediate_size);
        let mixed = u128::from(2 * experts.per_token + u64::from(experts.shared_intermediate_size > 0));
        [
            routed + u128::from(experts.shared_intermediate_size),
            ROUTER_SOFTMAX_OPS * u128::from(experts.count),
            mixed * hidden,
        ]
    });
    let width = (layers - sparse) * u128::from(shape.intermediate_size) + sparse * experts[0];
    let biased = operators.iter().filter(|operator| operator.kind != Kind::Norm);
    let biases = |logits: bool| -> u128 {
        let of = |operator: &Operator| operator.bias_elements() * u128::from(shape.active(operator));
        biased
            .clone()
            .filter(|operator| (operator.kind == Kind::Logits) == logits)
            .map(of)
            .sum()
    };
    let caps = u128::from(shape.soft_caps) * SOFT_CAP_OPS;
    vec![
        ("softmax", Cost::pair(shape, heads * SOFTMAX_OPS)),
        (
            "rotary_embedding",
            Cost::token(layers * turned_heads * u128::from(shape.rotary_dim) * ROTARY_OPS),
        ),
        ("activation", Cost::token(width * ops)),
        ("router_softmax", Cost::token(sparse * experts[1])),
        ("expert_sum", Cost::token(sparse * experts[2])),
        ("residual_sum", Cost::token(2 * layers * hidden)),
        (
            "bias_sum",
            Cost {
                per_token: biases(false),
                per_logit_row: biases(true),
                ..Cost::default()
            },
        ),
        (
            "embedding_scale",
            Cost::token(u128::from(shape.scales_embedding) * hidden),
        ),
        (
            "soft_cap",
            Cost {
                per_logit_row: caps * u128::from(shape.vocab_size),
                ..Cost::pair(shape, caps * heads)
            },
        ),
    ]
}
