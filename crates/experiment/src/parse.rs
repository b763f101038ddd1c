use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::field::{FieldProblem, Fields, brief, is_plain};
use super::{
    DatasetPrompts, DecoderRequest, Device, Distribution, ExperimentRequest, FpPrecision, GpuSelector, Isolation,
    Prompts, QUANTIZATIONS, SyntheticPrompts,
};

/// Every field of a submission, as in the API's schema.
pub const FIELD_NAMES: [&str; 26] = [
    "config_name",
    "model_name",
    "prompts",
    "raw_prompt",
    "max_input_tokens",
    "max_output_tokens",
    "min_output_tokens",
    "decoder",
    "num_processes",
    "gpus",
    "gpu_count",
    "device",
    "distribution",
    "fp_precision",
    "quantization",
    "batch_size",
    "warmup_iterations",
    "num_cycles",
    "idle_baseline_sec",
    "isolation",
    "user",
    "priority",
    "node",
    "node_labels",
    "labels",
    "callback_url",
];

/// Longest sequence any model is expected to take; only catches slips of the keyboard.
pub const MAX_TOKENS: u32 = 10_000_000;
pub const MAX_PROMPTS: u32 = 100_000;
const MAX_GPUS: u32 = 1024;
/// Room for a few classes above and below the usual one; more would only be a contest.
const MAX_PRIORITY: i32 = 100;
/// Longer says nothing more of idle power and holds the devices for nothing.
pub const MAX_IDLE_BASELINE_SEC: u32 = 60;
const MAX_PROMPT_CHARS: usize = 4_000_000;
const MAX_LABELS: usize = 64;
const PROMPTS_ACCEPTED: &str = "a list of texts, {\"dataset\": NAME, \"count\": N} or \
     {\"synthetic\": {\"input_tokens\": N, \"count\": N, \"seed\": S}}";

/// Reads a submission's shape and ranges; what the host can do is [`super::resolve()`]'s question.
///
/// # Errors
/// Every problem found, each with a pointer to its field.
pub fn parse(document: &Value) -> Result<ExperimentRequest, Vec<FieldProblem>> {
    let mut problems = Vec::new();
    let Some(object) = document.as_object() else {
        let detail = format!(
            "the document is {}; accepted is an object with the experiment's fields",
            brief(document)
        );
        return Err(vec![FieldProblem::new("", detail)]);
    };
    let mut fields = Fields::new(object, "", &FIELD_NAMES, &mut problems);
    if fields.value("model_name").is_none() {
        fields.problem(
            "model_name",
            "is required: a file or folder under the server's models folder",
        );
    }
    let request = ExperimentRequest {
        config_name: fields.text("config_name", 200),
        model_name: fields.text("model_name", 500),
        prompts: prompts(&mut fields),
        raw_prompt: fields.boolean("raw_prompt"),
        max_input_tokens: fields.count("max_input_tokens", 1, MAX_TOKENS),
        max_output_tokens: fields.count("max_output_tokens", 1, MAX_TOKENS),
        min_output_tokens: fields.count("min_output_tokens", 0, MAX_TOKENS),
        decoder: decoder(&mut fields),
        num_processes: fields.count("num_processes", 1, 1024),
        gpus: gpus(&mut fields),
        gpu_count: fields.count("gpu_count", 1, MAX_GPUS),
        device: fields.choice(
            "device",
            &[("auto", Device::Auto), ("cuda", Device::Cuda), ("cpu", Device::Cpu)],
        ),
        distribution: fields.choice(
            "distribution",
            &[("shard", Distribution::Shard), ("replicate", Distribution::Replicate)],
        ),
        fp_precision: fields.choice(
            "fp_precision",
            &[
                ("float32", FpPrecision::Float32),
                ("float16", FpPrecision::Float16),
                ("bfloat16", FpPrecision::Bfloat16),
                ("auto", FpPrecision::Auto),
            ],
        ),
        quantization: fields.read(
            "quantization",
            &format!("one of {}", QUANTIZATIONS.join(", ")),
            |value| {
                value
                    .as_str()
                    .map(str::to_lowercase)
                    .filter(|name| QUANTIZATIONS.contains(&name.as_str()))
            },
        ),
        batch_size: fields.count("batch_size", 1, 4096),
        warmup_iterations: fields.count("warmup_iterations", 0, 1000),
        num_cycles: fields.count("num_cycles", 1, 1000),
        idle_baseline_sec: fields.count("idle_baseline_sec", 0, MAX_IDLE_BASELINE_SEC),
        isolation: fields.choice(
            "isolation",
            &[("devices", Isolation::Devices), ("host", Isolation::Host)],
        ),
        user: fields.text("user", 100),
        priority: fields.signed("priority", -MAX_PRIORITY, MAX_PRIORITY),
        node: fields.text("node", 200),
        node_labels: texts(&mut fields, "node_labels"),
        labels: texts(&mut fields, "labels"),
        callback_url: fields.text("callback_url", 2000),
    };
    if problems.is_empty() {
        Ok(request)
    } else {
        problems.truncate(super::MAX_PROBLEMS);
        Err(problems)
    }
}

