use serde_json::{Map, Value};

mod head;
mod keys;
mod layers;
mod quirk;
mod recurrent;
mod sliding;
mod text_part;

use self::head::head;
use self::keys::Config;
pub(crate) use self::keys::one_count;
pub(crate) use self::text_part::text_part;
use super::family::{self, Defaults, ExpertDefaults, Family, LatentDefaults, NormKind, SharedExpert};
use super::shape::{Biases, Experts, LatentAttention, ModelShape, Norms, Particulars, QueryKeyNorm, ShapeError};

/// Reads the shape that a Hugging Face `config.json` describes. A missing key takes the family's default in
/// transformers. For a multimodal model the text model is described (`text_config`, `language_config`).
///
/// ```
/// let config = serde_json::json!({
///     "model_type": "llama", "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30,
///     "num_attention_heads": 9, "num_key_value_heads": 3, "vocab_size": 49152, "tie_word_embeddings": true,
/// });
/// let shape = joulemark_flops::from_config_json(&config)?;
/// assert_eq!(shape.head_dim(), 64);
/// assert_eq!(shape.parameters_total(), 134_515_008);
/// # Ok::<(), joulemark_flops::ShapeError>(())
/// ```
///
/// # Errors
/// Returns a [`ShapeError`] when the family is not described here, or when a value is missing or impossible. Count by
/// parameters then.
pub fn from_config_json(config: &Value) -> Result<ModelShape, ShapeError> {
    let outer = config
        .as_object()
        .ok_or_else(|| ShapeError::bad("config.json", "no object", "an object"))?;
    let text = text_part(config).as_object().unwrap_or(outer);
    let keys = Config { keys: text, outer };
    let types = [keys.model_type(text)?, keys.model_type(outer)?];
    let family = types
        .iter()
        .flatten()
        .find_map(|model_type| family::by_model_type(model_type));
    match (family, types[0].or(types[1])) {
        (Some(family), _) => keys.shape(family).map_err(|error| keys.in_its_words(error)),
        (None, Some(model_type)) => Err(ShapeError::UnknownFamily(model_type.to_owned())),
        (None, None) => Err(ShapeError::MissingKey("model_type".to_owned())),
    }
}

const HIDDEN_SIZE: &[&str] = &["hidden_size", "n_embd", "n_embed", "d_model"];
const LAYERS: &[&str] = &["num_hidden_layers", "n_layer", "n_layers", "num_layers"];
const HEADS: &[&str] = &["num_attention_heads", "n_head", "n_heads", "num_heads"];
const WIDTH: &[&str] = &["intermediate_size", "n_inner", "ffn_hidden_size", "d_ff"];
const EXPERTS: &[&str] = &[
    "num_experts",
    "num_local_experts",
    "n_routed_experts",
    "num_routed_experts",
    "moe_num_experts",
    "num_moe_experts",
    "n_experts",
];
const EXPERTS_PER_TOKEN: &[&str] = &[
    "num_experts_per_tok",
    "num_experts_per_token",
    "experts_per_token",
    "num_selected_experts",
    "top_k_experts",
    "moe_topk",
    "moe_top_k",
    "moe_router_topk",
];

/// Returns whether a model of this configuration generates text: whether its class has a lm_head.
pub(super) fn generates_text(config: &Value) -> bool {
    config
        .as_object()
        .is_none_or(|config| head(config, &Map::new(), 1).makes_text)
}

