//! Properties of single families that defaults cannot express.

use serde_json::Value;

use super::keys::Config;
use crate::family::{ONE_NORM, Quirk, TWO_NORMS};
use crate::shape::{Activation, Encoder, ModelShape, PerLayerInputs, Recurrence, ShapeError, Sliding};

impl Config<'_> {
    /// Applies the properties of a family to the shape.
    pub(super) fn apply(&self, quirk: Quirk, shape: &mut ModelShape) -> Result<(), ShapeError> {
        match quirk {
            Quirk::None => Ok(()),
            Quirk::Falcon => self.falcon(shape),
            Quirk::Gemma3n => self.gemma3n(shape),
            Quirk::GraniteHybrid => self.granite_hybrid(shape),
            Quirk::Jamba => self.jamba(shape),
            Quirk::Llama4 => self.llama4(shape),
            Quirk::Mamba => {
                let scan = self.scan(shape)?;
                self.only_recurrent(shape, scan)
            }
            Quirk::Mamba2 => {
                let states = self.dual_states(shape, [128, 128, 8])?;
                self.only_recurrent(shape, states)
            }
            Quirk::MiniMax => self.minimax(shape),
            Quirk::QwenDelta => self.qwen_delta(shape),
            Quirk::StableLm => {
                if self.flag("use_parallel_residual")?.unwrap_or(false) {
                    shape.norms.of_layer = &ONE_NORM;
                }
                Ok(())
            }
            Quirk::T5 => self.t5(shape),
        }
    }

    /// Applies FalconAttention and FalconDecoderLayer: the newer architecture has few key–value heads and two parallel
    /// norms.
    fn falcon(&self, shape: &mut ModelShape) -> Result<(), ShapeError> {
        let is_newer = self.flag("new_decoder_architecture")?.unwrap_or(false);
        if !is_newer {
            let multi_query = self.flag("multi_query")?.unwrap_or(true);
            shape.kv_heads = if multi_query { 1 } else { shape.heads };
        }
        let parallel = is_newer || self.flag("parallel_attn")?.unwrap_or(true);
        let norms = self
            .count_or_null(&["num_ln_in_parallel_attn"])?
            .unwrap_or(1 + u64::from(is_newer));
        let has_one = parallel && !(is_newer && norms == 2);
        shape.norms.of_layer = if has_one { &ONE_NORM } else { &TWO_NORMS };
        if self.flag("alibi")?.unwrap_or(false) {
            shape.rotary_dim = 0;
        }
        Ok(())
    }

    /// Applies Gemma 3n's per-layer inputs and shared keys.
    fn gemma3n(&self, shape: &mut ModelShape) -> Result<(), ShapeError> {
        shape.particulars.per_layer_inputs = Some(PerLayerInputs {
            vocab_size: self.count(&["vocab_size_per_layer_input"])?.unwrap_or(262_144),
            size: self.count(&["hidden_size_per_layer_input"])?.unwrap_or(256),
            streams: self.count(&["altup_num_inputs"])?.unwrap_or(4),
            residual_rank: self.count(&["laurel_rank"])?.unwrap_or(64),
        });
        shape.particulars.layers_without_keys = self.count(&["num_kv_shared_layers"])?.unwrap_or(15);
        Ok(())
    }

    /// Applies Granite's recurrent layers. Without experts the shared expert is the whole feed-forward network.
    fn granite_hybrid(&self, shape: &mut ModelShape) -> Result<(), ShapeError> {
        if shape.experts.is_none() {
            shape.intermediate_size = self.count(&["shared_intermediate_size"])?.unwrap_or(1024);
        }
        let layers = self.recurrent_layers(shape.layers, |_| true)?;
        // A model with attention in all layers may have nulls for Mamba's keys.
        if !layers.is_empty() {
            let states = self.dual_states(shape, [128, 256, 1])?;
            shape.particulars.recurrent = Self::recurrent(layers, states);
        }
        Ok(())
    }

    /// Applies Jamba's recurrent layers and its layers with experts.
    fn jamba(&self, shape: &mut ModelShape) -> Result<(), ShapeError> {
        let rule = |period: &str, offset: &str, absent: [u64; 2]| -> Result<_, ShapeError> {
            let period = self.interval(period, absent[0])?;
            let offset = self.count(&[offset])?.unwrap_or(absent[1]);
            Ok(move |layer: u64| layer % period == offset)
        };
        let attends = rule("attn_layer_period", "attn_layer_offset", [8, 4])?;
        let is_sparse = rule("expert_layer_period", "expert_layer_offset", [2, 1])?;
        let layers = self.recurrent_layers(shape.layers, |layer| !attends(layer))?;
        let scan = self.scan(shape)?;
        shape.particulars.recurrent = Self::recurrent(layers, scan);
        shape.experts = shape.experts.take().filter(|experts| experts.count > 1);
        if let Some(experts) = &mut shape.experts {
            experts.sparse_layers = (0..shape.layers).filter(|layer| is_sparse(*layer)).collect();
        }
        Ok(())
    }

    /// Applies Llama 4's layers. The window of chunked attention is its chunk: in decode the cache holds no more.
    fn llama4(&self, shape: &mut ModelShape) -> Result<(), ShapeError> {
        shape.intermediate_size = self.count(&["intermediate_size_mlp"])?.unwrap_or(16384);
        let step = self.interval("interleave_moe_layer_step", 1)?;
        let listed = self.layer_numbers("moe_layers", shape.layers)?;
        if let Some(experts) = &mut shape.experts {
            experts.sparse_layers = match listed {
                Some(listed) => listed,
                None => (0..shape.layers).filter(|layer| (layer + 1) % step == 0).collect(),
            };
        }
        let chunk = match self.keys.get("attention_chunk_size") {
            None => Some(8192),
            Some(_) => self.count_or_null(&["attention_chunk_size"])?,
        };
        let interval = self.interval("no_rope_layer_interval", 4)?;
        // An empty list means that the interval applies.
        let rotary = match self.keys.get("no_rope_layers").and_then(Value::as_array) {
            Some(list) if list.is_empty() => None,
            _ => self.layer_flags("no_rope_layers", shape.layers)?,
        };
        let chunked = match (self.windowed_layers(shape.layers)?, rotary) {
            (Some(listed), _) => listed,
            (None, Some(rotary)) => rotary.iter().filter(|rotary| **rotary).count() as u64,
            (None, None) => shape.layers - shape.layers / interval,
        };
        shape.sliding = chunk.filter(|_| chunked > 0).map(|window| Sliding {
            window,
            layers: chunked,
        });
        Ok(())
    }

    /// Makes all layers recurrent.
    fn only_recurrent(&self, shape: &mut ModelShape, recurrence: Recurrence) -> Result<(), ShapeError> {
        let layers = self.recurrent_layers(shape.layers, |_| true)?;
        shape.particulars.recurrent = Self::recurrent(layers, recurrence);
        shape.intermediate_size = 0;
        // There is no attention; 1 passes the checks of these dimensions.
        (shape.heads, shape.kv_heads, shape.head_dim, shape.value_head_dim) = (1, 1, 1, 1);
        Ok(())
    }

    /// Applies MiniMax's layers with lightning attention.
    fn minimax(&self, shape: &mut ModelShape) -> Result<(), ShapeError> {
        let attends = self.layer_flags("attn_type_list", shape.layers)?;
        let by_rule = |layer: u64| match &attends {
            Some(attends) => !attends[layer as usize],
            None => layer % 2 == 1,
        };
        let layers = self.recurrent_layers(shape.layers, by_rule)?;
        let block = self.count(&["block_size"])?.unwrap_or(256);
        shape.particulars.recurrent = Self::recurrent(layers, Recurrence::Lightning { block });
        Ok(())
    }

    /// Applies the layers with the gated delta rule.
    fn qwen_delta(&self, shape: &mut ModelShape) -> Result<(), ShapeError> {
        let interval = self.interval("full_attention_interval", 4)?;
        let layers = self.recurrent_layers(shape.layers, |layer| (layer + 1) % interval != 0)?;
        let rule = self.delta_rule()?;
        shape.particulars.recurrent = Self::recurrent(layers, rule);
        Ok(())
    }

    /// Applies T5's encoder.
    fn t5(&self, shape: &mut ModelShape) -> Result<(), ShapeError> {
        let class = self
            .outer
            .get("architectures")
            .and_then(|classes| classes.get(0)?.as_str());
        if let Some(class) = class.filter(|_| !shape.head.scores.is_empty()) {
            // The decoder of such a class takes the whole input, or does not exist.
            return Err(ShapeError::UnknownFamily(format!("{} as {class}", shape.family)));
        }
        shape.particulars.encoder = Some(Encoder {
            layers: shape.layers,
            position_buckets: self.count(&["relative_attention_num_buckets"])?.unwrap_or(32),
        });
        shape.layers = self.count_or_null(&["num_decoder_layers"])?.unwrap_or(shape.layers);
        if let Some(projection) = self.keys.get("feed_forward_proj").and_then(Value::as_str) {
            shape.gated_mlp = projection.starts_with("gated");
        }
        if shape.gated_mlp {
            shape.activation = Activation::GeluTanh;
        }
        if class.is_some_and(|class| class.ends_with("EncoderModel")) {
            *shape = shape.clone().without_decoder();
        }
        Ok(())
    }
}
