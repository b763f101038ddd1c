"""Makes tensors.json: names and shapes of every weight of a small model of each family.

    pip install torch==2.15.0 transformers==5.24.0 gguf
    python make_tensors.py > tensors.json

`hugging_face` is the state of the model that transformers builds; `gguf` the same under the names that llama.cpp's own
table (the package gguf) gives, with experts stacked, the norm's and Conv1D's layout and latent attention's key and value
matrices apart, as its converter writes them.
"""

import json

import gguf
import torch
from make_facts import built

COMMON = {"hidden_size": 32, "num_attention_heads": 4, "num_key_value_heads": 2, "num_hidden_layers": 2, "intermediate_size": 48, "vocab_size": 96, "pad_token_id": 0}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24}
MODELS = {
    "llama": (gguf.MODEL_ARCH.LLAMA, {}),
    "smollm3": (gguf.MODEL_ARCH.SMOLLM3, {}),
    "mistral": (gguf.MODEL_ARCH.LLAMA, {"head_dim": 12}),
    "mixtral": (gguf.MODEL_ARCH.LLAMA, {"num_local_experts": 4}),
    "qwen2": (gguf.MODEL_ARCH.QWEN2, {"tie_word_embeddings": True}),
    "qwen2_moe": (gguf.MODEL_ARCH.QWEN2MOE, EXPERTS | {"shared_expert_intermediate_size": 40}),
    "qwen3": (gguf.MODEL_ARCH.QWEN3, {}),
    "qwen3_moe": (gguf.MODEL_ARCH.QWEN3MOE, EXPERTS | {"head_dim": 16}),
    "phi": (gguf.MODEL_ARCH.PHI2, {}),
    "phi3": (gguf.MODEL_ARCH.PHI3, {}),
    "gemma": (gguf.MODEL_ARCH.GEMMA, {}),
    "gemma2": (gguf.MODEL_ARCH.GEMMA2, {}),
    "gemma3_text": (gguf.MODEL_ARCH.GEMMA3, {}),
    "gpt2": (gguf.MODEL_ARCH.GPT2, {}),
    "starcoder2": (gguf.MODEL_ARCH.STARCODER2, {}),
    "deepseek_v2": (gguf.MODEL_ARCH.DEEPSEEK2, {"num_key_value_heads": 4, "moe_intermediate_size": 24, "n_routed_experts": 4, "num_experts_per_tok": 2, "first_k_dense_replace": 1, "q_lora_rank": 20, "kv_lora_rank": 16, "qk_nope_head_dim": 8, "qk_rope_head_dim": 4, "v_head_dim": 12, "n_shared_experts": 1}),
}


def gguf_tensors(arch, config, state):
    names = gguf.get_tensor_name_map(arch, 2)
    tensors = []

    def add(name, shape):
        found = names.get_name(name, try_suffixes=(".weight", ".bias"))
        assert found, name
        tensors.append([found, shape])

    for name, shape in state:
        if name.endswith("experts.gate_up_proj"):
            count, rows, columns = shape
            for part in ("gate_proj", "up_proj"):
                add(name.replace("gate_up_proj", part) + ".weight", [count, rows // 2, columns])
        elif name.endswith("experts.down_proj"):
            add(name + ".weight", shape)
        elif name.endswith("kv_b_proj.weight"):
            heads, nope, value, rank = config["num_attention_heads"], config["qk_nope_head_dim"], config["v_head_dim"], config["kv_lora_rank"]
            add(name.replace("kv_b_proj", "k_b_proj"), [heads, rank, nope])
            add(name.replace("kv_b_proj", "v_b_proj"), [heads, value, rank])
        elif config["model_type"] == "gpt2" and any(part in name for part in ("c_attn.weight", "c_proj.weight", "c_fc.weight")):
            add(name, shape[::-1])
        elif name.endswith("shared_expert_gate.weight"):
            add(name, shape[1:])
        else:
            add(name, shape)
    return tensors


def main():
    models = {}
    for family, (arch, changes) in MODELS.items():
        config = {"model_type": family} | COMMON | changes
        if family == "gpt2":
            config = {"model_type": family, "n_embd": 32, "n_head": 4, "n_layer": 2, "n_positions": 64, "vocab_size": 96}
        model = built(config)
        tied = model.config.tie_word_embeddings
        state = [[name, list(tensor.shape)] for name, tensor in model.state_dict().items() if not (tied and name == "lm_head.weight")]
        models[family] = {"config": config, "hugging_face": state, "gguf": gguf_tensors(arch, config, state)}
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(model)}" for name, model in models.items())
    print(f'{{\n "made_by": "make_tensors.py",\n "models": {{\n{lines}\n }}\n}}')


if __name__ == "__main__":
    main()
