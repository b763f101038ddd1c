//! Names that other tools give to the fields of an experiment, for the errors that answer their configurations. Values
//! are not read here: problems with them are noted where the fields are read.

use serde_json::{Map, Value};

use super::field::{FieldProblem, MAX_PROBLEMS, is_near, pointer, unknown};

/// Fields of an experiment, each with the names that other tools use for it.
const OTHER_NAMES: &[(&str, &[&str])] = &[
    ("config_name", &["experiment_name", "run_name", "name", "title"]),
    (
        "model_name",
        &[
            "model",
            "model_id",
            "model_path",
            "model_name_or_path",
            "checkpoint",
            "hf_model",
        ],
    ),
    ("prompts", &["prompt", "inputs", "input_prompts", "prompt_list"]),
    ("prompt_lines", &["messages", "chats", "conversations"]),
    (
        "prompt_source",
        &[
            "prompt_file",
            "prompts_file",
            "prompt_path",
            "prompts_path",
            "dataset_file",
        ],
    ),
    (
        "prompts.dataset",
        &["dataset", "dataset_name", "dataset_path", "prompt_set", "source"],
    ),
    (
        "prompts.count",
        &[
            "n",
            "n_prompts",
            "num_prompts",
            "num_input_prompts",
            "n_samples",
            "num_samples",
            "sample_size",
            "num_requests",
        ],
    ),
    (
        "prompts.synthetic.input_tokens",
        &[
            "input_tokens",
            "input_len",
            "input_length",
            "prompt_length",
            "prompt_tokens",
            "n_prompt",
        ],
    ),
    ("raw_prompt", &["raw", "no_chat_template", "skip_chat_template"]),
    (
        "max_input_tokens",
        &[
            "max_input_length",
            "max_prompt_tokens",
            "max_prompt_length",
            "truncate_prompt_tokens",
        ],
    ),
    (
        "max_output_tokens",
        &[
            "max_new_tokens",
            "max_tokens",
            "max_completion_tokens",
            "max_gen_toks",
            "n_predict",
            "num_predict",
            "n_gen",
            "output_len",
            "output_length",
            "output_tokens",
        ],
    ),
    (
        "min_output_tokens",
        &["min_new_tokens", "min_tokens", "min_completion_tokens"],
    ),
    (
        "decoder",
        &[
            "sampling",
            "sampling_params",
            "generation_config",
            "decoder_config",
            "generation",
        ],
    ),
    ("decoder.temperature", &["temperature", "temp", "decoder_temperature"]),
    ("decoder.do_sample", &["do_sample", "sample"]),
    ("decoder.top_k", &["top_k", "decoder_top_k"]),
    ("decoder.top_p", &["top_p", "decoder_top_p", "nucleus_p"]),
    ("decoder.min_p", &["min_p", "decoder_min_p"]),
    (
        "decoder.no_repeat_ngram_size",
        &["no_repeat_ngram_size", "no_repeat_ngram"],
    ),
    ("decoder.repetition_penalty", &["repetition_penalty", "repeat_penalty"]),
    ("decoder.seed", &["seed", "random_seed", "rng_seed", "sampling_seed"]),
    (
        "num_processes",
        &[
            "world_size",
            "n_processes",
            "nproc_per_node",
            "num_ranks",
            "num_workers",
        ],
    ),
    (
        "gpus",
        &["gpu_list", "gpu_ids", "gpu_id", "device_ids", "cuda_visible_devices"],
    ),
    ("gpu_count", &["num_gpus", "n_gpus", "ngpus", "gpus_per_node"]),
    ("device", &["device_type", "device_map", "accelerator"]),
    (
        "fp_precision",
        &[
            "precision",
            "dtype",
            "torch_dtype",
            "compute_dtype",
            "data_type",
            "fp",
            "float_precision",
        ],
    ),
    (
        "quantization",
        &[
            "quant",
            "quantize",
            "quant_type",
            "quantization_config",
            "isq",
            "load_in_4bit",
            "load_in_8bit",
        ],
    ),
    (
        "batch_size",
        &[
            "batch",
            "batchsize",
            "per_device_batch_size",
            "micro_batch_size",
            "max_batch_size",
            "max_num_seqs",
        ],
    ),
    (
        "load.closed.concurrency",
        &["concurrency", "max_concurrency", "num_concurrent", "num_users"],
    ),
    (
        "load.open.rate_per_sec",
        &["request_rate", "arrival_rate", "rate", "qps", "rps", "rate_per_sec"],
    ),
    ("load.replay.file", &["trace", "trace_file", "replay"]),
    ("slo", &["goodput", "sla", "slos"]),
    (
        "warmup_iterations",
        &[
            "n_warmup",
            "num_warmup",
            "warmups",
            "warmup_runs",
            "warmup_steps",
            "num_warmups",
            "warmup_iters",
        ],
    ),
    (
        "num_cycles",
        &[
            "n_cycles",
            "cycles",
            "iterations",
            "num_iterations",
            "num_iters",
            "n_runs",
            "num_runs",
            "runs",
            "repeat",
            "repeats",
            "repetitions",
            "n_repetitions",
        ],
    ),
    (
        "idle_baseline_sec",
        &[
            "baseline",
            "baseline_sec",
            "baseline_duration_seconds",
            "baseline_seconds",
            "idle_seconds",
        ],
    ),
    ("user", &["owner", "username", "author"]),
    ("node", &["host", "hostname", "node_name"]),
    ("labels", &["tags", "metadata", "annotations"]),
    ("callback_url", &["callback", "webhook", "webhook_url", "notify_url"]),
];

