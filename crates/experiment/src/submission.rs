//! The fields of a submission, in the order in which they are read, stored and shown.

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

/// methodology.md recommends 3 to 5 warm-ups and 3 or more runs.
pub const RECOMMENDED_WARMUPS: u32 = 3;
pub const RECOMMENDED_CYCLES: u32 = 3;
/// Twenty refreshes of the slowest counter (100 ms).
const DEFAULT_IDLE_BASELINE_SEC: u32 = 2;
/// As long as the field's clients wait.
const DEFAULT_REQUEST_TIMEOUT_SEC: u32 = 600;

/// Returns the time of an experiment that was stored before there were servers.
fn default_request_timeout_sec() -> u32 {
    DEFAULT_REQUEST_TIMEOUT_SEC
}

/// Longer than a board takes to come from its limit to near its idle temperature.
const DEFAULT_MAX_COOLING_SEC: u32 = 600;

/// Returns the wait of an experiment that was stored before there was one.
fn default_max_cooling_sec() -> u32 {
    DEFAULT_MAX_COOLING_SEC
}

/// The fields whose value follows from more than themselves: from other fields, the host or the model.
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
    pub struct ExperimentRequest;
    /// A valid experiment, every default filled in. This is what is stored, run and shown.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
    pub struct Spec: Resolved;

    // As long as a model's name, which it is by default.
    /// A name for the configuration, for people; 1 to 500 characters. Default: the model's name.
    #[schema(min_length = 1, pattern = r"^[^\u0000-\u001f\u007f-\u009f]+$")]
    config_name: String [max_length = 500] =>
        /// A name for the configuration, for people.
        String;

    /// A file or folder under the server's models folder, or a Hugging Face id where the admin allows the hub.
    #[schema(required = true, nullable = false, min_length = 1, pattern = r"^[^\u0000-\u001f\u007f-\u009f]+$")]
    model_name: String [max_length = 500] =>
        /// A file or folder under the server's models folder, or a Hugging Face id.
        String;

    /// What runs it: `mistral`, or a server that the admin's configuration describes (`servers` of `GET /v1/nodes`).
    /// A `synthetic:` model is run by `synthetic`. Default `mistral`.
    #[schema(min_length = 1, example = "mistral")]
    engine: String [max_length = 100] =>
        /// What runs it: `mistral`, `synthetic`, or a server of the admin's configuration.
        #[serde(default = "served::default_engine")]
        String;

    /// What the engine is started with, where the admin's configuration leaves a choice: numbers and texts by name.
    /// Default: each argument's own.
    #[schema(value_type = Option<BTreeMap<String, ArgumentValue>>, example = json!({"parallel": 4}))]
    engine_arguments: ArgumentValues =>
        /// What the engine is started with, by name; empty for an engine that takes no arguments.
        #[serde(default)]
        #[schema(value_type = BTreeMap<String, ArgumentValue>)]
        ArgumentValues;

    /// A list of texts, `{dataset: NAME, count: N}` or `{synthetic: {input_tokens, count, seed}}`. Default: the set `mixed-64`.
    prompts: Prompts =>
        /// Texts, a built-in set or random tokens; an empty list where `prompt_source` or `prompt_lines` has the prompts.
        Prompts;

    /// A file of prompts in the server's prompts folder, by its name: JSONL, each line `{"prompt": TEXT}` or
    /// `{"messages": [{"role": "user", "content": TEXT}, …]}`, with `max_output_tokens` where it needs its own. In place of
    /// `prompts` and `prompt_lines`.
    #[schema(min_length = 1, pattern = r"^[^\u0000-\u001f\u007f-\u009f]+$", example = "support-chats.jsonl")]
    prompt_source: String [max_length = 255] =>
        /// The file of the server's prompts folder that the prompts come from; null where they come from none.
        #[serde(default)]
        Option<String> = None, "The file of prompts.";

    /// How many prompts of the file, from its first; 1 to 100,000. Default: all.
    prompt_source_count: u32 [minimum = 1, maximum = 100_000] =>
        /// How many prompts of the file, from its first; null without a file.
        #[serde(default)]
        Option<u32> = None;

    /// The file's SHA-256, for a submission that is refused once the file has changed. Default: whatever it has.
    #[schema(pattern = "^[0-9a-fA-F]{64}$")]
    prompt_source_sha256: String as choices::sha256 =>
        /// SHA-256 of the file as it was submitted, and as it ran: with another it fails. Null without a file.
        #[serde(default)]
        Option<String> = None, "SHA-256 of the file of prompts.";

    /// Prompts one by one, each a text or a chat, with its own `max_output_tokens` where it needs one; the form of a line of
    /// a `prompt_source`. In place of `prompts`. Up to 100,000.
    #[schema(example = json!([{"prompt": "Why is the sky blue?", "max_output_tokens": 64}, {"prompt": "Name three metals."}]))]
    prompt_lines: Vec<PromptLine> =>
        /// Prompts one by one, as they were submitted; empty where `prompts` or `prompt_source` has them.
        #[serde(default)]
        Vec<PromptLine> = Vec::new();

    /// Send prompts without the model's chat template. Default false.
    raw_prompt: bool =>
        /// Prompts go to the model as they are, without its chat template.
        bool = false, "Whether prompts go without the chat template.";

    /// Cut longer prompts to this many tokens: at the end of their text, what the chat template puts after it stays.
    /// Default: no cut.
    max_input_tokens: u32 [minimum = 1, maximum = 10_000_000] =>
        /// Longer prompts are cut to this many tokens, at the end of their text; null for no cut.
        Option<u32> = None, "Longer prompts are cut to this.";

    /// Most tokens to generate for a prompt. Default 128.
    max_output_tokens: u32 [minimum = 1, maximum = 10_000_000] =>
        /// Most tokens to generate for a prompt.
        u32 = 128, "Most output tokens of a request.";

    /// Fewest tokens to generate: end-of-sequence is masked until then; equal to the maximum for an exact length.
    /// Default 0.
    min_output_tokens: u32 [minimum = 0, maximum = 10_000_000] =>
        /// End-of-sequence tokens are masked until this many tokens are out.
        u32 = 0, "Least output tokens of a request.";

    /// How the next token is chosen. Default: greedy.
    decoder: DecoderRequest => Decoder;

    /// Worker processes (ranks); must divide the number of GPUs. Default 1.
    num_processes: u32 [minimum = 1, maximum = 1024] =>
        /// Worker processes (ranks).
        u32;

    /// GPUs to lease and meter, by NVML index or UUID; an index counts on `node`, or else on the first node that can
    /// run the experiment, the one asked first. Default, and where the list is empty: any `gpu_count` of one node.
    #[schema(example = json!([0, 1]))]
    gpus: Vec<GpuSelector> =>
        /// UUIDs of the GPUs, in the order asked for; where any would do, those leased, and none before it is started.
        Vec<String>;

    /// How many GPUs to lease and meter when it does not matter which; 0 is not taken on `cuda`, unless `gpus` names some.
    /// Default: one a process on `cuda`, none on the CPU.
    gpu_count: u32 [minimum = 0, maximum = 1024] =>
        /// How many GPUs it takes.
        #[serde(default)]
        u32;

    /// Default `auto`. `cpu` together with `gpus` leases and meters those GPUs while inference runs on the CPU.
    device: Device =>
        /// `cuda` or `cpu`, never `auto`.
        Device;

    /// Default `shard`.
    distribution: Distribution =>
        Distribution = Distribution::Shard, "How prompts reach the ranks: `shard` or `replicate`.";

    /// Default `auto`.
    fp_precision: FpPrecision =>
        FpPrecision = FpPrecision::Auto, "Type asked for to compute in.";

    /// In-situ quantization of a safetensors model, one of q4_0, q4_1, q5_0, q5_1, q8_0, q8_1, q2k, q3k, q4k, q5k, q6k,
    /// q8k, hqq4, hqq8, fp8; absent for a model already quantized.
    #[schema(example = "q4k")]
    quantization: String as choices::quantization =>
        /// In-situ quantization type; null when the model is run as it is.
        Option<String> = None, "In-situ quantization type.";

    /// Requests that each rank decodes at once. Default 1.
    batch_size: u32 [minimum = 1, maximum = 4096] =>
        /// Requests that each rank decodes at once.
        u32 = 1, "Requests that each rank decodes at once.";

    /// What is offered in each cycle: `{"closed": …}`, `{"open": …}` or `{"replay": …}`. Default: all prompts once, `batch_size`
    /// in flight in each rank.
    #[schema(value_type = Option<Load>)]
    load: Load =>
        /// What is offered in each cycle; null for all prompts once, `batch_size` in flight in each rank.
        #[serde(default)]
        Option<Load> = None, "What is offered in each cycle, a JSON object.";

    /// What counts as good service, for `goodput`. Default: nothing is asked of it.
    #[schema(value_type = Option<SloRequest>)]
    slo: SloRequest =>
        /// What counts as good service; null where nothing was said of it.
        #[serde(default)]
        Option<Slo> = None, "What counts as good service, a JSON object.";

    /// Unmeasured passes over the first prompts before the cycles. Default 3.
    warmup_iterations: u32 [minimum = 0, maximum = 1000] =>
        /// Unmeasured passes over the first prompts before the cycles.
        u32 = RECOMMENDED_WARMUPS, "Requests before the measurement.";

    /// Warm up until iterations are alike. Default: `warmup_iterations` of them.
    #[schema(value_type = Option<WarmUpRequest>)]
    warmup: WarmUpRequest =>
        /// Until when it is warmed up; null for `warmup_iterations`.
        #[serde(default)]
        Option<WarmUp> = None, "Until when it is warmed up, a JSON object.";

    /// Measured passes over all prompts. Default 3.
    num_cycles: u32 [minimum = 1, maximum = 1000] =>
        /// Measured passes over all prompts.
        u32 = RECOMMENDED_CYCLES, "Measured cycles.";

    /// End before `num_cycles`, once a mean is sure enough. Default: all cycles are measured.
    #[schema(value_type = Option<StopRuleRequest>)]
    stop_rule: StopRuleRequest =>
        /// When it ends before `num_cycles`; null for never.
        #[serde(default)]
        Option<StopRule> = None, "When it ends before all cycles, a JSON object.";

    /// Measure each cycle in a fresh process, which loads the model and warms up outside of the measured window: then the scatter of
    /// cycles has in it what a process is given once by chance. Not for a server that runs already. Default false.
    process_per_cycle: bool =>
        /// Each cycle is measured in a fresh process.
        #[serde(default)]
        bool = false, "Whether each cycle has a process of its own.";

    /// Measure up to so many more cycles in place of those that others disturb: by other programs on its GPUs or CPUs, or by clocks
    /// that a GPU lowers. Default 0.
    repeat_disturbed: u32 [minimum = 0, maximum = 1000] =>
        /// Most cycles that are measured in place of those that others disturbed.
        #[serde(default)]
        u32 = 0, "Most cycles measured in place of disturbed ones.";

    /// Seconds that a server may take for one answer; a request that takes longer has failed. Default 600.
    request_timeout_sec: u32 [minimum = 1, maximum = 86_400] =>
        /// Seconds that a server may take for one answer.
        #[serde(default = "default_request_timeout_sec")]
        u32 = DEFAULT_REQUEST_TIMEOUT_SEC, "Seconds that a server may take for an answer.";

    /// The largest share of a cycle's requests to a server that may fail; with more the experiment fails. Default: 0.
    max_failed_share: f64 [minimum = 0.0, maximum = 1.0] =>
        /// The largest share of a cycle's requests to a server that may fail.
        #[serde(default)]
        f64 = 0.0, "Share of a cycle's requests that may fail.";

    // More than a minute says nothing more of idle power and holds the devices for nothing.
    /// Seconds for which the workers stay idle, the model in memory, between warm-up and cycles: what that draws is the
    /// loaded baseline. 0 for none. Default 2.
    idle_baseline_sec: u32 [minimum = 0, maximum = 60] =>
        /// Seconds for which the workers stay idle between warm-up and cycles, for the loaded baseline; 0 for none.
        #[serde(default)]
        u32 = DEFAULT_IDLE_BASELINE_SEC, "Idle rest before the cycles, seconds.";

    // Longer than a board takes to cool down.
    /// Seconds for which the workers stay idle between one cycle and the next, so that each begins as cool. Default 0.
    cooldown_sec: u32 [minimum = 0, maximum = 3600] =>
        /// Seconds for which the workers stay idle between one cycle and the next.
        #[serde(default)]
        u32 = 0, "Idle rest between cycles, seconds.";

    /// Begin each cycle only once every one of the GPUs is cooler than this, in degrees Celsius. Default: whatever they have.
    start_below_temperature_c: u32 [minimum = 1, maximum = 150] =>
        /// Below how many degrees Celsius all GPUs must be before a cycle begins; null for no such wait.
        #[serde(default)]
        Option<u32> = None, "Each cycle begins with the GPUs cooler than this, degrees Celsius.";

    /// Most seconds to wait for `start_below_temperature_c` before a cycle: it begins then all the same, and the result says so.
    /// Default 600.
    max_cooling_sec: u32 [minimum = 1, maximum = 3600] =>
        /// Most seconds to wait for `start_below_temperature_c` before a cycle.
        #[serde(default = "default_max_cooling_sec")]
        u32 = DEFAULT_MAX_COOLING_SEC, "Most seconds to wait for the GPUs to cool.";

    /// The power limit of each of the GPUs, in watts, set before the load and put back afterwards; what a board takes stands in
    /// `GET /v1/devices`. Needs a server that sets limits (`--power-control`). Default: the board stays as it is.
    power_limit_w: f64 [minimum = 1.0, maximum = 10_000.0] =>
        /// The power limit that its GPUs were to have, in watts; null where they stay as they are.
        #[serde(default)]
        Option<f64> = None, "Power limit asked for, watts.";

    /// Lock the clock of the streaming multiprocessors of each of the GPUs at so many MHz. Default: the board chooses.
    gpu_clock_mhz: u32 [minimum = 1, maximum = 10_000] =>
        /// What the clock of the streaming multiprocessors was to be locked at, in MHz; null where the board chooses.
        #[serde(default)]
        Option<u32> = None, "SM clock asked for, MHz.";

    /// Lock the clock of the memory of each of the GPUs at so many MHz. Default: the board chooses.
    memory_clock_mhz: u32 [minimum = 1, maximum = 100_000] =>
        /// What the clock of the memory was to be locked at, in MHz; null where the board chooses.
        #[serde(default)]
        Option<u32> = None, "Memory clock asked for, MHz.";

    /// Begin each cycle once power and temperature of the GPUs are steady. Default: at once.
    #[schema(value_type = Option<SettleRequest>)]
    settle: SettleRequest =>
        /// What each cycle waits for; null where it begins at once.
        #[serde(default)]
        Option<Settle> = None, "What each cycle waits for, a JSON object.";

    /// Price of a kilowatt-hour, for the cost in `footprint`. Default: the server's, where it has one.
    electricity_price_per_kwh: f64 [minimum = 0.0, maximum = 1_000_000] =>
        /// Price of a kilowatt-hour; null for the server's.
        #[serde(default)]
        Option<f64> = None, "Price of a kilowatt-hour.";

    /// What the price is in, such as `EUR`. Default: the server's with the server's price, else nothing is said.
    #[schema(min_length = 1, pattern = r"^[^\u0000-\u001f\u007f-\u009f]+$", example = "EUR")]
    electricity_currency: String [max_length = 20] =>
        /// What the price is in; null for the server's.
        #[serde(default)]
        Option<String> = None, "What the price of a kilowatt-hour is in.";

    /// Grams of CO2 equivalent for a kilowatt-hour, for the carbon in `footprint`. Default: the server's, where it has one.
    grid_intensity_g_per_kwh: f64 [minimum = 0.0, maximum = 1_000_000] =>
        /// Grams of CO2 equivalent for a kilowatt-hour; null for the server's.
        #[serde(default)]
        Option<f64> = None, "Grams of CO2 equivalent for a kilowatt-hour.";

    /// Power usage effectiveness of the facility, which `footprint` multiplies the energy by. Default: the server's, where it has one.
    pue: f64 [minimum = 1, maximum = 100] =>
        /// Power usage effectiveness of the facility; null for the server's.
        #[serde(default)]
        Option<f64> = None, "Power usage effectiveness of the facility.";

    /// `host` runs it alone on its host, for clean CPU energy. Default `devices`.
    isolation: Isolation =>
        #[serde(default)]
        Isolation = Isolation::Devices, "`devices` or `host`.";

    /// Whom the device time counts for; 1 to 100 characters that can be seen, in Unicode's composed form, with single
    /// spaces between words. At equal priority, users that had less of it lately go first.
    #[schema(min_length = 1, max_length = 100, pattern = r"^[^\u0000-\u001f\u007f-\u009f]+$")]
    user: String as name::read_name =>
        /// Whom its device time counts for; null for nobody named.
        #[serde(default)]
        Option<String> = None;

    // Room for a few classes above and below the usual one; more would only be a contest.
    /// Higher goes first, whatever else waits. Default 0.
    priority: i32 [minimum = -100, maximum = 100] =>
        /// Higher goes first, -100 to 100.
        #[serde(default)]
        i32 = 0;

    /// Name of the node to run on (`GET /v1/nodes`). Default: any that can.
    #[schema(min_length = 1, pattern = r"^[^\u0000-\u001f\u007f-\u009f]+$")]
    node: String [max_length = 200] =>
        /// The node that it must run on; null for any that can.
        #[serde(default)]
        Option<String> = None, "The node that it must run on.";

    #[schema(schema_with = labels::node_labels)]
    node_labels: BTreeMap<String, String> =>
        /// Labels that its node must have.
        #[serde(default)]
        BTreeMap<String, String> = BTreeMap::new(), "Labels that its node must have, a JSON object of texts.";

    #[schema(schema_with = labels::labels)]
    labels: BTreeMap<String, String> =>
        /// Free labels to find the experiment by.
        BTreeMap<String, String> = BTreeMap::new();

    /// Where to POST once the experiment is finished: https, or http where the admin allows it, of a host on the
    /// server's list (`callback_allow`), up to 2000 bytes, without user name. Shown to the submitter and to admins alone.
    #[schema(format = "uri", example = "https://hooks.lab.example/joulemark")]
    callback_url: String [max_length = 2000];
}
