//! Tests of quantized weights as each method saves them: every tensor is accounted for, and the bytes are those of the
//! files.

mod cases {
    pub mod folder;
    mod input;
}

use cases::folder::answer;
use serde_json::{Map, Value, json};

const LAYERS: u64 = 2;
const PARAMETERS: u64 = 139_584;
/// Linear layers with their output and input.
const LINEAR: [(&str, u64, u64); 7] = [
    ("self_attn.q_proj", 64, 64),
    ("self_attn.k_proj", 32, 64),
    ("self_attn.v_proj", 32, 64),
    ("self_attn.o_proj", 64, 64),
    ("mlp.gate_proj", 128, 64),
    ("mlp.up_proj", 128, 64),
    ("mlp.down_proj", 64, 128),
];

/// Tensors that replace a linear layer: their names after the layer's, types and shapes.
type Linear = fn(u64, u64) -> Vec<(&'static str, &'static str, Vec<u64>)>;

fn config(model_type: &str, quantization: Value) -> Value {
    let mut config = json!({
        "model_type": model_type, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": LAYERS,
        "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 512, "tie_word_embeddings": false,
        "dtype": "bfloat16",
    });
    if !quantization.is_null() {
        config["quantization_config"] = quantization;
    }
    config
}

fn tensors(linear: Linear, more: &[&str]) -> Map<String, Value> {
    let mut tensors = Map::new();
    let mut add = |name: String, dtype: &str, shape: &[u64]| tensors.insert(name, json!([dtype, shape]));
    add("model.embed_tokens.weight".into(), "BF16", &[512, 64]);
    add("lm_head.weight".into(), "BF16", &[512, 64]);
    add("model.norm.weight".into(), "BF16", &[64]);
    for layer in 0..LAYERS {
        let prefix = format!("model.layers.{layer}");
        for norm in ["input_layernorm", "post_attention_layernorm"] {
            add(format!("{prefix}.{norm}.weight"), "BF16", &[64]);
        }
        for (name, output, input) in LINEAR {
            for (part, dtype, shape) in linear(output, input) {
                add(format!("{prefix}.{name}.{part}"), dtype, &shape);
            }
        }
        for name in more {
            add(format!("{prefix}.{name}"), "F32", &[1]);
        }
    }
    tensors
}

/// Returns the bytes of all tensors except the embedding, of which a token reads one row.
fn bytes(tensors: &Map<String, Value>) -> f64 {
    let of = |(name, tensor): (&String, &Value)| {
        let rows = if name.contains("embed_tokens") { 512 } else { 1 };
        let elements: u64 = tensor[1]
            .as_array()
            .unwrap()
            .iter()
            .map(|length| length.as_u64().unwrap())
            .product();
        let each = match tensor[0].as_str().unwrap() {
            "I64" => 8,
            "F32" | "I32" | "U32" => 4,
            "F16" | "BF16" => 2,
            _ => 1,
        };
        (elements * each / rows) as f64
    };
    tensors.iter().map(of).sum()
}

fn gptq(output: u64, input: u64) -> Vec<(&'static str, &'static str, Vec<u64>)> {
    vec![
        ("qweight", "I32", vec![input / 8, output]),
        ("qzeros", "I32", vec![input / 32, output / 8]),
        ("scales", "F16", vec![input / 32, output]),
        ("g_idx", "I32", vec![input]),
    ]
}

fn awq(output: u64, input: u64) -> Vec<(&'static str, &'static str, Vec<u64>)> {
    vec![
        ("qweight", "I32", vec![input, output / 8]),
        ("qzeros", "I32", vec![input / 32, output / 8]),
        ("scales", "F16", vec![input / 32, output]),
    ]
}

fn nf4(output: u64, input: u64) -> Vec<(&'static str, &'static str, Vec<u64>)> {
    vec![
        ("weight", "U8", vec![output * input / 2, 1]),
        ("weight.absmax", "U8", vec![output * input / 64]),
        ("weight.nested_absmax", "F32", vec![1]),
        ("weight.nested_quant_map", "F32", vec![256]),
        ("weight.quant_map", "F32", vec![16]),
        ("weight.quant_state.bitsandbytes__nf4", "U8", vec![100]),
    ]
}

