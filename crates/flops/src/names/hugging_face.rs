use super::name::{Name, conv, name};

/// Names of transformers' modules and of published checkpoints. Where a stem has several meanings, the first one is
/// used whose operators the family has and whose shape the tensor has.
pub(super) const TABLES: &[&[Name]] = &[
    TRANSFORMER,
    super::particular::RECURRENT,
    super::particular::T5,
    super::particular::GEMMA3N,
    super::particular::MISTRAL_FORMAT,
];

const TRANSFORMER: &[Name] = &[
    name("embed_tokens", &["embed_tokens"]),
    name("wte", &["embed_tokens"]),
    name("wpe", &["embed_positions"]),
    name("norm", &["final_norm"]),
    name("ln_f", &["final_norm"]),
    name("final_layernorm", &["final_norm"]),
    name("final_layer_norm", &["final_norm"]),
    name("norm_f", &["final_norm"]),
    name("lm_head", &["lm_head"]),
    name("embed_out", &["lm_head"]),
    name("embed_in", &["embed_tokens"]),
    name("embeddings", &["embed_tokens"]),
    name("embedding", &["embed_tokens"]),
    name("word_embeddings", &["embed_tokens"]),
    name("word_embeddings_layernorm", &["embed_norm"]),
    name("shared", &["embed_tokens"]),
    name("input_layernorm", &["input_norm"]),
    name("ln_attn", &["input_norm"]),
    name("norm_1", &["input_norm"]),
    name("norm", &["input_norm"]),
    name("ln_1", &["input_norm"]),
    name("post_attention_layernorm", &["post_attention_norm"]),
    name("post_attention_layernorm", &["ffn_norm"]),
    name("pre_feedforward_layernorm", &["ffn_norm"]),
    name("post_feedforward_layernorm", &["post_ffn_norm"]),
    name("post_self_attn_layernorm", &["attention_output_norm"]),
    name("post_mlp_layernorm", &["post_ffn_norm"]),
    name("pre_ff_layernorm", &["ffn_norm"]),
    name("ln_2", &["ffn_norm"]),
    name("ln_mlp", &["ffn_norm"]),
    name("norm_2", &["ffn_norm"]),
    name("self_attn.q_proj", &["q_proj"]),
    name("self_attn.k_proj", &["k_proj"]),
    name("self_attn.v_proj", &["v_proj"]),
    name("self_attn.o_proj", &["o_proj"]),
    name("self_attn.dense", &["o_proj"]),
    name("self_attn.qkv_proj", &["q_proj", "k_proj", "v_proj"]),
    name("self_attn.W_pack", &["q_proj", "k_proj", "v_proj"]),
    name("self_attn.q_norm", &["q_norm"]),
    name("self_attn.k_norm", &["k_norm"]),
    name("self_attn.q_layernorm", &["q_norm"]),
    name("self_attn.k_layernorm", &["k_norm"]),
    name("self_attn.q_a_proj", &["q_a_proj"]),
    name("self_attn.q_a_layernorm", &["q_a_norm"]),
    name("self_attn.q_b_proj", &["q_b_proj"]),
    name("self_attn.kv_a_proj_with_mqa", &["kv_a_proj"]),
    name("self_attn.kv_a_layernorm", &["kv_a_norm"]),
    name("self_attn.kv_b_proj", &["k_b_proj", "v_b_proj"]),
    name("self_attn.sinks", &["sinks"]),
    name("self_attention.query_key_value", &["q_proj", "k_proj", "v_proj"]),
    name("self_attention.dense", &["o_proj"]),
    name("attention.query_key_value", &["q_proj", "k_proj", "v_proj"]),
    name("attention.dense", &["o_proj"]),
    name("attn.q_proj", &["q_proj"]),
    name("attn.k_proj", &["k_proj"]),
    name("attn.v_proj", &["v_proj"]),
    name("attn.out_proj", &["o_proj"]),
    name("attn.Wqkv", &["q_proj", "k_proj", "v_proj"]),
    conv("attn.c_attn", &["q_proj", "k_proj", "v_proj"]),
    conv("attn.c_proj", &["o_proj"]),
    name("mlp.gate_proj", &["gate_proj"]),
    name("mlp.up_proj", &["up_proj"]),
    name("mlp.down_proj", &["down_proj"]),
    name("mlp.gate_up_proj", &["gate_proj", "up_proj"]),
    conv("mlp.c_fc", &["up_proj"]),
    conv("mlp.c_proj", &["down_proj"]),
    name("mlp.fc1", &["up_proj"]),
    name("mlp.fc2", &["down_proj"]),
    name("mlp.dense_h_to_4h", &["up_proj"]),
    name("mlp.dense_4h_to_h", &["down_proj"]),
    name("mlp.fc_in", &["up_proj"]),
    name("mlp.fc_out", &["down_proj"]),
    name("ffn.up_proj", &["up_proj"]),
    name("ffn.down_proj", &["down_proj"]),
    name("feed_forward.gate_proj", &["gate_proj"]),
    name("feed_forward.up_proj", &["up_proj"]),
    name("feed_forward.down_proj", &["down_proj"]),
    name("mlp.gate", &["router"]),
    name("mlp.router", &["router"]),
    name("feed_forward.router", &["router"]),
    name("block_sparse_moe.router", &["router"]),
    name("block_sparse_moe.router.layer", &["router"]),
    name("mlp.experts.*.gate_proj", &["expert_gate_proj"]),
    name("mlp.experts.*.up_proj", &["expert_up_proj"]),
    name("mlp.experts.*.down_proj", &["expert_down_proj"]),
    conv("mlp.experts.gate_up_proj", &["expert_gate_proj", "expert_up_proj"]),
    conv("mlp.experts.down_proj", &["expert_down_proj"]),
    conv(
        "feed_forward.experts.gate_up_proj",
        &["expert_gate_proj", "expert_up_proj"],
    ),
    conv("feed_forward.experts.down_proj", &["expert_down_proj"]),
    name("feed_forward.experts.*.gate_proj", &["expert_gate_proj"]),
    name("feed_forward.experts.*.up_proj", &["expert_up_proj"]),
    name("feed_forward.experts.*.down_proj", &["expert_down_proj"]),
    name(
        "block_sparse_moe.experts.gate_up_proj",
        &["expert_gate_proj", "expert_up_proj"],
    ),
    name("block_sparse_moe.experts.down_proj", &["expert_down_proj"]),
    name("block_sparse_moe.input_linear", &["expert_gate_proj", "expert_up_proj"]),
    name("block_sparse_moe.output_linear", &["expert_down_proj"]),
    // MLX stacks experts under these names.
    name("mlp.switch_mlp.gate_proj", &["expert_gate_proj"]),
    name("mlp.switch_mlp.up_proj", &["expert_up_proj"]),
    name("mlp.switch_mlp.down_proj", &["expert_down_proj"]),
    name("block_sparse_moe.switch_mlp.gate_proj", &["expert_gate_proj"]),
    name("block_sparse_moe.switch_mlp.up_proj", &["expert_up_proj"]),
    name("block_sparse_moe.switch_mlp.down_proj", &["expert_down_proj"]),
    name("block_sparse_moe.gate", &["router"]),
    name("block_sparse_moe.experts.*.w1", &["expert_gate_proj"]),
    name("block_sparse_moe.experts.*.w3", &["expert_up_proj"]),
    name("block_sparse_moe.experts.*.w2", &["expert_down_proj"]),
    name("mlp.shared_expert.gate_proj", &["shared_gate_proj"]),
    name("mlp.shared_expert.up_proj", &["shared_up_proj"]),
    name("mlp.shared_expert.down_proj", &["shared_down_proj"]),
    name("mlp.shared_expert_gate", &["shared_expert_gate"]),
    name("mlp.shared_experts.gate_proj", &["shared_gate_proj"]),
    name("mlp.shared_experts.up_proj", &["shared_up_proj"]),
    name("mlp.shared_experts.down_proj", &["shared_down_proj"]),
    name("feed_forward.shared_expert.gate_proj", &["shared_gate_proj"]),
    name("feed_forward.shared_expert.up_proj", &["shared_up_proj"]),
    name("feed_forward.shared_expert.down_proj", &["shared_down_proj"]),
    name("shared_mlp.input_linear", &["shared_gate_proj", "shared_up_proj"]),
    name("shared_mlp.output_linear", &["shared_down_proj"]),
    name("shared_mlp.input_linear", &["gate_proj", "up_proj"]),
    name("shared_mlp.output_linear", &["down_proj"]),
];