fn prompts(fields: &mut Fields<'_>) -> Option<Prompts> {
    match fields.value("prompts")? {
        Value::Array(items) => prompt_texts(fields, items),
        Value::Object(object) => prompt_source(fields, object),
        other => {
            fields.problem(
                "prompts",
                format!("is {}; accepted is {PROMPTS_ACCEPTED}", brief(other)),
            );
            None
        }
    }
}

fn prompt_texts(fields: &mut Fields<'_>, items: &[Value]) -> Option<Prompts> {
    if items.is_empty() || items.len() > MAX_PROMPTS as usize {
        fields.problem(
            "prompts",
            format!("has {} prompts; accepted are 1 to {MAX_PROMPTS}", items.len()),
        );
        return None;
    }
    let mut texts = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        match item.as_str() {
            Some(text) if !text.trim().is_empty() && text.len() <= MAX_PROMPT_CHARS => texts.push(text.to_owned()),
            Some(text) if text.len() > MAX_PROMPT_CHARS => fields.problem_at(
                &format!("prompts/{index}"),
                format!("has {} bytes; accepted are at most {MAX_PROMPT_CHARS}", text.len()),
            ),
            _ => fields.problem_at(
                &format!("prompts/{index}"),
                format!(
                    "is {}; accepted is a text with something other than white space",
                    brief(item)
                ),
            ),
        }
    }
    (texts.len() == items.len()).then_some(Prompts::Texts(texts))
}

fn prompt_source(fields: &mut Fields<'_>, object: &Map<String, Value>) -> Option<Prompts> {
    let base = fields.pointer("prompts");
    match (object.get("dataset"), object.get("synthetic")) {
        (Some(_), None) => {
            let mut inner = Fields::new(object, base, &["dataset", "count"], fields.problems());
            let count = inner.count("count", 1, MAX_PROMPTS);
            let dataset = inner.text("dataset", 100)?;
            Some(Prompts::Dataset(DatasetPrompts { dataset, count }))
        }
        (None, Some(_)) => {
            let mut outer = Fields::new(object, base.clone(), &["synthetic"], fields.problems());
            let synthetic = outer.object("synthetic", "an object with input_tokens, count and seed")?;
            let known = ["input_tokens", "count", "seed"];
            let mut inner = Fields::new(synthetic, format!("{base}/synthetic"), &known, outer.problems());
            for key in known
                .into_iter()
                .filter(|key| inner.value(key).is_none())
                .collect::<Vec<_>>()
            {
                inner.problem(key, "is required: an integer");
            }
            let input_tokens = inner.count("input_tokens", 1, MAX_TOKENS);
            let count = inner.count("count", 1, MAX_PROMPTS);
            let seed = inner.integer("seed", 0, u64::MAX);
            let synthetic = SyntheticPrompts {
                input_tokens: input_tokens?,
                count: count?,
                seed: seed?,
            };
            Some(Prompts::Synthetic { synthetic })
        }
        _ => {
            fields.problem(
                "prompts",
                format!("names no source or two; accepted is {PROMPTS_ACCEPTED}"),
            );
            None
        }
    }
}

fn decoder(fields: &mut Fields<'_>) -> Option<DecoderRequest> {
    let known = [
        "temperature",
        "do_sample",
        "top_k",
        "top_p",
        "repetition_penalty",
        "seed",
    ];
    let object = fields.object("decoder", &format!("an object with {}", known.join(", ")))?;
    let base = fields.pointer("decoder");
    let mut inner = Fields::new(object, base, &known, fields.problems());
    Some(DecoderRequest {
        temperature: inner.number("temperature", "a number from 0 to 100", |t| (0.0..=100.0).contains(&t)),
        do_sample: inner.boolean("do_sample"),
        top_k: inner.count("top_k", 1, MAX_TOKENS),
        top_p: inner.number("top_p", "a number above 0 and at most 1", |p| p > 0.0 && p <= 1.0),
        repetition_penalty: inner.number("repetition_penalty", "a number above 0 and at most 100", |p| {
            p > 0.0 && p <= 100.0
        }),
        seed: inner.integer("seed", 0, u64::MAX),
    })
}

