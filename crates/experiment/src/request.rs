use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::{AdditionalProperties, SchemaType};
use utoipa::openapi::{Object, ObjectBuilder, Schema, Type};

use super::{Device, Distribution, FpPrecision, GpuSelector, Isolation, Prompts};

/// An experiment as it is submitted: only `model_name` is required. Unknown fields are refused.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "config_name": "first-look",
    "model_name": "SmolLM2-135M-Instruct.Q4_1.gguf",
    "prompts": {"dataset": "short-32", "count": 4},
    "max_output_tokens": 32,
    "min_output_tokens": 32
}))]
pub struct ExperimentRequest {
    /// A name for the configuration, for people; 1 to 200 characters. Default: the model's name.
    #[schema(min_length = 1, max_length = 200, pattern = r"^[^\u0000-\u001f\u007f-\u009f]+$")]
    pub config_name: Option<String>,
    /// A file or folder under the server's models folder, or a Hugging Face id where the admin allows the hub.
    #[schema(
        required = true,
        nullable = false,
        min_length = 1,
        max_length = 500,
        pattern = r"^[^\u0000-\u001f\u007f-\u009f]+$"
    )]
    pub model_name: Option<String>,
    /// Default: the built-in set `mixed-64`.
    pub prompts: Option<Prompts>,
    /// Send prompts without the model's chat template. Default false.
    pub raw_prompt: Option<bool>,
    /// Cut longer prompts, at their end, to this many tokens. Default: no cut.
    #[schema(minimum = 1, maximum = 10_000_000)]
    pub max_input_tokens: Option<u32>,
    /// Most tokens to generate for a prompt. Default 128.
    #[schema(minimum = 1, maximum = 10_000_000)]
    pub max_output_tokens: Option<u32>,
    /// Fewest tokens to generate: end-of-sequence is masked until then; equal to the maximum for an exact length.
    /// Default 0.
    #[schema(minimum = 0, maximum = 10_000_000)]
    pub min_output_tokens: Option<u32>,
    /// How the next token is chosen. Default: greedy.
    pub decoder: Option<DecoderRequest>,
    /// Worker processes (ranks); must divide the number of GPUs. Default 1.
    #[schema(minimum = 1, maximum = 1024)]
    pub num_processes: Option<u32>,
    /// GPUs to lease and meter, by NVML index or UUID; an index counts on `node`, or else on the first node that can
    /// run the experiment, the one asked first. Default: any `gpu_count` of one node.
    #[schema(min_items = 1)]
    pub gpus: Option<Vec<GpuSelector>>,
    /// How many GPUs to lease and meter when it does not matter which. Default: one a process on `cuda`, none on the
    /// CPU.
    #[schema(minimum = 1, maximum = 1024)]
    pub gpu_count: Option<u32>,
    /// Default `auto`. `cpu` together with `gpus` leases and meters those GPUs while inference runs on the CPU.
    pub device: Option<Device>,
    /// Default `shard`.
    pub distribution: Option<Distribution>,
    /// Default `auto`.
    pub fp_precision: Option<FpPrecision>,
    /// In-situ quantization of a safetensors model, one of q4_0, q4_1, q5_0, q5_1, q8_0, q8_1, q2k, q3k, q4k, q5k, q6k,
    /// q8k, hqq4, hqq8, fp8; absent for a model already quantized.
    #[schema(example = "q4k")]
    pub quantization: Option<String>,
    /// Requests in flight in each rank. Default 1.
    #[schema(minimum = 1, maximum = 4096)]
    pub batch_size: Option<u32>,
    /// Unmeasured passes over the first prompts before the cycles. Default 3.
    #[schema(minimum = 0, maximum = 1000)]
    pub warmup_iterations: Option<u32>,
    /// Measured passes over all prompts. Default 3.
    #[schema(minimum = 1, maximum = 1000)]
    pub num_cycles: Option<u32>,
    /// Seconds for which the workers stay idle, the model in memory, between warm-up and cycles: what that draws is the
    /// loaded baseline. 0 for none. Default 2.
    #[schema(minimum = 0, maximum = 60)]
    pub idle_baseline_sec: Option<u32>,
    /// `host` runs it alone on its host, for clean CPU energy. Default `devices`.
    pub isolation: Option<Isolation>,
    /// Whom the device time counts for; 1 to 100 characters. At equal priority, users that had less of it lately go
    /// first.
    #[schema(min_length = 1, max_length = 100, pattern = r"^[^\u0000-\u001f\u007f-\u009f]+$")]
    pub user: Option<String>,
    /// Higher goes first, whatever else waits. Default 0.
    #[schema(minimum = -100, maximum = 100)]
    pub priority: Option<i32>,
    /// Name of the node to run on (`GET /v1/nodes`). Default: any that can.
    #[schema(min_length = 1, max_length = 200, pattern = r"^[^\u0000-\u001f\u007f-\u009f]+$")]
    pub node: Option<String>,
    #[schema(schema_with = node_labels)]
    pub node_labels: Option<BTreeMap<String, String>>,
    #[schema(schema_with = labels)]
    pub labels: Option<BTreeMap<String, String>>,
    /// Where to POST once the experiment is finished: https, or http where the admin allows it, of a host on the
    /// server's list (`callback_allow`), up to 2000 bytes, without user name. Shown to the submitter and to admins alone.
    #[schema(format = "uri", max_length = 2000, example = "https://hooks.lab.example/joulemark")]
    pub callback_url: Option<String>,
}

/// How the next token is chosen. Default: greedy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DecoderRequest {
    /// 0 to 100; 0 is greedy. Default 0.
    #[schema(minimum = 0, maximum = 100)]
    pub temperature: Option<f64>,
    /// Default: true when `temperature` is above 0.
    pub do_sample: Option<bool>,
    /// Sample among the k likeliest tokens.
    #[schema(minimum = 1, maximum = 10_000_000)]
    pub top_k: Option<u32>,
    /// Sample among the likeliest tokens that together have this probability; above 0, at most 1.
    #[schema(exclusive_minimum = 0, maximum = 1)]
    pub top_p: Option<f64>,
    /// Divides positive and multiplies negative logits of tokens already seen; above 0, at most 100; 1 is none.
    #[schema(exclusive_minimum = 0, maximum = 100)]
    pub repetition_penalty: Option<f64>,
    /// Seed of the sampler, 0 to 2^64 − 1. Default 0 when sampling.
    #[schema(minimum = 0)]
    pub seed: Option<u64>,
}

fn labels() -> Object {
    label_map("Free labels to find the experiment by.")
}

fn node_labels() -> Object {
    label_map("Labels that the node must have.")
}

/// As [`super::parse()`] reads it: up to 64 labels, each with a name and a text.
fn label_map(description: &str) -> Object {
    const PLAIN: &str = r"^[^\u0000-\u001f\u007f-\u009f]+$";
    let plain = |most_chars| {
        let text = ObjectBuilder::new()
            .schema_type(Type::String)
            .min_length(Some(1))
            .max_length(Some(most_chars));
        Schema::Object(text.pattern(Some(PLAIN)).build())
    };
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Object, Type::Null]))
        .property_names(Some(plain(100)))
        .additional_properties(Some(AdditionalProperties::RefOr(plain(500).into())))
        .max_properties(Some(64))
        .description(Some(description))
        .build()
}
