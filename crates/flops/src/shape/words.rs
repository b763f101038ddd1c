//! Translation of dimension names in errors to the keys of a file: a dimension has one name here and several in files.

use super::ShapeError;

/// Names of a dimension: the one used here, its keys in a `config.json` in the order in which they are read, and its
/// key in GGUF metadata without the architecture.
struct Words {
    own: &'static str,
    config: &'static [&'static str],
    gguf: &'static str,
}

/// Creates an entry of the table.
const fn words(own: &'static str, config: &'static [&'static str], gguf: &'static str) -> Words {
    Words { own, config, gguf }
}

const TABLE: &[Words] = &[
    words(
        "hidden_size",
        &["hidden_size", "n_embd", "n_embed", "d_model"],
        "embedding_length",
    ),
    words(
        "num_hidden_layers",
        &[
            "num_hidden_layers",
            "n_layer",
            "n_layers",
            "num_layers",
            "num_decoder_layers",
        ],
        "block_count",
    ),
    words(
        "num_layers",
        &["num_hidden_layers", "n_layer", "n_layers", "num_layers"],
        "block_count",
    ),
    words(
        "num_attention_heads",
        &["num_attention_heads", "n_head", "n_heads", "num_heads"],
        "attention.head_count",
    ),
    words(
        "num_key_value_heads",
        &["num_key_value_heads", "num_kv_heads", "n_head_kv"],
        "attention.head_count_kv",
    ),
    words("head_dim", &["head_dim", "d_kv"], "attention.key_length"),
    words("value_head_dim", &["v_head_dim"], "attention.value_length"),
    words(
        "intermediate_size",
        &[
            "intermediate_size_mlp",
            "intermediate_size",
            "n_inner",
            "ffn_hidden_size",
            "d_ff",
            "shared_intermediate_size",
        ],
        "feed_forward_length",
    ),
    words("vocab_size", &["vocab_size"], "vocab_size"),
    words("num_labels", &["num_labels", "id2label"], "num_labels"),
    words(
        "max_position_embeddings",
        &["n_positions", "max_position_embeddings"],
        "context_length",
    ),
    words(
        "num_experts",
        &["num_experts", "num_local_experts", "n_routed_experts"],
        "expert_count",
    ),
    words(
        "num_experts_per_tok",
        &["num_experts_per_tok", "experts_per_token"],
        "expert_used_count",
    ),
    words(
        "moe_intermediate_size",
        &["moe_intermediate_size", "intermediate_size"],
        "expert_feed_forward_length",
    ),
    words(
        "shared expert width",
        &[
            "shared_expert_intermediate_size",
            "n_shared_experts",
            "shared_intermediate_size",
        ],
        "expert_shared_feed_forward_length",
    ),
    words(
        "sparse layers",
        &["moe_layers", "mlp_layer_types"],
        "leading_dense_block_count",
    ),
    words(
        "sliding layers",
        &["layer_types", "no_rope_layers"],
        "attention.sliding_window",
    ),
    words("kv_lora_rank", &["kv_lora_rank"], "attention.kv_lora_rank"),
    words("q_lora_rank", &["q_lora_rank"], "attention.q_lora_rank"),
    words("qk_rope_head_dim", &["qk_rope_head_dim"], "rope.dimension_count"),
    words("mamba width", &["expand", "mamba_expand"], "ssm.inner_size"),
    words("mamba heads", &["mamba_n_heads", "num_heads"], "ssm.time_step_rank"),
    words("mamba head_dim", &["mamba_d_head", "head_dim"], "ssm.inner_size"),
    words("mamba groups", &["mamba_n_groups", "n_groups"], "ssm.group_count"),
    words("mamba state", &["mamba_d_state", "state_size"], "ssm.state_size"),
    words(
        "mamba step rank",
        &["time_step_rank", "mamba_dt_rank"],
        "ssm.time_step_rank",
    ),
    words("mamba chunk", &["mamba_chunk_size", "chunk_size"], "ssm.chunk_size"),
    words("mamba kernel", &["conv_kernel", "mamba_d_conv"], "ssm.conv_kernel"),
];

impl ShapeError {
    /// Returns the error with the key that a `config.json` contains, or with the keys that it lacks.
    pub(crate) fn in_config(self, is_there: impl Fn(&str) -> bool) -> Self {
        self.renamed(&is_there, |words| {
            let found = words.config.iter().find(|name| is_there(name));
            found.map(|name| (*name).to_owned()).ok_or_else(|| {
                let is_key = words.config.contains(&words.own);
                if is_key {
                    words.own.to_owned()
                } else {
                    words.config.join("` or `")
                }
            })
        })
    }

    /// Returns the error with the key that the metadata of a GGUF contain, or with the key that they lack.
    pub(crate) fn in_gguf(self, architecture: &str, is_there: impl Fn(&str) -> bool) -> Self {
        self.renamed(&is_there, |words| {
            let name = format!("{architecture}.{}", words.gguf);
            if is_there(&name) { Ok(name) } else { Err(name) }
        })
    }

    /// Replaces the key by what `name` returns: `Ok` for a key in the file, `Err` for one that is missing.
    fn renamed(self, is_there: &impl Fn(&str) -> bool, name: impl Fn(&Words) -> Result<String, String>) -> Self {
        let (key, value, accepted) = match self {
            Self::BadValue { key, value, accepted } if !is_there(&key) => (key, value, accepted),
            other => return other,
        };
        match TABLE.iter().find(|words| words.own == key).map(name) {
            Some(Ok(key)) => Self::BadValue { key, value, accepted },
            Some(Err(key)) => Self::BadDefault { key, value, accepted },
            None => Self::BadValue { key, value, accepted },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::from_config_json;

    #[test]
    fn an_error_names_the_key_that_is_in_the_file() {
        for (config, words) in [
            (json!({"model_type": "mamba2", "num_heads": 0}), "`num_heads` is 0"),
            (json!({"model_type": "mamba2", "state_size": 0}), "`state_size` is 0"),
            (json!({"model_type": "mamba2", "conv_kernel": 0}), "`conv_kernel` is 0"),
            (
                json!({"model_type": "mamba2", "hidden_size": 32}),
                "`mamba_d_head` or `head_dim` is not in the file, and 0",
            ),
            (json!({"model_type": "gpt2", "n_head": 0}), "`n_head` is 0"),
            (
                json!({"model_type": "t5", "num_decoder_layers": 0}),
                "`num_decoder_layers` is 0",
            ),
            (
                json!({"model_type": "mistral", "num_attention_heads": 12}),
                "`num_key_value_heads` is not in the file, and 8",
            ),
            (
                json!({"model_type": "llama4", "moe_layers": [1, 99]}),
                "`moe_layers` is a list with the layer 99",
            ),
            (json!({"model_type": "gpt_neox", "rotary_pct": 4}), "`rotary_pct` is 4"),
            (
                json!({"model_type": "phi", "rope_parameters": {"partial_rotary_factor": -1}}),
                "`rope_parameters.partial_rotary_factor` is -1",
            ),
            (json!({"model_type": 5}), "`model_type` is 5; accepted is a text"),
            (
                json!({"text_config": {"model_type": ["llama"]}}),
                "`model_type` is [\"llama\"]",
            ),
        ] {
            let error = from_config_json(&config).unwrap_err().to_string();
            assert!(error.contains(words), "{config}: {error}");
        }
    }

    #[test]
    fn each_dimension_is_in_the_table_once() {
        let mut names: Vec<_> = super::TABLE.iter().map(|words| words.own).collect();
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
