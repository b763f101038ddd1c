//! Cost of recurrent layers in addition to their weights: the products with states that transformers' plain path
//! computes, chunk by chunk in a prefill and token by token in decode.

use crate::shape::{ModelShape, Recurrence};
use crate::units::{Unit, Units};

/// Operations for each element of a state: decay, input, update and sum.
const STATE_OPS: u128 = 4;

/// Returns the multiply-adds in all recurrent layers.
pub(super) fn products(shape: &ModelShape) -> Units {
    let Some(recurrent) = &shape.particulars.recurrent else {
        return Units::default();
    };
    let chunk = u128::from(recurrent.chunk());
    let of_layer = match recurrent.recurrence {
        Recurrence::Scan(scan) => Units::of(Unit::Token, u128::from(scan.inner) * u128::from(scan.state)),
        // Scores and values within a chunk, the chunk's state, the contribution of earlier states; then the states from
        // chunk to chunk.
        Recurrence::DualStates(states) => {
            let [heads, length, state] = [states.heads, states.head_dim, states.state].map(u128::from);
            Units::of(
                Unit::ChunkedToken,
                heads * (chunk * (state + length) + 2 * state * length),
            )
            .with(Unit::ChunkPair, heads * state * length)
            .with(Unit::Step, heads * state * length)
        }
        // Keys with keys, queries with keys, values within a chunk; three products with the state.
        Recurrence::DeltaRule(rule) => {
            let [heads, key, value] = [rule.value_heads, rule.key_dim, rule.value_dim].map(u128::from);
            Units::of(
                Unit::ChunkedToken,
                heads * (chunk * (2 * key + value) + 3 * key * value),
            )
        }
        Recurrence::Lightning { .. } => {
            let [heads, length] = [shape.heads, shape.head_dim].map(u128::from);
            Units::of(Unit::BlockPair, 2 * heads * length).with(Unit::Token, 2 * heads * length * length)
        }
    };
    of_layer.times(shape.recurrent_layers().len() as u128)
}

/// Returns the elementwise operations on states for each token.
pub(super) fn state_updates(shape: &ModelShape) -> Units {
    Units::of(Unit::Token, STATE_OPS * u128::from(shape.state_elements()))
}