/// Keys that describe several experiments.
const KEYS_OF_SEVERAL: [&str; 8] = [
    "study",
    "study_name",
    "sweep",
    "sweeps",
    "grid",
    "matrix",
    "experiments",
    "configs",
];

/// Maximum depth to which nested objects of a configuration are searched.
const MAX_DEPTH: usize = 4;

/// Notes every key of the object at `base` that is not in `known`: our name for it, or that there is no similar field.
/// For an unknown object this is done for each of its keys. The list of known fields is appended once, to the first
/// problem that names no other field.
pub fn note_unknown(object: &Map<String, Value>, base: &str, known: &[&str], problems: &mut Vec<FieldProblem>) {
    let mut notes = Notes {
        known,
        list: Some(format!(" Accepted are {}", known.join(", "))),
        explained_at: None,
        problems,
    };
    for (key, value) in object.iter().filter(|(key, _)| !known.contains(&key.as_str())) {
        notes.note(key, value, base, 0);
    }
}

/// The problems of one object while they are collected.
struct Notes<'a> {
    known: &'a [&'a str],
    /// The list of known fields, until it is used.
    list: Option<String>,
    /// Pointer to the key for which it was explained that a submission is one experiment.
    explained_at: Option<String>,
    problems: &'a mut Vec<FieldProblem>,
}

impl Notes<'_> {
    fn note(&mut self, key: &str, value: &Value, base: &str, depth: usize) {
        if self.problems.len() >= MAX_PROBLEMS {
            return;
        }
        let at = pointer(base, key);
        let group = value.as_object().filter(|group| !group.is_empty() && depth < MAX_DEPTH);
        if depth == 0 && self.known.iter().any(|name| is_near(key, name)) {
            let list = self.list.take().unwrap_or_default();
            self.push(at, format!("{}{list}", unknown(key, self.known)));
        } else if KEYS_OF_SEVERAL.contains(&key) {
            self.note_several(at);
        } else if let Some(group) = group {
            for (key, value) in group {
                self.note(key, value, &at, depth + 1);
            }
        } else if let Some(name) = ours(key, depth) {
            self.push(at, format!("is not a known field; its name here is `{name}`"));
        } else {
            let list = self.list.take().filter(|_| depth == 0).unwrap_or_default();
            self.push(at, format!("is not a known field, and there is no similar one.{list}"));
        }
    }

    fn note_several(&mut self, at: String) {
        let detail = match &self.explained_at {
            Some(pointer) => format!("is not a known field; see {pointer}"),
            None => {
                "is not a known field: one submission is one experiment. Write each experiment to its own file and submit \
                     them all, such as `joulemark submit a.yaml b.yaml`"
                    .to_owned()
            }
        };
        self.explained_at.get_or_insert_with(|| at.clone());
        self.push(at, detail);
    }

    fn push(&mut self, at: String, detail: String) {
        self.problems.push(FieldProblem::new(at, detail));
    }
}

