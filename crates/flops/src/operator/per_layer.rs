//! Operators that Gemma 3n has in addition to Gemma 3: per-layer inputs, streams of hidden states, a learned residual.

use super::{Kind, ModelShape, Scope, Walk};

impl ModelShape {
    /// Adds the operators of Gemma 3n.
    pub(super) fn per_layer_inputs(&self, walk: &mut Walk) {
        let Some(inputs) = self.particulars.per_layer_inputs else {
            return;
        };
        let (hidden, all, streams) = (self.hidden_size, self.layers * inputs.size, inputs.streams);
        walk.push(
            "embed_tokens_per_layer",
            Kind::Lookup,
            Scope::Model,
            [inputs.vocab_size, all],
        );
        walk.linear("per_layer_model_projection", Scope::Model, [all, hidden], false);
        walk.norm("per_layer_projection_norm", Scope::Model, inputs.size, false);
        walk.linear("stream_projection", Scope::Streams, [hidden, hidden], false);
        walk.linear("stream_unprojection", Scope::Streams, [hidden, hidden], false);
        walk.norm("stream_router_norm", Scope::Layers, hidden, false);
        // The router runs before the prediction and before the correction.
        walk.linear("stream_router", Scope::Layers, [streams, hidden], false);
        walk.linear("stream_prediction", Scope::Layers, [streams * streams, streams], false);
        walk.linear("stream_correction", Scope::Layers, [streams, streams], false);
        walk.vector("stream_scale", Scope::Layers, [1, hidden]);
        walk.linear(
            "residual_down_proj",
            Scope::Layers,
            [inputs.residual_rank, hidden],
            false,
        );
        walk.linear("residual_up_proj", Scope::Layers, [hidden, inputs.residual_rank], false);
        walk.norm("residual_norm", Scope::Layers, hidden, false);
        walk.linear("per_layer_input_gate", Scope::Layers, [inputs.size, hidden], false);
        walk.linear("per_layer_projection", Scope::Layers, [hidden, inputs.size], false);
        walk.norm("per_layer_input_norm", Scope::Layers, hidden, false);
    }
}
