/// Returns the keys of `config.json` without a default in mistral.rs 0.8.1 for a class of text models; `None` for a
/// class that it does not load.
pub(super) fn required_keys(class: &str) -> Option<Vec<&'static str>> {
    let found = CLASSES.iter().find(|known| known.name == class)?;
    let common = if found.has_common { &COMMON[..] } else { &[] };
    Some(common.iter().copied().chain(found.keys.split_whitespace()).collect())
}

/// A class of models with its required keys.
struct Class {
    name: &'static str,
    has_common: bool,
    keys: &'static str,
}

/// Keys that most classes require.
const COMMON: [&str; 5] = [
    "hidden_size",
    "intermediate_size",
    "vocab_size",
    "num_hidden_layers",
    "num_attention_heads",
];

/// Creates a class that requires the common keys and others.
const fn full(name: &'static str, keys: &'static str) -> Class {
    Class {
        name,
        has_common: true,
        keys,
    }
}

/// Creates a rarer class, with only the key that most folders lack.
const fn brief(name: &'static str, keys: &'static str) -> Class {
    Class {
        name,
        has_common: false,
        keys,
    }
}

static CLASSES: [Class; 21] = [
    full(
        "LlamaForCausalLM",
        "num_key_value_heads hidden_act max_position_embeddings rms_norm_eps rope_theta",
    ),
    full(
        "MistralForCausalLM",
        "num_key_value_heads hidden_act max_position_embeddings rms_norm_eps",
    ),
    full(
        "MixtralForCausalLM",
        "num_key_value_heads hidden_act max_position_embeddings rms_norm_eps rope_theta num_experts_per_tok
         num_local_experts",
    ),
    full(
        "GemmaForCausalLM",
        "num_key_value_heads rms_norm_eps rope_theta attention_bias head_dim",
    ),
    full(
        "Gemma2ForCausalLM",
        "num_key_value_heads max_position_embeddings rms_norm_eps rope_theta attention_bias head_dim sliding_window
         query_pre_attn_scalar",
    ),
    full(
        "PhiForCausalLM",
        "hidden_act max_position_embeddings layer_norm_eps rope_theta partial_rotary_factor qk_layernorm",
    ),
    full(
        "Phi3ForCausalLM",
        "num_key_value_heads hidden_act max_position_embeddings rms_norm_eps rope_theta
         original_max_position_embeddings",
    ),
    full(
        "Qwen2ForCausalLM",
        "num_key_value_heads hidden_act max_position_embeddings rms_norm_eps rope_theta",
    ),
    full(
        "Qwen3ForCausalLM",
        "num_key_value_heads hidden_act max_position_embeddings rms_norm_eps rope_theta max_window_layers
         use_sliding_window",
    ),
    full(
        "Qwen3MoeForCausalLM",
        "num_key_value_heads hidden_act max_position_embeddings rms_norm_eps rope_theta max_window_layers
         use_sliding_window moe_intermediate_size num_experts mlp_only_layers decoder_sparse_step norm_topk_prob
         num_experts_per_tok",
    ),
    full(
        "Starcoder2ForCausalLM",
        "num_key_value_heads hidden_act max_position_embeddings norm_epsilon rope_theta use_bias",
    ),
    full(
        "SmolLM3ForCausalLM",
        "num_key_value_heads hidden_act max_position_embeddings rms_norm_eps rope_theta no_rope_layer_interval",
    ),
    brief("PhiMoEForCausalLM", "rope_theta"),
    brief("DeepseekV2ForCausalLM", "rope_theta"),
    brief("DeepseekV3ForCausalLM", "rope_theta"),
    brief("Glm4ForCausalLM", "rope_theta"),
    brief("Glm4MoeLiteForCausalLM", "rope_theta"),
    brief("Glm4MoeForCausalLM", "rope_theta"),
    brief("GptOssForCausalLM", "rope_theta"),
    brief("GraniteMoeHybridForCausalLM", ""),
    brief("Qwen3NextForCausalLM", ""),
];