/// Returns the path of the field with this name, here or in other tools; `None` where there is none.
fn ours(key: &str, depth: usize) -> Option<&'static str> {
    let word = key.rsplit('.').next().unwrap_or(key).to_lowercase().replace('-', "_");
    // Within a nested object, `name` can mean anything.
    if depth > 0 && word == "name" {
        return None;
    }
    let own = super::ExperimentRequest::NAMES.iter().find(|name| **name == word);
    let other = OTHER_NAMES.iter().find(|(_, words)| words.contains(&word.as_str()));
    own.copied().or(other.map(|(name, _)| *name))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;
    use crate::{DecoderRequest, ExperimentRequest, parse};

    fn problems_of(document: &Value) -> Vec<(String, String)> {
        let problems = parse(document).unwrap_err().into_iter();
        problems.map(|problem| (problem.pointer, problem.detail)).collect()
    }

    fn detail(problems: &[(String, String)], pointer: &str) -> String {
        let found: Vec<_> = problems.iter().filter(|(at, _)| at == pointer).collect();
        assert_eq!(found.len(), 1, "{pointer} in {problems:#?}");
        found[0].1.clone()
    }

    #[test]
    fn every_word_has_one_meaning_and_every_meaning_is_a_field() {
        let mut seen = BTreeSet::new();
        for (name, words) in OTHER_NAMES {
            let (first, within) = name.split_once('.').unwrap_or((name, ""));
            assert!(ExperimentRequest::NAMES.contains(&first), "{name}");
            if first == "decoder" && !within.is_empty() {
                assert!(DecoderRequest::NAMES.contains(&within), "{name}");
            }
            for word in *words {
                assert!(!ExperimentRequest::NAMES.contains(word) && seen.insert(*word), "{word}");
            }
        }
    }

    #[test]
    fn a_name_of_another_tool_is_answered_with_ours() {
        let problems = problems_of(&json!({
            "config_name": "old-words", "model_name": "m.gguf", "max_input_tokens": 32, "max_new_tokens": 16,
            "num_input_prompts": 4, "random_seed": 42, "batching": {"strategy": "static", "batch_size": 2},
            "decoder": {"preset": "creative", "temperature": 0.9, "typical_p": 0.95, "penalty_alpha": 0.6},
        }));
        for (pointer, name) in [
            ("/max_new_tokens", "`max_output_tokens`"),
            ("/num_input_prompts", "`prompts.count`"),
            ("/random_seed", "`decoder.seed`"),
            ("/batching/batch_size", "`batch_size`"),
        ] {
            assert!(detail(&problems, pointer).contains(name), "{problems:#?}");
        }
        for pointer in [
            "/batching/strategy",
            "/decoder/preset",
            "/decoder/typical_p",
            "/decoder/penalty_alpha",
        ] {
            assert!(detail(&problems, pointer).contains("no similar one"), "{problems:#?}");
        }
        let all = problems
            .iter()
            .filter(|(_, detail)| detail.contains("Accepted are temperature"));
        assert_eq!(all.count(), 1, "{problems:#?}");
        assert!(
            problems
                .iter()
                .all(|(_, detail)| !detail.contains("Accepted are config_name"))
        );
    }

    #[test]
    fn a_study_is_told_that_one_submission_is_one_experiment() {
        let problems = problems_of(&json!({
            "study_name": "a-sweep", "study_execution": {"n_cycles": 3, "experiment_order": "shuffle"},
            "task": {"model": "m.gguf", "random_seed": 42, "dataset": {"source": "x", "n_prompts": 10},
                "max_output_tokens": 16},
            "measurement": {"energy_sampler": "auto", "warmup": {"n_warmup": 3}},
            "sweep": {"transformers.batch_size": [1, 4]},
        }));
        assert!(detail(&problems, "/study_name").contains("`joulemark submit a.yaml b.yaml`"));
        for (pointer, name) in [
            ("/study_execution/n_cycles", "`num_cycles`"),
            ("/task/model", "`model_name`"),
            ("/task/random_seed", "`decoder.seed`"),
            ("/task/dataset/source", "`prompts.dataset`"),
            ("/task/dataset/n_prompts", "`prompts.count`"),
            ("/task/max_output_tokens", "`max_output_tokens`"),
            ("/measurement/warmup/n_warmup", "`warmup_iterations`"),
            ("/sweep", "see /study_name"),
        ] {
            assert!(detail(&problems, pointer).contains(name), "{pointer}: {problems:#?}");
        }
        let once = problems
            .iter()
            .filter(|(_, detail)| detail.contains("one submission is one experiment"));
        assert_eq!(once.count(), 1, "{problems:#?}");
    }

    #[test]
    fn all_fields_are_listed_at_most_once_however_many_are_unknown() {
        let problems =
            problems_of(&json!({"model_name": "m", "colour": 1, "shape": {"size": 2}, "lable": 3, "taste": 4}));
        let lists = problems
            .iter()
            .filter(|(_, detail)| detail.contains("config_name, model_name"));
        assert_eq!(lists.count(), 1, "{problems:#?}");
        let many: Map<_, _> = (0..10_000)
            .map(|number| (format!("x{number}"), json!({"a": {}})))
            .collect();
        assert_eq!(parse(&Value::Object(many)).unwrap_err().len(), MAX_PROBLEMS);
    }
}
