"""Makes later_families.json: parameters, FLOPs and tensors of models of the families that make_facts.py leaves out.

    pip install torch==2.15.0 transformers==5.24.0
    python make_later_facts.py > later_families.json

Models are built as make_facts.py builds them. A request is [input tokens, output tokens, FLOPs of the prefill, FLOPs of
the decode steps], run with transformers' own cache, logits of the last position. An encoder and decoder's prefill is the
encoder over the input and the decoder's first token. `tensors` are names and shapes of the first model of a family.
Configurations that transformers refuses are left out.
Llama 4 computes all experts in its plain path: the FLOPs of those that are not chosen are taken off.
"""

import json
import random
import sys

import torch

from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModelForSeq2SeqLM, DynamicCache
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

LATENT = {"q_lora_rank": [None, 24], "kv_lora_rank": [16, 32], "qk_nope_head_dim": [8, 24], "qk_rope_head_dim": [8, 16], "v_head_dim": [12, 40]}
DELTA = {"linear_num_key_heads": [1, 2], "linear_num_value_heads": [2, 4], "linear_key_head_dim": [8, 16], "linear_value_head_dim": [8, 16], "linear_conv_kernel_dim": [3, 4]}
BIAS = {"attention_bias": [True, False]}
# Keys of each family with their choices, beside those that all have.
FAMILIES = {
    "phimoe": {"num_local_experts": [8], "lm_head_bias": [True, False], "sliding_window": [None, 12]} | BIAS,
    "deepseek_v3": {"n_routed_experts": [8, 16], "n_shared_experts": [1, 2], "first_k_dense_replace": [0, 1, 3], "moe_intermediate_size": [16, 40], "n_group": [2], "topk_group": [1]} | LATENT | BIAS,
    "glm": BIAS, "glm4": BIAS,
    "glm4_moe": {"n_routed_experts": [8], "n_shared_experts": [1, 2], "first_k_dense_replace": [0, 1, 3], "moe_intermediate_size": [16, 40], "use_qk_norm": [True, False]} | BIAS,
    "glm4_moe_lite": {"n_routed_experts": [8], "n_shared_experts": [1, 2], "moe_intermediate_size": [16, 40]} | LATENT | BIAS,
    "granite": {"mlp_bias": [True, False]} | BIAS,
    "granitemoe": {"num_local_experts": [8]} | BIAS,
    "granitemoeshared": {"num_local_experts": [8], "shared_intermediate_size": [24]} | BIAS,
    "granitemoehybrid": {"num_local_experts": [8, 0], "shared_intermediate_size": [24, 48], "mamba_n_heads": [8], "mamba_d_state": [8, 16], "mamba_n_groups": [1, 2], "mamba_chunk_size": [32, 256], "mamba_conv_bias": [True, False], "mamba_proj_bias": [True, False], "layers": ["mamba", "attention"]} | BIAS,
    "gpt_oss": {"num_local_experts": [8], "head_dim": [8, 16], "sliding_window": [12, 30]},
    "qwen3_next": {"num_experts": [8], "moe_intermediate_size": [16], "shared_expert_intermediate_size": [24], "head_dim": [16], "decoder_sparse_step": [1, 2]} | DELTA | BIAS,
    "qwen3_5_text": {"head_dim": [16]} | DELTA | BIAS,
    "qwen3_5_moe_text": {"num_experts": [8], "moe_intermediate_size": [16], "shared_expert_intermediate_size": [24], "head_dim": [16]} | DELTA,
    "llama4_text": {"num_local_experts": [8], "head_dim": [8, 16], "intermediate_size_mlp": [56, 72], "interleave_moe_layer_step": [1, 2], "attention_chunk_size": [12, 30]} | BIAS,
    "ministral": {"head_dim": [8, 16], "sliding_window": [12, 30]},
    "ministral3": {"head_dim": [8, 16], "sliding_window": [None, 12]},
    "gemma3n_text": {"num_hidden_layers": [5, 10], "num_kv_shared_layers": [0, 3], "vocab_size_per_layer_input": [64], "hidden_size_per_layer_input": [8], "laurel_rank": [4, 8], "altup_num_inputs": [2, 4], "sliding_window": [12], "head_dim": [8], "activation_sparsity_pattern": [None]},
    "olmo": BIAS, "olmo2": BIAS, "olmo3": {"sliding_window": [12]} | BIAS, "olmoe": {"num_experts": [8]} | BIAS,
    "cohere": {"use_qk_norm": [True, False]} | BIAS,
    "cohere2": {"sliding_window": [12, 30]} | BIAS,
    "stablelm": {"use_qkv_bias": [True, False], "qk_layernorm": [False, True], "use_parallel_residual": [True, False]},
    "falcon": {"num_kv_heads": [2], "new_decoder_architecture": [True, False], "multi_query": [True, False], "parallel_attn": [True, False], "bias": [True, False], "alibi": [True, False], "num_ln_in_parallel_attn": [None, 1], "ffn_hidden_size": [None, 72]},
    "gpt_neox": {"use_parallel_residual": [True, False]} | BIAS,
    "gptj": {"rotary_dim": [4, 8]},
    "bloom": {}, "mpt": {"expansion_ratio": [2, 4]},
    "minimax": {"num_local_experts": [8], "block_size": [32, 256]},
    "jamba": {"num_experts": [8, 1], "attn_layer_period": [2, 4], "attn_layer_offset": [1, 0], "expert_layer_period": [2], "mamba_d_state": [8, 16], "mamba_dt_rank": [4, "auto"], "mamba_expand": [1, 2], "mamba_d_conv": [3, 4], "mamba_conv_bias": [True, False], "mamba_proj_bias": [True, False]},
    "mamba": {"state_size": [8, 16], "expand": [1, 2], "time_step_rank": [4, "auto"], "conv_kernel": [3, 4], "use_bias": [True, False], "use_conv_bias": [True, False]},
    "mamba2": {"state_size": [8, 16], "n_groups": [1, 2], "chunk_size": [32, 256], "conv_kernel": [3, 4], "use_bias": [True, False], "use_conv_bias": [True, False]},
    "qwen2_vl_text": {"use_sliding_window": [False]}, "qwen2_5_vl_text": {"use_sliding_window": [False]},
    "qwen3_vl_text": {"head_dim": [8, 16]} | BIAS,
    "qwen3_vl_moe_text": {"num_experts": [8], "moe_intermediate_size": [16], "decoder_sparse_step": [1, 2]} | BIAS,
    "t5": {"feed_forward_proj": ["relu", "gated-gelu"]}, "mt5": {"feed_forward_proj": ["relu", "gated-gelu"]},
}
ALWAYS = ("num_local_experts", "num_experts", "n_routed_experts", "num_kv_shared_layers", "laurel_rank", "hidden_size_per_layer_input", "activation_sparsity_pattern", "n_group", "topk_group", "mamba_n_heads", "attn_layer_period", "num_hidden_layers", "vocab_size_per_layer_input", "rotary_dim", "shared_intermediate_size", "num_kv_heads", "layers")
NO_TIE = ("t5",)


