//! The sentences on the workload: prompts, lengths, decoding, load and what was answered.

use serde_json::Value;

use super::read::{HASH_DIGITS, items, number, quotient, text};
use crate::number::plain;

/// Returns the sentence on the requests: prompts, output lengths, decoding and load.
pub fn requests(results: &Value) -> String {
    let experiment = &results["experiment"];
    let parts = [
        format!("The requests were {}", prompts(results)),
        output_lengths(experiment),
        decoding(&experiment["decoder"]),
        load(&experiment["load"]),
    ];
    let parts = parts.into_iter().filter(|part| !part.is_empty());
    format!("{}.", parts.collect::<Vec<_>>().join(", "))
}

/// Returns the prompts with their number and source.
fn prompts(results: &Value) -> String {
    let experiment = &results["experiment"];
    let template = match experiment["raw_prompt"].as_bool() {
        Some(true) => " without chat template",
        _ => " in the model's chat template",
    };
    if let Some(file) = experiment["load"]["replay"]["file"].as_str()
        && experiment["load"]["replay"]["has_prompts"] == true
    {
        let replay = &experiment["load"]["replay"];
        let count = count(&replay["requests"]);
        return format!("{count} of the file {file}{}{template}", hash(&replay["sha256"]));
    }
    if let Some(file) = experiment["prompt_source"].as_str() {
        let count = count(&experiment["prompt_source_count"]);
        return format!(
            "{count} of the file {file}{}{template}",
            hash(&experiment["prompt_source_sha256"])
        );
    }
    let prompts = &experiment["prompts"];
    if let Some(set) = prompts["dataset"].as_str() {
        return format!("{} of the built-in set {set}{template}", count(&prompts["count"]));
    }
    if prompts["synthetic"].is_object() {
        return synthetic(&prompts["synthetic"]);
    }
    let own = [&experiment["prompt_lines"], prompts].map(|list| list.as_array().map_or(0, Vec::len));
    let own = own.into_iter().max().filter(|own| *own > 0).map(Value::from);
    let absent = [&results["prompts_withheld"], &results["prompts_dropped"]["count"]];
    let absent = absent.into_iter().find(|count| count.is_u64()).cloned();
    format!("{} of our own{template}", count(&own.or(absent).unwrap_or_default()))
}

/// Returns a number of prompts; "the prompts" where it is unknown.
fn count(count: &Value) -> String {
    match count.as_u64() {
        Some(1) => "1 prompt".to_owned(),
        Some(count) => format!("{count} prompts"),
        None => "the prompts".to_owned(),
    }
}

fn hash(sha256: &Value) -> String {
    let digits = sha256.as_str().and_then(|hash| hash.get(..HASH_DIGITS));
    digits.map_or_else(String::new, |digits| format!(" (SHA-256 {digits}…)"))
}

fn synthetic(of: &Value) -> String {
    let length = match &of["input_length"] {
        drawn @ Value::Object(_) => drawn_length(drawn),
        _ => of["input_tokens"].to_string(),
    };
    let shared = match of["shared_prefix_tokens"].as_u64() {
        Some(shared) => format!(", the first {shared} the same in all"),
        None => String::new(),
    };
    format!(
        "{} of {length} random tokens (seed {}){shared}",
        count(&of["count"]),
        of["seed"]
    )
}

/// Returns a distribution of lengths, such as "128 ± 32 (32 to 224)".
fn drawn_length(length: &Value) -> String {
    let shown = |name: &str| number(&length[name], None);
    format!(
        "{} ± {} ({} to {})",
        shown("mean"),
        shown("stddev"),
        length["min"],
        length["max"]
    )
}

fn output_lengths(experiment: &Value) -> String {
    let drawn = &experiment["prompts"]["synthetic"]["output_length"];
    if drawn.is_object() {
        return format!("each answered with {} tokens", drawn_length(drawn));
    }
    let (min, max) = (&experiment["min_output_tokens"], &experiment["max_output_tokens"]);
    match (min.as_u64(), max.as_u64()) {
        (Some(min), Some(max)) if min == max => format!("each answered with exactly {max} tokens"),
        (Some(min), Some(max)) if min > 0 => format!("each answered with {min} to {max} tokens"),
        (_, Some(max)) => format!("each answered with at most {max} tokens"),
        _ => String::new(),
    }
}

fn decoding(decoder: &Value) -> String {
    if decoder["do_sample"] != true {
        return match decoder.is_object() {
            true => "decoded greedily".to_owned(),
            false => String::new(),
        };
    }
    let named = [
        ("top_k", "top-k"),
        ("top_p", "top-p"),
        ("min_p", "min-p"),
        ("seed", "seed"),
    ];
    let known = named.iter().filter(|(name, _)| decoder[name].is_number());
    let known: String = known
        .map(|(name, words)| format!(", {words} {}", decoder[name]))
        .collect();
    let unseeded = if decoder["seed"].is_number() {
        ""
    } else {
        ", without a seed"
    };
    format!("sampled at temperature {}{known}{unseeded}", decoder["temperature"])
}

