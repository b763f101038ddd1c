//! The table of a submission's fields: the name, type, bounds, default and description of each, in the order in which
//! they are read, stored and shown. Rules that concern several fields are in `resolve.rs`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::choices::{self, Device, Distribution, FpPrecision, GpuSelector, Isolation};
use super::decoder::{Decoder, DecoderRequest};
use super::labels;
use super::load::{Load, Slo, SloRequest};
use super::name;
use super::prompt_lines::PromptLine;
use super::prompts::Prompts;
use super::served::{self, ArgumentValue, ArgumentValues};
use super::settle::{Settle, SettleRequest};
use super::stop_rule::{StopRule, StopRuleRequest};
use super::table::fields;
use super::warm_up::{WarmUp, WarmUpRequest};

/// Recommended minimum of warm-up iterations; 3 to 5 are usual.
pub const RECOMMENDED_WARMUPS: u32 = 3;
/// Recommended minimum of measured cycles.
pub const RECOMMENDED_CYCLES: u32 = 3;
/// Twenty refreshes of the slowest counter (100 ms).
const DEFAULT_IDLE_BASELINE_SEC: u32 = 2;
/// The default timeout of OpenAI's client libraries.
const DEFAULT_REQUEST_TIMEOUT_SEC: u32 = 600;

/// Returns the request timeout of experiments that were stored before this field existed.
fn default_request_timeout_sec() -> u32 {
    DEFAULT_REQUEST_TIMEOUT_SEC
}

/// Longer than a GPU takes to cool from its power limit to near its idle temperature.
const DEFAULT_MAX_COOLING_SEC: u32 = 600;

/// Returns the maximum cooling time of experiments that were stored before this field existed.
fn default_max_cooling_sec() -> u32 {
    DEFAULT_MAX_COOLING_SEC
}

/// Values of the fields that depend on other fields, on the host or on the model.
#[derive(Clone, Debug)]
pub struct Resolved {
    pub config_name: String,
    pub model_name: String,
    pub prompts: Prompts,
    pub decoder: Decoder,
    pub num_processes: u32,
    pub gpus: Vec<String>,
    pub gpu_count: u32,
    pub device: Device,
    pub engine: String,
    pub engine_arguments: ArgumentValues,
}

