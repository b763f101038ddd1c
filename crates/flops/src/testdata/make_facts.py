"""Makes families.json: parameters and FLOPs of models of every family, as PyTorch counts them.

    pip install torch==2.15.0 transformers==5.24.0
    python make_facts.py > families.json

Each configuration is built by transformers on the meta device (no weights), with eager attention and, for mixtures of
experts, `batched_mm`, which computes the chosen experts only. FLOPs are FlopCounterMode's, `params_total` the sum over
`model.parameters()` (a shared parameter once), `params_active` the same less the experts that are not chosen. A case is
[tokens, cached tokens, rows of logits, FLOPs]; the cache of `cases` keeps every token, the one of `windowed` is
transformers' own, which forgets what lies outside of a sliding window. The configurations are made here: some are those
of published models, the others leave out or change keys at random, from a fixed seed.
"""

import json
import random

import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModelForCausalLM, DynamicCache
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

PUBLISHED = {
    "Llama-3.1-8B": {"model_type": "llama", "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 128256},
    "Llama-3.2-1B": {"model_type": "llama", "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16, "num_attention_heads": 32, "head_dim": 64, "num_key_value_heads": 8, "vocab_size": 128256, "tie_word_embeddings": True},
    "Llama-2-70b": {"model_type": "llama", "hidden_size": 8192, "intermediate_size": 28672, "num_hidden_layers": 80, "num_attention_heads": 64, "num_key_value_heads": 8, "vocab_size": 32000},
    "SmolLM2-360M": {"model_type": "llama", "hidden_size": 960, "intermediate_size": 2560, "num_hidden_layers": 32, "num_attention_heads": 15, "num_key_value_heads": 5, "vocab_size": 49152, "tie_word_embeddings": True},
    "SmolLM3-3B": {"model_type": "smollm3", "hidden_size": 2048, "intermediate_size": 11008, "num_hidden_layers": 36, "num_attention_heads": 16, "num_key_value_heads": 4},
    "Mistral-7B-v0.1": {"model_type": "mistral", "sliding_window": 4096},
    "Mistral-7B-v0.3": {"model_type": "mistral", "vocab_size": 32768, "sliding_window": None},
    "Mistral-Nemo-12B": {"model_type": "mistral", "hidden_size": 5120, "head_dim": 128, "num_hidden_layers": 40, "vocab_size": 131072, "sliding_window": None},
    "Mixtral-8x7B-v0.1": {"model_type": "mixtral", "num_local_experts": 8, "num_experts_per_tok": 2},
    "Mixtral-8x22B-v0.1": {"model_type": "mixtral", "hidden_size": 6144, "intermediate_size": 16384, "num_hidden_layers": 56, "num_attention_heads": 48, "num_key_value_heads": 8, "vocab_size": 32000},
    "Qwen2.5-7B": {"model_type": "qwen2", "hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28, "num_attention_heads": 28, "num_key_value_heads": 4, "vocab_size": 152064},
    "Qwen2-1.5B": {"model_type": "qwen2", "hidden_size": 1536, "intermediate_size": 8960, "num_hidden_layers": 28, "num_attention_heads": 12, "num_key_value_heads": 2, "tie_word_embeddings": True},
    "Qwen1.5-MoE-A2.7B": {"model_type": "qwen2_moe"},
    "Qwen2-57B-A14B": {"model_type": "qwen2_moe", "hidden_size": 3584, "intermediate_size": 18944, "moe_intermediate_size": 2560, "shared_expert_intermediate_size": 20480, "num_attention_heads": 28, "num_key_value_heads": 4, "num_hidden_layers": 28, "num_experts": 64, "num_experts_per_tok": 8},
    "Qwen3-0.6B": {"model_type": "qwen3", "hidden_size": 1024, "intermediate_size": 3072, "num_hidden_layers": 28, "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128, "tie_word_embeddings": True},
    "Qwen3-8B": {"model_type": "qwen3", "hidden_size": 4096, "intermediate_size": 12288, "num_hidden_layers": 36, "num_attention_heads": 32, "num_key_value_heads": 8},
    "Qwen3-30B-A3B": {"model_type": "qwen3_moe", "head_dim": 128, "num_hidden_layers": 48},
    "Qwen3-235B-A22B": {"model_type": "qwen3_moe", "hidden_size": 4096, "intermediate_size": 12288, "moe_intermediate_size": 1536, "head_dim": 128, "num_hidden_layers": 94, "num_attention_heads": 64, "num_key_value_heads": 4},
    "phi-2": {"model_type": "phi", "hidden_size": 2560, "intermediate_size": 10240, "num_hidden_layers": 32, "num_attention_heads": 32, "partial_rotary_factor": 0.4},
    "Phi-3-mini-4k": {"model_type": "phi3", "sliding_window": 2047},
    "Phi-3-medium": {"model_type": "phi3", "hidden_size": 5120, "intermediate_size": 17920, "num_hidden_layers": 40, "num_attention_heads": 40, "num_key_value_heads": 10},
    "Phi-4-mini": {"model_type": "phi3", "num_attention_heads": 24, "num_key_value_heads": 8, "partial_rotary_factor": 0.75, "vocab_size": 200064, "tie_word_embeddings": True},
    "gemma-2b": {"model_type": "gemma", "hidden_size": 2048, "intermediate_size": 16384, "num_hidden_layers": 18, "num_attention_heads": 8, "num_key_value_heads": 1},
    "gemma-7b": {"model_type": "gemma"},
    "gemma-2-2b": {"model_type": "gemma2"},
    "gemma-2-9b": {"model_type": "gemma2", "hidden_size": 3584, "intermediate_size": 14336, "num_hidden_layers": 42, "num_attention_heads": 16, "num_key_value_heads": 8},
    "gemma-2-27b": {"model_type": "gemma2", "hidden_size": 4608, "intermediate_size": 36864, "num_hidden_layers": 46, "num_attention_heads": 32, "num_key_value_heads": 16, "head_dim": 128},
    "gemma-3-1b": {"model_type": "gemma3_text", "hidden_size": 1152, "intermediate_size": 6912, "num_attention_heads": 4, "num_key_value_heads": 1, "vocab_size": 262144, "sliding_window": 512},
    "gemma-3-4b": {"model_type": "gemma3", "text_config": {"model_type": "gemma3_text", "hidden_size": 2560, "intermediate_size": 10240, "num_hidden_layers": 34, "sliding_window": 1024}},
    "gemma-3-27b": {"model_type": "gemma3", "text_config": {"model_type": "gemma3_text", "hidden_size": 5376, "intermediate_size": 21504, "num_hidden_layers": 62, "num_attention_heads": 32, "num_key_value_heads": 16, "head_dim": 128, "sliding_window": 1024}},
    "gpt2": {"model_type": "gpt2"},
    "gpt2-xl": {"model_type": "gpt2", "n_embd": 1600, "n_layer": 48, "n_head": 25},
    "starcoder2-3b": {"model_type": "starcoder2"},
    "starcoder2-7b": {"model_type": "starcoder2", "hidden_size": 4608, "intermediate_size": 18432, "num_hidden_layers": 32, "num_attention_heads": 36, "num_key_value_heads": 4, "sliding_window": 4096},
    "starcoder2-15b": {"model_type": "starcoder2", "hidden_size": 6144, "intermediate_size": 24576, "num_hidden_layers": 40, "num_attention_heads": 48, "num_key_value_heads": 4, "tie_word_embeddings": False},
    "DeepSeek-V2-Lite": {"model_type": "deepseek_v2", "hidden_size": 2048, "intermediate_size": 10944, "num_hidden_layers": 27, "num_attention_heads": 16, "num_key_value_heads": 16, "moe_intermediate_size": 1408, "num_experts_per_tok": 6, "first_k_dense_replace": 1, "q_lora_rank": None},
    "DeepSeek-V2": {"model_type": "deepseek_v2", "hidden_size": 5120, "intermediate_size": 12288, "num_hidden_layers": 60, "num_attention_heads": 128, "num_key_value_heads": 128, "moe_intermediate_size": 1536, "n_routed_experts": 160, "n_shared_experts": 2, "num_experts_per_tok": 6, "first_k_dense_replace": 1, "q_lora_rank": 1536, "topk_method": "group_limited_greedy", "n_group": 8, "topk_group": 3},
}

FAMILIES = ["llama", "smollm3", "mistral", "mixtral", "qwen2", "qwen2_moe", "qwen3", "qwen3_moe", "phi", "phi3", "gemma", "gemma2", "gemma3_text", "gpt2", "starcoder2", "deepseek_v2"]


def random_config(draw, family):
    """A configuration that is valid, with every key present or absent by chance."""
    maybe = lambda: draw.random() < 0.6
    heads = draw.choice([2, 4, 6, 8])
    config = {"model_type": family}
    if family == "gpt2":
        config |= {"n_head": heads, "n_embd": heads * draw.choice([8, 16, 24]), "n_layer": draw.choice([1, 2, 3])}
        if maybe(): config["n_inner"] = draw.choice([None, 40, 200])
        if maybe(): config["n_positions"] = draw.choice([96, 128])
    else:
        config["hidden_size"] = heads * draw.choice([8, 16, 24])
        config["num_attention_heads"] = heads
        if family != "deepseek_v2":
            config["num_key_value_heads"] = draw.choice([divisor for divisor in (1, 2, heads // 2, heads) if heads % divisor == 0])
        if maybe(): config["num_hidden_layers"] = draw.choice([1, 2, 5, 8])
        if maybe(): config["intermediate_size"] = draw.choice([24, 100, 136])
        if maybe() and family not in ("phi", "deepseek_v2"): config["head_dim"] = draw.choice([8, 20, 32])
    if maybe(): config["vocab_size"] = draw.choice([64, 1000])
    if family != "gpt2": config["pad_token_id"] = 0
    if maybe(): config["tie_word_embeddings"] = draw.choice([True, False])
    if family in ("llama", "smollm3", "qwen3", "qwen3_moe", "gemma", "gemma2", "gemma3_text", "deepseek_v2"):
        if maybe(): config["attention_bias"] = draw.choice([True, False])
    if family in ("llama", "smollm3", "deepseek_v2") and maybe():
        config["mlp_bias"] = draw.choice([True, False])
    if family == "starcoder2" and maybe():
        config["use_bias"] = draw.choice([True, False])
    if family == "phi":
        if maybe(): config["qk_layernorm"] = draw.choice([True, False])
        if maybe(): config["partial_rotary_factor"] = 0.5
    if family in ("mistral", "mixtral", "phi3", "gemma2", "gemma3_text", "starcoder2") and maybe():
        config["sliding_window"] = draw.choice([12, 30] if "gemma" in family else [None, 12, 30])
    if family in ("qwen2", "qwen2_moe", "qwen3", "qwen3_moe"):
        if maybe(): config["use_sliding_window"] = draw.choice([True, False])
        if maybe(): config["sliding_window"] = draw.choice([12, 30])
        if maybe(): config["max_window_layers"] = draw.choice([0, 1, 3])
    if family in ("mixtral", "qwen2_moe", "qwen3_moe", "deepseek_v2"):
        name = {"mixtral": "num_local_experts", "deepseek_v2": "n_routed_experts"}.get(family, "num_experts")
        if maybe(): config[name] = draw.choice([8, 12])
        if maybe() or family == "deepseek_v2": config["num_experts_per_tok"] = draw.choice([1, 2, 5])
        if maybe() and family != "mixtral": config["moe_intermediate_size"] = draw.choice([16, 40])
    if family in ("qwen2_moe", "qwen3_moe"):
        if maybe(): config["decoder_sparse_step"] = draw.choice([1, 2, 3])
        if maybe(): config["mlp_only_layers"] = draw.choice([[], [0], [0, 3]])
    if family == "qwen2_moe":
        if maybe(): config["shared_expert_intermediate_size"] = draw.choice([32, 64])
        if maybe(): config["qkv_bias"] = draw.choice([True, False])
    if family == "deepseek_v2":
        if maybe(): config["q_lora_rank"] = draw.choice([None, 24])
        if maybe(): config["kv_lora_rank"] = draw.choice([16, 32])
        if maybe(): config["qk_rope_head_dim"] = draw.choice([8, 16])
        if maybe(): config["qk_nope_head_dim"] = draw.choice([8, 24])
        if maybe(): config["v_head_dim"] = draw.choice([12, 40])
        if maybe(): config["n_shared_experts"] = draw.choice([1, 3])
        if maybe(): config["first_k_dense_replace"] = draw.choice([0, 1, 2])
    return config


def built(config):
    """The text model that the configuration describes."""
    keys = dict(config.get("text_config", config))
    family = keys.pop("model_type")
    configuration = CONFIG_MAPPING[family](**keys)
    configuration._attn_implementation = "eager"
    extra = {}
    if any(key in family for key in ("moe", "mixtral", "deepseek")):
        extra["experts_implementation"] = "batched_mm"
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(configuration, attn_implementation="eager", dtype=torch.float32, **extra).eval()


def counted(model, tokens, cached, rows, cache):
    ids = lambda length: torch.zeros((1, length), dtype=torch.long, device="meta")
    keep = {"logits_to_keep": 0 if rows == tokens else rows}
    if cached:
        model(input_ids=ids(cached), past_key_values=cache, use_cache=True, **keep)
    counter = FlopCounterMode(display=False)
    with counter:
        model(input_ids=ids(tokens), past_key_values=cache, use_cache=True, **keep)
    return counter.get_total_flops()


@torch.no_grad()
def facts(config, schedule, windows):
    model = built(config)
    total = sum(parameter.numel() for parameter in model.parameters())
    experts = sum(parameter.numel() for name, parameter in model.named_parameters() if ".experts." in name)
    active = total
    if experts:
        settings = model.config
        count = next(getattr(settings, name) for name in ("num_local_experts", "num_experts", "n_routed_experts") if hasattr(settings, name))
        active -= experts - experts // count * settings.num_experts_per_tok
    cases = [[tokens, cached, rows, counted(model, tokens, cached, rows, DynamicCache())] for tokens, cached, rows in schedule]
    result = {"config": config, "params_total": total, "params_active": active, "cases": cases}
    if windows:
        result["windowed"] = [[tokens, cached, rows, counted(model, tokens, cached, rows, DynamicCache(config=model.config))] for tokens, cached, rows in windows]
    return result


def main():
    draw = random.Random(20261125)
    models = {}
    for name, config in PUBLISHED.items():
        models[name] = facts(config, [(1, 0, 1), (77, 0, 77), (77, 0, 1), (1, 77, 1), (1, 300, 1)], [])
    for family in FAMILIES:
        for number in range(10):
            config = random_config(draw, family)
            models[f"{family}-{number}"] = facts(config, [(5, 0, 5), (40, 0, 1), (1, 5, 1), (1, 40, 1)], [(1, 5, 1), (1, 40, 1)])
    versions = {"torch": torch.__version__, "transformers": __import__("transformers").__version__}
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(model)}" for name, model in models.items())
    print(f'{{\n "made_by": "make_facts.py",\n "versions": {json.dumps(versions)},\n "models": {{\n{lines}\n }}\n}}')


if __name__ == "__main__":
    main()