fn int8(output: u64, input: u64) -> Vec<(&'static str, &'static str, Vec<u64>)> {
    vec![
        ("weight", "I8", vec![output, input]),
        ("SCB", "F32", vec![output]),
        ("weight_format", "U8", vec![]),
    ]
}

fn fp8_of_tensor(output: u64, input: u64) -> Vec<(&'static str, &'static str, Vec<u64>)> {
    vec![
        ("weight", "F8_E4M3", vec![output, input]),
        ("weight_scale", "F32", vec![]),
        ("input_scale", "F32", vec![]),
    ]
}

fn fp8_of_channels(output: u64, input: u64) -> Vec<(&'static str, &'static str, Vec<u64>)> {
    vec![
        ("weight", "F8_E4M3", vec![output, input]),
        ("weight_scale", "BF16", vec![output, 1]),
    ]
}

fn fp8_of_blocks(output: u64, input: u64) -> Vec<(&'static str, &'static str, Vec<u64>)> {
    vec![
        ("weight", "F8_E4M3", vec![output, input]),
        ("weight_scale_inv", "F32", vec![output / 32, input / 32]),
    ]
}

fn nvfp4_of_compressed_tensors(output: u64, input: u64) -> Vec<(&'static str, &'static str, Vec<u64>)> {
    vec![
        ("weight_packed", "U8", vec![output, input / 2]),
        ("weight_scale", "F8_E4M3", vec![output, input / 16]),
        ("weight_global_scale", "F32", vec![1]),
        ("input_global_scale", "F32", vec![1]),
    ]
}

fn mxfp4(output: u64, input: u64) -> Vec<(&'static str, &'static str, Vec<u64>)> {
    vec![
        ("weight_packed", "U8", vec![output, input / 2]),
        ("weight_scale", "U8", vec![output, input / 32]),
    ]
}

fn w4a16(output: u64, input: u64) -> Vec<(&'static str, &'static str, Vec<u64>)> {
    vec![
        ("weight_packed", "I32", vec![output, input / 8]),
        ("weight_scale", "BF16", vec![output, input / 32]),
        ("weight_zero_point", "I32", vec![output / 8, input / 32]),
        ("weight_shape", "I64", vec![2]),
    ]
}

/// Returns HQQ's tensors, which pack the lines of its groups of 64 weights; its metadata become tensors.
fn hqq(output: u64, input: u64, lines_in_one: u64, dtype: &'static str) -> Vec<(&'static str, &'static str, Vec<u64>)> {
    let lines = output * input / 64;
    vec![
        ("W_q", dtype, vec![lines.div_ceil(lines_in_one), 64]),
        ("scale", "BF16", vec![lines, 1]),
        ("zero", "BF16", vec![lines, 1]),
        ("nbits", "I32", vec![]),
        ("group_size", "I32", vec![]),
        ("axis", "I32", vec![]),
        ("shape", "I64", vec![2]),
        ("packing", "U8", vec![7]),
        ("unpack_view_dtype", "I32", vec![5]),
        ("compute_dtype", "I32", vec![8]),
        ("view_as_float", "U8", vec![]),
        ("quant_scale", "U8", vec![]),
        ("quant_zero", "U8", vec![]),
        ("channel_wise", "U8", vec![]),
        ("optimize", "U8", vec![]),
        ("round_zero", "U8", vec![]),
        ("offload_meta", "U8", vec![]),
        ("stores_quant_config", "U8", vec![]),
        ("encoded_state_dict", "U8", vec![]),
    ]
}

fn hqq_of_4_bits(output: u64, input: u64) -> Vec<(&'static str, &'static str, Vec<u64>)> {
    hqq(output, input, 2, "U8")
}

fn hqq_of_3_bits(output: u64, input: u64) -> Vec<(&'static str, &'static str, Vec<u64>)> {
    hqq(output, input, 10, "I32")
}