/// Modules around a text model.
const OUTER_MODULES: [&str; 9] = [
    "model.",
    "pretrained_model.",
    "language_model.",
    "language.",
    "text_model.",
    "transformer.",
    "gpt_neox.",
    "backbone.",
    "thinker.",
];

/// Returns the name within the text model, without the modules around it.
pub(crate) fn without_outer_modules(tensor: &str) -> &str {
    let mut inner = tensor;
    while let Some(rest) = OUTER_MODULES.iter().find_map(|module| inner.strip_prefix(module)) {
        inner = rest;
    }
    inner
}

/// Towers and projectors of multimodal models, and layers that predict further tokens.
const OUTSIDE: [&str; 26] = [
    "vision_tower.",
    "vision_model.",
    "vision_encoder.",
    "vision_resampler.",
    "vision_embed_tokens.",
    "vision.",
    "visual.",
    "multi_modal_projector.",
    "mm_projector.",
    "image_newline",
    "view_seperator",
    "projector.",
    "mlp1.",
    "aligner.",
    "audio_tower.",
    "embed_vision.",
    "embed_audio.",
    "connector.",
    "talker.",
    "code2wav.",
    "token2wav.",
    "gen_vision_model.",
    "gen_aligner.",
    "gen_embed.",
    "gen_head.",
    "mtp.",
];

/// Returns whether the tensor belongs to a part outside the text model.
pub(super) fn is_outside_the_text_model(tensor: &str) -> bool {
    let mut inner = tensor;
    while let Some(rest) = ["model.", "thinker."]
        .iter()
        .find_map(|module| inner.strip_prefix(module))
    {
        inner = rest;
    }
    OUTSIDE.iter().any(|module| inner.starts_with(module))
}

/// Other names of T5's embedding.
pub(super) const REPEATED_EMBEDDINGS: [&str; 2] = ["encoder.embed_tokens.weight", "decoder.embed_tokens.weight"];
