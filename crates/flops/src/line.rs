//! Cost of each operator for each unit of work: multiply-adds of matrix products, and operations of elementwise
//! operators, which are counted separately.

mod recurrence;

use serde::Serialize;

use super::operator::{Kind, Operator};
use super::schedule::LatentCache;
use super::shape::{Activation, ModelShape, QueryKeyNorm};
use super::units::{Unit, Units};

/// Kind of a line of the operator table.
///
/// - `matrix_product`: a product of the tokens' vectors with a weight matrix
/// - `attention`: a product of queries with keys, or of attention weights with values
/// - `lookup`: copies of rows of a table
/// - `elementwise`: norms, softmax, activations, rotary embedding and sums, which are not in `flops_total`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum OperatorKind {
    MatrixProduct,
    Attention,
    Lookup,
    Elementwise,
}

/// A line of the operator table.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub name: &'static str,
    pub kind: OperatorKind,
    /// Multiply-adds, or elementwise operations, for each unit of work.
    pub cost: Units,
    /// Index of the operator that holds the weights; `None` without weights.
    pub operator: Option<usize>,
}

impl Line {
    /// Returns the FLOPs of some work: 2 for a multiply-add, 1 for an elementwise operation.
    pub fn flops(&self, work: &Units) -> u128 {
        match self.kind {
            OperatorKind::Elementwise | OperatorKind::Lookup => self.cost.times_each(work),
            OperatorKind::MatrixProduct | OperatorKind::Attention => 2 * self.cost.times_each(work),
        }
    }

    /// Returns whether the line is a matrix product, which `flops_total` includes.
    pub fn counts(&self) -> bool {
        matches!(self.kind, OperatorKind::MatrixProduct | OperatorKind::Attention)
    }
}

// Every addition, multiplication, division, comparison, exponential, root and tanh counts as one operation.
/// Operations for each element: square, sum, scale, weight.
const RMS_NORM_OPS: u128 = 4;
/// Operations for each element: sum, subtract, square, sum, scale, weight, bias.
const LAYER_NORM_OPS: u128 = 7;
/// Operations for each score: scale and mask, then maximum, subtract, exponential, sum, divide.
const SOFTMAX_OPS: u128 = 7;
/// Operations of a softmax for each score, without scale and mask.
const ROUTER_SOFTMAX_OPS: u128 = 5;
/// Operations for each element: negate, exponential, add, divide.
const SILU_OPS: u128 = 4;
/// Operations of ½ x (1 + tanh(c (x + d x³))): four multiplications in the cube and its factors, two additions, tanh,
/// two products.
const GELU_TANH_OPS: u128 = 9;
/// Operations for each rotated element: two products and a sum.
const ROTARY_OPS: u128 = 3;
/// Operations for each element: divide, tanh, multiply.
const SOFT_CAP_OPS: u128 = 3;

/// Returns all lines of the operator table: operators with weights first, in the order of `operators`.
pub(super) fn lines(shape: &ModelShape, operators: &[Operator], latents: LatentCache) -> Vec<Line> {
    let with_weights = operators.iter().enumerate().map(|(index, operator)| Line {
        name: operator.name,
        kind: match operator.kind {
            Kind::Product | Kind::LatentExpansion | Kind::OfEncoder | Kind::Convolution | Kind::Logits => {
                OperatorKind::MatrixProduct
            }
            Kind::Lookup => OperatorKind::Lookup,
            Kind::Norm | Kind::Vector => OperatorKind::Elementwise,
        },
        cost: cost_of(shape, operator, latents),
        operator: Some(index),
    });
    let mut lines: Vec<Line> = with_weights.collect();
    let heads = u128::from(shape.heads);
    let mut push = |name, kind, cost: Units| {
        if cost != Units::default() {
            let operator = None;
            lines.push(Line {
                name,
                kind,
                cost,
                operator,
            });
        }
    };
    let [keys, values] = attended(shape, latents).map(u128::from);
    push("attention_scores", OperatorKind::Attention, pairs(shape, heads * keys));
    push(
        "attention_values",
        OperatorKind::Attention,
        pairs(shape, heads * values),
    );
    let encoder = encoder_pairs(shape, heads * (keys + values));
    push("encoder_attention", OperatorKind::Attention, encoder);
    push(
        "cross_attention",
        OperatorKind::Attention,
        cross_pairs(shape, heads * (keys + values)),
    );
    push("recurrence", OperatorKind::Attention, recurrence::products(shape));
    push("stream_prediction", OperatorKind::MatrixProduct, stream_sums(shape));
    for (name, cost) in small_costs(shape, operators) {
        push(name, OperatorKind::Elementwise, cost);
    }
    lines
}

/// Returns, for each head, the number of elements in a query–key product and of elements of a value.
fn attended(shape: &ModelShape, latents: LatentCache) -> [u64; 2] {
    match (&shape.latent, latents) {
        (Some(latent), LatentCache::Absorbed) => [latent.key_value_rank + latent.rope_dim, latent.key_value_rank],
        _ => [shape.head_dim, shape.value_head_dim],
    }
}