fn gpus(fields: &mut Fields<'_>) -> Option<Vec<GpuSelector>> {
    const ACCEPTED: &str = "an NVML index (0, 1, …) or a UUID (\"GPU-…\")";
    let items = fields.read("gpus", &format!("a list, each item {ACCEPTED}"), Value::as_array)?;
    if items.is_empty() {
        fields.problem("gpus", "is an empty list; leave the field out to ask for no GPU");
    }
    let mut gpus = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let selector = match item {
            // A MIG slice is refused by the host, which knows its board.
            Value::String(uuid) if (uuid.starts_with("GPU-") || uuid.starts_with("MIG-")) && is_plain(uuid, 100) => {
                Some(GpuSelector::Uuid(uuid.clone()))
            }
            other => other
                .as_u64()
                .and_then(|i| u32::try_from(i).ok())
                .map(GpuSelector::Index),
        };
        match selector {
            Some(selector) if gpus.contains(&selector) => {
                fields.problem_at(
                    &format!("gpus/{index}"),
                    format!("is {} again; name each GPU once", brief(item)),
                );
            }
            Some(selector) => gpus.push(selector),
            None => {
                fields.problem_at(
                    &format!("gpus/{index}"),
                    format!("is {}; accepted is {ACCEPTED}", brief(item)),
                );
            }
        }
    }
    Some(gpus)
}

fn texts(fields: &mut Fields<'_>, field: &str) -> Option<BTreeMap<String, String>> {
    let object = fields.object(field, "an object of texts")?;
    if object.len() > MAX_LABELS {
        fields.problem(
            field,
            format!("has {} labels; accepted are at most {MAX_LABELS}", object.len()),
        );
    }
    let base = fields.pointer(field);
    let keys = object.keys().map(String::as_str).collect::<Vec<_>>();
    let mut inner = Fields::new(object, base, &keys, fields.problems());
    let mut labels = BTreeMap::new();
    for (key, value) in object {
        if !is_plain(key, 100) {
            inner.problem(
                key,
                "has a name that is empty, over 100 characters or with control characters",
            );
        } else if value.is_null() {
            inner.problem(key, "is null; accepted is a text of 1 to 500 characters");
        } else if let Some(text) = inner.text(key, 500) {
            labels.insert(key.clone(), text);
        }
    }
    Some(labels)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn all_problems_are_reported_at_once() {
        let document = json!({
            "max_output_tokens": "many", "decoder": {"top_p": 2, "beam": 4}, "gpus": [0, -1, 0], "prompts": ["a", 3],
        });
        let problems = parse(&document).unwrap_err();
        let pointers = problems
            .iter()
            .map(|problem| problem.pointer.as_str())
            .collect::<Vec<_>>();
        assert_eq!(
            pointers,
            [
                "/model_name",
                "/prompts/1",
                "/max_output_tokens",
                "/decoder/beam",
                "/decoder/top_p",
                "/gpus/1",
                "/gpus/2"
            ]
        );
    }

    #[test]
    fn the_three_kinds_of_prompts_are_read() {
        let read = |prompts: Value| {
            parse(&json!({"model_name": "m", "prompts": prompts}))
                .unwrap()
                .prompts
                .unwrap()
        };
        assert_eq!(read(json!(["hello"])), Prompts::Texts(vec!["hello".to_owned()]));
        let dataset = DatasetPrompts {
            dataset: "short-32".to_owned(),
            count: Some(4),
        };
        assert_eq!(
            read(json!({"dataset": "short-32", "count": 4})),
            Prompts::Dataset(dataset)
        );
        let synthetic = SyntheticPrompts {
            input_tokens: 16,
            count: 2,
            seed: u64::MAX,
        };
        assert_eq!(
            read(json!({"synthetic": {"input_tokens": 16, "count": 2, "seed": u64::MAX}})),
            Prompts::Synthetic { synthetic }
        );
    }

    #[test]
    fn the_schema_and_the_reader_know_the_same_fields() {
        let sent = serde_json::to_value(ExperimentRequest::default()).unwrap();
        assert_eq!(
            sent.as_object().unwrap().keys().collect::<Vec<_>>(),
            FIELD_NAMES.iter().collect::<Vec<_>>()
        );
    }
}
