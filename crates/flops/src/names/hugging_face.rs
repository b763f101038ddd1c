use super::name::{Name, conv, name};

/// The names of transformers' modules and of published checkpoints. Where a stem has several meanings, the first fits
/// whose operators the family has and whose shape is the tensor's.
pub(super) const NAMES: &[Name] = &[
    name("embed_tokens", &["embed_tokens"]),
    name("wte", &["embed_tokens"]),
    name("wpe", &["embed_positions"]),
    name("norm", &["final_norm"]),
    name("ln_f", &["final_norm"]),
    name("final_layernorm", &["final_norm"]),
    name("lm_head", &["lm_head"]),
    name("score", &["score"]),
    name("input_layernorm", &["input_norm"]),
    name("ln_1", &["input_norm"]),
    name("post_attention_layernorm", &["post_attention_norm"]),
    name("post_attention_layernorm", &["ffn_norm"]),
    name("pre_feedforward_layernorm", &["ffn_norm"]),
    name("post_feedforward_layernorm", &["post_ffn_norm"]),
    name("ln_2", &["ffn_norm"]),
    name("self_attn.q_proj", &["q_proj"]),
    name("self_attn.k_proj", &["k_proj"]),
    name("self_attn.v_proj", &["v_proj"]),
    name("self_attn.o_proj", &["o_proj"]),
    name("self_attn.dense", &["o_proj"]),
    name("self_attn.qkv_proj", &["q_proj", "k_proj", "v_proj"]),
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
    name("mlp.gate", &["router"]),
    name("mlp.experts.*.gate_proj", &["expert_gate_proj"]),
    name("mlp.experts.*.up_proj", &["expert_up_proj"]),
    name("mlp.experts.*.down_proj", &["expert_down_proj"]),
    name("mlp.experts.gate_up_proj", &["expert_gate_proj", "expert_up_proj"]),
    name("mlp.experts.down_proj", &["expert_down_proj"]),
    // MLX stacks experts so.
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
];

const OUTER_MODULES: [&str; 4] = ["model.", "language_model.", "text_model.", "transformer."];

/// The name inside the text model, whatever it is wrapped in.
pub(super) fn without_outer_modules(tensor: &str) -> &str {
    let mut inner = tensor;
    while let Some(rest) = OUTER_MODULES.iter().find_map(|module| inner.strip_prefix(module)) {
        inner = rest;
    }
    inner
}

pub(super) fn is_outside_the_text_model(tensor: &str) -> bool {
    let inner = tensor.strip_prefix("model.").unwrap_or(tensor);
    ["vision_tower.", "vision_model.", "multi_modal_projector."]
        .iter()
        .any(|module| inner.starts_with(module))
}

/// GPT-2's causal mask, which old checkpoints carry along: `attn.bias` beside `attn.c_attn.bias`.
pub(super) fn is_causal_mask(tensor: &str) -> bool {
    tensor.ends_with(".attn.bias") || tensor.ends_with(".attn.masked_bias")
}