/// Returns them viewed as half-precision numbers, with scale and zero point within `meta`.
fn hqq_seen_as_floats(output: u64, input: u64) -> Vec<(&'static str, &'static str, Vec<u64>)> {
    let lines = output * input / 64;
    vec![
        ("W_q", "F16", vec![lines / 4, 64]),
        ("meta.scale", "F16", vec![lines, 1]),
        ("meta.zero", "F16", vec![lines, 1]),
    ]
}

fn of_hqq(bits: u64) -> Value {
    let weights = json!({"nbits": bits, "group_size": 64, "axis": 1});
    json!({"quant_method": "hqq", "quant_config": {"weight_quant_params": weights}, "skip_modules": ["lm_head"]})
}

#[test]
fn every_way_of_packing_is_traced_to_its_bytes_and_counted_in_a_family_that_is_not_described() {
    let groups = json!({"config_groups": {"group_0": {"weights": {"num_bits": 4}}}});
    let cases: [(&str, Linear, Value); 13] = [
        (
            "gptq",
            gptq,
            json!({"quant_method": "gptq", "bits": 4, "group_size": 32}),
        ),
        ("awq", awq, json!({"quant_method": "awq", "bits": 4, "group_size": 32})),
        (
            "nf4",
            nf4,
            json!({"quant_method": "bitsandbytes", "load_in_4bit": true}),
        ),
        (
            "int8",
            int8,
            json!({"quant_method": "bitsandbytes", "load_in_8bit": true}),
        ),
        ("fp8 of tensors", fp8_of_tensor, json!({"quant_method": "fp8"})),
        ("fp8 of channels", fp8_of_channels, Value::Null),
        (
            "fp8 of blocks",
            fp8_of_blocks,
            json!({"quant_method": "fp8", "weight_block_size": [32, 32]}),
        ),
        ("nvfp4", nvfp4_of_compressed_tensors, Value::Null),
        ("mxfp4", mxfp4, json!({"quant_method": "mxfp4"})),
        ("w4a16", w4a16, groups),
        ("hqq", hqq_of_4_bits, of_hqq(4)),
        ("hqq of 3 bits", hqq_of_3_bits, of_hqq(3)),
        ("hqq as floats", hqq_seen_as_floats, of_hqq(4)),
    ];
    for (name, linear, quantization) in cases {
        let tensors = tensors(linear, &[]);
        let known = answer(&config("llama", quantization.clone()), &tensors);
        let told = format!("{name}: {:?} {:?}", known.flops_method, known.notes);
        assert_eq!(known.flops_method.unwrap().as_str(), "traced", "{told}");
        assert_eq!(known.params_total, Some(u128::from(PARAMETERS)), "{told}");
        assert_eq!(known.weight_bytes_per_token, Some(bytes(&tensors)), "{told}");
        let unknown = answer(&config("of_no_family", quantization), &tensors);
        assert_eq!(
            unknown.params_total,
            Some(u128::from(PARAMETERS)),
            "{name}: {:?}",
            unknown.notes
        );
    }
}

#[test]
fn scales_of_the_cache_and_rotary_frequencies_belong_to_no_operator_and_take_nothing_away() {
    let more = [
        "self_attn.k_scale",
        "self_attn.v_scale",
        "self_attn.rotary_emb.inv_freq",
    ];
    let answer = answer(&config("llama", Value::Null), &tensors(fp8_of_tensor, &more));
    assert_eq!(answer.flops_method.unwrap().as_str(), "traced", "{:?}", answer.notes);
    assert_eq!(answer.params_total, Some(u128::from(PARAMETERS)));
}

#[test]
fn one_tensor_too_many_leaves_the_bytes_of_the_others() {
    let mut tensors = tensors(gptq, &[]);
    let right = bytes(&tensors);
    tensors.insert("model.layers.0.self_attn.something.weight".into(), json!(["BF16", [4]]));
    let answer = answer(&config("llama", json!({"quant_method": "gptq", "bits": 4})), &tensors);
    assert_eq!(answer.flops_method.unwrap().as_str(), "architecture");
    assert_eq!(answer.weight_bytes_per_token, Some(right), "{:?}", answer.notes);
}
