"""Writes a Llama of random weights in Hugging Face's format, with bfloat16 weights: what a GPU box without a network can load."""

import json
import os

# About 1.1 billion parameters, and as few as a test on a CPU can wait for.
LARGE = {"hidden": 2048, "layers": 16, "heads": 32, "key_value_heads": 8, "intermediate": 8192, "vocabulary": 32000, "context": 4096}
SMALL = {"hidden": 64, "layers": 2, "heads": 4, "key_value_heads": 2, "intermediate": 128, "vocabulary": 512, "context": 512}

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
BLOCK_BYTES = 16 << 20


def write(folder, size):
    """Writes the model's folder and returns its number of parameters."""
    os.makedirs(folder, exist_ok=True)
    files = {
        "config.json": config(size),
        "generation_config.json": {"bos_token_id": size["vocabulary"] - 2, "eos_token_id": size["vocabulary"] - 1},
        "tokenizer.json": tokenizer(size["vocabulary"]),
        "tokenizer_config.json": tokenizer_config(size),
    }
    for name, document in files.items():
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            json.dump(document, file)
    return write_weights(os.path.join(folder, "model.safetensors"), size)


def config(size):
    return {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
        "hidden_size": size["hidden"], "intermediate_size": size["intermediate"], "num_hidden_layers": size["layers"],
        "num_attention_heads": size["heads"], "num_key_value_heads": size["key_value_heads"],
        "vocab_size": size["vocabulary"], "max_position_embeddings": size["context"], "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0, "attention_bias": False, "mlp_bias": False, "tie_word_embeddings": False,
        "torch_dtype": "bfloat16", "bos_token_id": size["vocabulary"] - 2, "eos_token_id": size["vocabulary"] - 1,
    }


def tokenizer_config(size):
    return {
        "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": size["context"],
        "clean_up_tokenization_spaces": False, "bos_token": SPECIAL[1], "eos_token": SPECIAL[2],
        "unk_token": SPECIAL[0], "pad_token": SPECIAL[2], "chat_template": TEMPLATE,
    }


def tokenizer(vocabulary):
    """Returns a byte-level BPE: 256 bytes, merges of two bytes each, the special tokens."""
    symbols = byte_symbols()
    pairs = [(first, second) for first in symbols for second in symbols][: vocabulary - len(symbols) - len(SPECIAL)]
    tokens = symbols + [first + second for first, second in pairs] + SPECIAL
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    added = [
        {"id": vocabulary - len(SPECIAL) + index, "content": token, "special": True, "normalized": False,
         "single_word": False, "lstrip": False, "rstrip": False}
        for index, token in enumerate(SPECIAL)
    ]
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None,
        "pre_tokenizer": byte_level, "post_processor": None, "decoder": byte_level,
        "model": {
            "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
            "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False,
            "vocab": {token: index for index, token in enumerate(tokens)},
            "merges": [f"{first} {second}" for first, second in pairs],
        },
    }


def byte_symbols():
    """Returns GPT-2's table: bytes that print stand for themselves, the others for characters from U+0100 on."""
    prints = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in prints]
    return [chr(byte) if byte in prints else chr(0x100 + others.index(byte)) for byte in range(256)]


def tensors(size):
    """Returns each tensor's name and shape; a norm has one dimension."""
    hidden, inner = size["hidden"], size["intermediate"]
    key_value = hidden // size["heads"] * size["key_value_heads"]
    yield "model.embed_tokens.weight", [size["vocabulary"], hidden]
    yield "lm_head.weight", [size["vocabulary"], hidden]
    yield "model.norm.weight", [hidden]
    for layer in range(size["layers"]):
        for part, shape in [
            ("input_layernorm", [hidden]), ("self_attn.q_proj", [hidden, hidden]), ("self_attn.k_proj", [key_value, hidden]),
            ("self_attn.v_proj", [key_value, hidden]), ("self_attn.o_proj", [hidden, hidden]),
            ("post_attention_layernorm", [hidden]), ("mlp.gate_proj", [inner, hidden]), ("mlp.up_proj", [inner, hidden]),
            ("mlp.down_proj", [hidden, inner]),
        ]:
            yield f"model.layers.{layer}.{part}.weight", shape


def write_weights(path, size):
    """Writes a header's length, the header and the weights, and returns how many there are."""
    header, offset, parts = {"__metadata__": {"format": "pt"}}, 0, []
    for name, shape in tensors(size):
        count = shape[0] * (shape[1] if len(shape) == 2 else 1)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [offset, offset + 2 * count]}
        offset += 2 * count
        parts.append((count, len(shape) == 1))
    text = json.dumps(header).encode()
    # Spaces up to a multiple of eight keep the data aligned for readers that map the file.
    text += b" " * (-len(text) % 8)
    block = random_block()
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for count, is_norm in parts:
            write_tensor(file, count, is_norm, block)
    return offset // 2


def write_tensor(file, count, is_norm, block):
    if is_norm:
        file.write(b"\x80\x3f" * count)
        return
    left = 2 * count
    while left > 0:
        # From somewhere else in the block each time, so that no two tensors are alike.
        begin = 2 * (int.from_bytes(os.urandom(4), "little") % (BLOCK_BYTES // 4))
        written = file.write(block[begin : begin + left])
        left -= written


def random_block():
    """Returns random bfloat16 numbers of 2^-7 to 2^-5 and either sign: about the spread of a trained model's weights."""
    signs = bytes(0x3C | (byte & 0x80) for byte in range(256))
    block = bytearray(BLOCK_BYTES)
    block[0::2] = os.urandom(BLOCK_BYTES // 2)
    block[1::2] = os.urandom(BLOCK_BYTES // 2).translate(signs)
    return memoryview(bytes(block))
