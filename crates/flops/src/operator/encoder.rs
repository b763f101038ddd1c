//! Operators of T5's encoder, and of the decoder's attention to it.

use super::{Kind, ModelShape, Scope, Walk};

impl ModelShape {
    /// Adds the operators of the encoder and of the cross-attention.
    pub(super) fn encoder(&self, walk: &mut Walk) {
        let Some(encoder) = self.particulars.encoder else {
            return;
        };
        let (hidden, width) = (self.hidden_size, self.intermediate_size);
        let inner = self.heads * self.head_dim;
        let tables = if self.is_encoder() { 1 } else { 2 };
        for name in ["encoder_positions", "decoder_positions"].into_iter().take(tables) {
            walk.push(name, Kind::Lookup, Scope::Model, [encoder.position_buckets, self.heads]);
        }
        for name in ["encoder_input_norm", "encoder_ffn_norm"] {
            walk.norm(name, Scope::EncoderLayers, hidden, false);
        }
        for (name, shape) in [
            ("encoder_q_proj", [inner, hidden]),
            ("encoder_k_proj", [inner, hidden]),
            ("encoder_v_proj", [inner, hidden]),
            ("encoder_o_proj", [hidden, inner]),
            ("encoder_gate_proj", [if self.gated_mlp { width } else { 0 }, hidden]),
            ("encoder_up_proj", [width, hidden]),
            ("encoder_down_proj", [hidden, width]),
        ] {
            walk.push(name, Kind::OfEncoder, Scope::EncoderLayers, shape);
        }
        walk.norm("encoder_final_norm", Scope::Model, hidden, false);
        walk.linear("cross_q_proj", Scope::Layers, [inner, hidden], false);
        for name in ["cross_k_proj", "cross_v_proj"] {
            walk.push(name, Kind::OfEncoder, Scope::Layers, [inner, hidden]);
        }
        walk.linear("cross_o_proj", Scope::Layers, [hidden, inner], false);
    }
}