fields! {
    /// An experiment as it is submitted. Only `model_name` is required; an unknown field is an error.
    #[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
    #[serde(deny_unknown_fields)]
    #[schema(example = json!({
        "config_name": "first-look",
        "model_name": "SmolLM2-135M-Instruct.Q4_1.gguf",
        "prompts": {"dataset": "short-32", "count": 4},
        "max_output_tokens": 32,
        "min_output_tokens": 32
    }))]
    pub struct ExperimentRequest;
    /// A valid experiment with every default filled in, as it is stored, run and shown.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
    pub struct Spec: Resolved;

    // As long as a model name, which is its default.
    /// Name of the configuration, for people to read; 1 to 500 characters. Default: the model's name.
    #[schema(min_length = 1, pattern = r"^[^\u0000-\u001f\u007f-\u009f]+$")]
    config_name: String [max_length = 500] =>
        /// Name of the configuration, for people to read.
        String;

    /// The model: a file or folder under the server's models folder, or a Hugging Face id where the admin allows the
    /// hub.
    #[schema(required = true, nullable = false, min_length = 1, pattern = r"^[^\u0000-\u001f\u007f-\u009f]+$")]
    model_name: String [max_length = 500] =>
        /// The model: a file or folder under the server's models folder, or a Hugging Face id.
        String;

    /// The engine that runs the experiment: `mistral`, or a server that the admin has configured (`servers` of
    /// `GET /v1/nodes`). Models named `synthetic:…` are run by `synthetic`. Default `mistral`.
    #[schema(min_length = 1, example = "mistral")]
    engine: String [max_length = 100] =>
        /// The engine that runs the experiment: `mistral`, `synthetic`, or a server that the admin has configured.
        #[serde(default = "served::default_engine")]
        String;

    /// Arguments with which the engine is started, by name: numbers or texts, as far as the admin's configuration
    /// offers a choice. Default: each argument's own default.
    #[schema(value_type = Option<BTreeMap<String, ArgumentValue>>, example = json!({"parallel": 4}))]
    engine_arguments: ArgumentValues =>
        /// Arguments with which the engine is started, by name; empty for an engine without arguments.
        #[serde(default)]
        #[schema(value_type = BTreeMap<String, ArgumentValue>)]
        ArgumentValues;

    /// The prompts: a list of texts, `{dataset: NAME, count: N}` or `{synthetic: {input_tokens, count, seed}}`.
    /// Default: the built-in set `mixed-64`.
    prompts: Prompts =>
        /// Texts, a built-in set or random tokens; an empty list where the prompts are in `prompt_source`,
        /// `prompt_lines` or a replayed file.
        Prompts;

    /// Name of a JSONL file of prompts in the server's prompts folder. Each line is `{"prompt": TEXT}` or
    /// `{"messages": [{"role": "user", "content": TEXT}, …]}`, and may have its own `max_output_tokens`. Give only one
    /// of `prompts`, `prompt_lines` and `prompt_source`.
    #[schema(min_length = 1, pattern = r"^[^\u0000-\u001f\u007f-\u009f]+$", example = "support-chats.jsonl")]
    prompt_source: String [max_length = 255] =>
        /// Name of the file in the server's prompts folder that the prompts are read from; null without such a file.
        #[serde(default)]
        Option<String> = None, "Name of the file of prompts.";

    /// Number of prompts to take from the beginning of the file. Default: all.
    prompt_source_count: u32 [minimum = 1, maximum = 100_000] =>
        /// Number of prompts taken from the beginning of the file; null without a file.
        #[serde(default)]
        Option<u32> = None;

    /// Expected SHA-256 of the file: the submission is rejected if the file has another one. Default: the file as it is
    /// now.
    #[schema(pattern = "^[0-9a-fA-F]{64}$")]
    prompt_source_sha256: String as choices::sha256 =>
        /// SHA-256 of the file when it was submitted; the run fails if the file has another one by then. Null without a
        /// file.
        #[serde(default)]
        Option<String> = None, "SHA-256 of the file of prompts.";

    /// Up to 100,000 prompts, each a text or a chat with an optional `max_output_tokens` of its own, in the form of the
    /// lines of a `prompt_source`. Give only one of `prompts`, `prompt_lines` and `prompt_source`.
    #[schema(example = json!([{"prompt": "Why is the sky blue?", "max_output_tokens": 64}, {"prompt": "Name three metals."}]))]
    prompt_lines: Vec<PromptLine> =>
        /// The prompts as they were submitted, one by one; empty where they are in `prompts` or `prompt_source`.
        #[serde(default)]
        Vec<PromptLine> = Vec::new();

    /// Send prompts to the model without its chat template. Default false.
    raw_prompt: bool =>
        /// Whether prompts are sent to the model without its chat template.
        bool = false, "Whether prompts are sent without the chat template.";

    /// Maximum number of tokens of a prompt. Longer prompts lose the end of their text; what the chat template adds
    /// after the text stays. Default: prompts are not cut.
    max_input_tokens: u32 [minimum = 1, maximum = 10_000_000] =>
        /// Maximum number of tokens of a prompt; longer ones lose the end of their text. Null where prompts are not
        /// cut.
        Option<u32> = None, "Maximum input tokens of a prompt; longer ones are cut.";

    /// Maximum number of tokens to generate for each prompt. Default 128.
    max_output_tokens: u32 [minimum = 1, maximum = 10_000_000] =>
        /// Maximum number of tokens to generate for each prompt.
        u32 = 128, "Maximum output tokens of a request.";

    /// Minimum number of tokens to generate: end-of-sequence tokens are masked until it is reached. Set it to
    /// `max_output_tokens` for answers of an exact length. Default 0.
    min_output_tokens: u32 [minimum = 0, maximum = 10_000_000] =>
        /// Minimum number of tokens to generate; end-of-sequence tokens are masked until it is reached.
        u32 = 0, "Minimum output tokens of a request.";

    /// Decoding parameters: how the next token is chosen. Default: greedy decoding.
    decoder: DecoderRequest => Decoder;

    /// Number of worker processes (ranks). It must divide the number of GPUs. Default 1.
    num_processes: u32 [minimum = 1, maximum = 1024] =>
        /// Number of worker processes (ranks).
        u32;

    /// The GPUs to lease and meter, by NVML index or UUID. An index refers to the node named by `node`, else to the
    /// first node that can run the experiment, beginning with the one that received it. Default: any `gpu_count` GPUs
    /// of one node, also for an empty list.
    #[schema(example = json!([0, 1]))]
    gpus: Vec<GpuSelector> =>
        /// UUIDs of the GPUs, in the order of the request. Where any GPUs will do: those that are leased, and none
        /// before the start.
        Vec<String>;

    /// Number of GPUs to lease and meter when it does not matter which ones. With `cuda` it is at least 1 unless `gpus`
    /// names some. Default: one for each process with `cuda`, none on the CPU.
    gpu_count: u32 [minimum = 0, maximum = 1024] =>
        /// Number of GPUs that are leased.
        #[serde(default)]
        u32;

    /// Where inference runs: `cuda`, `cpu` or `auto`. With `cpu`, the GPUs of `gpus` are leased and metered while
    /// inference runs on the CPU. Default `auto`.
    device: Device =>
        /// Where inference runs: `cuda` or `cpu`, never `auto`.
        Device;

    /// How prompts are distributed to the ranks: `shard` deals them out, `replicate` gives every rank all prompts.
    /// Default `shard`.
    distribution: Distribution =>
        /// How prompts are distributed to the ranks.
        Distribution = Distribution::Shard, "How prompts are distributed to the ranks: `shard` or `replicate`.";

    /// Number type that the model computes in: `float32`, `float16`, `bfloat16` or `auto`. Default `auto`.
    fp_precision: FpPrecision =>
        /// Number type that was asked for, for the model to compute in.
        FpPrecision = FpPrecision::Auto, "Number type asked for to compute in.";

    /// In-situ quantization of a safetensors model, one of q4_0, q4_1, q5_0, q5_1, q8_0, q8_1, q2k, q3k, q4k, q5k, q6k,
    /// q8k, hqq4, hqq8, fp8. Leave it out for a model that is already quantized. Default: the model as it is.
    #[schema(example = "q4k")]
    quantization: String as choices::quantization =>
        /// In-situ quantization type; null where the model is run as it is.
        Option<String> = None, "In-situ quantization type.";

    /// Number of requests that each rank decodes at the same time. Default 1.
    batch_size: u32 [minimum = 1, maximum = 4096] =>
        /// Number of requests that each rank decodes at the same time.
        u32 = 1, "Requests that each rank decodes at the same time.";

    /// The load of each cycle: `{"closed": …}`, `{"open": …}` or `{"replay": …}`. Default: every prompt once, with
    /// `batch_size` requests in flight in each rank.
    #[schema(value_type = Option<Load>)]
    load: Load =>
        /// The load of each cycle; null where every prompt is sent once, with `batch_size` requests in flight in each
        /// rank.
        #[serde(default)]
        Option<Load> = None, "The load of each cycle, a JSON object.";

    /// Service level objectives: latency bounds that a request has to meet to count in `goodput`. Default: none.
    #[schema(value_type = Option<SloRequest>)]
    slo: SloRequest =>
        /// Service level objectives; null where none were given.
        #[serde(default)]
        Option<Slo> = None, "Service level objectives, a JSON object.";

    /// Number of warm-up iterations before the cycles. Each runs `batch_size` prompts in each rank and is not measured.
    /// Default 3.
    warmup_iterations: u32 [minimum = 0, maximum = 1000] =>
        /// Number of warm-up iterations before the cycles; they are not measured.
        u32 = RECOMMENDED_WARMUPS, "Warm-up iterations before the cycles.";

    /// Repeat warm-up iterations until their durations are stable. Default: exactly `warmup_iterations` iterations.
    #[schema(value_type = Option<WarmUpRequest>)]
    warmup: WarmUpRequest =>
        /// When the warm-up ends; null where it ends after `warmup_iterations`.
        #[serde(default)]
        Option<WarmUp> = None, "When the warm-up ends, a JSON object.";

    /// Number of measured cycles; each runs all prompts, or the requests of `load`. Default 3.
    num_cycles: u32 [minimum = 1, maximum = 1000] =>
        /// Number of measured cycles; each runs all prompts, or the requests of `load`.
        u32 = RECOMMENDED_CYCLES, "Measured cycles.";

    /// End before `num_cycles` once the confidence interval of a metric's mean is narrow enough. Default: all cycles
    /// are measured.
    #[schema(value_type = Option<StopRuleRequest>)]
    stop_rule: StopRuleRequest =>
        /// When the experiment ends before `num_cycles`; null where all cycles are measured.
        #[serde(default)]
        Option<StopRule> = None, "When the experiment ends before all cycles, a JSON object.";

    /// Measure each cycle in a new process, which loads the model and warms up before the measured window. The spread
    /// of the cycles then includes effects that are constant within a process, such as memory layout. Not possible for
    /// a server that is already running. Default false.
    process_per_cycle: bool =>
        /// Whether each cycle is measured in a new process.
        #[serde(default)]
        bool = false, "Whether each cycle is measured in a new process.";

    /// Maximum number of additional cycles, measured in place of cycles that were disturbed: by other programs on the
    /// experiment's GPUs or CPUs, or by GPUs that lowered their clocks. Default 0.
    repeat_disturbed: u32 [minimum = 0, maximum = 1000] =>
        /// Maximum number of additional cycles, measured in place of disturbed ones.
        #[serde(default)]
        u32 = 0, "Maximum additional cycles, measured in place of disturbed ones.";

    /// Timeout of a request to a server, in seconds; a request that takes longer counts as failed. Default 600.
    request_timeout_sec: u32 [minimum = 1, maximum = 86_400] =>
        /// Timeout of a request to a server, in seconds.
        #[serde(default = "default_request_timeout_sec")]
        u32 = DEFAULT_REQUEST_TIMEOUT_SEC, "Timeout of a request to a server, seconds.";

    /// Maximum share of a cycle's requests to a server that may fail; above it the experiment fails. Default: 0.
    max_failed_share: f64 [minimum = 0.0, maximum = 1.0] =>
        /// Maximum share of a cycle's requests to a server that may fail.
        #[serde(default)]
        f64 = 0.0, "Maximum share of a cycle's requests that may fail.";

    // More than a minute does not improve the estimate of idle power and only blocks the devices.
    /// Seconds for which the workers idle between warm-up and cycles, with the model in memory. The power drawn
    /// meanwhile is the loaded baseline. 0 skips it. Default 2.
    idle_baseline_sec: u32 [minimum = 0, maximum = 60] =>
        /// Seconds for which the workers idle between warm-up and cycles to measure the loaded baseline; 0 where it is
        /// skipped.
        #[serde(default)]
        u32 = DEFAULT_IDLE_BASELINE_SEC, "Idle time before the cycles, for the loaded baseline, seconds.";

    // Longer than a GPU takes to cool down.
    /// Seconds for which the workers idle before each further cycle, so that the devices cool down. Default 0.
    cooldown_sec: u32 [minimum = 0, maximum = 3600] =>
        /// Seconds for which the workers idle before each further cycle.
        #[serde(default)]
        u32 = 0, "Idle time between cycles, seconds.";

    /// Begin each cycle only when all GPUs are cooler than this, in degrees Celsius. Default: begin at any temperature.
    start_below_temperature_c: u32 [minimum = 1, maximum = 150] =>
        /// Temperature in degrees Celsius below which all GPUs must be before a cycle begins; null where cycles do not
        /// wait.
        #[serde(default)]
        Option<u32> = None, "Temperature that the GPUs must be below before each cycle, degrees Celsius.";

    /// Maximum seconds to wait for `start_below_temperature_c` before a cycle. After that the cycle begins anyway, and
    /// the result says so. Default 600.
    max_cooling_sec: u32 [minimum = 1, maximum = 3600] =>
        /// Maximum seconds to wait for `start_below_temperature_c` before a cycle.
        #[serde(default = "default_max_cooling_sec")]
        u32 = DEFAULT_MAX_COOLING_SEC, "Maximum wait for the GPUs to cool, seconds.";

    /// Power limit of each of the GPUs, in watts: set before the model is loaded and restored afterwards.
    /// `GET /v1/devices` shows the accepted range of each GPU. Needs a server that may set limits (`--power-control`).
    /// Default: the limit is not changed.
    power_limit_w: f64 [minimum = 1.0, maximum = 10_000.0] =>
        /// Power limit asked for each of the GPUs, in watts; null where it was not to be changed.
        #[serde(default)]
        Option<f64> = None, "Power limit asked for, watts.";

    /// Clock in MHz at which the streaming multiprocessors of each of the GPUs are locked. Default: the GPU chooses.
    gpu_clock_mhz: u32 [minimum = 1, maximum = 10_000] =>
        /// Clock in MHz at which the streaming multiprocessors were to be locked; null where the GPU chooses.
        #[serde(default)]
        Option<u32> = None, "SM clock asked for, MHz.";

    /// Clock in MHz at which the memory of each of the GPUs is locked. Default: the GPU chooses.
    memory_clock_mhz: u32 [minimum = 1, maximum = 100_000] =>
        /// Clock in MHz at which the memory was to be locked; null where the GPU chooses.
        #[serde(default)]
        Option<u32> = None, "Memory clock asked for, MHz.";

    /// Begin each cycle only when power and temperature of the GPUs are stable. Default: begin at once.
    #[schema(value_type = Option<SettleRequest>)]
    settle: SettleRequest =>
        /// What each cycle waits for; null where cycles begin at once.
        #[serde(default)]
        Option<Settle> = None, "What each cycle waits for, a JSON object.";

    /// Price of a kilowatt-hour, for the cost in `footprint`. Default: the server's price, where it has one.
    electricity_price_per_kwh: f64 [minimum = 0.0, maximum = 1_000_000] =>
        /// Price of a kilowatt-hour; null where the server's applies.
        #[serde(default)]
        Option<f64> = None, "Price of a kilowatt-hour.";

    /// Currency of the price, such as `EUR`. Default: the server's currency when the server's price applies, else none.
    #[schema(min_length = 1, pattern = r"^[^\u0000-\u001f\u007f-\u009f]+$", example = "EUR")]
    electricity_currency: String [max_length = 20] =>
        /// Currency of the price; null where the server's applies.
        #[serde(default)]
        Option<String> = None, "Currency of the price of a kilowatt-hour.";

    /// Grams of CO2 equivalent per kilowatt-hour, for the carbon in `footprint`. Default: the server's figure, where it
    /// has one.
    grid_intensity_g_per_kwh: f64 [minimum = 0.0, maximum = 1_000_000] =>
        /// Grams of CO2 equivalent per kilowatt-hour; null where the server's figure applies.
        #[serde(default)]
        Option<f64> = None, "Grams of CO2 equivalent per kilowatt-hour.";

    /// Power usage effectiveness (PUE) of the facility: `footprint` multiplies the energy by it. Default: the server's
    /// figure, where it has one.
    pue: f64 [minimum = 1, maximum = 100] =>
        /// Power usage effectiveness of the facility; null where the server's figure applies.
        #[serde(default)]
        Option<f64> = None, "Power usage effectiveness of the facility.";

    /// What the experiment has exclusively: `devices`, or the whole `host` for CPU energy without other experiments'
    /// share. Default `devices`.
    isolation: Isolation =>
        /// What the experiment has exclusively: its devices or the whole host.
        #[serde(default)]
        Isolation = Isolation::Devices, "What the experiment has exclusively: `devices` or `host`.";

    /// Name of the user whom the device time is counted for; 1 to 100 visible characters in Unicode's composed form
    /// (NFC), with single spaces between words. At equal priority, users with less recent device time go first.
    #[schema(min_length = 1, max_length = 100, pattern = r"^[^\u0000-\u001f\u007f-\u009f]+$")]
    user: String as name::read_name =>
        /// Name of the user whom the device time is counted for; null where none is named.
        #[serde(default)]
        Option<String> = None;

    // A few classes above and below the usual one are enough.
    /// Priority in the queue: experiments with a higher one start first. Default 0.
    priority: i32 [minimum = -100, maximum = 100] =>
        /// Priority in the queue, -100 to 100; higher goes first.
        #[serde(default)]
        i32 = 0;

    /// Name of the node to run on (`GET /v1/nodes`). Default: any node that can run the experiment.
    #[schema(min_length = 1, pattern = r"^[^\u0000-\u001f\u007f-\u009f]+$")]
    node: String [max_length = 200] =>
        /// Name of the node to run on; null where any node will do.
        #[serde(default)]
        Option<String> = None, "Name of the node to run on.";

    #[schema(schema_with = labels::node_labels)]
    node_labels: BTreeMap<String, String> =>
        /// Labels that the node must have.
        #[serde(default)]
        BTreeMap<String, String> = BTreeMap::new(), "Labels that the node must have, a JSON object of texts.";

    #[schema(schema_with = labels::labels)]
    labels: BTreeMap<String, String> =>
        /// Free labels, to find the experiment by.
        BTreeMap<String, String> = BTreeMap::new();

    /// URL that the server POSTs to when the experiment is finished: https, or http where the admin allows it, of a
    /// host on the server's list (`callback_allow`), at most 2000 bytes, without user name. Only the submitter and
    /// admins see it.
    #[schema(format = "uri", example = "https://hooks.lab.example/joulemark")]
    callback_url: String [max_length = 2000];
}