fn load(load: &Value) -> String {
    let (closed, open, replay) = (&load["closed"], &load["open"], &load["replay"]);
    if closed.is_object() {
        return format!("sent so that {} were in flight (closed load)", closed["concurrency"]);
    }
    if open.is_object() {
        let rate = number(&open["rate_per_sec"], None);
        let burstiness = match open["burstiness"].as_f64() {
            Some(burstiness) => format!(", burstiness {}", plain(burstiness)),
            None => String::new(),
        };
        let arrivals = text(&open["arrivals"]);
        return format!(
            "arriving at {rate} per second (open load, {arrivals} arrivals{burstiness}, seed {})",
            open["seed"]
        );
    }
    match replay.is_object() {
        true => format!(
            "arriving at the times of the file {}{}",
            text(&replay["file"]),
            hash(&replay["sha256"])
        ),
        false => String::new(),
    }
}

/// Returns the sentence on what was answered.
pub fn answered(results: &Value) -> String {
    let (inference, experiment) = (&results["inference"], &results["experiment"]);
    let ranks = match experiment["num_processes"].as_u64() {
        Some(1) | None => String::new(),
        Some(ranks) => format!(" in {ranks} processes"),
    };
    let batch = match experiment["batch_size"].as_u64() {
        Some(1) | None => String::new(),
        Some(size) => format!(" of up to {size} at once in each process"),
    };
    let warm_ups = items(&results["warm_ups"])
        .filter_map(|of| of["iterations"].as_u64())
        .max();
    let warm_ups = warm_ups.or(experiment["warmup_iterations"].as_u64()).unwrap_or(0);
    let (input, output) = (&inference["input_tokens"], &inference["output_tokens"]);
    let requests = &inference["answered_requests"];
    format!(
        "After {warm_ups} warm-up iterations, {} measured cycles answered {requests} requests{batch}{ranks} with {input} input \
         and {output} output tokens (mean {} and {} per request) in {} s.",
        items(&results["cycles"]).count(),
        quotient(input, requests),
        quotient(output, requests),
        number(&inference["inference_time_sec"], None),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_requests_are_named_by_prompts_lengths_decoding_and_load() {
        for (experiment, expected) in [
            (
                json!({"prompts": {"dataset": "short-32", "count": 8}, "raw_prompt": false, "min_output_tokens": 32,
                    "max_output_tokens": 32, "decoder": {"do_sample": false, "temperature": 0.0}, "load": null}),
                "The requests were 8 prompts of the built-in set short-32 in the model's chat template, each answered with \
                 exactly 32 tokens, decoded greedily.",
            ),
            (
                json!({"prompts": {"synthetic": {"input_tokens": 128, "count": 100, "seed": 7, "shared_prefix_tokens": 16}},
                    "min_output_tokens": 0, "max_output_tokens": 64,
                    "decoder": {"do_sample": true, "temperature": 0.7, "top_p": 0.95, "seed": 3},
                    "load": {"open": {"rate_per_sec": 2.5, "arrivals": "poisson", "burstiness": null, "seed": 1}}}),
                "The requests were 100 prompts of 128 random tokens (seed 7), the first 16 the same in all, each answered with \
                 at most 64 tokens, sampled at temperature 0.7, top-p 0.95, seed 3, arriving at 2.50 per second (open load, \
                 poisson arrivals, seed 1).",
            ),
            (
                json!({"prompts": {"synthetic": {"input_tokens": 128, "count": 1, "seed": 0,
                        "input_length": {"mean": 128.0, "stddev": 32.0, "min": 32, "max": 224},
                        "output_length": {"mean": 64.0, "stddev": 8.0, "min": 40, "max": 88}}},
                    "decoder": {"do_sample": true, "temperature": 1.0, "seed": null},
                    "load": {"closed": {"concurrency": 16}}}),
                "The requests were 1 prompt of 128 ± 32.0 (32 to 224) random tokens (seed 0), each answered with 64.0 ± 8.00 \
                 (40 to 88) tokens, sampled at temperature 1.0, without a seed, sent so that 16 were in flight (closed load).",
            ),
            (
                json!({"prompts": [], "prompt_source": "chats.jsonl", "prompt_source_count": 50, "raw_prompt": true,
                    "prompt_source_sha256": "00112233445566778899aabbccddeeff", "min_output_tokens": 8,
                    "max_output_tokens": 16, "decoder": {"do_sample": false},
                    "load": {"replay": {"file": "t.jsonl", "sha256": null, "has_prompts": false}}}),
                "The requests were 50 prompts of the file chats.jsonl (SHA-256 0011223344556677…) without chat template, each \
                 answered with 8 to 16 tokens, decoded greedily, arriving at the times of the file t.jsonl.",
            ),
        ] {
            assert_eq!(requests(&json!({"experiment": experiment})), expected);
        }
    }

    #[test]
    fn own_prompts_are_counted_also_where_they_are_withheld_or_deleted() {
        let prompts = |results: Value| prompts(&results);
        let own = prompts(json!({"experiment": {"prompts": ["a", "b"], "prompt_lines": []}}));
        assert_eq!(own, "2 prompts of our own in the model's chat template");
        let withheld = prompts(json!({"experiment": {"prompts": [], "prompt_lines": []}, "prompts_withheld": 4}));
        assert!(withheld.starts_with("4 prompts"), "{withheld}");
        let dropped = prompts(json!({"experiment": {"prompts": []}, "prompts_dropped": {"count": 1}}));
        assert!(dropped.starts_with("1 prompt "), "{dropped}");
    }
}