/// Returns a cost of `per_pair` for each pair of query and key in each layer with attention.
fn pairs(shape: &ModelShape, per_pair: u128) -> Units {
    let sliding = shape.sliding.as_ref().map_or(0, |sliding| sliding.layers);
    Units::of(Unit::Pair, per_pair * u128::from(shape.attention_layers() - sliding))
        .with(Unit::WindowedPair, per_pair * u128::from(sliding))
}

/// Returns a cost of `per_pair` for each pair of the encoder's tokens in each of its layers.
fn encoder_pairs(shape: &ModelShape, per_pair: u128) -> Units {
    let encoder = shape.particulars.encoder;
    let layers = encoder.map_or(0, |encoder| encoder.layers);
    Units::of(Unit::EncoderPair, per_pair * u128::from(layers))
}

/// Returns a cost of `per_pair` for each pair of a decoder's query and an encoder's key in each layer.
fn cross_pairs(shape: &ModelShape, per_pair: u128) -> Units {
    let encoder = shape.particulars.encoder;
    let layers = encoder.map_or(0, |_| shape.layers);
    Units::of(Unit::CrossPair, per_pair * u128::from(layers))
}

/// Returns the cost of predicting each stream of a token from all streams, in each layer (Gemma 3n).
fn stream_sums(shape: &ModelShape) -> Units {
    let inputs = shape.particulars.per_layer_inputs;
    let streams = inputs.map_or(0, |inputs| inputs.streams);
    per_token(u128::from(shape.layers * streams * streams) * u128::from(shape.hidden_size))
}

/// Returns a cost for each token.
fn per_token(number: u128) -> Units {
    Units::of(Unit::Token, number)
}

/// Returns the cost of an operator with weights.
fn cost_of(shape: &ModelShape, operator: &Operator, latents: LatentCache) -> Units {
    let multiply_adds = operator.elements() * u128::from(shape.active(operator));
    match (operator.kind, latents) {
        (Kind::Product, _) | (Kind::LatentExpansion, LatentCache::Expanded | LatentCache::Absorbed) => {
            per_token(multiply_adds * passes_of(operator))
        }
        (Kind::LatentExpansion, LatentCache::Compressed) => Units::of(Unit::Key, multiply_adds),
        (Kind::OfEncoder, _) => Units::of(Unit::EncoderToken, multiply_adds),
        (Kind::Convolution, _) => convolution(operator, u128::from(shape.active(operator))),
        (Kind::Logits, _) => Units::of(Unit::LogitRow, multiply_adds),
        (Kind::Lookup | Kind::Vector, _) => Units::default(),
        (Kind::Norm, _) => {
            let heads = match (operator.name, shape.norms.query_key) {
                ("q_norm", QueryKeyNorm::OneForAllHeads) => shape.heads,
                ("k_norm", QueryKeyNorm::OneForAllHeads) => shape.kv_heads,
                _ => 1,
            };
            let ops = if operator.bias { LAYER_NORM_OPS } else { RMS_NORM_OPS };
            let unit = if operator.name.starts_with("encoder") {
                Unit::EncoderToken
            } else {
                Unit::Token
            };
            Units::of(unit, multiply_adds * u128::from(heads) * ops)
        }
    }
}

/// Returns how often a token passes an operator: Gemma 3n's router runs before the prediction of streams and again
/// before their correction.
fn passes_of(operator: &Operator) -> u128 {
    if operator.name == "stream_router" { 2 } else { 1 }
}

/// Returns the cost of a convolution: a prefill is padded on both sides, so kernel − 1 additional positions are
/// computed; a decode step computes one additional position.
fn convolution(operator: &Operator, copies: u128) -> Units {
    let place = operator.elements() * copies;
    per_token(place)
        .with(Unit::Prefill, place * u128::from(operator.columns.saturating_sub(1)))
        .with(Unit::Step, place)
}

/// Returns the costs of the elementwise operators.
fn small_costs(shape: &ModelShape, operators: &[Operator]) -> Vec<(&'static str, Units)> {
    let [layers, heads, hidden] = [shape.layers, shape.heads, shape.hidden_size].map(u128::from);
    let sparse = shape.sparse_layers().len() as u128;
    let attention_layers = u128::from(shape.attention_layers());
    let turned_heads = match shape.latent {
        Some(_) => heads + 1,
        None => heads + u128::from(shape.kv_heads),
    };
    let ops = match shape.activation {
        Activation::Silu => SILU_OPS,
        Activation::GeluTanh => GELU_TANH_OPS,
        Activation::Relu => 1,
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
        ("softmax", pairs(shape, heads * SOFTMAX_OPS)),
        (
            "rotary_embedding",
            per_token(attention_layers * turned_heads * u128::from(shape.rotary_dim) * ROTARY_OPS),
        ),
        ("state_update", recurrence::state_updates(shape)),
        ("activation", per_token(width * ops)),
        ("router_softmax", per_token(sparse * experts[1])),
        ("expert_sum", per_token(sparse * experts[2])),
        ("residual_sum", per_token(2 * layers * hidden)),
        ("bias_sum", per_token(biases(false)).with(Unit::LogitRow, biases(true))),
        (
            "embedding_scale",
            per_token(u128::from(shape.scales_embedding) * hidden),
        ),
        (
            "soft_cap",
            pairs(shape, caps * heads).with(Unit::LogitRow, caps * u128::from(shape.vocab_size)),
        ),
    ]
}
