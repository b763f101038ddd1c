use serde_json::{Value, json};

use joulemark_testkit::models::{MODEL, models_dir};
use joulemark_testkit::server::Server;

fn number(value: &Value, group: &str, key: &str) -> f64 {
    value[group][key]
        .as_f64()
        .unwrap_or_else(|| panic!("{group}.{key} is {}", value[group][key]))
}

fn close(a: f64, b: f64, what: &str) {
    assert!((a - b).abs() <= 1e-9 * b.abs().max(1e-9), "{what}: {a} is not {b}");
}

#[tokio::test]
async fn two_processes_and_two_cycles_of_exact_length_on_the_real_model_are_consistent() {
    let server = Server::start_with(&["--models-dir", &models_dir()]);
    let experiment = json!({
        "config_name": "two-by-two",
        "model_name": MODEL,
        "prompts": {"dataset": "short-32", "count": 4},
        "max_output_tokens": 32,
        "min_output_tokens": 32,
        "num_processes": 2,
        "num_cycles": 2,
        "warmup_iterations": 1,
    });
    let id = server.accepted(&experiment).await;
    server.until_state(&id, "completed").await;
    let results = server.results(&id).await;
    let items = server.processes(&id).await["items"].as_array().unwrap().clone();

    let requests = items
        .iter()
        .flat_map(|item| item["requests"].as_array().unwrap())
        .collect::<Vec<_>>();
    assert_eq!(requests.len(), 4 * 2);
    for request in &requests {
        assert_eq!(request["output_tokens"], 32);
        assert_eq!(request["finish_reason"], "length");
        let stamps = request["token_monotonic_sec"].as_array().unwrap();
        let stamps = stamps.iter().map(|stamp| stamp.as_f64().unwrap()).collect::<Vec<_>>();
        assert!(stamps.len() == 32 && stamps.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(stamps[0] > request["sent_monotonic_sec"].as_f64().unwrap());
        assert!(stamps[31] <= request["completed_monotonic_sec"].as_f64().unwrap());
    }
    let input_tokens = requests
        .iter()
        .map(|request| request["input_tokens"].as_u64().unwrap())
        .sum::<u64>();
    assert_eq!(results["inference"]["output_tokens"], 4 * 32 * 2);
    assert_eq!(results["inference"]["input_tokens"], input_tokens);
    assert_eq!(results["inference"]["total_tokens"], input_tokens + 4 * 32 * 2);
    greedy_output_repeats(&items);
    ratios_follow_from_their_parts(&results);
    windows_and_energy_are_of_the_cycles(&results, &items);
    flops_are_those_of_each_request_s_own_steps(&results, &items);
    assert_eq!(
        results["validation"]["temporal_overlap"], "passed",
        "{:#}",
        results["validation"]
    );
    assert_eq!(results["validation"]["gpu_attribution"], "not_applicable");
    assert_eq!(results["model"]["parameters_total"], 134_515_008_u64);
    let digest = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";
    assert_eq!(results["model"]["sha256"][0]["sha256"], digest);
}

fn greedy_output_repeats(items: &[Value]) {
    let output = |cycle: u64| {
        let of_cycle = items.iter().filter(|item| item["cycle"] == cycle);
        let mut outputs = of_cycle
            .flat_map(|item| item["requests"].as_array().unwrap())
            .map(|request| {
                (
                    request["prompt_index"].as_u64().unwrap(),
                    request["output_token_ids"].clone(),
                )
            })
            .collect::<Vec<_>>();
        outputs.sort_by_key(|(prompt, _)| *prompt);
        outputs
    };
    assert_eq!(output(0).len(), 4);
    assert_eq!(output(0), output(1));
}

fn ratios_follow_from_their_parts(results: &Value) {
    let total_tokens = number(results, "inference", "total_tokens");
    let output_tokens = number(results, "inference", "output_tokens");
    let input_tokens = number(results, "inference", "input_tokens");
    let energy = number(results, "energy", "total_energy_j");
    let duration = number(results, "energy", "duration_sec");
    let flops = number(results, "compute", "flops_total");
    assert!(energy > 0.0 && duration > 0.0 && flops > 0.0);
    for (key, expected) in [
        ("tokens_per_joule", total_tokens / energy),
        ("joules_per_token", energy / total_tokens),
        ("joules_per_output_token", energy / output_tokens),
        ("joules_per_input_token", energy / input_tokens),
        ("effective_throughput", total_tokens / duration),
        ("flop_per_joule", flops / energy),
        ("flop_per_token", flops / total_tokens),
        (
            "watts_per_token_per_second",
            energy / duration / (output_tokens / duration),
        ),
    ] {
        close(number(results, "efficiency", key), expected, key);
    }
    let per_second = number(results, "inference", "tokens_per_second");
    close(
        number(results, "inference", "latency_per_token_ms"),
        1000.0 / per_second,
        "latency_per_token_ms",
    );
    // Without a GPU: null, never 0, and left out of the total with a warning.
    for key in ["gpu_energy_j", "gpu_power_w"] {
        assert_eq!(results["energy"].get(key), Some(&Value::Null), "{key}");
    }
    let known = ["cpu_energy_j", "dram_energy_j"]
        .iter()
        .filter_map(|key| results["energy"][key].as_f64());
    close(energy, known.sum(), "total_energy_j");
    assert!(results["validation"]["warnings"].to_string().contains("gpu_energy_j"));
    for source in results["energy"]["sources"].as_array().unwrap() {
        assert!(
            source["source"].is_string() && source["confidence"].is_string(),
            "{source:#}"
        );
    }
}

fn windows_and_energy_are_of_the_cycles(results: &Value, items: &[Value]) {
    let mut duration = 0.0;
    let mut rates = Vec::new();
    for cycle in 0..2_u64 {
        let of_cycle = items.iter().filter(|item| item["cycle"] == cycle).collect::<Vec<_>>();
        let edge = |item: &Value, key: &str| item["window"][key].as_f64().unwrap();
        let start = of_cycle
            .iter()
            .map(|item| edge(item, "start_monotonic_sec"))
            .fold(f64::INFINITY, f64::min);
        let end = of_cycle
            .iter()
            .map(|item| edge(item, "end_monotonic_sec"))
            .fold(0.0, f64::max);
        duration += end - start;
        for item in of_cycle {
            let window = edge(item, "end_monotonic_sec") - edge(item, "start_monotonic_sec");
            rates.push(item["inference"]["output_tokens"].as_f64().unwrap() / window);
        }
    }
    assert!((number(results, "energy", "duration_sec") - duration).abs() < 1e-6);
    let mean = rates.iter().sum::<f64>() / rates.len() as f64;
    assert!((number(results, "inference", "tokens_per_second") - mean).abs() < 1e-6 * mean);
    let of_ranks = items
        .iter()
        .map(|item| item["energy"]["cpu_energy_j"].as_f64().unwrap())
        .sum::<f64>();
    let host = number(results, "energy", "host_cpu_energy_j");
    close(
        number(results, "energy", "cpu_energy_j"),
        of_ranks,
        "the sum over ranks",
    );
    assert!(
        of_ranks <= host * (1.0 + 1e-9),
        "{of_ranks} J attributed of the host's {host} J"
    );
    let flops = items
        .iter()
        .map(|item| item["compute"]["flops_total"].as_f64().unwrap())
        .sum::<f64>();
    close(number(results, "compute", "flops_total"), flops, "flops_total");
}

/// Computes the FLOPs of each pass by hand: SmolLM2-135M has 30 layers with 9 query and 3 key heads of 64, a hidden
/// state of 576, a feed-forward width of 1536 and 49152 tokens.
fn flops_are_those_of_each_request_s_own_steps(results: &Value, items: &[Value]) {
    let linear = 30 * (2 * 576 * 576 + 2 * 192 * 576 + 3 * 1536 * 576);
    let pass = |tokens: u64, keys: u64| 2 * (tokens * linear + 49152 * 576 + tokens * keys * 30 * 9 * 64 * 2);
    let mut sum = 0;
    for item in items {
        let mut of_item = 0;
        for request in item["requests"].as_array().unwrap() {
            let (input, output) = (&request["input_tokens"], &request["output_tokens"]);
            let (input, output) = (input.as_u64().unwrap(), output.as_u64().unwrap());
            of_item += pass(input, input);
            of_item += (1..output).map(|step| pass(1, input + step)).sum::<u64>();
        }
        assert_eq!(item["compute"]["flops_total"].as_f64(), Some(of_item as f64));
        sum += of_item;
    }
    let compute = &results["compute"];
    assert_eq!(compute["flops_total"].as_f64(), Some(sum as f64));
    assert_eq!(
        number(results, "compute", "flops_prefill") + number(results, "compute", "flops_decode"),
        sum as f64
    );
    assert_eq!(
        (&compute["flops_method"], &compute["flops_confidence"]),
        (&json!("traced"), &json!("high"))
    );
    // Each step reads the cache and the whole file, except for unused rows of the embedding, which is also lm_head.
    let bytes = number(results, "compute", "bytes_per_token");
    assert!((96e6..110e6).contains(&bytes), "{bytes}");
}

#[tokio::test]
async fn a_seed_decides_what_is_sampled_and_a_shorter_answer_may_stop_by_itself() {
    let server = Server::start_with(&["--models-dir", &models_dir()]);
    let mut outputs = Vec::new();
    for seed in [1, 1, 2] {
        let experiment = json!({
            "model_name": MODEL, "prompts": ["Write one line about the sea."], "max_output_tokens": 12,
            "min_output_tokens": 12, "decoder": {"temperature": 1.0, "top_p": 0.95, "seed": seed},
            "num_cycles": 1, "warmup_iterations": 0,
        });
        let id = server.accepted(&experiment).await;
        server.until_state(&id, "completed").await;
        outputs.push(server.processes(&id).await["items"][0]["requests"][0]["output_token_ids"].clone());
    }
    assert_eq!(outputs[0], outputs[1]);
    assert_ne!(outputs[0], outputs[2]);
}

#[tokio::test]
async fn synthetic_prompts_have_exact_lengths_and_long_ones_are_cut() {
    let server = Server::start_with(&["--models-dir", &models_dir()]);
    let experiment = json!({
        "model_name": MODEL, "prompts": {"synthetic": {"input_tokens": 40, "count": 3, "seed": 7}},
        "max_input_tokens": 25, "max_output_tokens": 2, "min_output_tokens": 2, "num_cycles": 1,
        "warmup_iterations": 0,
    });
    let id = server.accepted(&experiment).await;
    server.until_state(&id, "completed").await;
    let results = server.results(&id).await;
    assert_eq!(results["inference"]["input_tokens"], 3 * 25);
    assert_eq!(results["inference"]["output_tokens"], 3 * 2);
    assert!(
        results["validation"]["warnings"]
            .to_string()
            .contains("prompt_truncated")
    );
}