def random_config(draw, family):
    """A configuration that is valid, with most keys present or absent by chance."""
    maybe = lambda: draw.random() < 0.6
    heads = draw.choice([2, 4, 8])
    width = heads * draw.choice([16, 24])
    config = {"model_type": family, "vocab_size": draw.choice([64, 1000]), "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    if family in ("t5", "mt5"):
        config |= {"d_model": width, "num_heads": heads, "d_kv": draw.choice([8, 16]), "d_ff": draw.choice([24, 100]), "num_layers": draw.choice([1, 3])}
        if maybe(): config["num_decoder_layers"] = draw.choice([2, 4])
    elif family == "mpt":
        config |= {"d_model": width, "n_heads": heads, "n_layers": draw.choice([1, 3])}
    elif family in ("bloom", "gptj"):
        config |= {"n_head": heads, "n_layer": draw.choice([1, 3]), "hidden_size" if family == "bloom" else "n_embd": width}
    elif family in ("mamba", "mamba2"):
        config |= {"hidden_size": width, "num_hidden_layers": draw.choice([1, 3])}
        if family == "mamba2": config |= {"num_heads": 8, "head_dim": width * 2 // 8}
    else:
        config |= {"hidden_size": width, "num_attention_heads": heads, "num_hidden_layers": draw.choice([2, 4, 5]), "intermediate_size": draw.choice([24, 100])}
        if family == "falcon": config.pop("intermediate_size")
        elif family == "gpt_neox": pass
        elif "lite" not in family and "deepseek" not in family:
            config["num_key_value_heads"] = draw.choice([1, 2, heads]) if heads > 1 else 1
        else: config["num_key_value_heads"] = heads
    for key, choices in FAMILIES[family].items():
        if key in ALWAYS or maybe(): config[key] = draw.choice(choices)
    layers = config.get("num_hidden_layers")
    if config.pop("layers", None): config["layer_types"] = ["attention"] + [draw.choice(["mamba", "attention"]) for _ in range(layers - 1)]
    if any(key in config for key in ("num_local_experts", "num_experts", "n_routed_experts")) and config.get("num_local_experts") != 0:
        config["num_experts_per_tok"] = draw.choice([1, 2, 5]) if config.get("num_experts") != 1 else 1
        if "n_routed_experts" in config: config["num_experts_per_tok"] = draw.choice([1, 2, 3])
    # The router of Phi-3.5-MoE takes two experts whatever the key says.
    if family == "phimoe": config["num_experts_per_tok"] = 2
    if family == "gemma3n_text": config["layer_types"] = (["sliding_attention"] * 4 + ["full_attention"]) * (layers // 5)
    if family == "gemma3n_text" and config["num_kv_shared_layers"] and layers == 5: config["num_kv_shared_layers"] = 0
    if family == "jamba" and config.get("attn_layer_offset", 4) >= config["attn_layer_period"]: config["attn_layer_offset"] = 1
    if family == "falcon" and heads < 2: config["num_kv_heads"] = 1
    if maybe() and family not in NO_TIE: config["tie_word_embeddings"] = draw.choice([True, False])
    # transformers 5.24 ties T5's lm_head whatever the key says: the configuration is to say what is counted.
    if family == "mt5" and "tie_word_embeddings" in config: config["tie_word_embeddings"] = True
    return config


def model_of(config):
    keys = dict(config)
    family = keys.pop("model_type")
    if family in ("t5", "mt5"):
        with torch.device("meta"):
            return AutoModelForSeq2SeqLM.from_config(CONFIG_MAPPING[family](**keys), attn_implementation="eager").eval()
    return built_text(config)


def built_text(config):
    from transformers import AutoModelForCausalLM

    keys = dict(config)
    configuration = CONFIG_MAPPING[keys.pop("model_type")](**keys)
    configuration._attn_implementation = "eager"
    extra = {"experts_implementation": "batched_mm"} if any(key.endswith("experts") for key in keys) and "llama4" not in config["model_type"] else {}
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(configuration, attn_implementation="eager", **extra).eval()


def count(call):
    counter = FlopCounterMode(display=False)
    with counter:
        result = call()
    return counter.get_total_flops(), result


def request(model, tokens, output):
    ids = lambda length: torch.zeros((1, length), dtype=torch.long, device="meta")
    if model.config.is_encoder_decoder:
        encoder, states = count(lambda: model.get_encoder()(input_ids=ids(tokens)))
        cache, flops = None, []
        for _ in range(output):
            one, given = count(lambda: model(encoder_outputs=states, decoder_input_ids=ids(1), past_key_values=cache, use_cache=True))
            cache = given.past_key_values
            flops.append(one)
        return [tokens, output, encoder + flops[0], sum(flops[1:])]
    # MiniMax makes a cache of its own.
    cache = None if model.config.model_type == "minimax" else DynamicCache(config=model.config)
    name = "cache" if model.config.model_type.startswith("mamba") else "past_key_values"
    flops = []
    for length in [tokens] + [1] * (output - 1):
        one, given = count(lambda: model(input_ids=ids(length), **{name: cache}, use_cache=True, logits_to_keep=1))
        cache = cache or given.past_key_values
        flops.append(one)
    return [tokens, output, flops[0], sum(flops[1:])]


@torch.no_grad()
def facts(config, with_tensors):
    model = model_of(config)
    total = sum(parameter.numel() for parameter in model.parameters())
    experts = {name: parameter.numel() for name, parameter in model.named_parameters() if ".experts." in name}
    active, unused = total, 0
    settings = model.config
    if experts:
        number = next(getattr(settings, name) for name in ("num_local_experts", "num_experts", "n_routed_experts") if getattr(settings, name, None))
        unused = sum(experts.values()) // number * (number - settings.num_experts_per_tok)
        active -= unused
    requests = [request(model, *lengths) for lengths in [(5, 3), (40, 2)]]
    if config["model_type"] == "llama4_text":
        requests = [[tokens, output, prefill - 2 * unused * tokens, decode - 2 * unused * (output - 1)] for tokens, output, prefill, decode in requests]
    result = {"config": config, "params_total": total, "params_active": active, "requests": requests}
    if with_tensors:
        kept = {name for name, _ in model.named_parameters()} | {name for name, _ in model.named_buffers() if "e_score" in name}
        result["tensors"] = [[name, list(tensor.shape)] for name, tensor in model.state_dict().items() if name in kept]
    return result


def main():
    draw = random.Random(20261129)
    models = {}
    for family in FAMILIES:
        for number in range(2):
            config = random_config(draw, family)
            try:
                is_first = not any(name.startswith(f"{family}-") for name in models)
                models[f"{family}-{number}"] = facts(config, is_first)
            except (RuntimeError, TypeError, ValueError) as error:
                print(f"left out, since transformers refuses {config}: {error}", file=sys.stderr)
    versions = {"torch": torch.__version__, "transformers": __import__("transformers").__version__}
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(model)}" for name, model in models.items())
    print(f'{{\n "made_by": "make_later_facts.py",\n "versions": {json.dumps(versions)},\n "models": {{\n{lines}\n }}\n}}')


if __name__ == "__main__":
    main()
