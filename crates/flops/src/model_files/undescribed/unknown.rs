//! Parts that a configuration names and whose use the tensors do not show.

use serde_json::Value;

/// Words of keys, separated by blanks; the largest number that means nothing; and what is unknown.
const PARTS: [(&str, f64, &str); 9] = [
    (
        "zero_expert null_expert identity_expert copy_expert constant_expert noop_expert",
        0.0,
        "some of a token's experts compute nothing, and their number is unknown",
    ),
    (
        "dynamic_top dynamic_k adaptive_k expert_choice expert_threshold moe_top_p router_top_p",
        0.0,
        "the number of experts differs between tokens: how many experts a token uses is unknown",
    ),
    (
        "loop recurrence recurrent_ recursi ut_step mem_block repeat cycle iteration num_iter unroll passes reuse refine \
         universal ponder halt prelude hidden_group inner_group unique_layer tie_layer tied_layer shared_ share_ sharing \
         mixture_of_depth early_exit layer_skip skip_layer diffusion denois mask_token_id _steps depth",
        1.0,
        "it is unknown how often a token passes each layer",
    ),
    (
        "bigram trigram ngram engram per_layer lookup product_key memory_ hash_",
        0.0,
        "it is unknown how much of its tables a token uses",
    ),
    (
        "adapter lora peft",
        0.0,
        "it is unknown how its adapters process a token",
    ),
    ("encoder", 0.0, "it is unknown how its encoder processes a token"),
    // Keys of a tower in a GGUF.
    ("vision. audio.", 0.0, OTHER),
    (
        "codebook codec num_quantizers",
        1.0,
        "it is unknown how many codes make a token",
    ),
    (
        "vision visual image video audio speech cross_attention talker code2wav",
        f64::INFINITY,
        OTHER,
    ),
];
const OTHER: &str = "it is unknown how that part processes a token";

/// Words of keys with another meaning.
const HARMLESS: &str = "_lora_rank no_repeat_ngram_size share_expert shared_expert cla_share shared_intermediate experts_per_layer share_embed \
                        shared_embed share_input_output memory_efficient";
/// Words in the names of objects that describe no part of a model.
const SETTINGS: &str =
    "text language llm thinker quant compress ffn mlp moe attn attention rope ssm mamba generation tokenizer init norm";
/// Keys of an object that describes a part of a model.
const SIZES: [&str; 8] = [
    "hidden_size",
    "num_hidden_layers",
    "num_layers",
    "n_layers",
    "d_model",
    "embed_dim",
    "depth",
    "width",
];

/// Returns why a key means that tensors do not show everything, in words; `None` for other keys.
pub(super) fn unknown_part(key: &str, value: &Value) -> Option<String> {
    let has = |words: &str| words.split_whitespace().any(|word| key.contains(word));
    if has(HARMLESS) {
        return None;
    }
    let known = PARTS
        .iter()
        .find(|(words, least, _)| has(words) && is_set(value, *least));
    let is_part = || {
        let parts = value.as_object().filter(|parts| !parts.is_empty() && !has(SETTINGS));
        parts.is_some_and(|parts| key.ends_with("_config") || SIZES.iter().any(|size| parts.contains_key(*size)))
    };
    let reason = match known {
        Some((_, _, reason)) => reason,
        None if is_part() => OTHER,
        None => return None,
    };
    let number = if value.is_number() {
        format!(" of {value}")
    } else {
        String::new()
    };
    Some(format!(
        "the configuration has `{}`{number}: {reason}",
        crate::shortened(key)
    ))
}