/// Returns an error where a configuration names parts that the family does not have. Tensors could show whether the
/// model has them; without tensors it may be of another family.
pub(super) fn refuse_other_parts(config: &Value, shape: &ModelShape) -> Result<(), ShapeError> {
    let text = text_part(config);
    let experts = EXPERTS
        .iter()
        .find_map(|name| Some((name, one_count(text.get(*name)?).filter(|count| *count > 1)?)));
    if let Some((name, count)) = experts.filter(|_| shape.experts().is_none()) {
        let accepted = format!("0 or 1: {} has no experts", shape.family());
        return Err(ShapeError::bad(name, count, accepted));
    }
    let is_set = |name: &&&str| {
        [text, config]
            .iter()
            .any(|keys| keys.get(**name) == Some(&Value::Bool(true)))
    };
    match ["is_encoder_decoder", "add_cross_attention"].iter().find(is_set) {
        Some(name) if shape.particulars.encoder.is_none() => {
            let accepted = format!("false: {} has no encoder", shape.family());
            Err(ShapeError::bad(name, true, accepted))
        }
        _ => Ok(()),
    }
}

impl Config<'_> {
    /// Reads the shape of a model of this family.
    fn shape(&self, family: &Family) -> Result<ModelShape, ShapeError> {
        let (defaults, wiring) = (&family.defaults, &family.wiring);
        let hidden_size = self.count(HIDDEN_SIZE)?.unwrap_or(defaults.hidden_size);
        let layers = self.count(LAYERS)?.unwrap_or(defaults.layers);
        self.check_layer_words(family, layers)?;
        let heads = self.count(HEADS)?.unwrap_or(defaults.heads);
        let intermediate_size = self.width(defaults, hidden_size)?;
        // DeepSeek's smallest models have no latent attention.
        let has_latent = self.flag("use_mla")?.unwrap_or(true);
        let latent = family.latent.filter(|_| has_latent);
        let latent = latent.map(|latent| self.latent(&latent)).transpose()?;
        let (head_dim, value_head_dim) = match &latent {
            Some((_, key, value)) => (*key, *value),
            None => {
                let head_dim = self.head_dim(defaults, hidden_size, heads)?;
                (head_dim, head_dim)
            }
        };
        let experts = family
            .experts
            .map(|experts| self.experts(&experts, layers, intermediate_size))
            .transpose()?
            .flatten();
        let latent_rope_dim = latent.as_ref().map(|(latent, ..)| latent.rope_dim);
        let mut shape = ModelShape {
            family: family.name,
            hidden_size,
            layers,
            heads,
            kv_heads: self.kv_heads(defaults, heads)?,
            head_dim,
            value_head_dim,
            intermediate_size,
            vocab_size: self.count(&["vocab_size"])?.unwrap_or(defaults.vocab_size),
            tied: self.flag("tie_word_embeddings")?.unwrap_or(defaults.tied),
            gated_mlp: wiring.gated_mlp,
            head: head(self.outer, self.keys, hidden_size),
            experts,
            latent: latent.map(|(latent, _, _)| latent),
            biases: Biases {
                qkv: self.setting(wiring.qkv_bias)?,
                attention_output: self.setting(wiring.attention_output_bias)?,
                mlp: self.setting(wiring.mlp_bias)?,
                lm_head: self.setting(wiring.lm_head_bias)?,
                experts: self.setting(wiring.expert_bias)?,
                router: self.setting(wiring.router_bias)?,
            },
            norms: Norms {
                of_layer: wiring.norms,
                bias: wiring.norm == NormKind::Layer,
                weight: wiring.norm != NormKind::Unweighted,
                query_key: match (self.setting(wiring.query_key_norm)?, wiring.query_key_norm_of_all_heads) {
                    (false, _) => QueryKeyNorm::Absent,
                    (true, false) => QueryKeyNorm::OneForAllHeads,
                    (true, true) => QueryKeyNorm::OfAllHeads,
                },
                query_key_bias: wiring.norm == NormKind::Layer && !wiring.query_key_norm_of_all_heads,
            },
            learned_positions: match defaults.learned_positions {
                Some(rows) => self.count(&["n_positions", "max_position_embeddings"])?.unwrap_or(rows),
                None => 0,
            },
            sliding: self.sliding(wiring.sliding, layers)?,
            activation: wiring.activation,
            rotary_dim: self.rotary_dim(family, latent_rope_dim.unwrap_or(head_dim), latent_rope_dim.is_some())?,
            scales_embedding: wiring.scales_embedding,
            soft_caps: wiring.soft_caps,
            particulars: Particulars {
                query_gate: wiring.query_gate,
                sinks: wiring.sinks,
                embedding_norm: wiring.embedding_norm,
                further_layers: self
                    .count_or_null(&["num_nextn_predict_layers", "num_mtp_layers"])?
                    .unwrap_or(0),
                ..Particulars::default()
            },
        };
        self.apply(family.quirk, &mut shape)?;
        shape.checked()
    }

    /// Reads the width of the feed-forward layer. In families whose default is four times the hidden size, null means
    /// the same; Mamba has no feed-forward network.
    fn width(&self, defaults: &Defaults, hidden_size: u64) -> Result<u64, ShapeError> {
        match defaults.intermediate_size {
            Some(width) if width > 0 => Ok(self.count(WIDTH)?.unwrap_or(width)),
            other => Ok(self
                .count_or_null(WIDTH)?
                .or(other)
                .unwrap_or(hidden_size.saturating_mul(4))),
        }
    }

    /// Reads the number of key–value heads. An explicit null means "as many as heads", even where the family's default
    /// differs.
    fn kv_heads(&self, defaults: &Defaults, heads: u64) -> Result<u64, ShapeError> {
        let absent = if self.keys.contains_key("num_key_value_heads") {
            None
        } else {
            defaults.kv_heads
        };
        let found = self.count_or_null(&["num_key_value_heads", "num_kv_heads", "n_head_kv"])?;
        Ok(found.or(absent).unwrap_or(heads))
    }

    /// Reads the length of a head.
    fn head_dim(&self, defaults: &Defaults, hidden_size: u64, heads: u64) -> Result<u64, ShapeError> {
        let absent = if self.keys.contains_key("head_dim") {
            None
        } else {
            defaults.head_dim
        };
        let stated = match self.count_or_null(&["head_dim"])? {
            Some(head_dim) => Some(head_dim),
            None => self.count(&["d_kv"])?,
        };
        match stated.or(absent) {
            Some(head_dim) => Ok(head_dim),
            None => hidden_size
                .checked_div(heads)
                .ok_or_else(|| ShapeError::bad("num_attention_heads", 0, "a whole number of at least 1")),
        }
    }

    /// Reads the length of the rotated part of a head; for latent attention it is the whole rotary part.
    fn rotary_dim(&self, family: &Family, length: u64, whole: bool) -> Result<u64, ShapeError> {
        let share = self.rotary_share()?.unwrap_or(family.wiring.rotary_share);
        Ok(if whole { length } else { (length as f64 * share) as u64 })
    }

    /// Reads the rotated share by its current name, by its place in transformers 5, or by GPT-NeoX's name; `None` where
    /// it is not given.
    fn rotary_share(&self) -> Result<Option<f64>, ShapeError> {
        // transformers 5 writes it among the other settings of the rotary embedding.
        const PLACES: [&[&str]; 4] = [
            &["partial_rotary_factor"],
            &["rotary_pct"],
            &["rope_parameters", "partial_rotary_factor"],
            &["rope_scaling", "partial_rotary_factor"],
        ];
        let given = |place: &&[&str]| {
            let mut names = place.iter();
            let outer = self.keys.get(*names.next()?)?;
            let value = names.try_fold(outer, |value, name| value.get(*name))?;
            (!value.is_null()).then(|| (place.join("."), value))
        };
        let Some((key, value)) = PLACES.iter().find_map(given) else {
            return Ok(None);
        };
        let share = value.as_f64().filter(|share| (0.0..=1.0).contains(share));
        share
            .map(Some)
            .ok_or_else(|| ShapeError::bad(&key, value, "a number from 0 to 1"))
    }

    /// Reads the mixture of experts; `None` without experts.
    fn experts(&self, defaults: &ExpertDefaults, layers: u64, width: u64) -> Result<Option<Experts>, ShapeError> {
        let count = self.agreed_count(EXPERTS)?.unwrap_or(defaults.count);
        if count == 0 {
            return Ok(None);
        }
        let per_token = self.agreed_count(EXPERTS_PER_TOKEN)?.or(defaults.per_token);
        let intermediate_size = match defaults.intermediate_size {
            None => width,
            Some(default) => self.count(&["moe_intermediate_size"])?.unwrap_or(default),
        };
        let shared_intermediate_size = match defaults.shared {
            SharedExpert::Absent => 0,
            SharedExpert::Gated { intermediate_size } => self
                .count(&["shared_expert_intermediate_size"])?
                .unwrap_or(intermediate_size),
            SharedExpert::Multiple { count } => self
                .count(&["n_shared_experts"])?
                .unwrap_or(count)
                .saturating_mul(intermediate_size),
            SharedExpert::Plain { intermediate_size } => {
                self.count(&["shared_intermediate_size"])?.unwrap_or(intermediate_size)
            }
        };
        Ok(Some(Experts {
            sparse_layers: self.sparse_layers(defaults, layers)?,
            count,
            per_token: per_token.ok_or_else(|| ShapeError::MissingKey("num_experts_per_tok".to_owned()))?,
            intermediate_size,
            shared_intermediate_size,
            shared_gate: matches!(defaults.shared, SharedExpert::Gated { .. }),
        }))
    }

    /// Reads the layers with experts. In transformers layer i has experts unless it is listed, comes before
    /// first_k_dense_replace, or (i + 1) is not a multiple of decoder_sparse_step.
    fn sparse_layers(&self, defaults: &ExpertDefaults, layers: u64) -> Result<Vec<u64>, ShapeError> {
        let step = self.interval("decoder_sparse_step", 1)?;
        if let Some(frequency) = self
            .keys
            .get("moe_layer_freq")
            .filter(|value| !value.is_null() && **value != 1)
        {
            return Err(ShapeError::bad(
                "moe_layer_freq",
                frequency,
                "1: experts in every layer after the first dense ones",
            ));
        }
        let first = self.count(&["first_k_dense_replace"])?.unwrap_or(defaults.dense_layers);
        // transformers ignores layers that do not exist.
        let dense = self.layer_numbers("mlp_only_layers", u64::MAX)?.unwrap_or_default();
        if let Some(types) = self.words(&["mlp_layer_types"], layers)? {
            if let Some(word) = types.iter().find(|word| !["sparse", "dense"].contains(word)) {
                return Err(ShapeError::bad("mlp_layer_types", word, "sparse, dense"));
            }
            let sparse = |layer: &u64| types[*layer as usize] == "sparse";
            return Ok((0..layers).filter(sparse).collect());
        }
        let sparse = |layer: &u64| *layer >= first && (layer + 1).is_multiple_of(step) && !dense.contains(layer);
        Ok((0..layers).filter(sparse).collect())
    }

    /// Reads the dimensions of latent attention, and the lengths of its keys and values.
    fn latent(&self, defaults: &LatentDefaults) -> Result<(LatentAttention, u64, u64), ShapeError> {
        let absent = if self.keys.contains_key("q_lora_rank") {
            None
        } else {
            defaults.query_rank
        };
        let latent = LatentAttention {
            query_rank: self.count_or_null(&["q_lora_rank"])?.or(absent),
            key_value_rank: self.count(&["kv_lora_rank"])?.unwrap_or(defaults.key_value_rank),
            rope_dim: self.count(&["qk_rope_head_dim"])?.unwrap_or(defaults.rope_dim),
        };
        let nope_dim = self.count(&["qk_nope_head_dim"])?.unwrap_or(defaults.nope_dim);
        let key_dim = nope_dim.saturating_add(latent.rope_dim);
        let value_dim = self.count(&["v_head_dim"])?.unwrap_or(defaults.value_dim);
        Ok((latent, key_dim, value_dim))
    }
}