/// Returns whether a value enables something: a number above `least`, or any other non-empty value.
fn is_set(value: &Value, least: f64) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_f64().is_some_and(|number| number > least),
        Value::String(text) => !["", "none", "no"].contains(&text.to_ascii_lowercase().as_str()),
        Value::Array(items) => items.iter().any(|item| is_set(item, least)),
        Value::Object(items) => !items.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::stated::Stated;

    fn caveat(more: &Value) -> String {
        let mut config = json!({"num_hidden_layers": 4});
        config
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        Stated::of_config(&config).caveat.unwrap_or_default()
    }

    #[test]
    fn a_part_that_tensors_do_not_show_is_named() {
        for (config, words) in [
            (json!({"num_passes": 2}), "`num_passes` of 2: it is unknown how often"),
            (json!({"dynamic_topk": true}), "how many experts"),
            (json!({"num_codebooks": 8}), "codes"),
            (json!({"vit": {"hidden_size": 8}}), "`vit`"),
            (json!({"decoder": {"num_layers": 8}}), "`decoder`"),
            (json!({"bigram_vocab_size": 9}), "tables"),
            (
                json!({"total_ut_steps": 4}),
                "`total_ut_steps` of 4: it is unknown how often",
            ),
            (
                json!({"num_mem_blocks": 2}),
                "`num_mem_blocks` of 2: it is unknown how often",
            ),
            (json!({"num_loops": 2}), "`num_loops`"),
            (json!({"mask_token_id": 126_336}), "`mask_token_id`"),
            (json!({"mean_recurrence": 32}), "`mean_recurrence`"),
            (json!({"recurrent_depth": 8}), "`recurrent_depth`"),
            (json!({"shared_transformer": true}), "`shared_transformer`"),
            (json!({"zero_expert_num": 256}), "compute nothing"),
            (json!({"zero_expert_type": "identity"}), "compute nothing"),
            (json!({"ngram_vocab_size": 100_000}), "tables"),
            (json!({"hidden_size_per_layer_input": 256}), "tables"),
            (json!({"is_encoder_decoder": true}), "encoder"),
            (json!({"encoder_layers": 6}), "encoder"),
            (json!({"vision_config": {"depth": 32}}), "`vision_config`"),
            (json!({"audio_config": {"num_hidden_layers": 32}}), "`audio_config`"),
            (json!({"protein_config": {"num_hidden_layers": 32}}), "`protein_config`"),
            (
                json!({"text_config": {"num_hidden_layers": 4}, "vision_config": {"depth": 32}}),
                "`vision_config`",
            ),
            (json!({"adapter_rank": 128}), "adapters"),
            (json!({"use_lora": true}), "adapters"),
            (json!({"num_experts": "NaN"}), "`num_experts` is \"NaN\""),
            (json!({"num_experts": -8}), "`num_experts` is -8"),
            (json!({"num_experts_per_tok": 2.5}), "`num_experts_per_tok` is 2.5"),
            (json!({"num_experts_per_tok": [1, 2]}), "`num_experts_per_tok` is [1,2]"),
            (
                json!({"num_experts": 8, "num_local_experts": 4}),
                "`num_experts` is 8, but `num_local_experts` is 4",
            ),
            (json!({"num_hidden_layers": "four"}), "`num_hidden_layers` is \"four\""),
            (
                json!({"layer_types": ["full_attention"]}),
                "lists 1 layers, the configuration has 4",
            ),
            (json!({"hybrid_override_pattern": "M*-"}), "lists 3 layers"),
            (json!({"hybrid_override_pattern": "M*?-"}), "`?`; known are"),
        ] {
            let caveat = caveat(&config);
            assert!(caveat.contains(words), "{config}: {caveat}");
        }
    }

    #[test]
    fn keys_that_enable_nothing_have_no_caveat() {
        for config in [
            json!({"is_encoder_decoder": false, "add_cross_attention": false, "cross_attention_hidden_size": null}),
            json!({"no_repeat_ngram_size": 3, "encoder_no_repeat_ngram_size": 0, "tie_encoder_decoder": false}),
            json!({"vision_config": null, "zero_expert_num": 0, "total_ut_steps": 1, "num_nextn_predict_layers": 1}),
            json!({"q_lora_rank": 1536, "kv_lora_rank": 512, "image_token_id": 7, "repetition_penalty": 1.1}),
            json!({"ffn_config": {"a": 1}, "quantization_config": {"bits": 4}, "generation_config": {"a": 1}}),
            json!({"linear_attn_config": {"num_heads": 32}, "rope_scaling": {"factor": 2.0}, "layerdrop": 0.0}),
            json!({"auto_map": {"AutoConfig": "a.B"}, "moe": {"hidden_size": 8}, "id2label": {"0": "a"}}),
            json!({"layer_types": ["a", "b", "c", "d"], "hybrid_override_pattern": "M*-E", "first_k_dense_replace": 1}),
            json!({"share_expert_dim": 64, "use_cla": false, "cla_share_factor": 2, "mask_token_id": null}),
            json!({"n_shared_experts": 2, "moe_shared_expert_intermediate_size": 64, "decoder_sparse_step": 2}),
        ] {
            assert_eq!(caveat(&config), "", "{config}");
        }
    }
}
